"""The geofence: which vehicle is in which zone, who entered and who left.

Presence is judged record by record without state (``Fences.presence``), then followed along each
vehicle's track (``follow``). A record without a position says nothing about presence, and neither
does a record without the depth (altitude) that a zone's band asks for: no enter, no exit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from rules.spans import spans
from rules.tracks import NEVER, Roster, Tracks
from rules.zone_index import ZoneIndex
from schemas.event import ZONE_ENTERED, ZONE_EXITED, Event, identity
from schemas.frame import Bools, Floats, Frame, Longs, Rows, rfc3339, where
from schemas.zone import Zone

FOREVER = int(np.iinfo(np.int64).max)


@dataclass(frozen=True, slots=True)
class Presence:
    """Pairs of a row and a zone that holds it (``certain``) or may hold it; sorted by row."""

    row: Rows
    zone: Rows
    certain: Bools

    def rows_unknown(self) -> int:
        """How many rows may be in a zone but nobody can tell."""
        return 0 if self.certain.all() else len(np.unique(self.row[~self.certain]))

    def among(self, rows: Rows) -> "Presence":
        """The pairs of ``rows`` (ascending), rows counted within them."""
        place = np.searchsorted(rows, self.row)
        held = where(rows[np.minimum(place, len(rows) - 1)] == self.row) if len(rows) else place[:0]
        return Presence(place[held], self.zone[held], self.certain[held])

    def part(self, pairs: slice, first_row: int) -> "Presence":
        """The pairs of a stretch of rows, rows counted from ``first_row``."""
        return Presence(self.row[pairs] - first_row, self.zone[pairs], self.certain[pairs])


class Fences:
    """The zones in force as columns: index in plan, bands of depth and altitude, times."""

    def __init__(self, zones: Sequence[Zone]) -> None:
        self.index = ZoneIndex(zones)
        self.zones = self.index.zones
        # (zones,) float64 metres, NaN = no bound; both bounds belong to the zone.
        self.bands = [
            ("depth_m", _bounds([z.min_depth_m for z in zones], [z.max_depth_m for z in zones])),
            (
                "altitude_m",
                _bounds([z.min_altitude_m for z in zones], [z.max_altitude_m for z in zones]),
            ),
        ]
        # (zones,) int64 event time: in force from (included) to (excluded).
        self.from_us = _times([z.effective_from_us for z in zones], NEVER)
        self.to_us = _times([z.effective_to_us for z in zones], FOREVER)

    def presence(self, frame: Frame) -> Presence:
        """Which zones in force hold, or may hold, each record's position."""
        hits = self.index.locate(frame.body, frame.number("longitude"), frame.number("latitude"))
        row, zone = hits.row, hits.zone
        time_us = frame.time_us[row]
        possible = (time_us >= self.from_us[zone]) & (time_us < self.to_us[zone])
        certain = np.ones(len(row), np.bool_)
        for name, bounds in self.bands:
            if bounds is not None:
                low, high = bounds
                value = frame.number(name)[row]
                # Comparisons with NaN are False: an unknown value is never outside a band.
                possible &= ~((value < low[zone]) | (value > high[zone]))
                banded = ~(np.isnan(low[zone]) & np.isnan(high[zone]))
                certain &= ~(banded & np.isnan(value))
        return Presence(row[possible], zone[possible], certain[possible])


@dataclass(frozen=True, slots=True)
class Visits:
    """Stays in zones, open or ended; v of them.

    ``slot``: (v,) roster slot of the vehicle. ``zone``: (v,) index into ``Fences.zones``.
    ``entered_us``: (v,) int64 event time of the entry. ``visit_id``: (v,) object, text.
    """

    slot: Rows = field(default_factory=lambda: np.empty(0, np.intp))
    zone: Rows = field(default_factory=lambda: np.empty(0, np.intp))
    entered_us: Longs = field(default_factory=lambda: np.empty(0, np.int64))
    visit_id: np.ndarray = field(default_factory=lambda: np.empty(0, object))

    def __len__(self) -> int:
        return len(self.slot)

    def take(self, rows: Rows) -> "Visits":
        """The visits at the given positions."""
        return Visits(self.slot[rows], self.zone[rows], self.entered_us[rows], self.visit_id[rows])

    def plus(self, other: "Visits") -> "Visits":
        """These visits and the other ones after them."""
        return Visits(
            np.concatenate([self.slot, other.slot]),
            np.concatenate([self.zone, other.zone]),
            np.concatenate([self.entered_us, other.entered_us]),
            np.concatenate([self.visit_id, other.visit_id]),
        )


@dataclass(frozen=True, slots=True)
class Stays:
    """Visits as stretches of rows of one ``Tracks``: visit i holds rows start[i] to stop[i]."""

    visits: Visits
    start: Rows
    stop: Rows

    def pairs(self) -> tuple[Rows, Rows]:
        """Every (row, visit) pair: two (m,) arrays."""
        length = self.stop - self.start
        visit = np.repeat(np.arange(len(length)), length)
        offset = np.arange(len(visit)) - np.repeat(np.cumsum(length) - length, length)
        return self.start[visit] + offset, visit


@dataclass(frozen=True, slots=True)
class _Fixes:
    """The rows of the tracks that carry a position; f of them, in order.

    ``row``: (f,). ``start``: (runs + 1,) first fix of each run, ending with f.
    ``previous_us``: (f,) int64 event time of the vehicle's fix before, ``NEVER`` = none.
    """

    row: Rows
    start: Rows
    previous_us: Longs


def follow(
    fences: Fences, open_visits: Visits, before: Roster, tracks: Tracks, presence: Presence
) -> tuple[Visits, Stays, list[Event]]:
    """Follow presence along the tracks.

    ``open_visits``: the group's visits open before these rows; ``before``: its roster as it was
    before them. Returns the visits open now, the stays that touch these rows, and the events by
    track, time and zone.
    """
    fixes = _fixes(before, tracks)
    fixes_of_run = np.diff(fixes.start)
    zones = max(len(fences.zones), 1)
    slots = int(max(tracks.slot.max(initial=-1), open_visits.slot.max(initial=-1))) + 1
    run_of_visit = tracks.run_of_slot(slots)[open_visits.slot]
    touched = where(run_of_visit >= 0)
    known, known_run = open_visits.take(touched), run_of_visit[touched]
    run = tracks.run[presence.row]
    found = spans(
        subject=run * zones + presence.zone,
        rank=np.searchsorted(fixes.row, presence.row) - fixes.start[run],
        certain=presence.certain,
        open_subject=known_run * zones + known.zone,
        length=fixes_of_run[run],
        of_open=fixes_of_run[known_run],
    )
    run, zone = found.subject // zones, found.subject % zones
    entered, left = where(found.first >= 0), where(found.ended)
    entry = fixes.start[run[entered]] + found.first[entered]
    exit_ = fixes.start[run[left]] + found.last[left] + 1
    # A stay's rows run from its first fix (or the run's first row where it was open before) to
    # the row before the fix that ends it (or the run's last row).
    start, stop = tracks.start[run], tracks.start[run + 1]
    start[entered], stop[left] = fixes.row[entry], fixes.row[exit_]
    # Spans come sorted by subject and an open visit's span is its subject's first, so the spans
    # that go on stand in the order of the open visits sorted by subject.
    known = known.take(np.argsort(known_run * zones + known.zone, kind="stable"))
    visits = _visits(fences, tracks, known, (run, zone, start), entered)
    events = [
        _exited(fences, tracks.frame, visits, int(i), (int(fixes.row[j]), fixes.previous_us[j]))
        for i, j in zip(left, exit_, strict=True)
    ]
    events += [
        _entered(fences, tracks.frame, visits, int(i), (int(fixes.row[j]), fixes.previous_us[j]))
        for i, j in zip(entered, entry, strict=True)
    ]
    events.sort(key=lambda event: (event.vehicle_id, event.happened_us))
    still_open = open_visits.take(where(run_of_visit < 0)).plus(visits.take(where(~found.ended)))
    return still_open, Stays(visits, start, stop), events


def _visits(
    fences: Fences, tracks: Tracks, known: Visits, at: tuple[Rows, Rows, Rows], entered: Rows
) -> Visits:
    """The visit of each span: those at ``entered`` begin here, the others are ``known``."""
    run, zone, start = at
    entered_us = tracks.frame.time_us[np.minimum(start, len(tracks.frame) - 1)]
    visit_id = np.empty(len(run), object)
    goes_on = np.ones(len(run), np.bool_)
    goes_on[entered] = False
    entered_us[goes_on], visit_id[goes_on] = known.entered_us, known.visit_id
    for i in entered.tolist():
        zone_id, vehicle_id = fences.zones[zone[i]].id, tracks.vehicle_id(int(run[i]))
        visit_id[i] = identity("visit", zone_id, vehicle_id, tracks.moment(int(start[i])))
    return Visits(tracks.slot[run], zone, entered_us, visit_id)


def _fixes(before: Roster, tracks: Tracks) -> _Fixes:
    row = where(~np.isnan(tracks.frame.number("longitude")))
    start = np.searchsorted(row, tracks.start)
    previous_us = np.empty(len(row), np.int64)
    previous_us[1:] = tracks.frame.time_us[row[:-1]]
    moved = where(np.diff(start))
    slot = tracks.slot[moved]
    known = slot < len(before)
    previous_us[start[moved]] = NEVER
    previous_us[start[moved[known]]] = before.last_fix_us[slot[known]]
    return _Fixes(row, start, previous_us)


def _entered(
    fences: Fences, frame: Frame, visits: Visits, i: int, at: tuple[int, np.int64]
) -> Event:
    _, previous_us = at
    changed = NEVER < previous_us < fences.from_us[visits.zone[i]]
    return _event(ZONE_ENTERED, fences, frame, (visits, i), (*at, changed))


def _exited(
    fences: Fences, frame: Frame, visits: Visits, i: int, at: tuple[int, np.int64]
) -> Event:
    row, _ = at
    changed = frame.time_us[row] >= fences.to_us[visits.zone[i]]
    event = _event(ZONE_EXITED, fences, frame, (visits, i), (*at, changed))
    event.data["duration_s"] = int(frame.time_us[row] - visits.entered_us[i]) / 1e6
    return event


def _event(
    kind: str,
    fences: Fences,
    frame: Frame,
    visit: tuple[Visits, int],
    at: tuple[int, np.int64, np.bool_ | bool],
) -> Event:
    visits, i = visit
    row, previous_us, changed = at
    zone, time_us = fences.zones[visits.zone[i]], int(frame.time_us[row])
    return Event(
        type=kind,
        event_id=identity(kind, visits.visit_id[i]),
        vehicle_id=frame.vehicle_ids[int(frame.vehicle[row])],
        time_us=time_us,
        data={
            "zone_id": zone.id,
            "zone_version": zone.version,
            "visit_id": visits.visit_id[i],
            "time": rfc3339(time_us),
            "longitude": _value(frame, "longitude", row),
            "latitude": _value(frame, "latitude", row),
            "depth_m": _value(frame, "depth_m", row),
            "reason": "zone_changed" if changed else "observed",
            # The crossing lies somewhere between the fix before and this one.
            "uncertainty_s": None if previous_us == NEVER else (time_us - int(previous_us)) / 1e6,
        },
    )


def _value(frame: Frame, name: str, row: int) -> float | None:
    column = frame.numbers.get(name)
    return None if column is None or np.isnan(column[row]) else float(column[row])


def _bounds(low: list[float | None], high: list[float | None]) -> tuple[Floats, Floats] | None:
    """The bounds as two columns, None where no zone has any."""
    if all(bound is None for bound in low + high):
        return None
    return np.array(low, np.float64), np.array(high, np.float64)


def _times(values: list[int | None], absent: int) -> Longs:
    return np.array([absent if value is None else value for value in values], np.int64)
