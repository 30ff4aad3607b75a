"""The course of one pair through a window of ticks: when it came near, parted, was lost."""

from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np

from rules.proximity.encounters import Encounter
from rules.proximity.limits import Limits
from rules.proximity.segments import Segments
from schemas.event import VEHICLE_FARAWAY, VEHICLE_NEARBY
from schemas.frame import Longs, Rows

CROSSED: Final = "crossed"
FOUND: Final = "found"
LOST: Final = "lost"


class Change(NamedTuple):
    """What is told of a pair: at a share of one of its segments.

    ``type``: of the event; ``encounter``: as it is then, a copy; ``time_us``: event time.
    """

    type: str
    reason: str
    encounter: Encounter
    segment: int
    share: float
    time_us: int


@dataclass(frozen=True, slots=True)
class Scene:
    """What the courses of many pairs go through.

    ``segments``: k, by pair, then tick; ``from_us``, ``to_us``: (k,) int64 event times of their
    ends. Where a pair is not known at the tick before, its segment is the moment of its tick.
    """

    limits: Limits
    segments: Segments
    from_us: Longs
    to_us: Longs

    def time_us(self, segment: int, share: float) -> int:
        """Event time at a share of a segment."""
        begin = int(self.from_us[segment])
        return begin + round((int(self.to_us[segment]) - begin) * share)

    def least_us(self, rows: Rows) -> Longs:
        """(k,) event time of the least distance of each of some segments."""
        lasts_us = self.to_us[rows] - self.from_us[rows]
        passed = np.rint(lasts_us * self.segments.least_at[rows]).astype(np.int64)
        found: Longs = self.from_us[rows] + passed
        return found


class Course:
    """Follows a pair; ``now`` is its encounter, None while it is not near."""

    def __init__(self, scene: Scene, one: int, other: int, now: Encounter | None) -> None:
        self.scene, self.one, self.other, self.now = scene, one, other, now
        self.changes: list[Change] = []

    def pass_by(self, segment: int) -> None:
        """The pair goes through a segment."""
        scene, limits = self.scene, self.scene.limits
        begin_m = float(scene.segments.begin_m[segment])
        least_m = float(scene.segments.least_m[segment])
        # Distances jump where a pair is found again, or its depths become known.
        if self.now and begin_m > limits.faraway_m:
            self._part(FOUND, segment, 0.0)
        elif self.now and self.now.lost:
            self.now.lost = False
            self._tell(VEHICLE_NEARBY, FOUND, segment, 0.0)
        if not self.now and least_m <= limits.nearby_m:
            self._meet(segment)
        if self.now:
            if least_m < self.now.closest_m:
                self.now.closest_m = least_m
                self.now.closest_us = int(scene.least_us(np.array([segment]))[0])
            if scene.segments.end_m[segment] > limits.faraway_m:
                self._part(CROSSED, segment, scene.segments.rises_to(segment, limits.faraway_m))

    def lose(self, segment: int) -> None:
        """Nobody knows how far apart the pair is after ``segment``, its last one."""
        if self.now and not self.now.lost:
            self.now.lost = True
            self._tell(VEHICLE_NEARBY, LOST, segment, 1.0)

    def _meet(self, segment: int) -> None:
        scene, near_m = self.scene, self.scene.limits.nearby_m
        crossed = bool(scene.segments.begin_m[segment] > near_m)
        share = scene.segments.falls_to(segment, near_m) if crossed else 0.0
        since_us = scene.time_us(segment, share)
        self.now = Encounter(self.one, self.other, since_us)
        self._tell(VEHICLE_NEARBY, CROSSED if crossed else FOUND, segment, share)

    def _part(self, reason: str, segment: int, share: float) -> None:
        self._tell(VEHICLE_FARAWAY, reason, segment, share)
        self.now = None

    def _tell(self, kind: str, reason: str, segment: int, share: float) -> None:
        if self.now:
            time_us = self.scene.time_us(segment, share)
            change = Change(kind, reason, replace(self.now), segment, share, time_us)
            self.changes.append(change)
