"""Proximity events: two vehicles are near each other, are lost from sight, or are far again."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from rules.proximity.course import LOST, Change
from rules.proximity.samples import COLUMNS, Samples, between
from rules.proximity.seen import Window
from rules.proximity.segments import Ends, Segments, segments
from schemas.ellipsoids import ELLIPSOIDS
from schemas.event import VEHICLE_FARAWAY, Event, identity
from schemas.frame import rfc3339


def events_of(seen: Window, ends: Ends, found: Segments, changes: Iterable[Change]) -> list[Event]:
    """The events of some changes; ``ends``: of the segments."""
    return [_event(seen, ends, found, change) for change in changes]


def _event(seen: Window, ends: Ends, found: Segments, change: Change) -> Event:
    met, parted = change.encounter, change.type == VEHICLE_FARAWAY
    one, other = str(seen.ids[met.one]), str(seen.ids[met.other])
    encounter_id = identity("encounter", seen.body, one, other, met.since_us)
    # An encounter begins and ends once; it may be lost and found again many times.
    begins = change.time_us == met.since_us and change.reason != LOST
    moment = () if parted or begins else (change.reason, change.time_us)
    limit_m = seen.limits.faraway_m if parted else seen.limits.nearby_m
    row, share = change.segment, change.share
    if change.reason == LOST:
        # Where they were last known: what is known there, not on the way there.
        ends, row = ends.standing(row), 0
        found = segments(ELLIPSOIDS[seen.body], seen.samples, seen.place_m, ends)
    data: dict[str, Any] = {
        "other_vehicle_id": other,
        "encounter_id": encounter_id,
        "time": rfc3339(change.time_us),
        "reason": change.reason,
        "body": seen.body,
        **found.distances(row, share),
        "limit_m": limit_m,
        **_place(seen.samples, "", int(ends.one0[row]), int(ends.one1[row]), share),
        **_place(seen.samples, "other_", int(ends.other0[row]), int(ends.other1[row]), share),
    }
    if parted:
        data["duration_s"] = (change.time_us - met.since_us) / 1e6
        data["closest_m"] = round(met.closest_m, 3)
        data["closest_time"] = rfc3339(met.closest_us)
    return Event(
        type=change.type,
        event_id=identity(change.type, encounter_id, *moment),
        vehicle_id=one,
        time_us=change.time_us,
        data=data,
    )


def _place(
    samples: Samples, prefix: str, begin: int, end: int, share: float
) -> dict[str, float | None]:
    """Where a vehicle is on the way between two samples, to about a centimetre."""
    ends = samples.values[:, [begin]], samples.values[:, [end]]
    found = between(*ends, np.array([share]))[:, 0].tolist()
    return {
        prefix + name: None if np.isnan(value) else round(value, 3 if name.endswith("_m") else 7)
        for name, value in zip(COLUMNS, found, strict=True)
    }
