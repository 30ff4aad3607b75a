"""How far event time has come: what flows that run apart tell the one that alerts."""

from typing import Final

from schemas.event import Event, identity
from schemas.frame import rfc3339

TELEMETRY_PROGRESS_MADE: Final = "farwatch.telemetry.progress.v1"


def progress_event(newest_us: int) -> Event:
    """The event for the newest event time among records, microseconds since 1970 UTC."""
    return Event(
        type=TELEMETRY_PROGRESS_MADE,
        event_id=identity(TELEMETRY_PROGRESS_MADE, newest_us),
        vehicle_id="",
        time_us=newest_us,
        data={"time": rfc3339(newest_us)},
    )
