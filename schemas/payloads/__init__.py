"""The payloads of the events as models: what JSON Schema and documentation are made from.

Events are built as plain dicts, for speed; tests hold every kind of event told against its model.
"""

from typing import Final

from schemas import event
from schemas.enriched import TELEMETRY_CHECKED, TELEMETRY_ENRICHED
from schemas.payloads.alarms import (
    AlarmAcknowledged,
    AlarmCleared,
    AlarmRaised,
    AlarmShelved,
    AlarmUpdated,
    AlertNotified,
    CommandJudged,
)
from schemas.payloads.hazard import (
    HazardScored,
)
from schemas.payloads.payload import (
    Payload,
)
from schemas.payloads.plans import (
    PlanAccepted,
    PlanAnswered,
    PlanExpired,
    PlanRejected,
    PlanRequested,
)
from schemas.payloads.records import (
    AnalyticsWindowed,
    FrameChecked,
    FrameEnriched,
    ProgressMade,
    TelemetryLate,
    TelemetryRejected,
)
from schemas.payloads.zones import (
    Approaching,
    DwellExceeded,
    TrackGap,
    VehicleFaraway,
    VehicleNearby,
    ZoneEntered,
    ZoneExited,
)
from schemas.progress import TELEMETRY_PROGRESS_MADE

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

__all__ = ["PAYLOADS", "AnalyticsWindowed", "HazardScored", "Payload"]
