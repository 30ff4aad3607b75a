"""What each dashboard shows: every metric of the list is in one of them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from schemas import metrics
from scripts.monitoring.panels import Panel, dashboard

ALERTING: Final = 'topic=~"critical_alerts|warning_alerts|alert_notifications"'

DASHBOARDS: Final[Mapping[str, tuple[str, Sequence[Panel]]]] = {
    "fleet": (
        "farwatch: fleet",
        (
            Panel("Vehicles known", metrics.STATE_ROWS, ("step",), 'of="vehicles"'),
            Panel("Records in", metrics.RECORDS_IN),
            Panel("Age of the newest record", metrics.NEWEST_RECORD, ("instance",), most=True),
            Panel("Records late", metrics.RECORDS_LATE),
            Panel("Records rejected", metrics.RECORDS_REJECTED),
            Panel("Depth unknown", metrics.RECORDS_UNKNOWN_DEPTH),
            Panel("No position", metrics.RECORDS_NO_POSITION),
            Panel("Visits, conditions, records kept", metrics.STATE_ROWS, ("of",)),
            Panel("Events told", metrics.EVENTS_OUT),
            Panel("Zones and rules known", metrics.DEFINITIONS, most=True),
            Panel(
                "Zone versions in force",
                metrics.VERSION_IN_FORCE,
                ("id",),
                'what="zone"',
                most=True,
            ),
        ),
    ),
    "pipeline": (
        "farwatch: pipeline",
        (
            Panel("Stalled", metrics.STALLED, ("instance",)),
            Panel("Since the last commit", metrics.LAST_COMMIT, ("instance",), most=True),
            Panel("Time to commit an epoch", metrics.COMMIT_S),
            Panel("End to end", metrics.END_TO_END_S),
            Panel("Time of a step", metrics.STEP_S),
            Panel("Records a frame", metrics.FRAME_ROWS),
            Panel("Records in", metrics.RECORDS_IN, ("instance",)),
            Panel("Events out", metrics.EVENTS_OUT, ("instance",)),
            Panel("Lag in Kafka", metrics.LAG),
            Panel("Messages in queues", metrics.QUEUE_MESSAGES),
            Panel("Messages un-acked", metrics.UNACKED),
            Panel("Far sides", metrics.FAR_SIDE, where='state!="up"'),
            Panel("Waiting for far sides", metrics.FAR_SIDE_WAITING_S, most=True),
            Panel("Tries that failed", metrics.RETRIES),
            Panel("State in memory", metrics.STATE_BYTES),
            Panel("Recovery folder", metrics.RECOVERY_BYTES, most=True),
            Panel("Zones and rules refused", metrics.REGISTRY_REFUSED, ("instance",)),
            Panel("Versions of farwatch", metrics.BUILD),
        ),
    ),
    "alarms": (
        "farwatch: alarms",
        (
            Panel("Alarms raised", metrics.ALARMS_RAISED),
            Panel("Alarms followed, by state", metrics.ALARMS),
            Panel("Alerts told", metrics.EVENTS_OUT, ("topic",), ALERTING),
            Panel(
                "Violations told", metrics.EVENTS_OUT, ("topic",), 'topic="compliance_violations"'
            ),
            Panel("Conditions held", metrics.STATE_ROWS, ("step",), 'of="conditions"'),
            Panel("Rule errors", metrics.RULE_ERRORS),
            Panel(
                "Rule versions in force",
                metrics.VERSION_IN_FORCE,
                ("id",),
                'what="rule"',
                most=True,
            ),
        ),
    ),
}
"""File name -> title and panels."""


def all_dashboards() -> dict[str, dict[str, Any]]:
    """File name -> the dashboard as Grafana's JSON model."""
    return {
        name: dashboard(f"farwatch-{name}", title, panels)
        for name, (title, panels) in DASHBOARDS.items()
    }
