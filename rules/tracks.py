"""Tracks: the records of a frame vehicle by vehicle in event-time order, and who is known.

Everything that decides works on ``Tracks``; what came too late to take its place is put apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from rules.past import Past
from schemas.frame import Floats, Frame, Ints, Longs, Rows, where

NEVER: Final = int(np.iinfo(np.int64).min)
FOREVER: Final = int(np.iinfo(np.int64).max)

FIX_FIELDS: Final = (
    "longitude",
    "latitude",
    "depth_m",
    "altitude_m",
    "height_above_bottom_m",
    "position_accuracy_m",
)
"""The numbers of a fix that the next record of its vehicle is held against."""


@dataclass(frozen=True, slots=True)
class Fixes:
    """One fix a place: the newest record with a position of each of n vehicles, or of none.

    ``time_us``: (n,) int64 event time, ``NEVER`` = no fix. ``values``: (len(FIX_FIELDS), n)
    float64, NaN = absent. ``cell``: (n,) int32 cell of ``ZoneIndex.locate``, -1 = not known.
    """

    time_us: Longs
    values: Floats
    cell: Ints

    @classmethod
    def none(cls, count: int) -> "Fixes":
        """``count`` vehicles without a fix."""
        return cls(
            np.full(count, NEVER),
            np.full((len(FIX_FIELDS), count), np.nan),
            np.full(count, -1, np.int32),
        )

    @classmethod
    def of(cls, frame: Frame, rows: Rows, cell: Ints) -> "Fixes":
        """The fixes that are ``rows`` of ``frame``; ``cell``: (len(frame),)."""
        values = np.stack([frame.number(name)[rows] for name in FIX_FIELDS])
        return cls(frame.time_us[rows], values, cell[rows])

    def take(self, places: Rows | slice) -> "Fixes":
        """The fixes at the given places."""
        return Fixes(self.time_us[places], self.values[:, places], self.cell[places])

    def plus(self, other: "Fixes") -> "Fixes":
        """These fixes and the other ones after them."""
        return Fixes(
            np.concatenate([self.time_us, other.time_us]),
            np.concatenate([self.values, other.values], axis=1),
            np.concatenate([self.cell, other.cell]),
        )

    def put(self, places: Rows, other: "Fixes") -> "Fixes":
        """A copy with ``other`` at the given places; of equal places the last counts."""
        moved = Fixes(self.time_us.copy(), self.values.copy(), self.cell.copy())
        moved.time_us[places], moved.cell[places] = other.time_us, other.cell
        moved.values[:, places] = other.values
        return moved

    def value(self, name: str) -> Floats:
        """(n,) the column ``name`` of ``FIX_FIELDS``."""
        column: Floats = self.values[FIX_FIELDS.index(name)]
        return column


def joined(pieces: Sequence[Fixes]) -> Fixes:
    """All fixes of at least one piece, in order."""
    return Fixes(
        np.concatenate([piece.time_us for piece in pieces]),
        np.concatenate([piece.values for piece in pieces], axis=1),
        np.concatenate([piece.cell for piece in pieces]),
    )


@dataclass(frozen=True, slots=True)
class Roster:
    """The vehicles a key group knows; a vehicle's slot is its place in ``ids`` and never changes.

    ``last_us``: (slots,) int64, event time of the newest record taken in order, ``NEVER`` = none.
    ``last_count``: (slots,) int64, how many records it has had at that very time.
    ``fixes``: of the slots, each vehicle's newest fix.
    """

    ids: tuple[str, ...] = ()
    last_us: Longs = field(default_factory=lambda: np.empty(0, np.int64))
    last_count: Longs = field(default_factory=lambda: np.empty(0, np.int64))
    fixes: Fixes = field(default_factory=lambda: Fixes.none(0))
    # Derived from ids. It only ever grows, so versions of one roster share it.
    _slots: dict[str, int] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.last_us)

    def __reduce__(self) -> tuple[Any, ...]:
        return _roster, (self.ids, self.last_us, self.last_count, self.fixes)

    def admit(self, vehicle_ids: tuple[str, ...]) -> tuple["Roster", Rows]:
        """The roster that knows all of ``vehicle_ids``, and their slots in the same order."""
        slots = self._index()
        new = [name for name in vehicle_ids if name not in slots]
        roster = self
        if new:
            slots.update(zip(new, range(len(self), len(self) + len(new)), strict=True))
            roster = self.grown(self.ids + tuple(new), slots)
        found = np.fromiter(map(slots.__getitem__, vehicle_ids), np.intp, len(vehicle_ids))
        return roster, found

    def find(self, vehicle_ids: tuple[str, ...]) -> Rows:
        """The slots of ``vehicle_ids``, -1 = not known."""
        slots = self._index()
        return np.array([slots.get(name, -1) for name in vehicle_ids], np.intp)

    def _index(self) -> dict[str, int]:
        if not self._slots:
            self._slots.update(_index(self.ids))
        # An older version of a roster may know less than the index they share.
        return self._slots if len(self._slots) == len(self) else _index(self.ids)

    def grown(self, ids: tuple[str, ...], slots: dict[str, int]) -> "Roster":
        """The roster of ``ids``, which begin with those known; the new ones have no record."""
        new = len(ids) - len(self)
        return Roster(
            ids,
            np.concatenate([self.last_us, np.full(new, NEVER)]),
            np.concatenate([self.last_count, np.zeros(new, np.int64)]),
            self.fixes.plus(Fixes.none(new)),
            slots,
        )

    def seen_as(self, newer: "Roster") -> "Roster":
        """This older version of ``newer``, perhaps nameless, with the vehicles it knows."""
        return self.grown(newer.ids, newer._slots)  # noqa: SLF001 (own class)

    def nameless(self) -> "Roster":
        """The roster without its ids: what is kept of older versions."""
        return Roster((), self.last_us, self.last_count, self.fixes)

    def take(self, slots: Rows | slice) -> "Roster":
        """The roster of the vehicles in ``slots`` alone."""
        if isinstance(slots, slice):
            ids = self.ids[slots]
        else:
            ids = tuple(map(self.ids.__getitem__, slots.tolist())) if self.ids else ()
        fixes = self.fixes.take(slots)
        return Roster(ids, self.last_us[slots], self.last_count[slots], fixes)

    def plus(self, other: "Roster") -> "Roster":
        """The roster of these vehicles and the other ones after them."""
        return Roster(
            self.ids + other.ids,
            np.concatenate([self.last_us, other.last_us]),
            np.concatenate([self.last_count, other.last_count]),
            self.fixes.plus(other.fixes),
        )

    def put(self, slots: Rows, other: "Roster") -> "Roster":
        """The roster with the given slots as ``other``, of the same ids, has them."""
        last_us, last_count = self.last_us.copy(), self.last_count.copy()
        last_us[slots], last_count[slots] = other.last_us[slots], other.last_count[slots]
        fixes = self.fixes.put(slots, other.fixes.take(slots))
        return Roster(self.ids, last_us, last_count, fixes, self._slots)

    def moved_on(self, tracks: "Tracks", cell: Ints) -> "Roster":
        """The roster after the records of ``tracks``; ``cell``: of each of their rows."""
        frame = tracks.frame
        last_us, last_count = self.last_us.copy(), self.last_count.copy()
        last = tracks.start[1:] - 1
        last_us[tracks.slot] = frame.time_us[last]
        last_count[tracks.slot] = tracks.tie[last] + 1
        located = where(~np.isnan(frame.number("longitude")))
        # Rows of a run are in time order: the last located row of a run is its newest fix.
        run = tracks.run[located]
        newest = located[np.append(run[1:] != run[:-1], [True])[: len(run)]]
        fixes = self.fixes.put(tracks.slot[tracks.run[newest]], Fixes.of(frame, newest, cell))
        return Roster(self.ids, last_us, last_count, fixes, self._slots)


def _roster(ids: tuple[str, ...], last_us: Longs, last_count: Longs, fixes: Fixes) -> Roster:
    return Roster(ids, last_us, last_count, fixes, _index(ids))


def _index(ids: tuple[str, ...]) -> dict[str, int]:
    return {name: slot for slot, name in enumerate(ids)}


@dataclass(frozen=True, slots=True)
class Tracks:
    """The records of one key group, each vehicle's in one run of rows in event-time order.

    ``frame``: n rows. ``slot``: (runs,) roster slot of each run's vehicle. ``start``:
    (runs + 1,) first row of each run, ending with n. ``run``: (n,) run of each row. ``tie``: (n,)
    int64, how many records of the vehicle at the very same time came before: with the time it
    names the record, wherever frames are cut. ``past``: of the rows, where a rule asks for it.
    """

    frame: Frame
    slot: Rows
    start: Rows
    run: Rows
    tie: Longs
    past: Past | None = None

    def vehicle_id(self, run: int) -> str:
        """The id of the vehicle of a run."""
        return self.frame.vehicle_ids[int(self.frame.vehicle[self.start[run]])]

    def moment(self, row: int) -> str:
        """What names the record ``row`` among those of its vehicle."""
        time_us, tie = int(self.frame.time_us[row]), int(self.tie[row])
        return f"{time_us}.{tie}" if tie else str(time_us)

    def run_of_slot(self, slots: int) -> Rows:
        """(slots,) the run of each roster slot, -1 where the vehicle has no row here."""
        runs = np.full(slots, -1, np.intp)
        runs[self.slot] = np.arange(len(self.slot))
        return runs


def sort_key(group: Ints, frame: Frame) -> Rows:
    """(n,) the order that puts rows by key group, then vehicle, then event time (stable).

    ``group``: (len(vehicle_ids),) key group of each vehicle of the frame's id table.
    """
    # place[code] = rank of the vehicle in (group, code) order, so that one integer key sorts
    # rows by group and vehicle; below 65,536 vehicles numpy's stable sort is a radix sort.
    place = np.empty(len(group), np.intp)
    place[np.argsort(group, kind="stable")] = np.arange(len(group))
    key = place[frame.vehicle].astype(np.uint16 if len(group) <= 1 << 16 else np.uint32)
    if len(frame) < 2 or bool((frame.time_us[1:] >= frame.time_us[:-1]).all()):
        return np.argsort(key, kind="stable")
    return np.lexsort((frame.time_us, key))


def runs_of(frame: Frame) -> Rows:
    """(runs + 1,) first row of each run of equal vehicles, ending with n; rows are sorted so."""
    change = where(frame.vehicle[1:] != frame.vehicle[:-1]) + 1
    return np.concatenate([[0], change, [len(frame)]]) if len(frame) else np.zeros(1, np.intp)


@dataclass(frozen=True, slots=True)
class Intake:
    """A frame taken in: ``tracks`` of the rows in order, and the rows that came late.

    ``kept``, ``late``: row positions in the frame, ascending. ``late_slot``: (late,) the late
    row's vehicle; ``newest_us``: (late,) event time of the newest record that it had before this
    frame.
    """

    tracks: Tracks
    kept: Rows
    late: Rows
    late_slot: Rows
    newest_us: Longs


def take_in(roster: Roster, frame: Frame) -> tuple[Roster, Intake]:
    """Take the rows of ``frame`` (sorted by ``sort_key``) into the tracks of the known vehicles.

    A row is late when it is older than what its vehicle had before this frame. Returns the roster
    that knows the frame's vehicles, its times as they were.
    """
    start = runs_of(frame)
    ids = tuple(map(frame.vehicle_ids.__getitem__, frame.vehicle[start[:-1]].tolist()))
    roster, slot = roster.admit(ids)
    run = np.repeat(np.arange(len(slot)), np.diff(start))
    newest_us = roster.last_us[slot][run]
    is_late = frame.time_us < newest_us
    late, kept = where(is_late), where(~is_late)
    late_slot = slot[run[late]]
    if len(late):
        present, run = np.unique(run[kept], return_inverse=True)
        frame, slot = frame.take(kept), slot[present]
        start = runs_of(frame)
    tie = ties(frame.time_us, start, roster.last_us[slot], roster.last_count[slot])
    tracks = Tracks(frame, slot, start, run, tie)
    return roster, Intake(tracks, kept, late, late_slot, newest_us[late])


def ties(time_us: Longs, start: Rows, last_us: Longs, last_count: Longs) -> Longs:
    """(n,) how many records of the vehicle at the very same time came before each.

    ``time_us``: (n,) in runs of a vehicle, ascending; ``start``: (runs + 1,) where each begins,
    ending with n. ``last_us``, ``last_count``: (runs,) the newest time of each run's vehicle before
    these, and how many of its records had that time.
    """
    first = start[:-1]
    known = np.where(time_us[first] == last_us, last_count, 0)
    fresh = np.ones(len(time_us), np.bool_)
    fresh[1:] = time_us[1:] != time_us[:-1]
    fresh[first] = True
    if fresh.all() and not known.any():
        return np.zeros(len(time_us), np.int64)
    # Rows since the first of equal time; where that is the run's first, those of before count too.
    begin = np.maximum.accumulate(np.where(fresh, np.arange(len(time_us)), 0))
    before = np.zeros(len(time_us), np.int64)
    before[first] = known
    found: Longs = np.arange(len(time_us)) - begin + before[begin]
    return found
