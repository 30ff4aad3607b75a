"""Samples: where vehicles are at the ticks, the moments of event time that positions are compared.

Tick k is the event time ``k * every_us``. Between two fixes a vehicle moves straight and evenly in
longitude, latitude, depth and altitude, so a sample depends on two fixes and nothing else.
"""

from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from rules.proximity.limits import Limits
from rules.tracks import FIX_FIELDS, NEVER, Fixes, Roster
from schemas.frame import Bools, Floats, Longs, Rows

COLUMNS: Final = FIX_FIELDS[:4]
"""Names of the rows of ``Samples.values``."""
LONGITUDE, LATITUDE, DEPTH, ALTITUDE = range(4)


@dataclass(frozen=True, slots=True)
class Samples:
    """n positions at ticks; no vehicle has two at one tick.

    ``slot``: (n,) roster slot of the vehicle. ``tick``: (n,) int64. ``values``: (4, n) float64 in
    the order of ``COLUMNS`` (longitude in [-180, 180], latitude: deg), NaN = unknown.
    """

    slot: Rows = field(default_factory=lambda: np.empty(0, np.intp))
    tick: Longs = field(default_factory=lambda: np.empty(0, np.int64))
    values: Floats = field(default_factory=lambda: np.empty((len(COLUMNS), 0)))

    def __len__(self) -> int:
        return len(self.slot)

    def take(self, rows: Rows | Bools) -> "Samples":
        """The samples at the given places."""
        return Samples(self.slot[rows], self.tick[rows], self.values[:, rows])

    def plus(self, other: "Samples") -> "Samples":
        """These samples and the other ones."""
        return Samples(
            np.concatenate([self.slot, other.slot]),
            np.concatenate([self.tick, other.tick]),
            np.concatenate([self.values, other.values], axis=1),
        )


def between(first: Floats, second: Floats, share: Floats) -> Floats:
    """(4, n) the values ``share`` of the way from one place to the next: exact at 0 and at 1.

    The longitude goes the short way round.
    """
    second_lon = second[LONGITUDE]
    turn = np.round((second_lon - first[LONGITUDE]) / 360.0) * 360.0
    out = first * (1.0 - share) + np.stack([second_lon - turn, *second[1:]]) * share
    out[LONGITUDE] -= 360.0 * np.round(out[LONGITUDE] / 360.0)
    return np.where(share == 0.0, first, np.where(share == 1.0, second, out))


def sample(limits: Limits, roster: Roster, slot: Rows, fixes: Fixes) -> tuple[Roster, Samples]:
    """The samples that fixes bring about, none older than what their vehicle had.

    ``slot``: (n,) vehicle of each fix, in any order. The roster has each vehicle's newest fix, and
    so has the one returned.
    """
    slot, fixes = _sorted(slot, fixes)
    if not len(slot):
        return roster, Samples()
    first = np.append([True], slot[1:] != slot[:-1])
    before = fixes.take(np.maximum(np.arange(len(slot)) - 1, 0))
    before = before.put(np.flatnonzero(first), roster.fixes.take(slot[first]))
    followed = before.time_us != NEVER
    gap_us = np.where(followed, fixes.time_us - before.time_us, 0)
    followed &= gap_us <= limits.max_age_us
    # Of each way the ticks after its begin, up to its end; of a fix without one, its own moment.
    begin_us = np.where(followed, before.time_us, fixes.time_us - 1)
    first_tick = begin_us // limits.every_us + 1
    count = fixes.time_us // limits.every_us + 1 - first_tick
    way = np.repeat(np.arange(len(slot)), count)
    tick = first_tick[way] + np.arange(len(way)) - (np.cumsum(count) - count)[way]
    passed_us = tick * limits.every_us - begin_us[way]
    share = np.where(followed[way], passed_us / np.maximum(gap_us[way], 1), 1.0)
    values = between(before.values[:4, way], fixes.values[:4, way], share)
    last = np.append(slot[1:] != slot[:-1], [True])
    newest = roster.fixes.put(slot[last], fixes.take(np.flatnonzero(last)))
    return replace(roster, fixes=newest), Samples(slot[way], tick, values)


def _sorted(slot: Rows, fixes: Fixes) -> tuple[Rows, Fixes]:
    """By vehicle, then time; of several fixes at one time one, whichever came first."""
    order = np.lexsort((fixes.time_us, slot))
    if not _again(slot[order], fixes.time_us[order]).any():
        return slot[order], fixes.take(order)
    known = np.nan_to_num(fixes.values, nan=-np.inf)
    order = np.lexsort((*known[::-1], fixes.time_us, slot))
    again = _again(slot[order], fixes.time_us[order])
    kept = order[np.append(~again, [True])]
    return slot[kept], fixes.take(kept)


def _again(slot: Rows, time_us: Longs) -> Bools:
    """(n - 1,) whether the next fix is of the same vehicle and time."""
    again: Bools = (slot[1:] == slot[:-1]) & (time_us[1:] == time_us[:-1])
    return again
