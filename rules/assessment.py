"""Assessment: what can be said of records without knowing their past, and the split by group."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from zlib import crc32

import numpy as np

from rules.fences import Presence
from rules.registry import Registry
from rules.rulebook import Verdicts
from rules.tracks import sort_key
from schemas.frame import Frame, Ints, Rows, Texts


@dataclass(frozen=True, slots=True)
class Assessment:
    """A key group's records with their presence and the verdicts on them.

    ``key``: the group's key in the dataflow; rows sorted by ``sort_key``. ``on_records``: of the
    rules on the record alone, on the rows; ``on_presence``: of those on stays, on the pairs that
    are ``presence.held()``.
    """

    key: str
    frame: Frame
    presence: Presence
    on_records: Verdicts
    on_presence: Verdicts


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


def assess(registry: Registry, groups: KeyGroups, frame: Frame) -> Iterator[Assessment]:
    """Judge a frame without state and cut it by key group, in group order.

    Containment and rules run once over the whole frame, where a pass is cheapest; the parts are
    views of one sorted copy.
    """
    group = groups.of_table(frame)
    frame = frame.take(sort_key(group, frame))
    presence = registry.fences.presence(frame)
    on_records = registry.book.judge_records(frame)
    held = presence.held()
    held_row = presence.row[held]
    on_presence = registry.book.judge_stays(frame, held_row, presence.zone[held])
    group_of_row = group[frame.vehicle]
    present = np.unique(group_of_row)
    start = np.append(np.searchsorted(group_of_row, present), len(frame))
    pair, held_pair = np.searchsorted(presence.row, start), np.searchsorted(held_row, start)
    for i, g in enumerate(present.tolist()):
        rows = slice(start[i], start[i + 1])
        yield Assessment(
            groups.key(g),
            _compact(frame.take(rows), group, g),
            presence.part(slice(pair[i], pair[i + 1]), rows),
            on_records.take(rows),
            on_presence.take(slice(held_pair[i], held_pair[i + 1])),
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
