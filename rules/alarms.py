"""Alerting: which alarm event goes to which topic, and when.

Critical and emergency alarms are told at once, warnings together at the end of their batch: a
window of event time that is the same for everybody. When a batch is told depends on how far time
has come; what is in it depends on event time alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from schemas.delivery import Delivery
from schemas.event import Event
from schemas.frame import rfc3339
from schemas.topics import ALERT_NOTIFICATIONS, CRITICAL_ALERTS, WARNING_ALERTS


@dataclass(frozen=True, slots=True)
class Pending:
    """Warnings that wait for the end of their batch, and how far event time has come.

    ``high_water_us``: the newest event time of the group's records.
    """

    warnings: tuple[Event, ...] = ()
    high_water_us: int = 0


def route(
    pending: Pending, events: Sequence[Event], newest_us: int, batch_us: int
) -> tuple[Pending, list[Delivery]]:
    """Route alarm events; ``newest_us`` is the newest event time of the records behind them.

    Alarms of rules in shadow mode are recorded as violations, but nobody is told.
    """
    deliveries: list[Delivery] = []
    warnings = list(pending.warnings)
    for event in events:
        if event.data["mode"] == "shadow":
            continue
        deliveries.append(Delivery(ALERT_NOTIFICATIONS, event))
        if event.data["severity"] in {"critical", "emergency"}:
            deliveries.append(Delivery(CRITICAL_ALERTS, event))
        elif event.data["severity"] == "warning":
            warnings.append(event)
    high_water_us = max(pending.high_water_us, newest_us)
    due = [e for e in warnings if _batch_end_us(e, batch_us) <= high_water_us]
    waiting = tuple(e for e in warnings if _batch_end_us(e, batch_us) > high_water_us)
    return Pending(waiting, high_water_us), deliveries + tell(due, batch_us)


def release(pending: Pending, batch_us: int) -> tuple[Pending, list[Delivery]]:
    """Tell the warnings that wait for the end of their batch now."""
    return replace(pending, warnings=()), tell(pending.warnings, batch_us)


def tell(warnings: Sequence[Event], batch_us: int) -> list[Delivery]:
    """The warnings as deliveries, each marked with the batch it belongs to, oldest batch first."""
    return [
        Delivery(WARNING_ALERTS, event, _batch(event, batch_us))
        for event in sorted(warnings, key=lambda e: (_batch_end_us(e, batch_us), e.vehicle_id))
    ]


def _batch_end_us(event: Event, batch_us: int) -> int:
    return (event.happened_us // batch_us + 1) * batch_us


def _batch(event: Event, batch_us: int) -> dict[str, str]:
    end_us = _batch_end_us(event, batch_us)
    return {"batchstart": rfc3339(end_us - batch_us), "batchend": rfc3339(end_us)}
