"""Payloads about alarms, what is done to them and who is told."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.payloads.payload import Identity, Payload, Time

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
    labels: dict[str, str] = Field({})
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
