"""The payloads of the events as models: what JSON Schema and documentation are made from.

Events are built as plain dicts, for speed; tests hold every kind of event told against its model.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas import event
from schemas.enriched import TELEMETRY_CHECKED, TELEMETRY_ENRICHED

Time = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")]
Identity = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class Payload(BaseModel):
    """What every payload has: which event, which version of it, about which vehicle."""

    model_config = ConfigDict(extra="forbid", strict=True)

    event_id: Identity
    version: int = Field(ge=1)
    retracted: bool
    vehicle_id: str


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


class Decision(BaseModel):
    """Why an alarm was raised or cleared.

    ``inputs``: the values the rule read; ``limit`` and ``margin``: of the comparison that was
    passed by the least; ``fixes``: the records it rests on, by message id or else time.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    inputs: dict[str, Any]
    limit: float | int | str | None
    margin: float | None
    zone_version: int | None
    since: Time
    fixes: list[str]


class AlarmRaised(Payload):
    """A rule holds; ``state`` is that of ISA-18.2."""

    alarm_id: Identity
    rule_id: str
    rule_version: int
    severity: Literal["info", "warning", "critical", "emergency"]
    mode: Literal["active", "shadow"]
    state: Literal["unacknowledged", "returned-unacknowledged"]
    time: Time
    message: str
    zone_id: str | None
    visit_id: Identity | None
    decision: Decision


class AlarmCleared(AlarmRaised):
    """A rule no longer holds."""

    reason: Literal["condition_false", "zone_exited", "zone_entered", "zone_changed"]
    duration_s: float


class TelemetryRejected(Payload):
    """A record that breaks the contract; ``raw`` in base64, ``raw_text`` readable."""

    reason: str
    field: str
    raw: str
    raw_text: str
    origin: str


class TelemetryLate(Payload):
    """A record older than what its vehicle had: judged on its own, by zones and rules."""

    time: Time
    newest: Time
    behind_s: float
    zones: list[str]
    rules: list[str]
    record: dict[str, Any]


class Figures(BaseModel):
    """Of one numeric field in a window.

    ``last``: at the latest time, of equal times the greatest; ``mean`` is null where a value is
    beyond 1e18 either way.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    count: int = Field(ge=1)
    min: float
    mean: float | None
    max: float
    last: float


class AnalyticsWindowed(Payload):
    """What a vehicle's telemetry was like in a window of event time that begins at ``time``.

    ``version`` is ``count`` and ``too_late`` together. ``too_late``: records that came in this
    window's time for windows too far back to be revised. ``gaps``: silences of more than ``gap_s``
    between two records of the window, the longest of ``longest_gap_s`` (0 = none). ``last``: the
    last longitude, latitude and heading, which have no mean. Kind and body are those of the last
    record.
    """

    time: Time
    length_s: float = Field(gt=0)
    kind: Literal["auv", "glider", "rover", "vessel", "vehicle"]
    body: Literal["earth", "mars", "moon"]
    count: int = Field(ge=1)
    too_late: int = Field(ge=0)
    first_time: Time
    last_time: Time
    gap_s: float = Field(ge=0)
    gaps: int = Field(ge=0)
    longest_gap_s: float = Field(ge=0)
    figures: dict[str, Figures]
    last: dict[str, float]


class FrameChecked(Payload):
    """Records that passed the contract, as columns."""

    columns: dict[str, Any]


class FrameEnriched(FrameChecked):
    """Records of one key group as columns, and the zones that hold each."""

    group: str
    zones: list[dict[str, Any]]


PAYLOADS: Final[dict[str, type[Payload]]] = {
    event.ZONE_ENTERED: ZoneEntered,
    event.ZONE_EXITED: ZoneExited,
    event.ZONE_DWELL_EXCEEDED: DwellExceeded,
    event.ZONE_APPROACHING: Approaching,
    event.VEHICLE_NEARBY: VehicleNearby,
    event.VEHICLE_FARAWAY: VehicleFaraway,
    event.TRACK_GAP: TrackGap,
    event.ALARM_RAISED: AlarmRaised,
    event.ALARM_CLEARED: AlarmCleared,
    event.TELEMETRY_REJECTED: TelemetryRejected,
    event.TELEMETRY_LATE: TelemetryLate,
    event.ANALYTICS_WINDOWED: AnalyticsWindowed,
    TELEMETRY_CHECKED: FrameChecked,
    TELEMETRY_ENRICHED: FrameEnriched,
}
"""Event type -> its payload."""
