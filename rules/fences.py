"""The fences: zones as columns, and which of them hold a record, without a look at its past."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from rules.halos import halos
from rules.schedules import Schedules
from rules.tracks import FOREVER, NEVER, Fixes
from rules.zone_geometry import zone_shapes
from rules.zone_index import ZoneIndex
from schemas.frame import Bools, Codes, Floats, Frame, Ints, Longs, Rows, where
from schemas.vertical import BANDS, Band
from schemas.zone import Zone

OUT: Final = 0
UNKNOWN: Final = 1
NEAR: Final = 2
IN: Final = 3
"""What a fix says of a vehicle and a zone: outside; in plan, but nobody knows its depth; outside
but within the exit buffer; inside."""

KEEP_IN: Final = "keep_in"
"""The kind of zones that vehicles are to stay in."""


@dataclass(frozen=True, slots=True)
class Stretches:
    """Parts of ways on which bands and times allow a zone; m of them, by ``of``, then in order.

    ``of``: (m,) which of the ways asked about. ``begin``, ``end``: (m,) shares of the way; begin >
    end: nothing is left, NaN: nobody knows. ``opened``, ``closed``: (m,) the zone's time in force
    is what bounds it.
    """

    of: Rows
    begin: Floats
    end: Floats
    opened: Bools
    closed: Bools


@dataclass(frozen=True, slots=True)
class Presence:
    """What n records say of zones, record by record.

    Pairs of a row and a zone that holds it in plan, sorted by row, then zone: ``row``, ``zone``
    (p,), ``code`` (p,) int8: ``IN``, ``UNKNOWN``, or ``OUT`` where depth, altitude or time exclude
    it. Zones from ``zones`` on are the exit buffers of the zones, in the same order. ``cell``:
    (n,) int32 of ``ZoneIndex.locate``.
    """

    row: Rows
    zone: Rows
    code: Codes
    cell: Ints
    zones: int

    def held(self) -> Rows:
        """The positions of the pairs whose zone itself holds or may hold the record."""
        return where((self.code != OUT) & (self.zone < self.zones))

    def certain(self, pairs: Rows) -> Bools:
        """(pairs,) whether the zone of each pair holds the record for sure."""
        certain: Bools = self.code[pairs] == IN
        return certain

    def rows_unknown(self) -> Rows:
        """The rows that may be in a zone but nobody can tell, ascending."""
        return np.unique(self.row[self.code == UNKNOWN])

    def among(self, rows: Rows) -> "Presence":
        """The pairs of ``rows`` (ascending), rows counted within them."""
        place = np.searchsorted(rows, self.row)
        held = where(rows[np.minimum(place, len(rows) - 1)] == self.row) if len(rows) else place[:0]
        return Presence(place[held], self.zone[held], self.code[held], self.cell[rows], self.zones)

    def part(self, pairs: slice, rows: slice) -> "Presence":
        """The pairs of a stretch of rows, rows counted from its first."""
        return Presence(
            self.row[pairs] - rows.start,
            self.zone[pairs],
            self.code[pairs],
            self.cell[rows],
            self.zones,
        )


class Fences:
    """The zones as columns: index in plan, bands, times in force, what their events wait for.

    Columns are over 2 z places: the z zones and after them their exit buffers, which have the
    bands and times of their zones; those that only zones have are over z.
    """

    def __init__(self, zones: Sequence[Zone]) -> None:
        buffered = np.array([bool(z.exit_buffer_m) for z in zones], np.bool_)
        around = halos(zones, zone_shapes(zones)) if buffered.any() else None
        self.index = ZoneIndex(zones, around)
        self.zones = self.index.zones
        # Zone id and version -> its place.
        self.place_of = {(z.id, z.version): i for i, z in enumerate(self.zones)}
        # (2 z,) float64 metres, NaN = no bound; both bounds belong to the zone.
        self.bands = [(band.column, _bounds(band, zones)) for band in BANDS]
        # (2 z,) int64 event time: in force from (included) to (excluded).
        self.from_us = np.tile(_times((z.effective_from_us for z in zones), NEVER), 2)
        self.to_us = np.tile(_times((z.effective_to_us for z in zones), FOREVER), 2)
        self.schedules = Schedules((*zones, *zones))
        # (2 z,) True where anything but the plan decides.
        self.limited: Bools = (self.from_us != NEVER) | (self.to_us != FOREVER)
        self.limited |= self.schedules.scheduled
        for _, bounds in self.bands:
            if bounds is not None:
                self.limited |= ~np.isnan(bounds[0]) | ~np.isnan(bounds[1])
        # (z,) int64 microseconds.
        self.min_inside_us = _spans((z.min_inside_s for z in zones), 0)
        self.min_outside_us = _spans((z.min_outside_s for z in zones), 0)
        self.max_dwell_us = _spans((z.max_dwell_s for z in zones), FOREVER)
        self.dwell_window_us = _spans((z.dwell_window_s for z in zones), 0)
        self.approach_us = _spans((z.approach_s for z in zones), 0)
        self.max_gap_us = _spans((z.max_gap_s for z in zones), FOREVER)
        self.keep_in = np.array([zone.kind == KEEP_IN for zone in zones], np.bool_)
        # (z,) the place whose edge a vehicle must cross to leave: the exit buffer where one is.
        self.way_out = np.arange(len(zones)) + len(zones) * buffered

    def presence(self, frame: Frame) -> Presence:
        """What each record says of the zones that hold it in plan."""
        hits = self.index.locate(frame.body, frame.number("longitude"), frame.number("latitude"))
        return Presence(
            hits.row, hits.zone, self.judge(frame, hits.row, hits.zone), hits.cell, len(self.zones)
        )

    def judge(self, frame: Frame, row: Rows, zone: Rows) -> Codes:
        """``IN``, ``UNKNOWN`` or ``OUT`` for record ``row[i]`` in plan inside ``zone[i]``.

        An unknown depth (altitude) excludes nothing, but nothing is sure in a zone that asks.
        """
        code = np.full(len(row), IN, np.int8)
        limited = where(self.limited[zone])
        if not len(limited):
            return code
        row, zone = row[limited], zone[limited]
        time_us = frame.time_us[row]
        possible = self.in_force(zone, time_us)
        certain = np.ones(len(row), np.bool_)
        for name, bounds in self.bands:
            if bounds is not None:
                low, high = bounds
                value = frame.number(name)[row]
                # Comparisons with NaN are False: an unknown value is never outside a band.
                possible &= ~((value < low[zone]) | (value > high[zone]))
                banded = ~(np.isnan(low[zone]) & np.isnan(high[zone]))
                certain &= ~(banded & np.isnan(value))
        code[limited] = np.where(possible, np.where(certain, IN, UNKNOWN), OUT)
        return code

    def in_force(self, zone: Rows, time_us: Longs) -> Bools:
        """(n,) whether each zone is in force at each time."""
        in_force: Bools = (time_us >= self.from_us[zone]) & (time_us < self.to_us[zone])
        return in_force & self.schedules.open_at(zone, time_us)

    def closed_us(self, zone: Rows, since_us: Longs, until_us: Longs) -> Longs:
        """(n,) when each zone first went out of force after one time and up to another.

        ``FOREVER`` where it did not, or ``since_us`` is ``NEVER``.
        """
        since_us = np.where(since_us == NEVER, until_us, since_us)
        to_us = self.to_us[zone]
        over = (since_us < to_us) & (to_us <= until_us)
        return np.minimum(
            np.where(over, to_us, FOREVER), self.schedules.closed_us(zone, since_us, until_us)
        )

    def tells(self, before: Fixes, after: Fixes, zone: Rows) -> Bools:
        """(k,) whether each zone's bands can be told all along a way, both ends known."""
        known = np.ones(len(zone), np.bool_)
        for name, bounds in self.bands:
            if bounds is not None:
                banded = ~(np.isnan(bounds[0][zone]) & np.isnan(bounds[1][zone]))
                known &= ~banded | ~(np.isnan(before.value(name)) | np.isnan(after.value(name)))
        return known

    def clip(
        self, before: Fixes, after: Fixes, zone: Rows, begin: Floats, end: Floats
    ) -> Stretches:
        """The parts of stretches that bands and times allow, both linear along the way.

        ``before``, ``after``: (k,) fixes at both ends of each way; ``zone``: (k,) places;
        ``begin``, ``end``: (k,) the stretch in plan, as a share of the way.
        """
        for name, bounds in self.bands:
            if bounds is not None:
                low, high = bounds[0][zone], bounds[1][zone]
                first, last = before.value(name), after.value(name)
                banded = ~(np.isnan(low) & np.isnan(high))
                enter, leave = _within(first, last, low, high)
                begin = np.where(banded, np.maximum(begin, enter), begin)
                end = np.where(banded, np.minimum(end, leave), end)
        of, start_us, stop_us = self.schedules.between(zone, before.time_us, after.time_us)
        start_us = np.maximum(start_us, self.from_us[zone[of]])
        stop_us = np.minimum(stop_us, self.to_us[zone[of]])
        begin, end, before_us = begin[of], end[of], before.time_us[of]
        span_us = np.maximum(after.time_us[of] - before_us, 1)
        enter = np.where(start_us == NEVER, -np.inf, (start_us - before_us) / span_us)
        leave = np.where(stop_us == FOREVER, np.inf, (stop_us - before_us) / span_us)
        return Stretches(
            of, np.maximum(begin, enter), np.minimum(end, leave), enter > begin, leave <= end
        )


def _within(first: Floats, last: Floats, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """The share of a linear way at which it comes into [low, high] and leaves it.

    NaN bounds are open; a way with an end that nobody knows gives NaN.
    """
    low, high = np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high)
    rise = last - first
    with np.errstate(divide="ignore", invalid="ignore"):
        at_low, at_high = (low - first) / rise, (high - first) / rise
    enter, leave = np.minimum(at_low, at_high), np.maximum(at_low, at_high)
    level = rise == 0
    inside = (first >= low) & (first <= high)
    enter = np.where(level, np.where(inside, -np.inf, np.inf), enter)
    leave = np.where(level, np.where(inside, np.inf, -np.inf), leave)
    return enter, leave


def _bounds(band: Band, zones: Sequence[Zone]) -> tuple[Floats, Floats] | None:
    """The bounds as two columns over zones and exit buffers, None where no zone has any."""
    low, high = (
        np.array([getattr(zone, name) for zone in zones], np.float64)
        for name in (band.least, band.most)
    )
    if np.isnan(low).all() and np.isnan(high).all():
        return None
    return np.tile(low, 2), np.tile(high, 2)


def _times(values: Iterable[int | None], absent: int) -> Longs:
    return np.array([absent if value is None else value for value in values], np.int64)


def _spans(values: Iterable[float | None], absent: int) -> Longs:
    return _times((None if value is None else round(value * 1e6) for value in values), absent)
