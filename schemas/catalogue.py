"""Which events come on which topic: what the reference of the topics is made from."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from schemas import event, topics
from schemas.enriched import TELEMETRY_CHECKED, TELEMETRY_ENRICHED
from schemas.progress import TELEMETRY_PROGRESS_MADE


@dataclass(frozen=True, slots=True)
class Topic:
    """What a topic holds: in words, and the types of its events."""

    summary: str
    types: tuple[str, ...]


_VIOLATIONS: Final = (event.ALARM_RAISED, event.ALARM_UPDATED, event.ALARM_CLEARED)
_ALARMS: Final = (
    *_VIOLATIONS,
    event.ALARM_ACKNOWLEDGED,
    event.ALARM_SHELVED,
)

_PLANS: Final = (
    event.PLAN_REQUESTED,
    event.PLAN_ACCEPTED,
    event.PLAN_ANSWERED,
    event.PLAN_REJECTED,
    event.PLAN_EXPIRED,
)

TELEMETRY_TOPICS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "auv_telemetry": "Telemetry of vehicles under water and on it",
        "rover_telemetry": "Telemetry of rovers",
    }
)
"""Exchange or topic -> what it is for, as they are named by convention; others do as well."""

TOPICS: Final[Mapping[str, Topic]] = MappingProxyType(
    {
        topics.GEOFENCING_EVENTS: Topic(
            "Zones entered and exited, dwelt in for too long, ahead; vehicles lost from sight",
            (
                event.ZONE_ENTERED,
                event.ZONE_EXITED,
                event.ZONE_DWELL_EXCEEDED,
                event.ZONE_APPROACHING,
                event.TRACK_GAP,
            ),
        ),
        topics.PROXIMITY_EVENTS: Topic(
            "Vehicles near each other, and far again", (event.VEHICLE_NEARBY, event.VEHICLE_FARAWAY)
        ),
        topics.COMPLIANCE_VIOLATIONS: Topic(
            "Every alarm raised and cleared, those of shadow rules too", _VIOLATIONS
        ),
        topics.CRITICAL_ALERTS: Topic("Critical and emergency alarms, at once", _ALARMS),
        topics.WARNING_ALERTS: Topic("Warnings, told together", _ALARMS),
        topics.ALERT_NOTIFICATIONS: Topic("Every change of an alarm's state", _ALARMS),
        topics.COMMAND_OUTCOMES: Topic(
            "What became of each command on an alarm", (event.COMMAND_JUDGED,)
        ),
        topics.NOTIFICATIONS: Topic(
            "Who was told of which alert, and when", (event.ALERT_NOTIFIED,)
        ),
        topics.HAZARD_SCORES: Topic(
            "Hazard scores of vehicles with their parts", (event.HAZARD_SCORED,)
        ),
        topics.PLAN_REQUESTS: Topic("Requests for a new plan, and what became of each", _PLANS),
        topics.SHADOW_PLAN_REQUESTS: Topic(
            "Requests by triggers in shadow mode, which nobody is to answer", _PLANS
        ),
        topics.LATE_TELEMETRY: Topic(
            "Records that came too late to revise anything", (event.TELEMETRY_LATE,)
        ),
        topics.ANALYTICS_DATA: Topic(
            "Each vehicle's telemetry in windows of event time", (event.ANALYTICS_WINDOWED,)
        ),
        topics.DEAD_LETTERS: Topic("Rejected records", (event.TELEMETRY_REJECTED,)),
        topics.CHECKED_TELEMETRY: Topic(
            "Frames of telemetry that passed the contract, between flows", (TELEMETRY_CHECKED,)
        ),
        topics.ENRICHED_TELEMETRY: Topic(
            "Frames of telemetry with the zones that hold each record, between flows",
            (TELEMETRY_ENRICHED,),
        ),
        topics.TELEMETRY_PROGRESS: Topic(
            "How far event time has come, between flows", (TELEMETRY_PROGRESS_MADE,)
        ),
    }
)
"""Topic -> what comes on it."""
