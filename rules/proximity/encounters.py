"""Encounters: the pairs of vehicles that are near each other, since when, how near they came."""

from dataclasses import dataclass, field, replace
from math import inf

import numpy as np

from schemas.frame import Bools, Floats, Longs, Rows


@dataclass(frozen=True, slots=True)
class Encounters:
    """n pairs that are near each other.

    ``one``, ``other``: (n,) roster slots, the vehicle whose id sorts first in ``one``.
    ``since_us``: (n,) int64 event time. ``lost``: (n,) nobody knows how far apart they are now.
    ``closest_m``, ``closest_us``: (n,) the least distance so far, and when it was.
    """

    one: Rows = field(default_factory=lambda: np.empty(0, np.intp))
    other: Rows = field(default_factory=lambda: np.empty(0, np.intp))
    since_us: Longs = field(default_factory=lambda: np.empty(0, np.int64))
    lost: Bools = field(default_factory=lambda: np.empty(0, np.bool_))
    closest_m: Floats = field(default_factory=lambda: np.empty(0))
    closest_us: Longs = field(default_factory=lambda: np.empty(0, np.int64))

    def __len__(self) -> int:
        return len(self.one)

    def take(self, rows: Rows | Bools) -> "Encounters":
        """The encounters at the given places."""
        return Encounters(
            self.one[rows],
            self.other[rows],
            self.since_us[rows],
            self.lost[rows],
            self.closest_m[rows],
            self.closest_us[rows],
        )

    def plus(self, more: "list[Encounter]") -> "Encounters":
        """These encounters and some more."""
        return Encounters(
            np.concatenate([self.one, np.array([m.one for m in more], np.intp)]),
            np.concatenate([self.other, np.array([m.other for m in more], np.intp)]),
            np.concatenate([self.since_us, np.array([m.since_us for m in more], np.int64)]),
            np.concatenate([self.lost, np.array([m.lost for m in more], np.bool_)]),
            np.concatenate([self.closest_m, np.array([m.closest_m for m in more], np.float64)]),
            np.concatenate([self.closest_us, np.array([m.closest_us for m in more], np.int64)]),
        )

    def come(self, places: Rows, distance_m: Floats, time_us: Longs) -> "Encounters":
        """With the distances that pairs have come to; what is not less than before is nothing."""
        less = distance_m < self.closest_m[places]
        closest_m, closest_us = self.closest_m.copy(), self.closest_us.copy()
        closest_m[places[less]] = distance_m[less]
        closest_us[places[less]] = time_us[less]
        return replace(self, closest_m=closest_m, closest_us=closest_us)

    def one_at(self, place: int) -> "Encounter":
        """The encounter at a place, to be followed."""
        return Encounter(
            int(self.one[place]),
            int(self.other[place]),
            int(self.since_us[place]),
            bool(self.lost[place]),
            float(self.closest_m[place]),
            int(self.closest_us[place]),
        )


@dataclass(slots=True)
class Encounter:
    """One row of ``Encounters``."""

    one: int
    other: int
    since_us: int
    lost: bool = False
    closest_m: float = inf
    closest_us: int = 0
