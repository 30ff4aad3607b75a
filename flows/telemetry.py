"""Telemetry: what arrives as bytes becomes frames; what breaks the contract, dead letters."""

from typing import Any

import bytewax.operators as op
from bytewax.dataflow import Dataflow

from flows.steps.decode import Decoded, decode
from flows.steps.results import write_results
from flows.steps.source import messages_in
from flows.steps.tracing import carried
from flows.wiring import Wiring, from_environment
from schemas.delivery import Delivery
from schemas.enriched import checked_event
from schemas.frame import Frame
from schemas.topics import CHECKED_TELEMETRY


def read(flow: Dataflow, wiring: Wiring) -> Decoded:
    """The frames of the telemetry source and the records that were refused."""
    messages, limit = messages_in(flow, wiring)
    settings = wiring.settings
    return decode(messages, settings.frame_rows, limit, settings.decoder())


def telemetry(wiring: Wiring) -> Dataflow:
    """Check telemetry against the contract; frames of what passed go to ``checked_telemetry``."""
    flow = Dataflow("telemetry")
    decoded = read(flow, wiring)
    checked = op.map("checked", decoded.frames, _checked)
    results = op.merge("results", checked, decoded.dead_letters)
    write_results(results, wiring.sinks, "/farwatch/telemetry", wiring.told)
    return flow


def _checked(frame: Frame) -> Delivery:
    return Delivery(CHECKED_TELEMETRY, checked_event(frame), trace=carried(frame))


def __getattr__(name: str) -> Any:
    if name == "flow":
        return from_environment(telemetry, zones=False, rules=False)
    raise AttributeError(name)
