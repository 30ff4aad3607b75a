"""The input of every flow: its source, until the dead-letter limit says stop."""

import bytewax.operators as op
from bytewax.dataflow import Dataflow, Stream

from flows.steps.dead_letter import DeadLetterLimit, GuardedSource
from flows.wiring import Wiring
from schemas.message import Message, Reject


def messages_in(flow: Dataflow, wiring: Wiring) -> tuple[Stream[Message | Reject], DeadLetterLimit]:
    """The messages of the source, and the limit to count what becomes of them with."""
    settings = wiring.settings
    limit = DeadLetterLimit(settings.dead_letter_ratio, settings.dead_letter_run)
    guarded = GuardedSource(wiring.source.build(wiring.on_progress), limit, wiring.refused)
    return op.input("telemetry", flow, guarded), limit
