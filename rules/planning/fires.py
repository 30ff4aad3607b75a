"""Fires: triggers that fired, each with why, as it is told in a plan request."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

import numpy as np

from rules.expressions import Columns, explain_each
from rules.forecast import Prospect
from rules.planning.ahead import Prospects
from rules.planning.arming import Fired
from rules.planning.context import Hazards, goal_distance_m
from rules.planning.plans import Plans
from rules.planning.triggers import TriggerBook
from schemas.frame import Frame, Longs, Rows, rfc3339
from schemas.mission_plan import MissionPlan, microseconds


@dataclass(frozen=True, slots=True)
class Fire:
    """A trigger that fired.

    ``place``: of the trigger among all, which orders those of one time. ``deadline_us``: by when an
    answer is due. ``reason``, ``context``: as they are told.
    """

    time_us: int
    place: int
    trigger_id: str
    trigger_version: int
    priority: int
    severity: str
    shadow: bool
    deadline_us: int
    reason: dict[str, Any]
    context: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Seen:
    """What triggers were judged on: n entries.

    ``frame``: with all their columns among its sensors. ``record_us``: (n,) time of the record of
    each, which is the last one where there is none. ``place``: (n,) the plan in force.
    ``forecasts``, ``met``: by column. ``hazards``: the scores, whether a trigger reads them or not.
    """

    frame: Frame
    record_us: Longs
    place: Rows
    forecasts: Mapping[str, Prospect]
    met: Mapping[str, Prospects]
    hazards: Hazards


def fires_of(
    book: TriggerBook, plans: Plans, seen: Seen, fired: Sequence[Fired]
) -> list[tuple[str, Fire]]:
    """(vehicle id, fire) of each trigger that fired; entries are those of ``seen``."""
    if not fired:
        return []
    frame = seen.frame
    sensors = {name: frame.sensors[name] for name in book.sensors if name in frame.sensors}
    records = replace(frame, time_us=seen.record_us, sensors=sensors)
    known = _Known(book, seen, records, Columns.of_records(frame))
    # (k,) and (3, k) of all that fired at once: asked for one by one they cost most of a fire.
    at = np.array([one.entry for one in fired], np.intp)
    here = replace(frame, sensors={}, texts={}).take(at)
    away_m = goal_distance_m(plans, here, seen.place[at]).tolist()
    scores = seen.hazards.at(here.vehicle_ids, here.vehicle, here.time_us).T.tolist()
    states, decisions = records.records(at), _decisions(known, fired)
    owners = map(frame.vehicle_ids.__getitem__, here.vehicle.tolist())
    fires = []
    for k, place in enumerate(seen.place[at].tolist()):
        plan = plans.plans[place] if place >= 0 else None
        context = _context(known, fired[k].entry, states[k], plan, away_m[k], scores[k])
        fires.append(_fire(known, fired[k], decisions[k], context))
    return list(zip(owners, fires, strict=True))


def _decisions(known: "_Known", fired: Sequence[Fired]) -> list[dict[str, Any]]:
    """What each trigger that fired read; those that wait for silence alone read nothing."""
    compiled = [known.book.triggers[one.trigger] for one in fired]
    found: list[dict[str, Any]] = [
        {"inputs": {}, "limit": one.trigger.absent_for_s, "margin": None} for one in compiled
    ]
    asking = [(k, one.when) for k, one in enumerate(compiled) if one.when is not None]
    asked = [(when, known.columns, fired[k].entry) for k, when in asking]
    for (k, _), why in zip(asking, explain_each(asked), strict=True):
        found[k] = {"inputs": plain(why.inputs), "limit": why.limit, "margin": why.margin}
    return found


@dataclass(frozen=True, slots=True)
class _Known:
    """What all fires of a pass are explained by; ``records``: with sensors alone, as of records."""

    book: TriggerBook
    seen: Seen
    records: Frame
    columns: Columns


def _fire(known: _Known, fired: Fired, decision: dict[str, Any], context: dict[str, Any]) -> Fire:
    one, entry, seen = known.book.triggers[fired.trigger], fired.entry, known.seen
    given, time_us = one.trigger, int(seen.frame.time_us[entry])
    decision |= {"since": rfc3339(fired.since_us), "fixes": [known.records.fix_name(entry)]}
    return Fire(
        time_us=time_us,
        place=fired.trigger,
        trigger_id=given.id,
        trigger_version=given.version,
        priority=given.priority,
        severity=given.severity,
        shadow=given.mode == "shadow",
        deadline_us=time_us + round(given.deadline_s * 1e6),
        reason={
            "trigger_id": given.id,
            "trigger_version": given.version,
            "priority": given.priority,
            "time": rfc3339(time_us),
            "message": one.message.render(known.columns, entry),
            "decision": decision,
            "forecasts": {
                name: _forecast(given.forecasts[name].model_dump(), seen.forecasts[prefix], entry)
                for name, prefix in one.forecasts.items()
            },
        },
        context=context,
    )


def _forecast(asked: dict[str, Any], found: Prospect, entry: int) -> dict[str, Any]:
    values = {
        name: float(getattr(found, name)[entry])
        for name in ("value", "low", "high", "per_h", "reaches_s", "horizon_s")
    }
    asked["until"], most_s = asked["until"], asked.pop("horizon_s")
    told: dict[str, Any] = plain(asked | values | {"samples": float(found.samples[entry])})
    told["horizon_s"] = most_s if told["horizon_s"] is None else told["horizon_s"]
    return told


def _context(
    known: _Known,
    entry: int,
    state: dict[str, Any],
    plan: MissionPlan | None,
    away_m: float,
    scores: Sequence[float],
) -> dict[str, Any]:
    """The state, the plan it was held against, and what a new plan has to mind."""
    time_us = int(known.seen.frame.time_us[entry])
    return {
        "state": plain(state),
        "plan": None if plan is None else {"plan_id": plan.plan_id, "version": plan.version},
        "constraints": {
            "energy": {
                "battery_pct": state.get("battery_pct"),
                "reserve_pct": plan.reserve_pct if plan else None,
                "next_charge": _time(plan.next_charge) if plan else None,
                "generation_w": state.get("power_generation_w"),
                "consumption_w": state.get("power_consumption_w"),
            },
            "thermal": {
                "temperature_c": state.get("temperature_c"),
                "max_temperature_c": plan.max_temperature_c if plan else None,
            },
            "goal": _goal(plan, plain(away_m)),
            "time_windows": _windows(plan, time_us),
            "zones_to_avoid": _zones(known.book, plan, known.seen, entry),
            "hazards_ahead": _hazards(*map(plain, scores)),
        },
    }


def _goal(plan: MissionPlan | None, distance_m: Any) -> dict[str, Any] | None:
    if plan is None or plan.goal is None:
        return None
    goal = plan.goal
    return {
        "longitude": goal.longitude,
        "latitude": goal.latitude,
        "by": _time(goal.by),
        "distance_m": distance_m,
    }


def _windows(plan: MissionPlan | None, time_us: int) -> list[dict[str, Any]]:
    """The communication windows that are not over."""
    return [
        {"opens": _time(w.opens), "closes": _time(w.closes)}
        for w in (plan.windows if plan else ())
        if microseconds(w.closes) > time_us
    ]


def _zones(
    book: TriggerBook, plan: MissionPlan | None, seen: Seen, entry: int
) -> list[dict[str, Any]]:
    """The zones ahead, nearest first, then those that the plan says to avoid."""
    found: dict[str, dict[str, Any]] = {}
    for suffix, met in seen.met.items():
        place = int(met.zone[entry])
        if place >= 0:
            zone, in_s = book.ahead[suffix][0].zones[place], plain(float(met.in_s[entry]))
            told = {"zone_id": zone.id, "zone_version": zone.version, "in_s": in_s}
            found.setdefault(zone.id, told)
    ahead = sorted(found.values(), key=lambda told: (told["in_s"], told["zone_id"]))
    avoid = [name for name in (plan.avoid if plan else ()) if name not in found]
    return ahead + [{"zone_id": name, "zone_version": None, "in_s": None} for name in avoid]


def _hazards(score: Any, upper: Any, ahead_m: Any) -> list[dict[str, Any]]:
    if score is None and ahead_m is None:
        return []
    return [{"score": score, "upper": upper, "ahead_m": ahead_m}]


def _time(time: Any) -> str | None:
    return None if time is None else rfc3339(microseconds(time))


def plain(value: Any) -> Any:
    """The value as JSON has it: what is not known, or infinite, is null."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, dict):
        return {key: each if type(each) is str else plain(each) for key, each in value.items()}
    return value
