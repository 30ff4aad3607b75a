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
        possible, certain = self.allows(frame, hits.row, hits.zone)
        return Presence(hits.row[possible], hits.zone[possible], certain[possible])

    def allows(self, frame: Frame, row: Rows, zone: Rows) -> tuple[Bools, Bools]:
        """Whether time, depth and altitude allow record ``row[i]`` in ``zone[i]``, and surely so.

        An unknown depth (altitude) excludes nothing, but nothing is sure in a zone that asks.
        """
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
        return possible, certain


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


def follow(
    fences: Fences, open_visits: Visits, before: Roster, tracks: Tracks, presence: Presence
) -> tuple[Visits, Stays, list[Event]]:
    """Follow presence along the tracks.

    ``open_visits``: the group's visits open before these rows; ``before``: its roster as it was
    before them. Returns the visits open now, the stays that touch these rows, and the events by
    vehicle and record; of one record the exits first.
    """
    if not len(tracks.frame):
        return open_visits, Stays(Visits(), np.empty(0, np.intp), np.empty(0, np.intp)), []
    zones = max(len(fences.zones), 1)
    slots = int(max(tracks.slot.max(initial=-1), open_visits.slot.max(initial=-1))) + 1
    run_of_visit = tracks.run_of_slot(slots)[open_visits.slot]
    touched = where(run_of_visit >= 0)
    known, known_run = open_visits.take(touched), run_of_visit[touched]
    known_subject = known_run * zones + known.zone
    row, zone, certain = _entries(fences, tracks, presence, known_subject)
    run, rows_of_run = tracks.run[row], np.diff(tracks.start)
    found = spans(
        subject=run * zones + zone,
        rank=row - tracks.start[run],
        certain=certain,
        open_subject=known_subject,
        length=rows_of_run[run],
        of_open=rows_of_run[known_run],
    )
    run, zone = found.subject // zones, found.subject % zones
    entered, left = where(found.first >= 0), where(found.ended)
    start = tracks.start[run] + np.maximum(found.first, 0)
    stop = tracks.start[run] + found.last + 1
    # Spans come sorted by subject and an open visit's span is its subject's first, so the spans
    # that go on stand in the order of the open visits sorted by subject.
    known = known.take(np.argsort(known_subject, kind="stable"))
    visits = _visits(fences, tracks, known, (run, zone, start), entered)
    previous_us = _previous_fix_us(before, tracks)
    told = [
        (visits.slot[i], stop[i], 0, _exited(fences, tracks.frame, visits, int(i), at))
        for i in left
        for at in [(int(stop[i]), previous_us[stop[i]])]
    ]
    told += [
        (visits.slot[i], start[i], 1, _entered(fences, tracks.frame, visits, int(i), at))
        for i in entered
        for at in [(int(start[i]), previous_us[start[i]])]
    ]
    told.sort(key=lambda event: event[:3])
    still_open = open_visits.take(where(run_of_visit < 0)).plus(visits.take(where(~found.ended)))
    return still_open, Stays(visits, start, stop), [event for *_, event in told]


def _entries(
    fences: Fences, tracks: Tracks, presence: Presence, open_subject: Rows
) -> tuple[Rows, Rows, Bools]:
    """Where a vehicle is or may be in a zone: (row, zone, certain), (m,) each, every row once.

    A record without a position does not say where the vehicle is, but its time, depth or altitude
    may say where it is not: it may be in each zone that its vehicle is in or has a fix in.
    """
    nowhere = where(np.isnan(tracks.frame.number("longitude")))
    if not len(nowhere):
        return presence.row, presence.zone, presence.certain
    zones = max(len(fences.zones), 1)
    # Candidates sorted by run, so that those of a row's run are a slice.
    subject = np.unique(
        np.concatenate([open_subject, tracks.run[presence.row] * zones + presence.zone])
    )
    first, end = np.searchsorted(
        subject, np.stack([tracks.run[nowhere], tracks.run[nowhere] + 1]) * zones
    )
    row = np.repeat(nowhere, end - first)
    skipped = np.repeat(np.cumsum(end - first) - (end - first), end - first)
    zone = subject[np.repeat(first, end - first) + np.arange(len(row)) - skipped] % zones
    possible, _ = fences.allows(tracks.frame, row, zone)
    row, zone = row[possible], zone[possible]
    return (
        np.concatenate([presence.row, row]),
        np.concatenate([presence.zone, zone]),
        np.concatenate([presence.certain, np.zeros(len(row), np.bool_)]),
    )


def _previous_fix_us(before: Roster, tracks: Tracks) -> Longs:
    """(n,) event time of the vehicle's last fix before each row, ``NEVER`` = none."""
    rows, frame = np.arange(len(tracks.frame)), tracks.frame
    located = ~np.isnan(frame.number("longitude"))
    # latest[i]: the newest located row up to row i, of any vehicle.
    latest = np.maximum.accumulate(np.where(located, rows, -1))
    earlier = np.concatenate([[-1], latest[:-1]])
    slot = tracks.slot
    known = slot < len(before)
    of_run = np.full(len(slot), NEVER)
    of_run[known] = before.last_fix_us[slot[known]]
    in_run = earlier >= tracks.start[tracks.run]
    return np.where(in_run, frame.time_us[np.maximum(earlier, 0)], of_run[tracks.run])


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
