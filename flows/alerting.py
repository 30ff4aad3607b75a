"""Alerting alone: violations in, alerts out."""

from functools import partial
from typing import Any

import bytewax.operators as op
from bytewax.dataflow import Dataflow

from flows.steps.events import events_in
from flows.steps.results import write_results
from flows.steps.state import Keyed, follow
from flows.wiring import Wiring, from_environment
from rules import alarms, apart
from rules.assessment import KeyGroups
from schemas.event import ALARM_CLEARED, ALARM_RAISED, Event


def alerting(wiring: Wiring) -> Dataflow:
    """Tell critical alarms at once and warnings by the batch."""
    flow = Dataflow("alerting")
    settings, groups = wiring.settings, KeyGroups(wiring.settings.key_groups)
    batch_us = settings.policy().warning_batch_us
    violations = events_in(flow, wiring, [ALARM_RAISED, ALARM_CLEARED], lambda event: event)

    def group(event: Event) -> str:
        return groups.key(groups.of(event.vehicle_id))

    alerts = follow(
        "alerting",
        op.key_on("by_group", violations.items, group),
        Keyed(
            initial=alarms.Pending(),
            advance=partial(apart.alert, batch_us),
            release=partial(alarms.release, batch_us=batch_us),
            release_after_s=settings.warning_batch_s,
            fingerprint=settings.fingerprint(),
        ),
    )
    results = op.merge("results", alerts, violations.dead_letters)
    write_results(results, wiring.sinks, "/farwatch/alerting", wiring.told)
    return flow


def __getattr__(name: str) -> Any:
    if name == "flow":
        return from_environment(alerting, zones=False, rules=False)
    raise AttributeError(name)
