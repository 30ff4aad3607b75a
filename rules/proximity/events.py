"""Proximity events: two vehicles are near each other, are lost from sight, or are far again."""

from collections.abc import Sequence
from math import isnan
from typing import Any

import numpy as np

from rules.proximity.course import LOST, Change
from rules.proximity.samples import COLUMNS, between
from rules.proximity.seen import Window
from rules.proximity.segments import Ends, segments
from schemas.ellipsoids import ELLIPSOIDS
from schemas.event import VEHICLE_FARAWAY, Event, identity
from schemas.frame import Floats, Rows, rfc3339

_METRES_DIGITS, _DEGREES_DIGITS = 3, 7  # a degree's seventh digit is a centimetre


def events_of(seen: Window, ends: Ends, changes: Sequence[Change]) -> list[Event]:
    """The events of some changes, in their order; ``ends``: of the segments."""
    if not changes:
        return []
    # Where a pair was last known: what is known there, not on the way there.
    lost = np.array([change.reason == LOST for change in changes])
    ends = ends.of(np.array([change.segment for change in changes]), lost)
    share = np.array([change.share for change in changes])
    columns = _distances(seen, ends, share)
    columns |= _places(seen, "", ends.one0, ends.one1, share)
    columns |= _places(seen, "other_", ends.other0, ends.other1, share)
    rows = zip(*columns.values(), strict=True)
    return [
        _event(seen, change, dict(zip(columns, row, strict=True)))
        for change, row in zip(changes, rows, strict=True)
    ]


def _event(seen: Window, change: Change, measured: dict[str, float | None]) -> Event:
    met, parted = change.encounter, change.type == VEHICLE_FARAWAY
    one, other = str(seen.ids[met.one]), str(seen.ids[met.other])
    encounter_id = identity("encounter", seen.body, one, other, met.since_us)
    # An encounter begins and ends once; it may be lost and found again many times.
    begins = change.time_us == met.since_us and change.reason != LOST
    moment = () if parted or begins else (change.reason, change.time_us)
    data: dict[str, Any] = {
        "other_vehicle_id": other,
        "encounter_id": encounter_id,
        "time": rfc3339(change.time_us),
        "reason": change.reason,
        "body": seen.body,
        "limit_m": seen.limits.faraway_m if parted else seen.limits.nearby_m,
        **measured,
    }
    if parted:
        data["duration_s"] = (change.time_us - met.since_us) / 1e6
        data["closest_m"] = round(met.closest_m, _METRES_DIGITS)
        data["closest_time"] = rfc3339(met.closest_us)
    return Event(
        type=change.type,
        event_id=identity(change.type, encounter_id, *moment),
        vehicle_id=one,
        time_us=change.time_us,
        data=data,
    )


def _distances(seen: Window, ends: Ends, share: Floats) -> dict[str, list[float | None]]:
    found = segments(ELLIPSOIDS[seen.body], seen.samples, seen.place_m, ends)
    ways_m = found.ways_m(share)
    vertical_m = np.where(found.known, np.abs(ways_m[3]), np.nan)
    return {
        "separation_m": _told(np.linalg.norm(ways_m, axis=0), _METRES_DIGITS),
        "horizontal_m": _told(np.linalg.norm(ways_m[:3], axis=0), _METRES_DIGITS),
        "vertical_m": _told(vertical_m, _METRES_DIGITS),
    }


def _places(
    seen: Window, prefix: str, begin: Rows, end: Rows, share: Floats
) -> dict[str, list[float | None]]:
    """Where a vehicle of each pair is on the way between two samples."""
    values = seen.samples.values
    found = between(values[:, begin], values[:, end], share)
    return {
        prefix + name: _told(column, _METRES_DIGITS if name.endswith("_m") else _DEGREES_DIGITS)
        for name, column in zip(COLUMNS, found, strict=True)
    }


def _told(column: Floats, digits: int) -> list[float | None]:
    """The values to so many digits, null where there is none."""
    return [None if isnan(value) else round(value, digits) for value in column.tolist()]
