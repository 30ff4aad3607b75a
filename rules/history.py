"""History: the records of the last while and what was remembered before them, for revision.

A key group keeps, of every vehicle, the records that are not older than the allowed lateness
before its newest one, in pieces as they came, and a few checkpoints: what the stages remembered at
that point. A late record is judged by running its vehicle's records again from the newest
checkpoint before it. Checkpoints cost nothing to make, as memories are immutable.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from rules.editions import Keys, Version, carried_over, keys_of
from rules.memory import Memory
from rules.registry import Registry
from rules.tracks import NEVER, Roster
from schemas.frame import Bools, Frame, Longs, Rows, concat, where

CHECKPOINTS: Final = 8
"""Checkpoints kept, about: a fourth of the allowed lateness lies between two."""
PIECE_ROWS: Final = 20_000
"""Records between two checkpoints at most, about; where there are many, a fourth of
them, for the more checkpoints there are the more is moved when the oldest is forgotten."""
SMALL_ROWS: Final = 256
SMALL_PIECES: Final = 64
"""Pieces of fewer records than that, behind one another, become one at the latest at so many: live
telemetry comes a few records a frame, and each frame has a price in memory and in the journal."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Records as they came: ``slot``: (len(frame),) the vehicle of each; ``late``: so they came."""

    number: int
    frame: Frame
    slot: Rows
    late: bool


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What was remembered before the pieces that follow; its roster is nameless.

    ``keys``: what its places mean. ``at_us``: the newest event time of the group then.
    """

    number: int
    memory: Memory
    keys: Keys
    at_us: int


Chunk = Piece | Checkpoint


@dataclass(frozen=True, slots=True)
class History:
    """Checkpoints and pieces in the order they came; the first is a checkpoint, if there is any.

    Chunks never change: their numbers, ascending, name them for ever. ``mark_us``: ``at_us`` of the
    last checkpoint, None = there is none; ``rows_since``: records behind it; ``stored``: chunks
    from this number on have come since it was ``gathered``.
    """

    chunks: tuple[Chunk, ...] = ()
    numbered: int = 0
    mark_us: int | None = None
    rows_since: int = 0
    stored: int = 0

    def add(self, frame: Frame, slot: Rows, *, late: bool) -> "History":
        """The history with the records of a frame behind it."""
        piece = Piece(self.numbered, frame, slot, late)
        small, rows = self._last(), self.rows_since + len(frame)
        chunks = (*self.chunks, piece)
        full = len(small) + 1 >= SMALL_PIECES or _rows(small) + len(frame) >= SMALL_ROWS
        if small and full and not late:
            kept = self.chunks[: len(self.chunks) - len(small)]
            chunks = (*kept, _joined(self.numbered, [*small, piece]))
        return replace(self, chunks=chunks, numbered=self.numbered + 1, rows_since=rows)

    def gathered(self) -> "History":
        """The history with what came at its end since the last time as one piece.

        Before it is persisted: each piece has its price there.
        """
        last, chunks, numbered = self._last(self.stored), self.chunks, self.numbered
        if len(last) > 1:
            chunks = (*chunks[: len(chunks) - len(last)], _joined(numbered, last))
            numbered += 1
        return replace(self, chunks=chunks, numbered=numbered, stored=numbered)

    def _last(self, new_from: int | None = None) -> list[Piece]:
        """The pieces at the end that came in order and are small, or new from a number on."""
        last: list[Piece] = []
        for chunk in reversed(self.chunks):
            if isinstance(chunk, Checkpoint) or chunk.late:
                break
            if len(chunk.slot) >= SMALL_ROWS and (new_from is None or chunk.number < new_from):
                break
            last.append(chunk)
        return last[::-1]

    def checkpoint(self, memory: Memory, keys: Keys, at_us: int) -> "History":
        """The history with a checkpoint behind it; ``keys``: of the memory."""
        mark = Checkpoint(self.numbered, memory.nameless(), keys, at_us)
        return History((*self.chunks, mark), self.numbered + 1, at_us)

    def wants_checkpoint(self, at_us: int, lateness_us: int) -> bool:
        """Whether it is time for a checkpoint, at the group's newest event time ``at_us``."""
        if self.mark_us is None:
            return True
        if self.rows_since > PIECE_ROWS and 4 * self.rows_since > _rows(list(self.pieces())):
            return True
        return self.rows_since > 0 and at_us - self.mark_us >= lateness_us // 4

    def checkpoints(self) -> list[int]:
        """The places of the checkpoints among the chunks, ascending."""
        return [i for i, chunk in enumerate(self.chunks) if isinstance(chunk, Checkpoint)]

    def vehicles(self) -> Rows:
        """The slots of the vehicles that have records in it, ascending."""
        slots = [chunk.slot for chunk in self.chunks if isinstance(chunk, Piece)]
        return np.unique(np.concatenate(slots)) if slots else np.empty(0, np.intp)

    def rebased(self, roster: Roster, lateness_us: int) -> "History":
        """The same with one checkpoint: every vehicle has the newest one that may be needed."""
        if not self.chunks:
            return self
        count = len(roster)
        low_us = np.where(roster.last_us == NEVER, NEVER, roster.last_us - lateness_us)
        base = np.maximum(self.bases(np.arange(count), low_us, count), 0)
        places = np.unique(base).tolist()
        mixed = self.memory_at(0, roster)
        pieces: list[Piece] = []
        for place in places:
            slots = where(base == place)
            mixed = mixed.put(slots, self.memory_at(place, roster).only(slots))
            if found := self.records(place, base == place):
                # What came late among these stays marked so, as in ``_without_first``.
                pieces.append(Piece(self.numbered + 1 + len(pieces), *found, late=True))
        at_us = max(c.at_us for c in self.chunks if isinstance(c, Checkpoint))
        mark = Checkpoint(self.numbered, mixed.nameless(), self.keys(0, *places), at_us)
        return History((mark, *pieces), self.numbered + 1 + len(pieces), at_us, _rows(pieces))

    def memory_at(self, place: int, roster: Roster) -> Memory:
        """What the checkpoint at ``place`` remembers, of the vehicles that ``roster`` knows."""
        chunk = self.chunks[place]
        if not isinstance(chunk, Checkpoint):
            raise TypeError(f"chunk {place} is no checkpoint")
        return chunk.memory.seen_as(roster)

    def bases(self, slots: Rows, oldest_us: Longs, count: int) -> Rows:
        """For each vehicle the place of the newest checkpoint to run it again from, -1 = none.

        ``slots``, ``oldest_us``: (k,) vehicles, and the event time of what is to be put in.
        ``count``: vehicles of the roster. Sound is a checkpoint that holds nothing newer than
        that, nor than any record of the vehicle that came after it.
        """
        low_us = np.full(count, np.iinfo(np.int64).max)
        low_us[slots] = oldest_us
        found = np.full(count, -1, np.intp)
        for place in reversed(range(len(self.chunks))):
            chunk = self.chunks[place]
            if isinstance(chunk, Checkpoint):
                last_us = _last_us(chunk, count)
                sound = (found < 0) & (last_us <= low_us)
                found[sound] = place
            elif chunk.late:
                np.minimum.at(low_us, chunk.slot, chunk.frame.time_us)
        return found[slots]

    def records(self, place: int, chosen: Bools) -> tuple[Frame, Rows] | None:
        """The records behind the checkpoint at ``place`` of the chosen vehicles, with their slots.

        ``chosen``: (vehicles,). In the order they came; None where there are none.
        """
        found = [
            (piece.frame.take(rows), piece.slot[rows])
            for piece in self.pieces(place)
            if len(rows := where(chosen[piece.slot]))
        ]
        if not found:
            return None
        return concat([frame for frame, _ in found]), np.concatenate([slot for _, slot in found])

    def pieces(self, place: int = 0, end: int | None = None) -> Iterator[Piece]:
        """The pieces behind the checkpoint at ``place``, up to the chunk at ``end``."""
        for chunk in self.chunks[place:end]:
            if isinstance(chunk, Piece):
                yield chunk

    def forget(self, roster: Roster, lateness_us: int) -> "History":
        """The history without what no late record can need any more.

        Vehicles silent since long keep their last records: these, and what was remembered before
        them, are moved to one piece and one checkpoint, so that everybody else's can go.
        """
        places = self.checkpoints()
        history = self
        while len(places) > 1 and (
            len(places) > CHECKPOINTS or _passed(history.chunks[places[1]], roster, lateness_us)
        ):
            history = history._without_first(places[1], roster, lateness_us)
            places = history.checkpoints()
        return history

    def _without_first(self, second: int, roster: Roster, lateness_us: int) -> "History":
        """The history from its second checkpoint on, with what those in need have before it."""
        count = len(roster)
        before = np.zeros(count, np.bool_)
        for piece in self.pieces(0, second):
            before[piece.slot] = True
        slots = where(before)
        last_us = roster.last_us[slots]
        sound = self._from(second).bases(
            slots, np.where(last_us == NEVER, NEVER, last_us - lateness_us), count
        )
        needy = slots[sound < 0]
        if not len(needy):
            return self._from(second)
        first, mark = self.memory_at(0, roster), self.chunks[second]
        chosen = np.zeros(count, np.bool_)
        chosen[needy] = True
        mixed = self.memory_at(second, roster).put(needy, first.only(needy))
        found = History(self.chunks[:second]).records(0, chosen)
        if found is None or not isinstance(mark, Checkpoint):
            return self._from(second)
        base = Checkpoint(self.numbered, mixed.nameless(), self.keys(0, second), mark.at_us)
        # What came late among these stays marked so: a checkpoint must not hold anything newer.
        piece = Piece(self.numbered + 1, *found, late=True)
        chunks = (base, piece, *self.chunks[second + 1 :])
        return replace(self, chunks=chunks, numbered=self.numbered + 2)

    def keys(self, *places: int) -> Keys:
        """The keys of some checkpoints of one registry together."""
        zones: dict[int, Version] = {}
        rules: dict[int, Version] = {}
        for place in places:
            chunk = self.chunks[place]
            if isinstance(chunk, Checkpoint):
                zones |= chunk.keys.zones
                rules |= chunk.keys.rules
        return Keys(zones, rules)

    def carried_over(self, registry: Registry) -> "History":
        """The history with the places of another registry; see ``rules.editions``."""
        chunks: list[Chunk] = []
        numbered = self.numbered
        for chunk in self.chunks:
            if not isinstance(chunk, Checkpoint):
                chunks.append(chunk)
                continue
            memory = carried_over(chunk.memory, chunk.keys, registry)
            chunks.append(Checkpoint(numbered, memory, keys_of(registry, memory), chunk.at_us))
            numbered += 1
        return replace(self, chunks=tuple(chunks), numbered=numbered)

    def final_us(self, count: int) -> Longs:
        """(count,) event time up to which each vehicle's answers are final, ``NEVER`` = none."""
        first = self.chunks[0]
        return _last_us(first, count) if isinstance(first, Checkpoint) else np.full(count, NEVER)

    def _from(self, place: int) -> "History":
        return replace(self, chunks=self.chunks[place:])


def _joined(number: int, pieces: Sequence[Piece]) -> Piece:
    """Pieces that came in order as one."""
    frame = concat([piece.frame for piece in pieces])
    return Piece(number, frame, np.concatenate([piece.slot for piece in pieces]), late=False)


def _rows(pieces: Sequence[Piece]) -> int:
    return sum(len(piece.slot) for piece in pieces)


def _last_us(mark: Checkpoint, count: int) -> Longs:
    """(count,) event time of each vehicle's newest record then, ``NEVER`` = none."""
    known = mark.memory.roster.last_us
    return np.concatenate([known, np.full(count - len(known), NEVER)])


def _passed(chunk: Chunk, roster: Roster, lateness_us: int) -> bool:
    """Whether time has gone on by the lateness since a checkpoint, for at least one vehicle."""
    newest_us = int(roster.last_us.max(initial=NEVER))
    return isinstance(chunk, Checkpoint) and newest_us - lateness_us >= chunk.at_us
