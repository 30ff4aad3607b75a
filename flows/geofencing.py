"""Geofencing alone: telemetry in, zone events and frames with zones out."""

from functools import partial
from typing import Any

import bytewax.operators as op
from bytewax.dataflow import Dataflow

from flows import telemetry
from flows.steps.assess import assess, judging
from flows.steps.results import write_results
from flows.steps.state import Keyed, follow
from flows.wiring import Wiring, from_environment
from rules import apart
from rules.group import GroupState


def geofencing(wiring: Wiring) -> Dataflow:
    """Follow every vehicle through the zones; tell who entered and who left."""
    flow = Dataflow("geofencing")
    settings, editions = wiring.settings, wiring.judged_by()
    decoded = telemetry.read(flow, wiring)
    fenced = follow(
        "geofence",
        assess(decoded.frames, editions, settings.limits(), settings.key_groups),
        Keyed(
            initial=GroupState(),
            advance=judging(editions, partial(apart.geofence, settings.policy())),
            fingerprint=settings.fingerprint(),
        ),
        wiring.journal,
    )
    results = op.merge("results", fenced, decoded.dead_letters)
    write_results(results, wiring.sinks, "/farwatch/geofencing", wiring.told)
    return flow


def __getattr__(name: str) -> Any:
    if name == "flow":
        return from_environment(geofencing, rules=False)
    raise AttributeError(name)
