"""Assessment: what can be said of records without knowing their past, and the split by group."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from zlib import crc32

import numpy as np

from rules.ahead import Ahead, LatestFixes, headings_of, marks_of
from rules.approach import headings
from rules.fences import Fences, Presence
from rules.legs import Limits, legs
from rules.registry import Registry
from rules.rulebook import Verdicts
from rules.tracks import Fixes, runs_of, sort_key
from rules.ways import between_fixes
from schemas.frame import Frame, Ints, Rows, Texts, where


@dataclass(frozen=True, slots=True)
class Assessment:
    """A key group's records with their presence and the verdicts on them.

    ``key``: the group's key in the dataflow; rows sorted by ``sort_key``. ``on_records``: of the
    rules on the record alone, on the rows; ``on_presence``: of those on stays, on the pairs that
    are ``presence.held()``; ``ahead``: what may be known already of the ways between fixes;
    ``edition``: fingerprint of the registry it was judged by.
    """

    key: str
    frame: Frame
    presence: Presence
    on_records: Verdicts
    on_presence: Verdicts
    edition: str
    ahead: Ahead | None = None

    def without(self, rows: Rows) -> "Assessment":
        """The assessment without some rows; what was worked out ahead went through these."""
        left = np.ones(len(self.frame), np.bool_)
        left[rows] = False
        kept, held_row = where(left), self.presence.row[self.presence.held()]
        return Assessment(
            self.key,
            self.frame.take(kept),
            self.presence.among(kept),
            self.on_records.take(kept),
            self.on_presence.take(where(left[held_row])),
            self.edition,
        )


class KeyGroups:
    """A fixed number of groups that vehicles hash to (CRC-32 of the id, the same everywhere)."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._known: dict[str, int] = {}

    def key(self, group: int) -> str:
        """The key of a group in the dataflow and the recovery store; persisted, never change."""
        return f"group-{group:04d}"

    def of(self, vehicle_id: str) -> int:
        """The group of a vehicle."""
        group = self._known.get(vehicle_id)
        if group is None:
            group = crc32(vehicle_id.encode()) % self.count
            self._known[vehicle_id] = group
        return group

    def of_table(self, frame: Frame) -> Ints:
        """(len(vehicle_ids),) int32 group of each vehicle of the frame's id table."""
        return np.fromiter(map(self.of, frame.vehicle_ids), np.int32, len(frame.vehicle_ids))


class Assessor:
    """Judges frames without state, and cuts them by key group.

    Containment, crossings and rules run once over the whole frame, where a pass is cheapest. What
    it keeps from frame to frame (``LatestFixes``) changes how fast an answer comes, never which.
    """

    def __init__(self, registry: Registry, limits: Limits, groups: KeyGroups) -> None:
        self.registry, self.limits, self.groups = registry, limits, groups
        self._latest = LatestFixes()

    def judge_by(self, registry: Registry) -> None:
        """Judge the frames that follow by this registry."""
        if registry is not self.registry:
            self.registry, self._latest = registry, LatestFixes()

    def assess(self, frame: Frame) -> Iterator[Assessment]:
        """The parts of a frame, in group order: views of one sorted copy."""
        group = self.groups.of_table(frame)
        frame = frame.take(sort_key(group, frame))
        whole = assess_part(self.registry, "", frame)
        ahead = _Ahead(self.registry.fences, self.limits, whole, self._latest)
        held_row = whole.presence.row[whole.presence.held()]
        group_of_row = group[frame.vehicle]
        present = np.unique(group_of_row)
        start = np.append(np.searchsorted(group_of_row, present), len(frame))
        pair = np.searchsorted(whole.presence.row, start)
        held_pair = np.searchsorted(held_row, start)
        for i, g in enumerate(present.tolist()):
            rows = slice(int(start[i]), int(start[i + 1]))
            yield Assessment(
                self.groups.key(g),
                _compact(frame.take(rows), group, g),
                whole.presence.part(slice(pair[i], pair[i + 1]), rows),
                whole.on_records.take(rows),
                whole.on_presence.take(slice(held_pair[i], held_pair[i + 1])),
                self.registry.fingerprint,
                ahead.part(rows),
            )


class _Ahead:
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

    def part(self, rows: slice) -> Ahead:
        """What belongs to a stretch of rows that holds whole runs."""
        first, end = np.searchsorted(self.start, (rows.start, rows.stop))
        legs_here = slice(int(self.legs.first[first]), int(self.legs.first[end]))
        return Ahead(
            self.before.take(np.arange(first, end)),
            marks_of(self.marks, legs_here, rows.start, int(first) * self.zones),
            headings_of(self.headings, legs_here),
        )


def assess_part(registry: Registry, key: str, frame: Frame) -> Assessment:
    """Judge records of one key group; ``frame``: rows by vehicle, then event time."""
    presence = registry.fences.presence(frame)
    held = presence.held()
    return Assessment(
        key,
        frame,
        presence,
        registry.book.judge_records(frame),
        registry.book.judge_stays(frame, presence.row[held], presence.zone[held]),
        registry.fingerprint,
    )


def _compact(frame: Frame, group: Ints, g: int) -> Frame:
    """The part with id and text tables of its own: what crosses processes carries no more."""
    codes = np.flatnonzero(group == g)
    place = np.zeros(len(group), np.int32)
    place[codes] = np.arange(len(codes), dtype=np.int32)
    return replace(
        frame,
        vehicle_ids=tuple(map(frame.vehicle_ids.__getitem__, codes.tolist())),
        vehicle=place[frame.vehicle],
        texts={name: _compact_texts(text) for name, text in frame.texts.items()},
    )


def _compact_texts(text: Texts) -> Texts:
    if len(text.values) <= len(text.codes):
        return text
    used: Rows = np.unique(text.codes)
    values = tuple(text.values[code] for code in used.tolist() if code >= 0)
    absent = np.int32(len(used) != len(values))
    return Texts(np.searchsorted(used, text.codes).astype(np.int32) - absent, values)
