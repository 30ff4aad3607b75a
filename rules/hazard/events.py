"""Scores as events."""

from collections.abc import Sequence
from math import isfinite, isnan
from typing import Any

import numpy as np

from rules.hazard.part import Plan
from rules.hazard.stage import Told
from schemas.event import HAZARD_SCORED, Event, identity
from schemas.frame import Floats, rfc3339
from schemas.hazard_profile import CLASSES

_DIGITS = 9


def scored_events(plan: Plan, told: Told, vehicle_ids: Sequence[str]) -> list[Event]:
    """One event a row that is told; ``vehicle_ids``: of all slots.

    A part's ``state``: ``known``, ``held`` (the last value, which is stale) or ``unknown``; parts
    that the vehicle has not are left out. A value that is known and None is infinite: there is no
    such danger, as with nothing above the limit ahead. Its id is of the vehicle, the record's time
    and which of several at that time: a record that is judged again is told under the same one.
    """
    profile = plan.profile
    limits = [(name, profile.reads(name), part) for name, part in profile.parts.items()]
    # Places of the parts that at least one row tells.
    some = np.any(~np.isnan(told.values), axis=1)
    shown = [place for place, (*_, part) in enumerate(limits) if some[place] or not part.optional]
    limits = [limits[place] for place in shown]
    numbers = zip(
        told.slot.tolist(),
        told.time_us.tolist(),
        told.tie.tolist(),
        *(_listed(one) for one in (told.scores.score, told.scores.lower, told.scores.upper)),
        told.grade.tolist(),
        told.earlier.tolist(),
        _listed(told.values[shown].T),
        _listed(told.scores.contributions[shown].T),
        told.scores.known[shown].T.tolist(),
        strict=True,
    )
    extra = _extra(told)
    events = []
    for row, (slot, time_us, tie, score, lower, upper, grade, earlier, *by_part) in enumerate(
        numbers
    ):
        vehicle_id = vehicle_ids[slot]
        parts = [
            {
                "name": name,
                "reads": reads,
                "value": value if isfinite(value) else None,
                "limit": part.limit,
                "contribution": contribution,
                "state": "known" if known else "unknown" if isnan(value) else "held",
            }
            for (name, reads, part), value, contribution, known in zip(
                limits, *by_part, strict=True
            )
            if not (part.optional and isnan(value))
        ]
        events.append(
            Event(
                type=HAZARD_SCORED,
                event_id=identity(HAZARD_SCORED, profile.id, vehicle_id, time_us, tie),
                vehicle_id=vehicle_id,
                time_us=time_us,
                data={
                    "time": rfc3339(time_us),
                    "score": score,
                    "lower": lower,
                    "upper": upper,
                    "class": CLASSES[grade],
                    "class_before": None if earlier < 0 else CLASSES[earlier],
                    "profile_id": profile.id,
                    "profile_version": profile.version,
                    **extra[row],
                    "parts": parts,
                },
            )
        )
    return events


def _listed(column: Floats) -> list[Any]:
    """Numbers with no more digits than mean something; adding 0 makes -0 to 0."""
    rounded: list[Any] = (np.round(column, _DIGITS) + 0.0).tolist()
    return rounded


def _extra(told: Told) -> list[dict[str, Any]]:
    """Where the vehicle was, and what a vision model had seen, of each row."""
    found: list[dict[str, Any]] = []
    columns = {name: _listed(column) for name, column in told.extra.items()}
    for row in range(len(told.row)):
        value = {
            name: None if isnan(column[row]) else column[row] for name, column in columns.items()
        }
        place = {name: value[name] for name in ("longitude", "latitude")}
        seen = value.get("seen_class")
        if seen is not None:
            place["vision"] = {
                "terrain_class": seen,
                "confidence": value["seen_confidence"],
                "model_version": value["seen_model_version"],
            }
        found.append(place)
    return found
