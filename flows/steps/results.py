"""Deliveries to every place results go."""

from collections import Counter
from collections.abc import Iterable, Mapping

import bytewax.operators as op
from bytewax.dataflow import Stream

from connectors.contract import Sink
from schemas.delivery import Delivery


class Told:
    """What this process has told since it started, by topic and event type."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    def count(self, deliveries: Iterable[Delivery]) -> None:
        """Count a batch of deliveries."""
        for delivery in deliveries:
            self._counts[delivery.topic, delivery.event.type] += 1

    def of(self, topic: str, event_type: str | None = None) -> int:
        """How many deliveries went to a topic, all or those of one event type."""
        if event_type is not None:
            return self._counts[topic, event_type]
        return sum(n for (name, _), n in self._counts.items() if name == topic)


def write_results(
    deliveries: Stream[Delivery], sinks: Mapping[str, Sink], source: str, told: Told
) -> None:
    """Write every delivery to every sink; ``sinks`` by the name their step is to have.

    The name is part of the step id that keys the sink's recovery state: keep it while state lives.
    """

    def by_topic(batch: list[Delivery]) -> list[tuple[str, Delivery]]:
        told.count(batch)
        return [(delivery.topic, delivery) for delivery in batch]

    keyed = op.flat_map_batch("by_topic", deliveries, by_topic)
    for name, sink in sinks.items():
        op.output(name, keyed, sink.build(source))
