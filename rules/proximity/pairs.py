"""Pairs in a window of ticks: their segments, which need to be followed, and their courses."""

import numpy as np

from rules.proximity.course import Course, Scene
from rules.proximity.encounters import Encounter, Encounters
from rules.proximity.seen import Window
from rules.proximity.segments import Ends, segments
from schemas.ellipsoids import ELLIPSOIDS
from schemas.frame import Bools, Floats, Longs, Rows, where


class Pairs:
    """p pairs and their k segments, by pair, then tick.

    ``one``, ``other``: (p, ticks + 1) rows of samples at each tick of the window, -1 = unknown. A
    pair has a segment to each tick at which both vehicles are known: from the tick before, or
    where one of them is not known there, or the window begins, the moment of the tick alone.
    """

    def __init__(self, seen: Window, one: Rows, other: Rows) -> None:
        self._known: Bools = (one >= 0) & (other >= 0)
        self._limits, self._ticks = seen.limits, seen.ticks
        # pair, column: (k,) the pair of each segment and the tick, from 0, that it ends at.
        self._pair, self._column = pair, column = np.nonzero(self._known)
        followed = (column > 0) & self._known[pair, column - 1]
        begin = column - followed
        self.ends = Ends(
            one[pair, begin], other[pair, begin], one[pair, column], other[pair, column]
        )
        found = segments(ELLIPSOIDS[seen.body], seen.samples, seen.place_m, self.ends)
        every_us = seen.limits.every_us
        self._scene = Scene(
            seen.limits, found, (begin + seen.first) * every_us, (column + seen.first) * every_us
        )
        # Segments that end at the window's first tick were judged before.
        self._new: Bools = column > 0

    def quiet_least(self, known: Encounters, held: Rows, place: Rows) -> tuple[Rows, Floats, Longs]:
        """The least distances of encounters that simply go on: place, metres, event time.

        ``held``: the pairs that are near, ``place``: their encounters.
        """
        going_on = self._goes_on(held) & ~known.lost[place]
        quiet = np.zeros(len(self._known), np.bool_)
        quiet[held[going_on]] = True
        # All ticks are known: (quiet pairs, ticks) segments.
        rows = where(quiet[self._pair] & self._new).reshape(-1, self._ticks)
        least = self._scene.segments.least_m[rows].argmin(axis=1)
        row = rows[np.arange(len(rows)), least]
        return (
            place[going_on],
            self._scene.segments.least_m[row],
            self._scene.least_us(row),
        )

    def busy(self, known: Encounters, place: Rows) -> Rows:
        """The pairs that something may happen to; ``place``: (p,) encounters, -1 = not near."""
        near = self._new & (self._scene.segments.least_m <= self._limits.nearby_m)
        meeting = self._any(near) & (place < 0)
        held = where(place >= 0)
        lost = known.lost[place[held]]
        still = self._goes_on(held) & ~lost
        still |= lost & ~self._known[held, 1:].any(axis=1)
        return np.union1d(where(meeting), held[~still])

    def course(self, pair: int, one: int, other: int, now: Encounter | None) -> Course:
        """Follow a pair of vehicles ``one`` and ``other`` through the window."""
        course = Course(self._scene, one, other, now)
        first, end = np.searchsorted(self._pair, [pair, pair + 1]).tolist()
        rows = dict(zip(self._column[first:end].tolist(), range(first, end), strict=True))
        for column in range(1, self._ticks + 1):
            if column in rows:
                course.pass_by(rows[column])
            elif column - 1 in rows:
                course.lose(rows[column - 1])
        return course

    def _goes_on(self, held: Rows) -> Bools:
        """(held,) known at all ticks of the window and never far."""
        found, far_m = self._scene.segments, self._limits.faraway_m
        far = self._new & ((found.begin_m > far_m) | (found.end_m > far_m))
        goes_on: Bools = self._known[held, 1:].all(axis=1) & ~self._any(far)[held]
        return goes_on

    def _any(self, chosen: Bools) -> Bools:
        """(p,) the pairs any of whose segments is chosen."""
        found = np.zeros(len(self._known), np.bool_)
        found[self._pair[chosen]] = True
        return found
