"""Compliance alone: frames with zones in, violations out."""

from functools import partial
from typing import Any

import bytewax.operators as op
from bytewax.dataflow import Dataflow

from flows.steps.assess import assess, judging
from flows.steps.events import events_in
from flows.steps.results import write_results
from flows.steps.state import Keyed, follow
from flows.wiring import Wiring, from_environment
from rules import apart
from rules.group import GroupState
from schemas.enriched import TELEMETRY_ENRICHED, read_enriched


def compliance(wiring: Wiring) -> Dataflow:
    """Judge the rules on frames with zones; tell what is violated and what no longer is."""
    flow = Dataflow("compliance")
    settings, editions = wiring.settings, wiring.judged_by()
    enriched = events_in(flow, wiring, [TELEMETRY_ENRICHED], lambda e: read_enriched(e.data))
    frames = op.map("frames", enriched.items, lambda item: item.frame)
    violations = follow(
        "compliance",
        assess(frames, editions, settings.limits(), settings.key_groups),
        Keyed(
            initial=GroupState(),
            advance=judging(editions, partial(apart.comply, settings.policy())),
            fingerprint=settings.fingerprint(),
        ),
        wiring.journal,
    )
    results = op.merge("results", violations, enriched.dead_letters)
    write_results(results, wiring.sinks, "/farwatch/compliance", wiring.told)
    return flow


def __getattr__(name: str) -> Any:
    if name == "flow":
        return from_environment(compliance)
    raise AttributeError(name)
