"""The payloads of the events as models: what JSON Schema and documentation are made from.

Events are built as plain dicts, for speed; tests hold every kind of event told against its model.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas import event
from schemas.enriched import TELEMETRY_CHECKED, TELEMETRY_ENRICHED
from schemas.progress import TELEMETRY_PROGRESS_MADE

Time = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")]
Identity = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


State = Literal[
    "normal",
    "unacknowledged",
    "acknowledged",
    "returned-unacknowledged",
    "latched-unacknowledged",
    "latched-acknowledged",
    "shelved",
    "suppressed",
]


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
    state: State
    time: Time
    message: str
    zone_id: str | None
    visit_id: Identity | None
    decision: Decision
    kind: str = "vehicle"
    mission_id: str | None = None
    labels: dict[str, str] = {}
    handling: dict[str, Any] = Field({}, description="how the rule wants its alarms handled")
    violation_id: Identity | None = Field(
        None, description="of an alert whose alarm is followed: the event of the violation"
    )


class AlarmCleared(AlarmRaised):
    """A rule no longer holds."""

    reason: Literal[
        "condition_false",
        "zone_exited",
        "zone_entered",
        "zone_changed",
        "rule_changed",
        "schedule_ended",
    ]
    duration_s: float


class AlarmUpdated(AlarmRaised):
    """An alarm changed without its condition.

    ``reason``: ``unshelved`` or ``reset`` by ``who``; ``shelf_expired``,
    ``acknowledgement_expired``; ``flapping``, told once for all its ``transitions`` until it is
    ``steady``; ``inhibited`` by another alarm, ``released`` from it; ``retracted``. As a violation
    ``rule_changed``: it goes on under another version of its rule than ``replaces_rule_version``.
    """

    reason: Literal[
        "unshelved",
        "reset",
        "shelf_expired",
        "acknowledgement_expired",
        "flapping",
        "steady",
        "inhibited",
        "released",
        "retracted",
        "rule_changed",
    ]
    replaces_rule_version: int | None = None
    command_id: str | None = None
    who: str | None = None
    why: str | None = None
    transitions: int | None = None
    inhibited_by: Identity | None = None


class AlarmAcknowledged(AlarmRaised):
    """An operator has seen the alarm; ``why``: the reason given."""

    reason: Literal["acknowledged"]
    command_id: str
    who: str
    why: str


class AlarmShelved(AlarmRaised):
    """An operator has put the alarm aside, and those that its rule raises there ``until`` then."""

    reason: Literal["shelved"]
    command_id: str
    who: str
    why: str
    until: Time


class NotifiedAlarm(BaseModel):
    """An alarm as a notification tells it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    alarm_id: Identity
    rule_id: str
    vehicle_id: str
    zone_id: str | None
    severity: Literal["info", "warning", "critical", "emergency"]
    state: State
    time: Time
    message: str


class AlertNotified(Payload):
    """A notification of alarms of one ``group`` to a ``target``, by the branch ``route``.

    ``repeated``: how often it was told before. ``vehicle_id`` is empty where they are several's.
    """

    time: Time
    target: str
    route: str
    group: list[str]
    severity: Literal["info", "warning", "critical", "emergency"]
    repeated: int
    title: str
    body: str
    alarms: list[NotifiedAlarm]


class CommandJudged(Payload):
    """What became of a command on an alarm, at ``time``; ``refused``: why it was not obeyed."""

    command_id: str
    action: Literal["acknowledge", "shelve", "unshelve", "clear"]
    alarm_id: Identity
    time: Time
    given: Time
    who: str
    reason: str
    outcome: Literal["obeyed", "refused"]
    refused: str | None


class ProgressMade(Payload):
    """Records have come as far as ``time``."""

    time: Time


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


class HazardPart(BaseModel):
    """One part of a score: ``reads`` a quantity or sensor, ``limit`` from the profile.

    ``state``: ``known``; ``held``: the last value, which is stale; ``unknown``: none was ever told.
    ``value`` is null where it is unknown, and where it is known to be infinite: no such danger.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str
    reads: str
    value: float | None
    limit: float
    contribution: float = Field(ge=0, le=1)
    state: Literal["known", "held", "unknown"]


class SeenTerrain(BaseModel):
    """The last result of a vision model."""

    model_config = ConfigDict(extra="forbid", strict=True)

    terrain_class: float
    confidence: float
    model_version: float | None


class HazardScored(Payload):
    """How endangered a vehicle is at ``time``, in [0, 1].

    ``lower``, ``upper``: what it is at least and at most, whatever the unknown parts are.
    ``class_before`` is null for a vehicle's first record.
    """

    model_config = ConfigDict(extra="forbid", strict=True, validate_by_name=True)

    time: Time
    score: float = Field(ge=0, le=1)
    lower: float = Field(ge=0, le=1)
    upper: float = Field(ge=0, le=1)
    grade: Literal["low", "moderate", "high", "extreme"] = Field(alias="class")
    class_before: Literal["low", "moderate", "high", "extreme"] | None
    profile_id: str
    profile_version: int = Field(ge=1)
    longitude: float | None
    latitude: float | None
    vision: SeenTerrain | None = None
    parts: list[HazardPart]


class PlanPayload(Payload):
    """What is told of a plan request, by ``request_id``: what planners answer with."""

    request_id: Identity
    trigger_id: str
    trigger_version: int
    time: Time


class PlanDecision(BaseModel):
    """Why a trigger fired; as ``Decision``, and a silence has the ``limit`` of it in seconds."""

    model_config = ConfigDict(extra="forbid", strict=True)

    inputs: dict[str, Any]
    limit: float | int | str | None
    margin: float | None
    since: Time
    fixes: list[str]


class PlanReason(BaseModel):
    """A trigger that fired at ``time``.

    ``forecasts``: by the trigger's names what was asked (``of method look_back_s horizon_s until
    confidence limit``) and found (``value low high`` at the horizon, ``per_h``, ``reaches_s``;
    null = not known, or not before the horizon).
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    trigger_id: str
    trigger_version: int
    priority: int = Field(ge=1, le=9)
    time: Time
    message: str
    decision: PlanDecision
    forecasts: dict[str, dict[str, Any]]


class PlanConstraints(BaseModel):
    """What a new plan has to mind: as far as it is known."""

    model_config = ConfigDict(extra="forbid", strict=True)

    energy: dict[str, float | str | None]
    thermal: dict[str, float | None]
    goal: dict[str, float | str | None] | None
    time_windows: list[dict[str, str]]
    zones_to_avoid: list[dict[str, Any]]
    hazards_ahead: list[dict[str, float | None]]


class PlanContext(BaseModel):
    """The vehicle's ``state``, its last record; the plan it was held against; constraints."""

    model_config = ConfigDict(extra="forbid", strict=True)

    state: dict[str, Any]
    plan: dict[str, Any] | None
    constraints: PlanConstraints


class PlanRequested(PlanPayload):
    """A new plan is needed, by ``deadline``.

    ``trigger_id``: of the most urgent of the ``reasons``; further ones come with higher versions.
    ``mode`` shadow: nobody is asked.
    """

    state: Literal["requested"]
    mode: Literal["active", "shadow"]
    priority: int = Field(ge=1, le=9)
    deadline: Time
    reasons: list[PlanReason] = Field(min_length=1)
    context: PlanContext


class PlanAccepted(PlanPayload):
    """A planner works on a request; ``late``: the deadline had passed."""

    state: Literal["accepted"]
    plan_id: str
    reason: str
    late: bool


class PlanAnswered(PlanAccepted):
    """There is a new plan, ``plan_id``."""

    state: Literal["answered"]  # type: ignore[assignment]


class PlanRejected(PlanAccepted):
    """There will be no new plan; ``reason`` says why."""

    state: Literal["rejected"]  # type: ignore[assignment]


class PlanExpired(PlanPayload):
    """Nobody had answered or rejected a request by its deadline, which is ``time``."""

    state: Literal["expired"]


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
    event.ALARM_UPDATED: AlarmUpdated,
    event.ALARM_ACKNOWLEDGED: AlarmAcknowledged,
    event.ALARM_SHELVED: AlarmShelved,
    event.ALERT_NOTIFIED: AlertNotified,
    event.COMMAND_JUDGED: CommandJudged,
    event.TELEMETRY_REJECTED: TelemetryRejected,
    event.TELEMETRY_LATE: TelemetryLate,
    event.ANALYTICS_WINDOWED: AnalyticsWindowed,
    event.PLAN_REQUESTED: PlanRequested,
    event.PLAN_ACCEPTED: PlanAccepted,
    event.PLAN_ANSWERED: PlanAnswered,
    event.PLAN_REJECTED: PlanRejected,
    event.PLAN_EXPIRED: PlanExpired,
    event.HAZARD_SCORED: HazardScored,
    TELEMETRY_PROGRESS_MADE: ProgressMade,
    TELEMETRY_CHECKED: FrameChecked,
    TELEMETRY_ENRICHED: FrameEnriched,
}
"""Event type -> its payload."""
