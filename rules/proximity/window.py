"""Judging a window of ticks: the pairs that may be near are followed from tick to tick.

Pairs that stay far or stay near all the way are dealt with on columns; the others one by one.
"""

from typing import Final

import numpy as np

from rules.proximity.candidates import candidates
from rules.proximity.encounters import Encounter, Encounters
from rules.proximity.events import events_of
from rules.proximity.pairs import Pairs
from rules.proximity.seen import Window
from schemas.ellipsoids import ELLIPSOIDS
from schemas.event import Event
from schemas.frame import Rows, where

_SEGMENTS_A_BLOCK: Final = 100_000


def judge(seen: Window, known: Encounters) -> tuple[Encounters, list[Event]]:
    """The encounters after a window, and what there is to tell of it, pair by pair."""
    one, other, place = _pairs(seen, known)
    rows = _RowsByTick(seen)
    gone = np.zeros(len(known), np.bool_)
    more: list[Encounter] = []
    told: list[Event] = []
    block = max(_SEGMENTS_A_BLOCK // (seen.ticks + 1), 1)
    for begin in range(0, len(one), block):
        part = slice(begin, begin + block)
        pairs = Pairs(seen, rows.of(one[part]), rows.of(other[part]))
        held = where(place[part] >= 0)
        known = known.come(*pairs.quiet_least(known, held, place[part][held]))
        for pair in pairs.busy(known, place[part]).tolist():
            at = int(place[begin + pair])
            now = known.one_at(at) if at >= 0 else None
            course = pairs.course(pair, int(one[begin + pair]), int(other[begin + pair]), now)
            told += events_of(seen, pairs.ends, course.scene.segments, course.changes)
            if at >= 0:
                gone[at] = True
            if course.now:
                more.append(course.now)
    return known.take(~gone).plus(more), told


def _pairs(seen: Window, known: Encounters) -> tuple[Rows, Rows, Rows]:
    """The pairs to look at: vehicles in order of their ids, and place of the encounter or -1."""
    figure, slots = ELLIPSOIDS[seen.body], len(seen.ids)
    one, other = candidates(figure, seen.limits.nearby_m, seen.samples, seen.place_m)
    swapped = seen.ids[one] > seen.ids[other]
    one, other = np.where(swapped, other, one), np.where(swapped, one, other)
    held = known.one * slots + known.other
    code = np.concatenate([held, np.setdiff1d(one * slots + other, held)])
    place = np.full(len(code), -1, np.intp)
    place[: len(held)] = np.arange(len(held))
    return code // slots, code % slots, place


class _RowsByTick:
    """Finds the samples of vehicles."""

    def __init__(self, seen: Window) -> None:
        slot, tick = seen.samples.slot, seen.samples.tick
        present, vehicle = np.unique(slot, return_inverse=True)
        # rows[vehicle, tick - first] = row of the sample, -1 = unknown; the last vehicle: nobody.
        self._rows = np.full((len(present) + 1, seen.ticks + 1), -1, np.intp)
        self._rows[vehicle, tick - seen.first] = np.arange(len(slot))
        self._vehicle = np.full(len(seen.ids), len(present), np.intp)
        self._vehicle[present] = np.arange(len(present))

    def of(self, slots: Rows) -> Rows:
        """(slots, ticks + 1) row of the sample of each vehicle at each tick, -1 = unknown."""
        found: Rows = self._rows[self._vehicle[slots]]
        return found
