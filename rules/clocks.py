"""Clocks: how far event time has come in each part of a source, so that silence is noticed.

A part of a source (a file, a queue, a Kafka partition) tells a watermark: its newest event time
less the allowed skew, whole ``TICK_US``; what is not in by then is silent. Parts are read
independently: one may be days ahead of another, which makes nobody of the other silent. So a
vehicle goes by the watermark of one part alone, the one that its newest record came from, and by
its own records, whatever they say. (The least of all watermarks, as engines take it, would stand
still with any part that ends or pauses; the greatest would declare silent whoever is read later.)
At the end of the input all parts are as far as the one that came farthest: so the final answer is
that of all records together, however they were spread over parts, files or processes.

Watermarks only grow. They decide when an absence is told, and whether one is that no record of its
vehicle has followed yet; a record that does follow has the last word (``rules.absence``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

import numpy as np

from rules.tracks import NEVER
from schemas.frame import Frame, Longs, Rows

TICK_US: Final = 1_000_000
"""Steps in which watermarks go on: each is told to every key group."""


class Mark(NamedTuple):
    """How far a part of the source has come: its name, its watermark in event time."""

    part: str
    watermark_us: int


def watermark_us(newest_us: int, skew_us: int) -> int:
    """The watermark of a part whose newest record is of that time."""
    return (newest_us - skew_us) // TICK_US * TICK_US


class Marks:
    """The watermarks of the parts of the source that this process reads."""

    def __init__(self, skew_us: int) -> None:
        self._skew_us = skew_us
        self._known: dict[str, int] = {}

    def of(self, frame: Frame) -> tuple[Mark, bool]:
        """The watermark after a frame, and whether it is further than before."""
        marked_us = watermark_us(int(frame.time_us.max(initial=0)), self._skew_us)
        known_us = self._known.get(frame.part, NEVER)
        self._known[frame.part] = max(known_us, marked_us)
        return Mark(frame.part, self._known[frame.part]), marked_us > known_us


@dataclass(frozen=True, slots=True)
class Clocks:
    """The watermarks of all parts, and the part that each vehicle goes by.

    ``parts``: names; ``marks_us``: (parts,) int64. ``part_of``: (slots known then,) place in
    ``parts``, -1 = none. ``end_us``: from when on the input has ended, ``NEVER`` = it goes on.
    """

    parts: Mapping[str, int] = field(default_factory=dict)
    marks_us: Longs = field(default_factory=lambda: np.empty(0, np.int64))
    part_of: Rows = field(default_factory=lambda: np.empty(0, np.intp))
    end_us: int = NEVER

    def told(self, mark: Mark) -> "Clocks":
        """The clocks after a watermark; the input goes on."""
        place = self.parts.get(mark.part, -1)
        if place < 0:
            parts = {**self.parts, mark.part: len(self.parts)}
            marks_us = np.append(self.marks_us, mark.watermark_us)
            return replace(self, parts=parts, marks_us=marks_us, end_us=NEVER)
        if mark.watermark_us <= self.marks_us[place]:
            return self if self.end_us == NEVER else replace(self, end_us=NEVER)
        marks_us = self.marks_us.copy()
        marks_us[place] = mark.watermark_us
        return replace(self, marks_us=marks_us, end_us=NEVER)

    def moved(self, mark: Mark, slots: Rows, count: int) -> "Clocks":
        """The clocks after a watermark and records of ``slots`` with it; ``count``: vehicles."""
        clocks = self.told(mark)
        part_of = self._part_of(count)
        part_of[slots] = clocks.parts[mark.part]
        return replace(clocks, part_of=part_of)

    def ended(self) -> "Clocks":
        """The clocks at the end of the input."""
        return replace(self, end_us=int(self.marks_us.max(initial=NEVER)))

    def alone(self, slots: Rows) -> "Clocks":
        """The clocks of the vehicles in ``slots`` alone."""
        return replace(self, part_of=self._part_of(int(slots.max(initial=-1)) + 1)[slots])

    def plus(self, count: int, other: "Clocks") -> "Clocks":
        """The clocks of these ``count`` vehicles and of the other ones after them."""
        both = self
        for part, place in other.parts.items():
            both = both.told(Mark(part, int(other.marks_us[place])))
        place_of = np.array([*(both.parts[part] for part in other.parts), -1], np.intp)
        part_of = np.concatenate([self._part_of(count), place_of[other.part_of]])
        return replace(both, part_of=part_of, end_us=max(self.end_us, other.end_us))

    def _part_of(self, count: int) -> Rows:
        """``part_of`` of at least ``count`` vehicles."""
        unknown = np.full(max(count - len(self.part_of), 0), -1)
        return np.concatenate([self.part_of, unknown])

    def of(self, last_us: Longs) -> Longs:
        """(slots,) how far time has come for each vehicle; ``last_us``: of its newest record."""
        marks_us = np.append(self.marks_us, NEVER)
        part_of = self._part_of(len(last_us))
        clocks: Longs = np.maximum(np.maximum(last_us, marks_us[part_of]), self.end_us)
        return clocks
