"""Analytics: telemetry in, what each vehicle's was like in each window of event time out."""

from collections.abc import Callable, Iterable, Iterator, Set
from functools import partial
from typing import Any, ParamSpec

import bytewax.operators as op
import numpy as np
from bytewax.dataflow import Dataflow, Stream, operator

from connectors.contract import PartialSink, SettingsError, Sink
from flows import telemetry
from flows.settings import Settings
from flows.steps.live import wanted_topics
from flows.steps.results import write_results
from flows.steps.state import Keyed, follow
from flows.wiring import Wiring, from_environment
from rules.analytics import AnalyticsState, OtherWindowingError, advance, release
from rules.assessment import KeyGroups
from rules.summary import Part, summarise
from schemas.delivery import Delivery
from schemas.frame import Frame
from schemas.live import TELEMETRY, telemetry_delivery
from schemas.topics import ANALYTICS_DATA

Given = ParamSpec("Given")


def analytics(wiring: Wiring) -> Dataflow:
    """Tell the windows of all telemetry; the telemetry itself where a sink wants it."""
    flow = Dataflow("analytics")
    decoded = telemetry.read(flow, wiring)
    windows = tell_windows("windows", decoded.frames, wiring)
    results = op.merge("results", windows, decoded.dead_letters)
    if TELEMETRY in wanted_topics(wiring.sinks.values()):
        raw = op.map("tell_telemetry", decoded.frames, _by_vehicle)
        results = op.merge("live", results, raw)
    write_results(results, wiring.sinks, "/farwatch/analytics", wiring.told)
    return flow


@operator
def tell_windows(step_id: str, up: Stream[Frame], wiring: Wiring) -> Stream[Delivery]:
    """The windows of the frames' records, each when it is complete and when it is revised.

    Those not complete are told as they stand at the end of the input, and now and then before:
    a vehicle that falls silent never completes its own.

    Raises:
        SettingsError: results go to no place that keeps windows.
    """
    _refuse_unkept(wiring.sinks.values())
    settings = wiring.settings
    windowing, groups = settings.windowing(), KeyGroups(settings.key_groups)

    def cut(batch: list[Frame]) -> Iterator[tuple[str, Part]]:
        for frame in batch:
            for part in summarise(windowing, groups, frame):
                yield part.key, part

    return follow(
        "analytics",
        op.flat_map_batch("summarise", up, cut),
        Keyed(
            initial=AnalyticsState(),
            advance=_refusing(partial(advance, windowing)),
            release=_refusing(partial(release, windowing)),
            fingerprint=settings.fingerprint(),
        ),
    )


def asked_for(settings: Settings, wanted: Set[str]) -> bool:
    """Whether a flow that does more than analytics tells windows; ``wanted``: by its sinks."""
    if settings.analytics == "auto":
        return ANALYTICS_DATA in wanted
    return settings.analytics == "on"


def _refuse_unkept(sinks: Iterable[Sink]) -> None:
    if all(isinstance(sink, PartialSink) and ANALYTICS_DATA in sink.leaves_out for sink in sinks):
        raise SettingsError(
            "windows are told, but no place in FARWATCH_RESULTS (--results) keeps them; add one:"
            " `dir:`, `stdout:`, `kafka:`, `amqp:` or `influxdb:`"
        )


def _refusing(
    move: Callable[Given, tuple[AnalyticsState, list[Delivery]]],
) -> Callable[Given, tuple[AnalyticsState, list[Delivery]]]:
    """``move`` that says which settings the state goes on with, where it does not with ours."""

    def moved(*given: Given.args, **named: Given.kwargs) -> tuple[AnalyticsState, list[Delivery]]:
        try:
            return move(*given, **named)
        except OtherWindowingError as exc:
            kept = exc.kept
            raise SettingsError(
                f"the recovery folder holds windows made with window_s {kept.length_us / 1e6:g},"
                f" window_gap_s {kept.gap_us / 1e6:g}, lateness_s {kept.lateness_us / 1e6:g};"
                " start again with those or with a new folder"
            ) from exc

    return moved


def _by_vehicle(frame: Frame) -> Delivery:
    """The records for ``TELEMETRY``, each vehicle's in the order they came."""
    return telemetry_delivery("", frame.take(np.argsort(frame.vehicle, kind="stable")))


def __getattr__(name: str) -> Any:
    if name == "flow":
        return from_environment(analytics, zones=False, rules=False)
    raise AttributeError(name)
