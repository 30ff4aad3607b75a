"""Assessment: what can be said of records without knowing their past, and the split by group."""

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, replace
from zlib import crc32

import numpy as np

from rules.ahead import Ahead, LatestFixes, headings_of, marks_of
from rules.approach import headings
from rules.clocks import Mark, Marks
from rules.fences import Fences, Presence
from rules.legs import Limits, legs
from rules.registry import Registry
from rules.tracks import Fixes, runs_of, sort_key
from rules.verdicts import Verdicts
from rules.ways import between_fixes
from schemas.frame import Frame, Ints, Rows, where


@dataclass(frozen=True, slots=True)
class Assessment:
    """Records of key groups with their presence and the verdicts on them.

    ``keys``: the groups' keys in the dataflow, ascending; ``start``: (keys + 1,) the first row of
    each, ending with n; rows sorted by ``sort_key``. ``on_records``: of the rules on the record
    alone, on the rows; ``on_presence``: of those on stays, on the pairs that are
    ``presence.held()``; ``edition``: fingerprint of the registry it was judged by; ``ahead``: what
    may be known already of the ways between fixes; ``announces``: every key group has a part,
    perhaps empty; ``trace``: the trace context of the frame, as ``traceparent``, "" = none;
    ``mark``: how far the part of the source has come that the records came from, where a rule asks
    for it.
    """

    keys: tuple[str, ...]
    start: Rows
    frame: Frame
    presence: Presence
    on_records: Verdicts
    on_presence: Verdicts
    edition: str
    ahead: Ahead | None = None
    announces: bool = False
    trace: str = ""
    mark: Mark | None = None

    @property
    def key(self) -> str:
        """The key of the group; of several, that of the first."""
        return self.keys[0]

    def group_of(self, rows: Rows) -> Rows:
        """The place among ``keys`` of the group of each row."""
        place: Rows = np.searchsorted(self.start, rows, "right") - 1
        return place

    def without(self, rows: Rows) -> "Assessment":
        """The assessment without some rows; what was worked out ahead went through these."""
        left = np.ones(len(self.frame), np.bool_)
        left[rows] = False
        kept, held_row = where(left), self.presence.row[self.presence.held()]
        return Assessment(
            self.keys,
            np.searchsorted(kept, self.start),
            self.frame.take(kept),
            self.presence.among(kept),
            self.on_records.take(kept),
            self.on_presence.take(where(left[held_row])),
            self.edition,
            announces=self.announces,
            trace=self.trace,
            mark=self.mark,
        )


class KeyGroups:
    """A fixed number of groups that vehicles hash to (CRC-32 of the id, the same everywhere)."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._known: dict[str, int] = {}

    def key(self, group: int) -> str:
        """The key of a group in the dataflow and the recovery store; persisted, never change."""
        return f"group-{group:04d}"

    def group(self, key: str) -> int:
        """The group that a key is of."""
        return int(key.rpartition("-")[2])

    def of(self, vehicle_id: str) -> int:
        """The group of a vehicle."""
        group = self._known.get(vehicle_id)
        if group is None:
            group = crc32(vehicle_id.encode()) % self.count
            self._known[vehicle_id] = group
        return group

    def of_ids(self, vehicle_ids: Sequence[str]) -> Ints:
        """(len(vehicle_ids),) int32 group of each vehicle."""
        return np.fromiter(map(self.of, vehicle_ids), np.int32, len(vehicle_ids))


class Assessor:
    """Judges frames without state, and cuts them by key group.

    Containment, crossings and rules run once over the whole frame, where a pass is cheapest. What
    it keeps from frame to frame (``LatestFixes``) changes how fast an answer comes, never which.
    """

    def __init__(
        self, registry: Registry, limits: Limits, groups: KeyGroups, skew_us: int = 120_000_000
    ) -> None:
        self.registry, self.limits, self.groups = registry, limits, groups
        self._latest = LatestFixes()
        self._announces = False
        self._marks = Marks(skew_us)

    def judge_by(self, registry: Registry) -> None:
        """Judge the frames that follow by this registry."""
        if registry is not self.registry:
            self.registry, self._latest = registry, LatestFixes()
            self._announces = True

    def assess(self, frame: Frame) -> Iterator[Assessment]:
        """The parts of a frame, in group order."""
        whole = self.whole(frame)
        return (whole.part(key) for key in whole.keys)

    def whole(self, frame: Frame, trace: str = "") -> "Whole":
        """All of a frame, by group: those in it, or every one where the registry is a new one.

        Every one, too, where a rule waits for what may never come and time has come further: all
        are told so.
        """
        mark, further = None, False
        if self.registry.book.absence.any():
            mark, further = self._marks.of(frame)
        to_all, self._announces = self._announces or further, False
        group = self.groups.of_ids(frame.vehicle_ids)
        frame = frame.take(sort_key(group, frame))
        group_of_row = group[frame.vehicle]
        present = np.arange(self.groups.count) if to_all else np.unique(group_of_row)
        keys = tuple(map(self.groups.key, present.tolist()))
        start = np.append(np.searchsorted(group_of_row, present), len(frame))
        seen = assess_part(self.registry, frame, keys, start)
        ahead = AheadOfAll(self.registry.fences, self.limits, seen, self._latest)
        seen = replace(seen, ahead=ahead.all(), announces=to_all, trace=trace, mark=mark)
        return Whole(seen, ahead)


class Whole:
    """A frame's assessment with all its key groups, which those of a worker share."""

    def __init__(self, seen: Assessment, ahead: "AheadOfAll | None" = None) -> None:
        self.seen, self.keys = seen, seen.keys
        self._ahead = ahead
        held_row = seen.presence.row[seen.presence.held()]
        self._pair = np.searchsorted(seen.presence.row, seen.start)
        self._held_pair = np.searchsorted(held_row, seen.start)

    def part(self, key: str) -> Assessment:
        """The part of one key group: views, with id and text tables of its own."""
        seen = self.seen
        if len(self.keys) == 1:
            return seen
        i = self.keys.index(key)
        rows = slice(int(seen.start[i]), int(seen.start[i + 1]))
        return Assessment(
            (key,),
            np.array([0, rows.stop - rows.start]),
            # What crosses processes carries no more than it needs.
            seen.frame.take(rows).compact(),
            seen.presence.part(slice(self._pair[i], self._pair[i + 1]), rows),
            seen.on_records.take(rows),
            seen.on_presence.take(slice(self._held_pair[i], self._held_pair[i + 1])),
            seen.edition,
            None if self._ahead is None else self._ahead.part(rows),
            seen.announces,
            seen.trace,
            seen.mark,
        )

    def of(self, keys: Set[str]) -> Assessment:
        """The part of some of its key groups."""
        if len(keys) == len(self.keys):
            return self.seen
        if len(keys) == 1:
            return self.part(*keys)
        length = np.diff(self.seen.start)
        others = np.repeat(np.array([key not in keys for key in self.keys]), length)
        return self.seen.without(where(others))

    def alone(self, key: str) -> "Whole":
        """The part of one key group, to be sent."""
        return Whole(self.part(key))


class AheadOfAll:
    """The ways of a whole frame, worked out ahead."""

    def __init__(
        self, fences: Fences, limits: Limits, whole: Assessment, latest: LatestFixes
    ) -> None:
        frame, cell = whole.frame, whole.presence.cell
        self.start = runs_of(frame)
        self.zones = max(len(fences.zones), 1)
        ids = map(frame.vehicle_ids.__getitem__, frame.vehicle[self.start[:-1]].tolist())
        places = latest.places(tuple(ids))
        self.before = latest.at(places)
        run = np.repeat(np.arange(len(places)), np.diff(self.start))
        self.legs = legs(limits, self.before, frame, run, cell)
        self.marks = between_fixes(fences, self.legs, whole.presence)
        self.headings = headings(fences, self.legs, frame)
        last = self.legs.first[1:] - 1
        moved = np.flatnonzero(np.diff(self.legs.first))
        latest.move_on(places[moved], Fixes.of(frame, self.legs.row[last[moved]], cell))

    def all(self) -> Ahead:
        """What belongs to all rows."""
        return Ahead(self.before, self.marks, self.headings)

    def part(self, rows: slice) -> Ahead:
        """What belongs to a stretch of rows that holds whole runs."""
        first, end = np.searchsorted(self.start, (rows.start, rows.stop))
        legs_here = slice(int(self.legs.first[first]), int(self.legs.first[end]))
        return Ahead(
            self.before.take(np.arange(first, end)),
            marks_of(self.marks, legs_here, rows.start, int(first) * self.zones),
            headings_of(self.headings, legs_here),
        )


def assess_part(registry: Registry, frame: Frame, keys: tuple[str, ...], start: Rows) -> Assessment:
    """Judge records of key groups; ``frame``: rows by group, then vehicle, then event time."""
    presence = registry.fences.presence(frame)
    held = presence.held()
    return Assessment(
        keys,
        start,
        frame,
        presence,
        registry.book.judge_records(frame),
        registry.book.judge_stays(frame, presence.row[held], presence.zone[held]),
        registry.fingerprint,
    )
