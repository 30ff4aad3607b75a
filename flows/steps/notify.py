"""Routing: alerts of all key groups to those who want to be notified of them."""

from collections.abc import Iterator

import bytewax.operators as op
from bytewax.dataflow import Stream, operator

from flows.settings import Settings
from flows.steps.state import Keyed, follow
from rules.routing import Router, RoutingState
from schemas.delivery import Delivery
from schemas.event import Event
from schemas.live import PROGRESS
from schemas.route import Routing
from schemas.topics import ALERT_NOTIFICATIONS


@operator
def notify(
    step_id: str, alerts: Stream[Delivery], routing: Routing, settings: Settings
) -> Stream[Delivery]:
    """The notifications of alerts, and alerts on further topics.

    Groups may be of several vehicles and key groups, so one worker routes all: alerts are few.
    Time is as far as records may still come late, so that those of a batch are there.
    """
    lateness_us = round(settings.lateness_s * 1e6)

    def news(batch: list[Delivery]) -> Iterator[tuple[str, list[Event | int]]]:
        told: list[Event | int] = [d.event for d in batch if d.topic == ALERT_NOTIFICATIONS]
        come = [d.event.happened_us - lateness_us for d in batch if d.topic == PROGRESS]
        if told or come:
            yield "routing", told + ([max(come)] if come else [])

    router = Router(routing)
    return follow(
        "routing",
        op.flat_map_batch("alerts", alerts, news),
        Keyed(
            initial=RoutingState(),
            advance=router.advance,
            release=router.release,
            release_after_s=settings.warning_batch_s,
            fingerprint=settings.fingerprint(),
        ),
    )
