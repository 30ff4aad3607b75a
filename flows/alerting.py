"""Alerting alone: violations in, alerts out."""

from typing import Any

import bytewax.operators as op
from bytewax.dataflow import Dataflow, Stream

from flows.steps.alert import Commands, alert, commands_in, progress_in
from flows.steps.events import events_in
from flows.steps.notify import notify
from flows.steps.results import write_results
from flows.wiring import Wiring, from_environment
from rules.alarms import Alerting
from schemas.delivery import Delivery
from schemas.event import ALARM_CLEARED, ALARM_RAISED, ALARM_UPDATED, Event


def alerting(wiring: Wiring) -> Dataflow:
    """Tell critical alarms at once and warnings by the batch."""
    flow, settings = Dataflow("alerting"), wiring.settings
    commands = commands_in(flow, wiring)
    violations = events_in(
        flow, wiring, [ALARM_RAISED, ALARM_UPDATED, ALARM_CLEARED], lambda event: event
    )
    by = settings.alerting(asked=False)
    alerts = tell_alerts(wiring, violations.items, progress_in(flow, wiring), commands, by)
    results = op.merge("results", alerts, violations.dead_letters)
    write_results(results, wiring.sinks, "/farwatch/alerting", wiring.told)
    return flow


def tell_alerts(
    wiring: Wiring,
    violations: Stream[Event | int],
    progress: Stream[int] | None,
    commands: Commands | None,
    by: Alerting,
) -> Stream[Delivery]:
    """The alerts of violations, who is notified of them, and what were no commands."""
    settings, given = wiring.settings, commands.given if commands else None
    alerts = alert("alerts", violations, progress, given, settings, by)
    told = [alerts]
    if wiring.routing:
        told.append(notify("notices", alerts, wiring.routing, settings))
    if commands:
        told.append(commands.dead_letters)
    return op.merge("alerted", *told)


def __getattr__(name: str) -> Any:
    if name == "flow":
        return from_environment(alerting, zones=False, rules=False)
    raise AttributeError(name)
