"""Batches: which alarm event goes to which topic, and when.

Critical and emergency alarms are told at once, warnings together at the end of their batch: a
window of event time that is the same for everybody. When a batch is told depends on how far time
has come; what is in it depends on event time alone.
"""

import pickle
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from schemas.delivery import Delivery
from schemas.event import Event
from schemas.frame import rfc3339
from schemas.topics import ALERT_NOTIFICATIONS, CRITICAL_ALERTS, WARNING_ALERTS

AT_ONCE: Final = frozenset({"critical", "emergency"})
"""Severities told at once."""


class Said(NamedTuple):
    """An event of the alarm stage; ``loud``: it is an alert, told by its severity too."""

    event: Event
    loud: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """A warning that waits for the end of its batch; pickled once, however often it is stored."""

    event: Event
    pickled: bytes = field(default=b"", compare=False, repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        if not self.pickled:
            object.__setattr__(self, "pickled", pickle.dumps(self.event, pickle.HIGHEST_PROTOCOL))
        return _waiting, (self.pickled,)


def _waiting(pickled: bytes) -> Waiting:
    # Trusted as the state is that it is part of.
    return Waiting(pickle.loads(pickled), pickled)  # noqa: S301


@dataclass(frozen=True, slots=True)
class Pending:
    """Warnings that wait for the end of their batch, and how far event time has come.

    ``high_water_us``: the newest event time of the group's records.
    """

    warnings: tuple[Waiting, ...] = ()
    high_water_us: int = 0


def route(
    pending: Pending, said: Sequence[Said], newest_us: int, batch_us: int
) -> tuple[Pending, list[Delivery]]:
    """Route what the alarm stage says; ``newest_us`` is how far event time has come."""
    deliveries: list[Delivery] = []
    warnings = list(pending.warnings)
    for event, loud in said:
        deliveries.append(Delivery(ALERT_NOTIFICATIONS, event))
        if loud and event.data["severity"] in AT_ONCE:
            deliveries.append(Delivery(CRITICAL_ALERTS, event))
        elif loud and event.data["severity"] == "warning":
            warnings.append(Waiting(event))
    high_water_us = max(pending.high_water_us, newest_us)
    due = [w.event for w in warnings if _batch_end_us(w.event, batch_us) <= high_water_us]
    waiting = tuple(w for w in warnings if _batch_end_us(w.event, batch_us) > high_water_us)
    return Pending(waiting, high_water_us), deliveries + tell(due, batch_us)


def release(pending: Pending, batch_us: int) -> tuple[Pending, list[Delivery]]:
    """Tell the warnings that wait for the end of their batch now."""
    told = tell([waiting.event for waiting in pending.warnings], batch_us)
    return replace(pending, warnings=()), told


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
