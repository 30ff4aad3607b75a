"""Intake: the records that triggers are judged on, one a vehicle and slice of event time.

Plans are not asked for by the second. Of the records of a vehicle in each slice of ``every_us`` the
first one is judged; of the others only the time counts, up to which the vehicle was heard of. Most
records are so left out before they are cut by key group, where a pass is cheapest.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf, nan
from typing import Any, Final

import numpy as np

from rules.assessment import KeyGroups
from rules.tracks import NEVER, sort_key
from schemas.event import Event
from schemas.frame import KINDS, Floats, Frame, Ints, Longs, Rows, where
from schemas.mission_plan import Planned
from schemas.plan_result import Answer

_DIGITS: Final = 13
"""Hexadecimal digits of an event id that a float64 holds exactly."""
_AHEAD: Final = "ahead_distance_m"
"""The quantity of hazard profiles that tells how far the first cell above a limit is."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Hazard scores of n records of some vehicles.

    ``vehicle_ids``: (n,) whose each is. ``time_us``: (n,) event time. ``values``: (4, n), the rows
    of ``Hazards``; a score of NaN = it is retracted.
    """

    vehicle_ids: tuple[str, ...]
    time_us: Longs
    values: Floats

    def take(self, rows: Rows) -> "Scores":
        """Some of them."""
        ids = tuple(map(self.vehicle_ids.__getitem__, rows.tolist()))
        return Scores(ids, self.time_us[rows], self.values[:, rows])


def scores_in(events: Sequence[Event]) -> Scores:
    """The scores of some ``farwatch.hazard.scored.v1`` events; a retracted one says nothing."""
    values = np.full((4, len(events)), np.nan)
    for place, event in enumerate(events):
        values[3, place] = int(event.event_id[:_DIGITS], 16)
        if not event.retracted:
            data = event.data
            values[:3, place] = data["score"], data["upper"], _ahead_m(data["parts"])
    ids = tuple(event.vehicle_id for event in events)
    time_us = np.array([event.happened_us for event in events], np.int64)
    return Scores(ids, time_us, values)


def _ahead_m(parts: Sequence[Mapping[str, Any]]) -> float:
    """The nearest of the dangers ahead; infinite where there is known to be none."""
    ahead = [part for part in parts if part["reads"] == _AHEAD and part["state"] != "unknown"]
    return min((inf if p["value"] is None else float(p["value"]) for p in ahead), default=nan)


@dataclass(frozen=True, slots=True)
class Given:
    """What is known from the start, by vehicle: plans and step reports, results and commands."""

    planned: Mapping[str, tuple[Planned, ...]] = field(default_factory=dict)
    answers: Mapping[str, tuple[Answer, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Part:
    """What there is for a key group.

    ``frame``: records to judge, by vehicle, then time. ``until_us``: (n,) the newest time of the
    vehicle in the slice of each. ``clock_us``: the newest event time of the source. ``stamp``: of
    the frame that records, or scores of them, are of; 0 = they wait for nothing. ``vehicles``: of
    how many scores are to come (one counts once a profile), or of how many ``scores`` are.
    """

    key: str
    frame: Frame | None = None
    until_us: Longs = field(default_factory=lambda: np.empty(0, np.int64))
    clock_us: int = NEVER
    planned: tuple[Planned, ...] = ()
    answers: tuple[Answer, ...] = ()
    scores: Scores | None = None
    stamp: int = 0
    vehicles: int = 0


class Intake:
    """Cuts frames into parts, and tells every key group how far event time has come.

    ``sensors``: those that triggers read, others are left out; ``kinds``: codes of the kinds of
    vehicles that they are about.
    """

    def __init__(
        self, every_us: int, groups: KeyGroups, sensors: frozenset[str], kinds: Sequence[int]
    ) -> None:
        self._every_us, self._groups, self._sensors = every_us, groups, sensors
        self._asked = np.isin(np.arange(len(KINDS)), kinds)
        self._told_us = np.full(groups.count, NEVER)

    def parts(self, frame: Frame, profiles: Ints | None = None, stamp: int = 0) -> Iterator[Part]:
        """The parts of a frame, in group order; those without records say how far time has come.

        So that what has expired, and who is silent, when the input ends hangs on no frame's end.

        ``profiles``: (ids,) how many profiles score each of the frame's vehicles; their parts wait
        for that.
        """
        if not len(frame):
            return
        group = self._groups.of_ids(frame.vehicle_ids)
        scored = [0] * self._groups.count
        if profiles is not None:
            scored = np.bincount(group, profiles, self._groups.count).astype(np.intp).tolist()
        clock_us = int(frame.time_us.max())
        if not (asked := self._asked[frame.kind]).all():
            frame = frame.take(where(asked))
        sensors = {n: c for n, c in frame.sensors.items() if n in self._sensors}
        frame = replace(frame, sensors=sensors)
        order = sort_key(group, frame)
        first, until_us = _slices(self._every_us, frame, order)
        judged = frame.take(order[first])
        of_row = group[judged.vehicle]
        start = np.searchsorted(of_row, np.arange(self._groups.count + 1))
        for g in range(self._groups.count):
            rows = slice(int(start[g]), int(start[g + 1]))
            if rows.start == rows.stop and self._told_us[g] >= clock_us and not scored[g]:
                continue
            self._told_us[g] = clock_us
            part = None if rows.start == rows.stop else _compact(judged.take(rows))
            key = self._groups.key(g)
            yield Part(key, part, until_us[rows], clock_us, stamp=stamp, vehicles=scored[g])


def _slices(every_us: int, frame: Frame, order: Rows) -> tuple[Rows, Longs]:
    """Places in ``order`` of a vehicle's first record of each slice, and its newest time then."""
    vehicle, time_us = frame.vehicle[order], frame.time_us[order]
    slice_of = time_us // every_us
    fresh = np.ones(len(order), np.bool_)
    fresh[1:] = (vehicle[1:] != vehicle[:-1]) | (slice_of[1:] != slice_of[:-1])
    first = where(fresh)
    last = np.append(first, len(order))[1:] - 1
    return first, time_us[last]


def _compact(frame: Frame) -> Frame:
    """The frame with the ids of its own vehicles alone."""
    codes, vehicle = np.unique(frame.vehicle, return_inverse=True)
    ids = tuple(map(frame.vehicle_ids.__getitem__, codes.tolist()))
    return replace(frame, vehicle_ids=ids, vehicle=vehicle.astype(np.int32))
