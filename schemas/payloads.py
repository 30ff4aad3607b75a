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


class ZoneEntered(Payload):
    """A vehicle is in a zone in which it was not before."""

    zone_id: str
    zone_version: int
    visit_id: Identity
    time: Time
    longitude: float | None
    latitude: float | None
    depth_m: float | None
    reason: Literal["observed", "inferred", "zone_changed"]
    uncertainty_s: float | None = Field(
        description="the crossing lies at most this long before `time`; null for a first fix"
    )


class ZoneExited(ZoneEntered):
    """A vehicle is no longer in a zone; ``visit_id`` is that of its entry."""

    duration_s: float


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

    reason: Literal["condition_false", "zone_exited"]
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


class FrameChecked(Payload):
    """Records that passed the contract, as columns."""

    columns: dict[str, Any]


class FrameEnriched(FrameChecked):
    """Records of one key group with the stays in zones that they make, as columns."""

    group: str
    ties: list[int]
    stays: list[dict[str, Any]]
    late_columns: dict[str, Any]
    newest_us: list[int]
    late_zones: list[dict[str, Any]]


PAYLOADS: Final[dict[str, type[Payload]]] = {
    event.ZONE_ENTERED: ZoneEntered,
    event.ZONE_EXITED: ZoneExited,
    event.ALARM_RAISED: AlarmRaised,
    event.ALARM_CLEARED: AlarmCleared,
    event.TELEMETRY_REJECTED: TelemetryRejected,
    event.TELEMETRY_LATE: TelemetryLate,
    TELEMETRY_CHECKED: FrameChecked,
    TELEMETRY_ENRICHED: FrameEnriched,
}
"""Event type -> its payload."""
