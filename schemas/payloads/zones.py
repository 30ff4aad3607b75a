"""Payloads about vehicles and zones, vehicles and vehicles, and gaps in tracks."""

from typing import Literal

from pydantic import Field

from schemas.payloads.payload import Identity, Payload, Time


class ZoneEvent(Payload):
    """What is told of a vehicle's visit to a zone; ``visit_id`` ties one visit's events."""

    zone_id: str
    zone_version: int
    visit_id: Identity
    time: Time


class ZoneEntered(ZoneEvent):
    """A vehicle is in a zone in which it was not before.

    ``reason``: ``observed`` at a fix, ``inferred`` between two (time, place and depth are linear
    between them), ``zone_changed``: the zone came into force or ended.
    """

    longitude: float | None
    latitude: float | None
    depth_m: float | None
    reason: Literal["observed", "inferred", "zone_changed"]
    uncertainty_s: float | None = Field(
        description="how far `time` may be off: at most the time between two fixes, less where"
        " they state their accuracy; null for a first fix"
    )


class ZoneExited(ZoneEntered):
    """A vehicle is no longer in a zone; ``visit_id`` is that of its entry."""

    duration_s: float


class DwellExceeded(ZoneEvent):
    """A vehicle's time inside a zone passes ``limit_s`` at ``time``.

    ``duration_s`` is that of this visit; less than the limit where earlier visits count too.
    """

    duration_s: float
    limit_s: float


class Approaching(ZoneEvent):
    """A vehicle outside a zone will be in it in ``eta_s`` at its course and speed.

    ``visit_id`` names this approach; the visit that may come of it has an id of its own.
    ``distance_m``: along the way to the zone's edge.
    """

    distance_m: float
    eta_s: float
    longitude: float
    latitude: float
    depth_m: float | None


class VehicleNearby(Payload):
    """Two vehicles are near each other: within ``limit_m`` since the first event of the encounter.

    ``vehicle_id`` is the one of both ids that sorts first; ``encounter_id`` ties one encounter's
    events. ``reason``: ``crossed``, they came near at ``time``; ``found``, they are near when both
    are first known, or known again; ``lost``, nobody knows any more how far apart they are since
    ``time``, and the encounter goes on.
    """

    other_vehicle_id: str
    encounter_id: Identity
    time: Time
    reason: Literal["crossed", "found", "lost"]
    body: str
    separation_m: float = Field(
        description="along the surface and in depth; where `vertical_m` is null along the surface"
        " alone, so that they may be farther apart"
    )
    horizontal_m: float
    vertical_m: float | None
    limit_m: float
    longitude: float
    latitude: float
    depth_m: float | None
    altitude_m: float | None
    other_longitude: float
    other_latitude: float
    other_depth_m: float | None
    other_altitude_m: float | None


class VehicleFaraway(VehicleNearby):
    """Two vehicles that were near each other are farther apart than ``limit_m``."""

    reason: Literal["crossed", "found"]
    duration_s: float
    closest_m: float = Field(description="the least separation known of the encounter")
    closest_time: Time


class TrackGap(Payload):
    """Nobody knows where a vehicle was between two fixes, from ``time`` to ``until``.

    ``reason``: ``time`` they lie too far apart, ``speed`` the vehicle cannot have made the way.
    ``zones``: ids of the zones it had been in; whether it still is there is not known.
    """

    time: Time
    until: Time
    gap_s: float
    distance_m: float
    speed_mps: float | None
    reason: Literal["time", "speed"]
    zones: list[str]
