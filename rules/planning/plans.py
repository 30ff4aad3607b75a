"""The plans of vehicles as columns, and what they say at a time."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from rules.planning.timelines import Timeline
from rules.tracks import NEVER
from schemas.frame import Floats, Ints, Longs, Rows
from schemas.mission_plan import MissionPlan, Planned, Step, StepReport, microseconds

_OVER: Final = ("done", "failed", "skipped")


def in_order(planned: Iterable[Planned]) -> tuple[Planned, ...]:
    """Plans and step reports in the order in which they count."""
    found = tuple(planned)
    return tuple(sorted(set(found), key=_order)) if len(found) > 1 else found


def _order(one: Planned) -> tuple[int, int, int, str]:
    # A report counts after a plan of the same time; equal ones in any order that is always so.
    if isinstance(one, StepReport):
        return one.time_us, 1, 0, one.model_dump_json()
    return one.time_us, 0, one.version, one.model_dump_json()


def resolved(planned: Sequence[Planned]) -> list[tuple[int, MissionPlan]]:
    """When each plan came into force, with its steps as reported until the next one."""
    found: list[tuple[int, MissionPlan]] = []
    for one in planned:
        if isinstance(one, MissionPlan):
            found.append((one.time_us, one))
        elif found:
            found.append((one.time_us, _reported(found[-1][1], one)))
    return found


def _reported(plan: MissionPlan, report: StepReport) -> MissionPlan:
    step = Step(id=report.step_id, status=report.status, time=report.time)
    known = {old.id: old for old in plan.steps}
    before = known.get(step.id)
    if before is not None:
        step = before.model_copy(update={"status": step.status, "time": step.time})
    return plan.model_copy(update={"steps": tuple((known | {step.id: step}).values())})


@dataclass(frozen=True, slots=True)
class Plans:
    """The plans of some vehicles; a plan's place counts through all of them, owner by owner.

    ``timeline``: by owner. ``owners``: vehicle id -> owner; an owner that no vehicle is any more
    had plans that others replaced. The other columns are (plans,):
    degrees, percent, metres, microseconds since 1970; NaN and ``NEVER`` = not planned.
    ``closes``: by plan when communication windows close; ``opens_us``: (windows,) when the same
    open. ``path``: (2, points) longitudes, which go on beyond +-180 within a path, and latitudes of
    all paths, plan by plan; ``path_start``: (plans + 1,) where each begins.
    """

    plans: tuple[MissionPlan, ...] = ()
    owners: Mapping[str, int] = field(default_factory=dict)
    timeline: Timeline = field(default_factory=Timeline.none)
    numbers: Mapping[str, Floats] = field(default_factory=dict)
    times: Mapping[str, Longs] = field(default_factory=dict)
    closes: Timeline = field(default_factory=Timeline.none)
    opens_us: Longs = field(default_factory=lambda: np.empty(0, np.int64))
    path: Floats = field(default_factory=lambda: np.empty((2, 0)))
    path_start: Rows = field(default_factory=lambda: np.zeros(1, np.intp))

    @classmethod
    def of(cls, planned: Mapping[str, Sequence[Planned]]) -> "Plans":
        """The plans of each vehicle, given ``in_order``."""
        by_owner = [resolved(ones) for ones in planned.values()]
        every = [pair for pairs in by_owner for pair in pairs]
        plans = tuple(plan for _, plan in every)
        start = np.cumsum([0, *map(len, by_owner)])
        windows = [_windows(plan) for plan in plans]
        return cls(
            plans,
            {vehicle_id: owner for owner, vehicle_id in enumerate(planned)},
            Timeline(start, np.array([at_us for at_us, _ in every], np.int64)),
            {name: np.array([get(p) for p in plans], np.float64) for name, get in _NUMBERS.items()},
            {name: np.array([get(p) for p in plans], np.int64) for name, get in _TIMES.items()},
            Timeline(
                np.cumsum([0, *map(len, windows)]),
                np.array([closes for pairs in windows for closes, _ in pairs], np.int64),
            ),
            np.array([opens for pairs in windows for _, opens in pairs], np.int64),
            *_paths(plans),
        )

    def with_plans(self, planned: Mapping[str, Sequence[Planned]]) -> "Plans":
        """With the plans of some vehicles, given ``in_order``, in the place of those they had.

        Columns are read of these vehicles alone: of a fleet one plan changes at a time.
        """
        more = Plans.of(planned)
        if not self.owners:
            return more
        known = len(self.timeline.start) - 1
        return Plans(
            self.plans + more.plans,
            {**self.owners, **{name: known + owner for name, owner in more.owners.items()}},
            self.timeline.plus(more.timeline),
            {name: np.append(column, more.numbers[name]) for name, column in self.numbers.items()},
            {name: np.append(column, more.times[name]) for name, column in self.times.items()},
            self.closes.plus(more.closes),
            np.append(self.opens_us, more.opens_us),
            np.concatenate([self.path, more.path], axis=1),
            np.append(self.path_start, self.path_start[-1] + more.path_start[1:]),
        )

    @property
    def replaced(self) -> int:
        """How many plans are of no vehicle any more."""
        count = np.diff(self.timeline.start)
        return len(self.plans) - int(count[list(self.owners.values())].sum())

    def next_window(self, place: Rows, at_us: Longs) -> Rows:
        """(n,) the window of each plan that closes next after a time, -1 = there is none."""
        known = np.maximum(place, 0)
        found = self.closes.latest(place, at_us)
        following = np.where(found < 0, self.closes.start[known], found + 1)
        there = (place >= 0) & (following < self.closes.start[known + 1])
        return np.where(there, following, -1)

    def in_force(self, ids: Sequence[str], vehicle: Ints, at_us: Longs) -> Rows:
        """(n,) the place of the plan in force, -1 = none; ``vehicle``: (n,) index into ``ids``."""
        if not self.plans:
            return np.full(len(vehicle), -1, np.intp)
        owner = np.array([self.owners.get(name, -1) for name in ids], np.intp)
        return self.timeline.latest(owner[vehicle], at_us)


def _paths(plans: Sequence[MissionPlan]) -> tuple[Floats, Rows]:
    """(2, points) all paths, and (plans + 1,) where each begins: as of ``Plans``."""
    points = [point for plan in plans for point in plan.path]
    start = np.cumsum([0, *(len(plan.path) for plan in plans)])
    lon = np.array([point.longitude for point in points], np.float64)
    # Turns by which each point is beyond the one before; those before a path are none of it.
    turns = np.cumsum(np.rint(np.diff(lon, prepend=lon[:1]) / 360.0))
    length = np.diff(start)
    before = turns[start[:-1][length > 0]]
    lon -= 360.0 * (turns - np.repeat(before, length[length > 0]))
    return np.array([lon, [point.latitude for point in points]], np.float64), start


def _windows(plan: MissionPlan) -> list[tuple[int, int]]:
    """When each window closes and opens, in the order they close."""
    return sorted((microseconds(w.closes), microseconds(w.opens)) for w in plan.windows)


def _is_left(step: Step) -> bool:
    return step.status not in _OVER


def _latest_us(plan: MissionPlan, status: str) -> int:
    times = [microseconds(s.time) for s in plan.steps if s.status == status and s.time]
    return max(times, default=NEVER)


def _due_us(plan: MissionPlan) -> int:
    return min((microseconds(s.due) for s in plan.steps if s.due and _is_left(s)), default=NEVER)


def _of_goal(name: str, plan: MissionPlan) -> float:
    return float("nan") if plan.goal is None else float(getattr(plan.goal, name))


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value


_NUMBERS: Final[Mapping[str, Callable[[MissionPlan], float]]] = {
    "reserve_pct": lambda p: _or_nan(p.reserve_pct),
    "max_temperature_c": lambda p: _or_nan(p.max_temperature_c),
    "goal_longitude": lambda p: _of_goal("longitude", p),
    "goal_latitude": lambda p: _of_goal("latitude", p),
    "goal_radius_m": lambda p: _of_goal("radius_m", p),
    "done": lambda p: sum(s.status == "done" for s in p.steps),
    "failed": lambda p: sum(s.status == "failed" for s in p.steps),
    "left": lambda p: sum(map(_is_left, p.steps)),
}
_TIMES: Final[Mapping[str, Callable[[MissionPlan], int]]] = {
    "since_us": lambda p: p.time_us,
    "charge_us": lambda p: NEVER if p.next_charge is None else microseconds(p.next_charge),
    "goal_us": lambda p: NEVER if p.goal is None or not p.goal.by else microseconds(p.goal.by),
    "done_us": lambda p: _latest_us(p, "done"),
    "failed_us": lambda p: _latest_us(p, "failed"),
    "due_us": _due_us,
}
