"""Deliveries to every place results go."""

from collections import Counter
from collections.abc import Iterable, Mapping

import bytewax.operators as op
from bytewax.dataflow import Stream
from bytewax.operators import KeyedStream

from connectors.contract import LiveSink, Sink
from connectors.metrics import EVENTS_OUT
from flows.steps.measuring import MeasuredSink
from schemas.delivery import Delivery
from schemas.live import LIVE_TOPICS


class Told:
    """What this process has told since it started, by topic and event type."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    def count(self, deliveries: Iterable[Delivery]) -> None:
        """Count a batch of deliveries."""
        counts = Counter((delivery.topic, delivery.event.type) for delivery in deliveries)
        self._counts += counts
        for (topic, _), number in counts.items():
            if not topic.startswith("_"):
                EVENTS_OUT.labels(topic).inc(number)

    def of(self, topic: str, event_type: str | None = None) -> int:
        """How many deliveries went to a topic, all or those of one event type."""
        if event_type is not None:
            return self._counts[topic, event_type]
        return sum(n for (name, _), n in self._counts.items() if name == topic)


def write_results(
    deliveries: Stream[Delivery], sinks: Mapping[str, Sink], source: str, told: Told
) -> None:
    """Write every delivery to every sink; ``sinks`` by the name their step is to have.

    What the topics of ``schemas.live`` hold goes only to sinks that want it. The name is part of
    the step id that keys the sink's recovery state: keep it while state lives.
    """

    def by_topic(batch: list[Delivery]) -> list[tuple[str, Delivery]]:
        results = [delivery for delivery in batch if delivery.topic not in LIVE_TOPICS]
        told.count(results)
        return [(delivery.topic, delivery) for delivery in results]

    keyed = op.flat_map_batch("by_topic", deliveries, by_topic)
    for name, sink in sinks.items():
        for_sink = keyed
        if isinstance(sink, LiveSink):
            live = _only(sink.wants & LIVE_TOPICS, f"{name}_wants", deliveries)
            for_sink = op.merge(f"{name}_all", keyed, live)
        op.output(name, for_sink, MeasuredSink(name, sink.build(source)))


def _only(
    topics: frozenset[str], step_id: str, deliveries: Stream[Delivery]
) -> KeyedStream[Delivery]:
    def wanted(batch: list[Delivery]) -> list[tuple[str, Delivery]]:
        return [(delivery.topic, delivery) for delivery in batch if delivery.topic in topics]

    return op.flat_map_batch(step_id, deliveries, wanted)
