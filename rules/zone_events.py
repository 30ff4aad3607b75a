"""Zone events: what is said when a vehicle enters or leaves a zone, stays too long, is lost."""

from typing import Any, Final

from rules.visits import Crossing
from schemas.event import (
    TRACK_GAP,
    ZONE_APPROACHING,
    ZONE_DWELL_EXCEEDED,
    ZONE_ENTERED,
    ZONE_EXITED,
    Event,
    identity,
)
from schemas.frame import rfc3339
from schemas.zone import Zone

GAP_TIME: Final = "time"
GAP_SPEED: Final = "speed"


def visit_identity(zone: Zone, vehicle_id: str, entered_us: int, again: int = 0) -> str:
    """The id of the visit that begins then; ``again``: visits before it began and ended then."""
    return identity("visit", zone.id, vehicle_id, entered_us, *([again] if again else []))


def entered_event(zone: Zone, vehicle_id: str, visit_id: str, crossing: Crossing) -> Event:
    """A vehicle has entered a zone."""
    return _event(ZONE_ENTERED, zone, vehicle_id, visit_id, crossing.time_us, _told(crossing))


def exited_event(
    zone: Zone, vehicle_id: str, visit_id: str, crossing: Crossing, entered_us: int
) -> Event:
    """A vehicle has left a zone."""
    data = {**_told(crossing), "duration_s": (crossing.time_us - entered_us) / 1e6}
    return _event(ZONE_EXITED, zone, vehicle_id, visit_id, crossing.time_us, data)


def dwell_event(zone: Zone, vehicle_id: str, visit_id: str, due_us: int, entered_us: int) -> Event:
    """A vehicle's time inside a zone has passed its limit at ``due_us``."""
    data = {"duration_s": (due_us - entered_us) / 1e6, "limit_s": zone.max_dwell_s}
    return _event(ZONE_DWELL_EXCEEDED, zone, vehicle_id, visit_id, due_us, data)


def approaching_event(zone: Zone, vehicle_id: str, time_us: int, data: dict[str, Any]) -> Event:
    """A vehicle heads for a zone; the visit that may come of it has another id."""
    visit_id = identity("approach", zone.id, vehicle_id, time_us)
    return _event(ZONE_APPROACHING, zone, vehicle_id, visit_id, time_us, data)


def gap_event(
    vehicle_id: str, from_us: int, until_us: int, way_m: float, reason: str, zones: list[str]
) -> Event:
    """Nobody knows where a vehicle was between two fixes; ``zones``: those it had been in."""
    gap_s = (until_us - from_us) / 1e6
    return Event(
        type=TRACK_GAP,
        event_id=identity(TRACK_GAP, vehicle_id, from_us),
        vehicle_id=vehicle_id,
        time_us=from_us,
        data={
            "time": rfc3339(from_us),
            "until": rfc3339(until_us),
            "gap_s": gap_s,
            "distance_m": round(way_m, 1),
            "speed_mps": round(way_m / gap_s, 3) if gap_s else None,
            "reason": reason,
            "zones": zones,
        },
    )


def _told(crossing: Crossing) -> dict[str, Any]:
    return {
        "longitude": crossing.longitude,
        "latitude": crossing.latitude,
        "depth_m": crossing.depth_m,
        "reason": crossing.reason,
        "uncertainty_s": crossing.uncertainty_s,
    }


def _event(
    kind: str, zone: Zone, vehicle_id: str, visit_id: str, time_us: int, data: dict[str, Any]
) -> Event:
    return Event(
        type=kind,
        event_id=identity(kind, visit_id),
        vehicle_id=vehicle_id,
        time_us=time_us,
        data={
            "zone_id": zone.id,
            "zone_version": zone.version,
            "visit_id": visit_id,
            "time": rfc3339(time_us),
            **data,
        },
    )
