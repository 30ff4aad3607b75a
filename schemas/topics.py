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
ALERT_COMMANDS: Final = "alert_commands"
NOTIFICATIONS: Final = "notifications"
COMMAND_OUTCOMES: Final = "command_outcomes"
LATE_TELEMETRY: Final = "late_telemetry"
ANALYTICS_DATA: Final = "analytics_data"
HAZARD_SCORES: Final = "hazard_scores"
DEAD_LETTERS: Final = "dead_letters"
PLAN_REQUESTS: Final = "plan_requests"
SHADOW_PLAN_REQUESTS: Final = "shadow_plan_requests"
"""Requests of triggers in shadow mode: recorded, but not where planners listen."""
TELEMETRY_PROGRESS: Final = "telemetry_progress"

RESULT_TOPICS: Final = (
    GEOFENCING_EVENTS,
    PROXIMITY_EVENTS,
    COMPLIANCE_VIOLATIONS,
    CRITICAL_ALERTS,
    WARNING_ALERTS,
    ALERT_NOTIFICATIONS,
    COMMAND_OUTCOMES,
    NOTIFICATIONS,
    LATE_TELEMETRY,
    ANALYTICS_DATA,
    PLAN_REQUESTS,
    SHADOW_PLAN_REQUESTS,
    HAZARD_SCORES,
    DEAD_LETTERS,
)

BETWEEN_TOPICS: Final = (CHECKED_TELEMETRY, ENRICHED_TELEMETRY, TELEMETRY_PROGRESS)
"""Frames between flows that run apart; the watch needs no queue between them."""
