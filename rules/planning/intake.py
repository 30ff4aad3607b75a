"""Intake: the records that triggers are judged on, one a vehicle and slice of event time.

Plans are not asked for by the second. Of the records of a vehicle in each slice of ``every_us`` the
first one is judged; of the others only the time counts, up to which the vehicle was heard of. Most
records are so left out before they are cut by key group, where a pass is cheapest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from rules.assessment import KeyGroups
from rules.planning.part import Part, Whole
from rules.tracks import NEVER, sort_key
from schemas.frame import KINDS, Frame, Ints, Longs, Rows, where
from schemas.mission_plan import Planned
from schemas.plan_result import Answer


@dataclass(frozen=True, slots=True)
class Given:
    """What is known from the start, by vehicle: plans and step reports, results and commands."""

    planned: Mapping[str, tuple[Planned, ...]] = field(default_factory=dict)
    answers: Mapping[str, tuple[Answer, ...]] = field(default_factory=dict)


class Intake:
    """Makes of frames what is judged of them, and tells key groups how far event time has come.

    ``sensors``: those that triggers read, others are left out; ``kinds``: codes of the kinds of
    vehicles that they are about.
    """

    def __init__(
        self, every_us: int, groups: KeyGroups, sensors: frozenset[str], kinds: Sequence[int]
    ) -> None:
        self._every_us, self._groups, self._sensors = every_us, groups, sensors
        self._asked = np.isin(np.arange(len(KINDS)), kinds)
        self._told_us = NEVER

    def whole(self, frame: Frame, profiles: Ints | None = None, stamp: int = 0) -> Whole | None:
        """What there is of a frame; groups without records are told how far time has come.

        So that what has expired, and who is silent, when the input ends hangs on no frame's end.

        ``profiles``: (ids,) how many profiles score each of the frame's vehicles; their records
        wait for that.
        """
        if not len(frame):
            return None
        group = self._groups.of_ids(frame.vehicle_ids)
        scored = np.zeros(self._groups.count, np.intp)
        if profiles is not None:
            scored = np.bincount(group, profiles, self._groups.count).astype(np.intp)
        clock_us = int(frame.time_us.max())
        if not (asked := self._asked[frame.kind]).all():
            frame = frame.take(where(asked))
        sensors = {n: c for n, c in frame.sensors.items() if n in self._sensors}
        frame = replace(frame, sensors=sensors)
        order = sort_key(group, frame)
        first, until_us = _slices(self._every_us, frame, order)
        judged = frame.take(order[first])
        rows = np.bincount(group[judged.vehicle], minlength=self._groups.count)
        there = where((rows > 0) | (scored > 0) | (self._told_us < clock_us))
        if not len(there):
            return None
        self._told_us = max(self._told_us, clock_us)
        part = Part(
            tuple(map(self._groups.key, there.tolist())),
            judged.compact() if len(judged) else None,
            until_us,
            clock_us,
            stamp=stamp,
            vehicles=tuple(scored[there].tolist()),
        )
        return Whole(part, self._groups)


def _slices(every_us: int, frame: Frame, order: Rows) -> tuple[Rows, Longs]:
    """Places in ``order`` of a vehicle's first record of each slice, and its newest time then."""
    vehicle, time_us = frame.vehicle[order], frame.time_us[order]
    slice_of = time_us // every_us
    fresh = np.ones(len(order), np.bool_)
    fresh[1:] = (vehicle[1:] != vehicle[:-1]) | (slice_of[1:] != slice_of[:-1])
    first = where(fresh)
    last = np.append(first, len(order))[1:] - 1
    return first, time_us[last]
