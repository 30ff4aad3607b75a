"""Past: the records of the last while and what was remembered before them, for late records.

Of every vehicle are kept: what was remembered of it at some point that no late record may go behind
any more (``base``), and its records since. Marks, of what was remembered now and then, move that
point on: they cost nothing to make, as memories are immutable.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from rules.hazard.part import Part
from rules.hazard.signals import Followed
from rules.tracks import NEVER
from schemas.frame import Bools, Codes, Floats, Longs, Rows

MARKS: Final = 8
"""Marks kept at most, about: a fourth of the allowed lateness lies between two."""
MARK_ROWS: Final = 20_000
"""Records between two marks at most, about, or a fourth of all that are kept, where time stands."""
SMALL_ROWS: Final = 256
SMALL_PIECES: Final = 64


@dataclass(frozen=True, slots=True)
class Piece:
    """Records in the order they came.

    ``number`` names it for ever. ``order``: how many marks had been made before. ``slot``: (n,) the
    vehicle of each; ``time_us``, ``body``: (n,); ``columns``: (readings, n).
    """

    number: int
    order: int
    slot: Rows
    time_us: Longs
    body: Codes
    columns: Floats

    def __len__(self) -> int:
        return len(self.slot)

    def take(self, rows: Rows) -> "Piece":
        """The same piece with some of its rows."""
        return replace(
            self,
            slot=self.slot[rows],
            time_us=self.time_us[rows],
            body=self.body[rows],
            columns=self.columns[:, rows],
        )


@dataclass(frozen=True, slots=True)
class Mark:
    """What was remembered before all pieces of its ``order``; ``at_us``: newest time then."""

    number: int
    order: int
    followed: Followed
    at_us: int


Chunk = Piece | Mark


@dataclass(frozen=True, slots=True)
class Past:
    """Records and marks of a group, in the order they came.

    ``base``: what was remembered of each vehicle before its pieces of ``base_order`` (slots,) and
    later. ``sound``: (slots,) marks of a lower order do not know all of the vehicle's records
    before them. ``marks``: how many were made; ``numbered``: chunks so far; ``rows``: records since
    the last mark, made at ``mark_us``, None = none was.
    """

    chunks: tuple[Chunk, ...] = ()
    base: Followed = field(default_factory=lambda: Followed.none(0))
    base_order: Longs = field(default_factory=lambda: np.empty(0, np.int64))
    sound: Longs = field(default_factory=lambda: np.empty(0, np.int64))
    marks: int = 0
    numbered: int = 0
    rows: int = 0
    mark_us: int | None = None

    def grown(self, slots: int, signals: int) -> "Past":
        """The past of as many vehicles, the new ones without any record."""
        base = self.base if len(self.base.values) else Followed.none(signals)
        new = slots - len(self.base_order)
        if new <= 0:
            return self
        zeros = np.zeros(new, np.int64)
        return replace(
            self,
            base=base.grown(slots),
            base_order=np.concatenate([self.base_order, zeros]),
            sound=np.concatenate([self.sound, zeros]),
        )

    def add(self, part: Part, slot: Rows, *, late: bool) -> "Past":
        """The past with further records; ``slot``: (vehicles,) of the part's vehicles."""
        of_row = slot[part.vehicle]
        piece = Piece(self.numbered, self.marks, of_row, part.time_us, part.body, part.columns)
        small = self._small()
        rows = sum(map(len, small)) + len(piece)
        if small and (len(small) + 1 >= SMALL_PIECES or rows >= SMALL_ROWS):
            piece = joined(self.numbered, self.marks, [*small, piece])
            kept = self.chunks[: len(self.chunks) - len(small)]
        else:
            kept = self.chunks
        sound = self.sound
        if late:
            sound = sound.copy()
            sound[np.unique(of_row)] = self.marks + 1
        return replace(
            self,
            chunks=(*kept, piece),
            sound=sound,
            numbered=self.numbered + 1,
            rows=self.rows + len(part),
        )

    def _small(self) -> list[Piece]:
        """The small pieces at the end, since the last mark."""
        small: list[Piece] = []
        for chunk in reversed(self.chunks):
            if isinstance(chunk, Mark) or len(chunk) >= SMALL_ROWS or chunk.order < self.marks:
                break
            small.append(chunk)
        return small[::-1]

    def marked(self, now: Followed, at_us: int, lateness_us: int) -> "Past":
        """The past with a mark behind it where it is time for one, without what is not needed."""
        if not self._wants_mark(at_us, lateness_us):
            return self
        mark = Mark(self.numbered, self.marks + 1, now, at_us)
        past = replace(
            self,
            chunks=(*self.chunks, mark),
            marks=self.marks + 1,
            numbered=self.numbered + 1,
            rows=0,
            mark_us=at_us,
        )
        marks = [chunk for chunk in past.chunks if isinstance(chunk, Mark)]
        while len(marks) > MARKS or (len(marks) > 1 and marks[0].at_us <= at_us - lateness_us):
            past = past._based_on(marks.pop(0), now.last_us, lateness_us)  # noqa: SLF001
        return past

    def _wants_mark(self, at_us: int, lateness_us: int) -> bool:
        if self.mark_us is None:
            return True
        if self.rows and at_us - self.mark_us >= lateness_us // 4:
            return True
        kept = sum(len(chunk) for chunk in self.chunks if isinstance(chunk, Piece))
        return self.rows > max(MARK_ROWS, kept // 4)

    def _based_on(self, mark: Mark, newest_us: Longs, lateness_us: int) -> "Past":
        """The past in which every vehicle that may is based on a mark, and the mark is gone."""
        known = len(mark.followed)
        last_us = np.full(len(self.base_order), NEVER)
        last_us[:known] = mark.followed.last_us
        # Nothing older than the lateness before the newest record comes in any more.
        settled = (last_us != NEVER) & (last_us <= newest_us - lateness_us)
        settled &= (self.sound <= mark.order) & (self.base_order < mark.order)
        slots = np.flatnonzero(settled)
        base_order = self.base_order.copy()
        base_order[slots] = mark.order
        base = self.base.put(slots, mark.followed.grown(len(base_order)))
        place = [chunk.number for chunk in self.chunks].index(mark.number)
        # Of the pieces before the mark only what is still needed stays.
        needed = [
            piece.take(rows)
            for piece in self.chunks[:place]
            if isinstance(piece, Piece)
            and len(rows := np.flatnonzero(piece.order >= base_order[piece.slot]))
        ]
        before: tuple[Chunk, ...] = ()
        if needed:
            before = (joined(self.numbered, needed[-1].order, needed),)
        return replace(
            self,
            chunks=(*before, *self.chunks[place + 1 :]),
            base=base,
            base_order=base_order,
            numbered=self.numbered + 1,
        )

    def of(self, slots: Rows) -> Piece | None:
        """The records of some vehicles since their bases, in the order they came."""
        chosen = np.zeros(len(self.base_order), np.bool_)
        chosen[slots] = True
        found = list(self._needed(chosen))
        return joined(-1, 0, found) if found else None

    def _needed(self, chosen: Bools) -> Iterator[Piece]:
        for piece in self.chunks:
            if isinstance(piece, Piece):
                wanted = chosen[piece.slot] & (piece.order >= self.base_order[piece.slot])
                if wanted.any():
                    yield piece.take(np.flatnonzero(wanted))


def joined(number: int, order: int, pieces: Sequence[Piece]) -> Piece:
    """One piece of the rows of at least one, in order."""
    return Piece(
        number,
        order,
        np.concatenate([piece.slot for piece in pieces]),
        np.concatenate([piece.time_us for piece in pieces]),
        np.concatenate([piece.body for piece in pieces]),
        np.concatenate([piece.columns for piece in pieces], axis=1),
    )
