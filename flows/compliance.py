"""Compliance alone: frames with zones in, violations out."""

from functools import partial
from typing import Any

import bytewax.operators as op
from bytewax.dataflow import Dataflow

from flows.steps.alert import asked_for, marking, marking_idle, tell_progress, violations_of
from flows.steps.assess import assess, finishing, judging
from flows.steps.events import events_in
from flows.steps.idle import LOOK_S, going_on, hearing, idle_of
from flows.steps.results import write_results
from flows.steps.state import Keyed, follow
from flows.steps.tracing import carried, carry
from flows.wiring import Wiring, from_environment
from rules import apart
from rules.group import GroupState
from schemas.enriched import TELEMETRY_ENRICHED, Enriched, read_enriched
from schemas.frame import Frame


def compliance(wiring: Wiring) -> Dataflow:
    """Judge the rules on frames with zones; tell what is violated and what no longer is."""
    flow = Dataflow("compliance")
    settings, editions = wiring.settings, wiring.judged_by()
    idle = idle_of(settings)
    enriched = events_in(flow, wiring, [TELEMETRY_ENRICHED], lambda e: read_enriched(e.data))
    frames = op.map("frames", enriched.items, _frame)
    violations = follow(
        "compliance",
        assess(frames, editions, settings.limits(), settings.key_groups, settings.skew_us()),
        Keyed(
            initial=GroupState(),
            advance=marking(
                hearing(idle, judging(editions, partial(apart.comply, settings.policy())))
            ),
            finish=finishing(editions, partial(apart.finish, settings.policy())),
            idle=marking_idle(going_on(idle, editions, settings.policy(), apart.go_on)),
            idle_after_s=LOOK_S,
            fingerprint=settings.fingerprint(),
        ),
        wiring.journal,
    )
    results = op.merge("results", violations, enriched.dead_letters)
    by = settings.alerting(asked=asked_for(editions.registry))
    if by.follow or by.mark:
        results = op.merge("timed", results, tell_progress(violations_of(violations, by)))
    write_results(results, wiring.sinks, "/farwatch/compliance", wiring.told)
    return flow


def _frame(enriched: Enriched) -> Frame:
    carry(enriched.frame, carried(enriched))
    return enriched.frame


def __getattr__(name: str) -> Any:
    if name == "flow":
        return from_environment(compliance)
    raise AttributeError(name)
