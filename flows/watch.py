"""The watch, all of it in one dataflow: telemetry in, zone events and alarms out."""

from functools import partial
from typing import Any

import bytewax.operators as op
from bytewax.dataflow import Dataflow

from flows import analytics, telemetry
from flows.steps.assess import assess, judging
from flows.steps.bookkeeping import sample_tracks
from flows.steps.live import tell_telemetry, telling, wanted_topics
from flows.steps.results import write_results
from flows.steps.state import Keyed, follow
from flows.wiring import Wiring, from_environment
from rules import group
from schemas.live import TELEMETRY


def watch(wiring: Wiring) -> Dataflow:
    """Hold every record against zones and rules and tell what happened."""
    flow = Dataflow("watch")
    settings, editions, policy = wiring.settings, wiring.judged_by(), wiring.settings.policy()
    wanted = wanted_topics(wiring.sinks.values())
    decoded = telemetry.read(flow, wiring)
    by_group = assess(decoded.frames, editions, settings.limits(), settings.key_groups)
    watched = follow(
        "watch",
        by_group,
        Keyed(
            initial=group.GroupState(),
            advance=telling(judging(editions, partial(group.advance, policy)), wanted),
            release=partial(group.release, policy),
            release_after_s=settings.warning_batch_s,
            fingerprint=settings.fingerprint(),
        ),
        wiring.journal,
    )
    results = op.merge("results", watched, decoded.dead_letters)
    if settings.report:
        tracks = sample_tracks(decoded.frames, settings.track_s)
        results = op.merge("reported", results, tracks)
    if TELEMETRY in wanted:
        results = op.merge("live", results, tell_telemetry(by_group))
    if analytics.asked_for(settings, wanted):
        windows = analytics.tell_windows("windows", decoded.frames, wiring)
        results = op.merge("analysed", results, windows)
    write_results(results, wiring.sinks, "/farwatch/watch", wiring.told)
    return flow


def __getattr__(name: str) -> Any:
    if name == "flow":
        return from_environment(watch)
    raise AttributeError(name)
