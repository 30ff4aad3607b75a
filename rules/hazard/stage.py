"""The stage: records in order, with what is remembered before them, to scores; pure.

The same records from the same memory give the same scores, however they are cut into frames: what
revision rests on (``rules.hazard.past``).

A score is told where the class changes, and once in each slice of ``every_us`` of event time in
which the vehicle has a record, with the first of them.
"""

from dataclasses import dataclass

import numpy as np

from rules.hazard.part import Part, Plan
from rules.hazard.rows import Rows
from rules.hazard.score import Scores, classes, combined, contribution, scores
from rules.hazard.signals import Followed, Held, Signals
from rules.planning.plans import Plans
from rules.terrain.ground import Terrain
from rules.tracks import NEVER, ties
from schemas.frame import Codes, Floats, Longs
from schemas.frame import Rows as Places


@dataclass(frozen=True, slots=True)
class Told:
    """The k rows that are told.

    ``row``: (k,) their places in the part. ``slot``: (k,) their vehicles. ``tie``: (k,) how many
    records of the vehicle at the very same time came before. ``grade``: (k,) the class,
    ``earlier``: (k,) the class before, -1 = none. ``values``: (parts, k), NaN = not known.
    ``extra``: name -> (k,) what is told beside.
    """

    row: Places
    slot: Places
    time_us: Longs
    tie: Longs
    scores: Scores
    grade: Codes
    earlier: Codes
    values: Floats
    extra: dict[str, Floats]


@dataclass(frozen=True, slots=True)
class Judge:
    """What decides: the profile, the ground, how often a score is told, and planned paths."""

    plan: Plan
    terrain: Terrain | None
    every_us: int
    missions: Plans | None = None


def run(judge: Judge, before: Followed, part: Part, slot: Places) -> tuple[Followed, Told]:
    """Judge records in order: what is remembered after them, and what is to be told.

    ``slot``: (vehicles,) the slot of each of the part's vehicles.
    """
    # What is not known is NaN or infinitely long ago, and may be reckoned with.
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        return _run(judge, before, part, slot)


def _run(judge: Judge, before: Followed, part: Part, slot: Places) -> tuple[Followed, Told]:
    start = _starts(part)
    signals = Signals(
        judge.plan.order,
        before,
        slot,
        start,
        part.time_us,
        (judge.plan.readings, part.columns),
    )
    rows = Rows(
        *(signals, part.body, judge.plan.profile, judge.terrain),
        *(part.vehicle_ids, part.vehicle, judge.missions),
    )
    values = _values(judge.plan, rows)
    contributions = _contributions(judge.plan, values)
    score = combined([one for one in contributions if one is not None], len(part))
    profile = judge.plan.profile
    thresholds = (profile.classes.moderate, profile.classes.high, profile.classes.extreme)
    grade = classes(score, start, thresholds, profile.hysteresis, before.grade[slot])
    tie = ties(part.time_us, start, before.last_us[slot], before.last_count[slot])
    told = _told(judge, before, rows, part, (values, contributions, grade, tie))
    last = start[1:] - 1
    return signals.after(before, grade[last], tie[last] + 1), told


def _starts(part: Part) -> Places:
    change = np.flatnonzero(np.diff(part.vehicle)) + 1
    return np.concatenate([[0], change, [len(part)]]).astype(np.intp)


def _values(plan: Plan, rows: Rows) -> list[Held | None]:
    """What each part reads, None where nothing of it was ever known of any vehicle."""
    for name, make, needs in plan.holds:
        if rows.has(needs):
            rows.once(name, make)
    return [
        known.work_out(rows, plan.profile.age_us(name)) if rows.has(known.needs) else None
        for name, known in zip(plan.parts, plan.quantities, strict=True)
    ]


def _contributions(plan: Plan, values: list[Held | None]) -> list[Floats | None]:
    return [
        None if held is None else contribution(held.value, part.safe, part.limit, part.weight)
        for held, part in zip(values, plan.profile.parts.values(), strict=True)
    ]


def _told(
    judge: Judge,
    before: Followed,
    rows: Rows,
    part: Part,
    judged: tuple[list[Held | None], list[Floats | None], Codes, Longs],
) -> Told:
    values, contributions, grade, tie = judged
    signals, profile = rows.signals, judge.plan.profile
    first = signals.start[:-1]
    slices = part.time_us // judge.every_us
    earlier_grade, earlier_slice = np.empty_like(grade), np.empty_like(slices)
    earlier_grade[1:], earlier_slice[1:] = grade[:-1], slices[:-1]
    earlier_grade[first] = before.grade[signals.slot]
    last_us = before.last_us[signals.slot]
    # The slice of NEVER is before any slice of a record.
    earlier_slice[first] = np.where(last_us == NEVER, NEVER, last_us // judge.every_us)
    at = np.flatnonzero((grade != earlier_grade) | (slices != earlier_slice))
    now = signals.now[at]
    # (parts, k), as ``Told`` and ``Scores`` have them.
    value = np.full((len(values), len(at)), np.nan)
    contributed, known = np.zeros(value.shape), np.zeros(value.shape, np.bool_)
    for place, (name, held, one) in enumerate(
        zip(judge.plan.parts, values, contributions, strict=True)
    ):
        if held is not None and one is not None:
            value[place], contributed[place] = held.value[at], one[at]
            known[place] = Held(value[place], held.time[at]).fresh(now, profile.age_us(name))
    known &= ~np.isnan(value)
    optional = np.array([part.optional for part in profile.parts.values()])
    # An optional part of which nothing was ever known is none of the vehicle's.
    applies = ~(optional[:, None] & np.isnan(value))
    found = scores(contributed, known, judge.plan.weights, applies)
    return Told(
        at,
        signals.slot[signals.run[at]],
        part.time_us[at],
        tie[at],
        found,
        grade[at],
        earlier_grade[at],
        value,
        _extra(rows, at),
    )


def _extra(rows: Rows, at: Places) -> dict[str, Floats]:
    signals = rows.signals
    found = {name: signals.told(name)[at] for name in ("longitude", "latitude")}
    if signals.knows("seen_class"):
        seen = signals.held("seen_class")
        for name in ("seen_class", "seen_confidence", "seen_model_version"):
            held = signals.held(name)
            # Of the result before, where this one does not tell it: which model that was says
            # nothing of this one.
            same = ~np.isnan(seen.value[at]) & (held.time[at] == seen.time[at])
            found[name] = np.where(same, held.value[at], np.nan)
    return found
