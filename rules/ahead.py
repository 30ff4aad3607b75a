"""Ahead: what happens between fixes worked out for whole frames, on a guess of what came before.

One pass over a frame of all key groups costs little more than one over a single group's part. What
happens on a way depends on its two fixes alone; the one before a vehicle's first fix in a frame is
known to its key group only, so it is guessed from the frames seen here. The group holds the guess
against what it remembers and does the work itself where it is wrong: results never depend on it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from rules.approach import Headings
from rules.tracks import Fixes
from rules.ways import Marks
from schemas.frame import Rows


@dataclass(frozen=True, slots=True)
class Ahead:
    """Marks on the ways to the fixes of some records, if the fixes before are as guessed.

    ``before``: (runs,) the guess.
    """

    before: Fixes
    marks: Marks
    headings: Headings

    def holds(self, before: Fixes) -> bool:
        """Whether the guess is right."""
        guess = self.before
        return (
            np.array_equal(guess.time_us, before.time_us)
            and np.array_equal(guess.cell, before.cell)
            and np.array_equal(guess.values, before.values, equal_nan=True)
        )


@dataclass(slots=True)
class LatestFixes:
    """The newest fix of every vehicle seen here: a cache, not part of any state."""

    _place: dict[str, int] = field(default_factory=dict)
    _fixes: Fixes = field(default_factory=lambda: Fixes.none(64))

    def places(self, vehicle_ids: Sequence[str]) -> Rows:
        """The place of each vehicle; new ones get one."""
        known = self._place
        found = [known.setdefault(name, len(known)) for name in vehicle_ids]
        if len(known) > len(self._fixes.time_us):
            self._fixes = self._fixes.plus(Fixes.none(len(known)))
        return np.array(found, np.intp)

    def at(self, places: Rows) -> Fixes:
        """The newest fix at each place."""
        return self._fixes.take(places)

    def move_on(self, places: Rows, fixes: Fixes) -> None:
        """Note fixes; older ones than those known are left out."""
        newer = fixes.time_us >= self._fixes.time_us[places]
        places, fixes = places[newer], fixes.take(np.flatnonzero(newer))
        self._fixes.time_us[places], self._fixes.cell[places] = fixes.time_us, fixes.cell
        self._fixes.values[:, places] = fixes.values


def headings_of(headings: Headings, legs: slice) -> Headings:
    """The headings (by leg) on a stretch of legs, counted from its first."""
    part = headings.take(slice(*np.searchsorted(headings.leg, (legs.start, legs.stop))))
    return replace(part, leg=part.leg - legs.start)


def marks_of(marks: Marks, legs: slice, first_row: int, first_subject: int) -> Marks:
    """The marks (by leg) on a stretch of legs, counted from its first leg, row and subject."""
    places = slice(*np.searchsorted(marks.leg, (legs.start, legs.stop)))
    part = marks.take(places)
    return replace(
        part,
        leg=part.leg - legs.start,
        row=part.row - first_row,
        subject=part.subject - first_subject,
    )
