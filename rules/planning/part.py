"""What planning takes in: records, plans, answers and scores for some key groups."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from math import inf, nan
from typing import Any, Final

import numpy as np

from rules.assessment import KeyGroups
from rules.tracks import NEVER
from schemas.event import Event
from schemas.frame import Bools, Floats, Frame, Longs, Rows, where
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
class Part:
    """What there is for some key groups, those of ``keys``.

    ``frame``: records to judge, by key group, then vehicle, then time. ``until_us``: (n,) the
    newest time of the vehicle in the slice of each. ``clock_us``: the newest event time of the
    source. ``stamp``: of the frame that records, or scores of them, are of; 0 = they wait for
    nothing. ``vehicles``: by key of how many scores are to come (one vehicle counts once a
    profile), or of how many ``scores`` are; none = of none.
    """

    keys: tuple[str, ...]
    frame: Frame | None = None
    until_us: Longs = field(default_factory=lambda: np.empty(0, np.int64))
    clock_us: int = NEVER
    planned: tuple[Planned, ...] = ()
    answers: tuple[Answer, ...] = ()
    scores: Scores | None = None
    stamp: int = 0
    vehicles: tuple[int, ...] = ()


class Whole:
    """A part with all its key groups, which those of a worker share.

    Plans and answers are for one group: they are never cut.
    """

    def __init__(self, part: Part, groups: KeyGroups) -> None:
        self.part, self.keys, self._groups = part, part.keys, groups

    def __reduce__(self) -> tuple[Any, ...]:
        # Without the vehicles that the groups remember, which are all that were seen here.
        return Whole, (self.part, KeyGroups(self._groups.count))

    def alone(self, key: str) -> "Whole":
        """The part of one key group, to be sent."""
        return Whole(self.of({key}), self._groups)

    def of(self, keys: Set[str]) -> Part:
        """The part of some of its key groups."""
        if len(keys) == len(self.keys):
            return self.part
        part, kept = self.part, [place for place, key in enumerate(self.keys) if key in keys]
        cut = replace(
            part,
            keys=tuple(self.keys[place] for place in kept),
            vehicles=tuple(part.vehicles[place] for place in kept) if part.vehicles else (),
        )
        if part.frame is not None:
            rows = where(self._among(part.frame.vehicle_ids, keys)[part.frame.vehicle])
            frame = part.frame.take(rows).compact() if len(rows) else None
            cut = replace(cut, frame=frame, until_us=part.until_us[rows])
        if part.scores is not None:
            rows = where(self._among(part.scores.vehicle_ids, keys))
            cut = replace(cut, scores=part.scores.take(rows))
        return cut

    def _among(self, vehicle_ids: Sequence[str], keys: Set[str]) -> Bools:
        """(ids,) which vehicles are of these groups."""
        mine = np.array([self._groups.key(g) in keys for g in range(self._groups.count)])
        found: Bools = mine[self._groups.of_ids(vehicle_ids)]
        return found
