"""Proximity: which vehicles come near each other, in three dimensions, and part again.

All vehicles of a body are judged in one step, on one process: any two may meet.
"""

from collections.abc import Iterator
from dataclasses import astuple
from functools import partial
from typing import Any

import bytewax.operators as op
from bytewax.dataflow import Dataflow

from flows import telemetry
from flows.steps.results import write_results
from flows.steps.state import Keyed, follow
from flows.wiring import Wiring, from_environment
from rules.proximity.body import BodyState, advance, by_body, finish
from schemas.event import identity
from schemas.frame import Frame


def proximity(wiring: Wiring) -> Dataflow:
    """Compare where vehicles are at the same moments; tell who is near whom, and no longer."""
    flow = Dataflow("proximity")
    limits = wiring.settings.proximity()
    decoded = telemetry.read(flow, wiring)
    encounters = follow(
        "proximity",
        op.flat_map_batch("by_body", decoded.frames, _by_body),
        Keyed(
            initial=BodyState(),
            advance=partial(advance, limits),
            finish=partial(finish, limits),
            fingerprint=identity("proximity", *astuple(limits)),
        ),
    )
    results = op.merge("results", encounters, decoded.dead_letters)
    write_results(results, wiring.sinks, "/farwatch/proximity", wiring.told)
    return flow


def _by_body(frames: list[Frame]) -> Iterator[tuple[str, Frame]]:
    for frame in frames:
        for body, part in by_body(frame):
            yield f"body-{body}", part


def __getattr__(name: str) -> Any:
    if name == "flow":
        return from_environment(proximity, zones=False, rules=False)
    raise AttributeError(name)
