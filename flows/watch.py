"""The watch, all of it in one dataflow: telemetry in, zone events and alarms out."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import bytewax.operators as op
from bytewax.dataflow import Dataflow, Stream
from bytewax.operators import KeyedStream

from flows import alerting, analytics, hazard, planning, telemetry
from flows.steps.alert import asked_for, commands_in, marking, marking_idle, violations_of
from flows.steps.assess import assess_together, finishing, in_step, joining
from flows.steps.bookkeeping import sample_tracks
from flows.steps.idle import LOOK_S, going_on, hearing, idle_of
from flows.steps.live import tell_telemetry, telling, wanted_topics
from flows.steps.results import write_results
from flows.steps.state import Keyed, follow_together
from flows.steps.together import Together
from flows.wiring import Wiring, from_environment
from rules import cohort, group
from rules.assessment import KeyGroups, Whole
from rules.share import Share
from schemas.delivery import Delivery
from schemas.frame import Frame
from schemas.live import TELEMETRY


def watch(wiring: Wiring) -> Dataflow:
    """Hold every record against zones and rules and tell what happened."""
    flow = Dataflow("watch")
    commands = commands_in(flow, wiring)
    decoded = telemetry.read(flow, wiring)
    by_group, watched = _watched(decoded.frames, wiring)
    more = list(_beside(decoded.frames, by_group, wiring))
    scoring = None
    if hazard.asked_for(wiring.settings):
        scoring = hazard.score("hazards", decoded.frames, wiring)
        more.append(scoring.told)
    if planning.asked_for(wiring.settings):
        requests = planning.ask(flow, decoded.frames, wiring, scoring)
        watched = op.merge("planned", watched, requests)
    by = wiring.settings.alerting(asked=asked_for(wiring.judged_by().registry))
    alerts = alerting.tell_alerts(wiring, violations_of(watched, by), None, commands, by)
    results = op.merge("results", watched, alerts, decoded.dead_letters, *more)
    write_results(results, wiring.sinks, "/farwatch/watch", wiring.told)
    return flow


def _watched(
    frames: Stream[Frame], wiring: Wiring
) -> tuple[KeyedStream[Share[Whole]], Stream[Delivery]]:
    """The records by key group, and what zones and rules say of them."""
    settings, editions, policy = wiring.settings, wiring.judged_by(), wiring.settings.policy()
    idle, wanted = idle_of(settings), wanted_topics(wiring.sinks.values())
    by_group = assess_together(
        frames, editions, settings.limits(), settings.key_groups, settings.skew_us()
    )
    watched = follow_together(
        "watch",
        by_group,
        Keyed(
            initial=group.GroupState(),
            advance=marking(
                hearing(idle, telling(in_step(editions, partial(group.advance, policy)), wanted))
            ),
            finish=finishing(editions, partial(group.finish, policy)),
            idle=marking_idle(going_on(idle, editions, policy)),
            idle_after_s=LOOK_S,
            fingerprint=settings.fingerprint(),
        ),
        Together(
            joining(editions, policy),
            cohort.Split(KeyGroups(settings.key_groups)),
            group.GroupState.gathered,
        ),
        wiring.journal,
    )
    return by_group, watched


def _beside(
    frames: Stream[Frame], by_group: KeyedStream[Share[Whole]], wiring: Wiring
) -> Iterator[Stream[Delivery]]:
    """What else is told of the records, as far as anybody asks for it."""
    settings, wanted = wiring.settings, wanted_topics(wiring.sinks.values())
    if settings.report:
        yield sample_tracks(frames, settings.track_s)
    if TELEMETRY in wanted:
        yield tell_telemetry(by_group)
    if analytics.asked_for(settings, wanted):
        yield analytics.tell_windows("windows", frames, wiring)


def __getattr__(name: str) -> Any:
    if name == "flow":
        return from_environment(watch)
    raise AttributeError(name)
