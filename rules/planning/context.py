"""Context: what plans, scores and the way ahead say at each entry, as columns by name."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from rules.geodesy import distance_m
from rules.legs import turned
from rules.planning.ahead import Prospects, prospects
from rules.planning.part import Scores
from rules.planning.plans import Plans
from rules.planning.sunlight import sunlight
from rules.planning.timelines import Timeline
from rules.planning.triggers import TriggerBook
from rules.planning.vocabulary import UNTIL, WHOLES
from rules.tracks import NEVER
from schemas.frame import Bools, Floats, Frame, Ints, Longs, Rows

SCORE_AGE_US = 3_600_000_000
"""A hazard score older than this says nothing any more."""
_NO_NUMBER = -1.0
"""In the place of the number of a score that an earlier version kept without."""


@dataclass(frozen=True, slots=True)
class Hazards:
    """Hazard scores of some vehicles, by vehicle, then time, then score.

    ``values``: (4, n) score and its upper bound, 0 to 1; metres to the first place ahead that is
    too dangerous; a number that tells scores of the same vehicle and time apart. NaN = none.
    """

    owners: dict[str, int] = field(default_factory=dict)
    timeline: Timeline = field(default_factory=Timeline.none)
    values: Floats = field(default_factory=lambda: np.empty((4, 0)))

    def plus(self, scores: Scores) -> "Hazards":
        """With further scores, each in the place of itself as told before.

        One that is retracted goes, so that the one before counts again. Of those of one time, which
        records of one time have, the highest counts.
        """
        owners = dict(self.owners)
        for name in scores.vehicle_ids:
            owners.setdefault(name, len(owners))
        new = np.array([owners[name] for name in scores.vehicle_ids], np.intp)
        owner = np.append(self._owner(), new)
        time_us = np.append(self.timeline.time_us, scores.time_us)
        values = np.concatenate([self.numbered(), scores.values], axis=1)
        # Stable: of a score told again the last one is that of now.
        order = np.lexsort((values[3], time_us, owner))
        owner, time_us, values = owner[order], time_us[order], values[:, order]
        together = (owner[1:] == owner[:-1]) & (time_us[1:] == time_us[:-1])
        again = together & ((values[3, 1:] == values[3, :-1]) | (values[3, :-1] == _NO_NUMBER))
        kept = ~np.isnan(values[0])
        kept[:-1] &= ~again
        owner, time_us, values = owner[kept], time_us[kept], values[:, kept]
        if together.any():
            order = np.lexsort((values[0], time_us, owner))
            values = values[:, order]
        return _by_owner(owners, owner, time_us, values)

    def count(self, vehicle_id: str) -> int:
        """How many scores of a vehicle there are."""
        owner = self.owners[vehicle_id]
        return int(self.timeline.start[owner + 1] - self.timeline.start[owner])

    def since(self, oldest_us: Mapping[str, int]) -> "Hazards":
        """Of some vehicles, by id, without what is older, but for each one's newest before."""
        owner, time_us = self._owner(), self.timeline.time_us
        of_owner = np.full(len(self.owners), NEVER)
        of_owner[[self.owners[name] for name in oldest_us]] = list(oldest_us.values())
        kept = np.ones(len(owner), np.bool_)
        kept[:-1] = (owner[1:] != owner[:-1]) | (time_us[1:] > of_owner[owner[1:]])
        return _by_owner(self.owners, owner[kept], time_us[kept], self.values[:, kept])

    def of(self, owners: Mapping[str, int]) -> "Hazards":
        """The scores of some vehicles, with their owners."""
        every = self._owner()
        place = np.full(len(self.owners), -1, np.intp)
        place[list(owners.values())] = np.arange(len(owners))
        rows = np.flatnonzero(place[every] >= 0)
        ordered = {name: at for at, name in enumerate(owners)}
        return _by_owner(
            ordered, place[every[rows]], self.timeline.time_us[rows], self.values[:, rows]
        )

    def _owner(self) -> Rows:
        """(n,) whose each is."""
        return np.repeat(np.arange(len(self.owners)), np.diff(self.timeline.start))

    def numbered(self) -> Floats:
        """The values, those that an earlier version kept without a number, too."""
        if len(self.values) == 4:
            return self.values
        return np.concatenate([self.values, np.full((1, self.values.shape[1]), _NO_NUMBER)])

    def at(self, ids: Sequence[str], vehicle: Ints, at_us: Longs) -> Floats:
        """(3, n) the first values of the newest scores; NaN = there is none, or it is too old."""
        if not self.owners:
            return np.full((3, len(vehicle)), np.nan)
        owner = np.array([self.owners.get(name, -1) for name in ids], np.intp)
        place = self.timeline.latest(owner[vehicle], at_us)
        if not len(self.timeline.time_us):
            return np.full((3, len(vehicle)), np.nan)
        safe = np.maximum(place, 0)
        fresh = (place >= 0) & (at_us - self.timeline.time_us[safe] <= SCORE_AGE_US)
        return np.where(fresh, self.values[:3, safe], np.nan)


def _by_owner(owners: dict[str, int], owner: Rows, time_us: Longs, values: Floats) -> Hazards:
    """Of scores by owner, then time."""
    start = np.searchsorted(owner, np.arange(len(owners) + 1))
    return Hazards(owners, Timeline(start, time_us), values)


@dataclass(frozen=True, slots=True)
class Context:
    """What is known at n entries beside their records.

    ``columns``: name -> (n,) NaN = not known. ``place``: (n,) the plan in force. ``met``: by column
    suffix what lies ahead.
    """

    columns: dict[str, Floats]
    place: Rows
    met: dict[str, Prospects]


def context(
    book: TriggerBook, plans: Plans, hazards: Hazards, frame: Frame, missed: Floats, due: Bools
) -> Context:
    """The columns that the triggers of ``book`` read at the rows of ``frame``.

    ``missed``: (n,) communication windows that closed without a record. ``due``: as of
    ``TriggerBook.asked``.
    """
    wanted = book.columns | {of for of in book.series if "." in of}
    wanted |= {"plan.reserve_pct", "plan.max_temperature_c"} if book.forecasts else set()
    wanted |= {UNTIL[f.until] for f in book.forecasts.values() if f.until in UNTIL}
    place = plans.in_force(frame.vehicle_ids, frame.vehicle, frame.time_us)
    columns: dict[str, Floats] = {}
    if _any_of(wanted, "plan.", "goal.", "mission.") or book.forecasts:
        columns |= _planned(plans, frame, place)
    if _any_of(wanted, "comms."):
        columns |= _windows(plans, place, frame.time_us)
        columns["comms.missed"] = missed
    columns |= sunlight(frame, wanted)
    if _any_of(wanted, "hazard."):
        scores = hazards.at(frame.vehicle_ids, frame.vehicle, frame.time_us)
        columns |= dict(
            zip(("hazard.score", "hazard.upper", "hazard.ahead_m"), scores, strict=True)
        )
    met = {
        suffix: prospects(fences, frame, ahead_s, plans, place, book.asked(suffix, due))
        for suffix, (fences, ahead_s) in book.ahead.items()
    }
    for suffix, found in met.items():
        columns[f"ahead.zone_in_s{suffix}"] = found.in_s
        columns[f"ahead.zone_distance_m{suffix}"] = found.distance_m
    return Context(columns, place, met)


def _any_of(wanted: Iterable[str], *beginnings: str) -> bool:
    return any(name.startswith(beginnings) for name in wanted)


def _planned(plans: Plans, frame: Frame, place: Rows) -> dict[str, Floats]:
    """The columns of ``plan``, ``goal`` and ``mission``."""
    if not (place >= 0).any():
        unknown = np.full(len(frame), np.nan)
        wholes = ("plan", "goal", "mission")
        return {f"{whole}.{name}": unknown for whole in wholes for name in WHOLES[whole]}

    def number(name: str) -> Floats:
        return np.where(place >= 0, plans.numbers[name][place], np.nan)

    def since_s(name: str) -> Floats:
        at_us = plans.times[name][place]
        known = (place >= 0) & (at_us != NEVER)
        return np.where(known, (frame.time_us - np.where(known, at_us, 0)) / 1e6, np.nan)

    left_s = -since_s("goal_us")
    away_m = goal_distance_m(plans, frame, place)
    with np.errstate(divide="ignore", invalid="ignore"):
        needed = np.where(left_s > 0.0, away_m / left_s, np.where(away_m > 0.0, np.inf, 0.0))
    overdue_s = since_s("due_us")
    return {
        "plan.reserve_pct": number("reserve_pct"),
        "plan.max_temperature_c": number("max_temperature_c"),
        "plan.age_s": since_s("since_us"),
        "plan.charge_in_s": -since_s("charge_us"),
        "goal.distance_m": away_m,
        "goal.time_left_s": left_s,
        "goal.needed_mps": np.where(np.isnan(left_s) | np.isnan(away_m), np.nan, needed),
        "mission.done": number("done"),
        "mission.failed": number("failed"),
        "mission.left": number("left"),
        # What is not due is not overdue; without a plan nobody knows.
        "mission.overdue_s": np.where(
            place >= 0, np.maximum(np.nan_to_num(overdue_s), 0.0), np.nan
        ),
        "mission.since_done_s": _or_never(since_s("done_us"), place),
        "mission.since_failed_s": _or_never(since_s("failed_us"), place),
    }


def goal_distance_m(plans: Plans, frame: Frame, place: Rows) -> Floats:
    """(n,) the way along the surface to the goal of the plan ``place`` in force; NaN = unknown."""
    if not (place >= 0).any():
        return np.full(len(frame), np.nan)
    lon, lat, radius_m = (
        np.where(place >= 0, plans.numbers[f"goal_{name}"][place], np.nan)
        for name in ("longitude", "latitude", "radius_m")
    )
    here = frame.number("longitude"), frame.number("latitude")
    away_m: Floats = distance_m(frame.body, *here, turned(lon), lat) - radius_m
    return np.maximum(away_m, 0.0)


def _or_never(since_s: Floats, place: Rows) -> Floats:
    """Infinite where there is a plan but it never happened."""
    return np.where((place >= 0) & np.isnan(since_s), np.inf, since_s)


def _windows(plans: Plans, place: Rows, time_us: Longs) -> dict[str, Floats]:
    if not len(plans.opens_us):
        unknown = np.full(len(place), np.nan)
        return {"comms.opens_in_s": unknown, "comms.closes_in_s": unknown}
    window = plans.next_window(place, time_us)
    opens_s = np.maximum(plans.opens_us[window] - time_us, 0) / 1e6
    closes_s = (plans.closes.time_us[window] - time_us) / 1e6
    # A plan with windows of which all are over has none to come; one without says nothing of them.
    known = (place >= 0) & (np.diff(plans.closes.start)[np.maximum(place, 0)] > 0)
    none = np.where(known, np.inf, np.nan)
    return {
        "comms.opens_in_s": np.where(window >= 0, opens_s, none),
        "comms.closes_in_s": np.where(window >= 0, closes_s, none),
    }
