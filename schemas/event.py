"""Events out: CloudEvents 1.0 with identities that survive replay, restart and correction."""

from hashlib import blake2b
from typing import Any, Final

import msgspec

from schemas.frame import rfc3339

ZONE_ENTERED: Final = "farwatch.zone.entered.v1"
ZONE_EXITED: Final = "farwatch.zone.exited.v1"
ZONE_DWELL_EXCEEDED: Final = "farwatch.zone.dwell_exceeded.v1"
ZONE_APPROACHING: Final = "farwatch.zone.approaching.v1"
VEHICLE_NEARBY: Final = "farwatch.vehicle.nearby.v1"
VEHICLE_FARAWAY: Final = "farwatch.vehicle.faraway.v1"
TRACK_GAP: Final = "farwatch.track.gap.v1"
ALARM_RAISED: Final = "farwatch.alarm.raised.v1"
ALARM_CLEARED: Final = "farwatch.alarm.cleared.v1"
ALARM_UPDATED: Final = "farwatch.alarm.updated.v1"
ALARM_ACKNOWLEDGED: Final = "farwatch.alarm.acknowledged.v1"
ALARM_SHELVED: Final = "farwatch.alarm.shelved.v1"
ALERT_NOTIFIED: Final = "farwatch.alert.notified.v1"
COMMAND_JUDGED: Final = "farwatch.command.judged.v1"
TELEMETRY_REJECTED: Final = "farwatch.telemetry.rejected.v1"
TELEMETRY_LATE: Final = "farwatch.telemetry.late.v1"
ANALYTICS_WINDOWED: Final = "farwatch.analytics.windowed.v1"
PLAN_REQUESTED: Final = "farwatch.plan.requested.v1"
PLAN_ACCEPTED: Final = "farwatch.plan.accepted.v1"
PLAN_ANSWERED: Final = "farwatch.plan.answered.v1"
PLAN_REJECTED: Final = "farwatch.plan.rejected.v1"
PLAN_EXPIRED: Final = "farwatch.plan.expired.v1"
HAZARD_SCORED: Final = "farwatch.hazard.scored.v1"


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened to a vehicle, said once or corrected under the same id.

    ``type`` is the CloudEvents type; ``event_id`` a hash of what happened, fixed when first said;
    ``version`` 1, 2, ... counts corrections; ``time_us`` is event time (microseconds since 1970
    UTC), None where it is not known; ``vehicle_id`` is empty where no vehicle is known (a reject);
    ``data`` is the payload besides the fields every payload has.
    """

    type: str
    event_id: str
    vehicle_id: str
    time_us: int | None
    data: dict[str, Any]
    version: int = 1
    retracted: bool = False

    @property
    def message_id(self) -> str:
        """The CloudEvents id: unique for each distinct thing said."""
        return f"{self.event_id}.{self.version}"

    @property
    def happened_us(self) -> int:
        """The event time of an event that has one; raises ValueError for one that has none."""
        if self.time_us is None:
            raise ValueError(f"`{self.type}` {self.message_id}: has no event time")
        return self.time_us


def identity(*parts: object) -> str:
    """The id of what the parts name: 32 hex digits, the same on every machine and every run."""
    text = "\x1f".join(map(str, parts))
    return blake2b(text.encode(), digest_size=16).hexdigest()


def cloud_event(event: Event, source: str, extensions: dict[str, str] | None = None) -> bytes:
    """The event in the JSON event format of CloudEvents 1.0 (structured mode), one line.

    ``source`` names the flow (``/farwatch/watch``); ``extensions`` are extension context
    attributes: lower-case names, never part of the event's identity.
    """
    envelope: dict[str, Any] = {
        "specversion": "1.0",
        "id": event.message_id,
        "source": source,
        "type": event.type,
        "datacontenttype": "application/json",
    }
    if event.vehicle_id:
        envelope["subject"] = event.vehicle_id
    if event.time_us is not None:
        envelope["time"] = rfc3339(event.time_us)
    if extensions:
        envelope |= extensions
    envelope["data"] = payload(event)
    return _encoder.encode(envelope)


def payload(event: Event) -> dict[str, Any]:
    """The ``data`` of the event: what every payload has, then its own fields."""
    return {
        "event_id": event.event_id,
        "version": event.version,
        "retracted": event.retracted,
        "vehicle_id": event.vehicle_id,
        **event.data,
    }


_encoder = msgspec.json.Encoder()
