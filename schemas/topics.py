"""The topics: names that users and dashboards rely on."""

from typing import Final

GEOFENCING_EVENTS: Final = "geofencing_events"
PROXIMITY_EVENTS: Final = "proximity_events"
COMPLIANCE_VIOLATIONS: Final = "compliance_violations"
CRITICAL_ALERTS: Final = "critical_alerts"
WARNING_ALERTS: Final = "warning_alerts"
ALERT_NOTIFICATIONS: Final = "alert_notifications"
CHECKED_TELEMETRY: Final = "checked_telemetry"
ENRICHED_TELEMETRY: Final = "enriched_telemetry"
LATE_TELEMETRY: Final = "late_telemetry"
ANALYTICS_DATA: Final = "analytics_data"
DEAD_LETTERS: Final = "dead_letters"

RESULT_TOPICS: Final = (
    GEOFENCING_EVENTS,
    PROXIMITY_EVENTS,
    COMPLIANCE_VIOLATIONS,
    CRITICAL_ALERTS,
    WARNING_ALERTS,
    ALERT_NOTIFICATIONS,
    LATE_TELEMETRY,
    ANALYTICS_DATA,
    DEAD_LETTERS,
)

BETWEEN_TOPICS: Final = (CHECKED_TELEMETRY, ENRICHED_TELEMETRY)
"""Frames between flows that run apart; the watch needs no queue between them."""
