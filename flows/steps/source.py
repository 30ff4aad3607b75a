"""The input of every flow: its source, until it is drained or the dead-letter limit says stop."""

import bytewax.operators as op
from bytewax.dataflow import Dataflow, Stream

from connectors.trials import Trials
from flows.steps.backlog import ReadAfter
from flows.steps.caution import CautiousSource
from flows.steps.dead_letter import DeadLetterLimit, GuardedSource
from flows.steps.drain import DrainingSource
from flows.wiring import Wiring
from schemas.message import Message, Reject


def messages_in(flow: Dataflow, wiring: Wiring) -> tuple[Stream[Message | Reject], DeadLetterLimit]:
    """The messages of the source, and the limit to count what becomes of them with."""
    settings = wiring.settings
    limit = DeadLetterLimit(settings.dead_letter_ratio, settings.dead_letter_run)
    source = wiring.source.build(wiring.on_progress)
    if wiring.trials is not None:
        source = CautiousSource(source, Trials(wiring.trials))
    guarded = GuardedSource(source, limit, wiring.refused)
    beside = settings.mission_plans or settings.plan_results or settings.hazard_scores
    if wiring.commands is None and not beside:
        return op.input("telemetry", flow, DrainingSource(guarded, wiring.drain)), limit
    # What is there already of commands, plans and scores is older than the records to come.
    after = ReadAfter(guarded, wiring.backlog)
    return op.input("telemetry", flow, DrainingSource(after, wiring.drain)), limit
