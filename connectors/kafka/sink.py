"""Results to Kafka topics."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from connectors.contract import ConnectorSettings
from connectors.kafka.address import Address
from connectors.kafka.cluster import create, topics
from connectors.kafka.publisher import Publisher
from connectors.kafka.recent import RecentIds
from connectors.kafka.transactions import Transactions
from connectors.refused import RefusedItems
from schemas.delivery import Delivery
from schemas.event import cloud_event
from schemas.message import Reject
from schemas.topics import BETWEEN_TOPICS, RESULT_TOPICS

LANES: Final = 8
"""Bytewax partitions of a sink; a topic is written by one of them."""

MAX_MESSAGE_BYTES: Final = 1_000_000

_ID: Final = re.compile("[A-Za-z0-9._-]{1,100}")


class KafkaSink:
    """A Kafka topic for each topic of farwatch, of that name behind the PREFIX of the URL, if any.

    Each event is a CloudEvent in structured mode; its key is the vehicle, whose events so keep
    their order; the header ``message_id`` is event id and version. Unit of parallelism: the topic,
    written by one worker. Acknowledges at the end of the epoch, when all in-sync replicas have
    every event of it. While no broker answers the flow waits, for ``patience_s`` at most. An event
    that was written cannot be unsaid: after a crash those of the last epoch come again, with the
    same ``message_id``; within one run each comes once a topic.

    ``transactions=ID`` writes each epoch of a lane in one transaction, committed at the end of the
    epoch: who reads with ``isolation.level=read_committed`` sees all of a topic's epoch or nothing,
    and nothing of one that did not end. That is no exactly once: the recovery store commits after
    Kafka, so an epoch that was committed just before a crash comes again. The ID is one flow's own.

    ``create=N`` makes missing topics with N partitions; without it they must be there. An event of
    more than ``max_message_bytes`` becomes a dead letter.
    """

    def __init__(self, url: str, settings: ConnectorSettings) -> None:
        address = Address.of(url, ("create", "max_message_bytes", "transactions"))
        self._target = _Target(
            address,
            settings,
            partitions=address.count("create", 0),
            max_bytes=address.count("max_message_bytes", MAX_MESSAGE_BYTES),
            transactions=_transactions(address),
        )

    def check(self) -> None:
        """Refuse brokers that do not answer or let us in, and missing topics."""
        target = self._target
        found = topics(target.address, target.settings.timeout_s)
        missing = [name for name in target.names(RESULT_TOPICS) if name not in found]
        if missing and not target.partitions:
            raise target.address.wrong(
                f"there is no topic {', '.join(f'`{name}`' for name in missing)}",
                "create what is missing, or add `create=PARTITIONS` to the URL",
            )

    def build(self, source: str) -> FixedPartitionedSink[Delivery, list[Reject]]:
        """The Bytewax sink; its state is what brokers refused and nobody has told yet."""
        return _Lanes(self._target, source)


@dataclass(frozen=True)
class _Target:
    """``partitions``: of topics to make, 0 = make none. ``transactions``: their id, "" = none."""

    address: Address
    settings: ConnectorSettings
    partitions: int
    max_bytes: int
    transactions: str

    def names(self, of: Iterable[str]) -> list[str]:
        return [self.address.name + topic for topic in of]


def _transactions(address: Address) -> str:
    given = address.options.get("transactions")
    if given is None:
        return ""
    if not _ID.fullmatch(given):
        raise address.wrong(
            f"`transactions` is `{given}`", "write 1 to 100 letters, digits, `.`, `_` and `-`"
        )
    return given


class _Lanes(FixedPartitionedSink[Delivery, list[Reject]]):
    def __init__(self, target: _Target, source: str) -> None:
        self._target = target
        self.source = source
        self.recent = RecentIds()

    def list_parts(self) -> list[str]:
        # Called once, at the start: the topics are there even if nothing happens.
        target = self._target
        if target.partitions:
            names = target.names((*RESULT_TOPICS, *BETWEEN_TOPICS))
            missing = set(names) - set(topics(target.address, target.settings.timeout_s))
            create(target.address, missing, target.partitions, target.settings.timeout_s)
        return [f"lane-{number}" for number in range(LANES)]

    def build_part(self, step_id: str, for_part: str, resume_state: list[Reject] | None) -> "_Lane":
        self.refused.put(resume_state or [])
        if not self._target.transactions:
            return _Lane(self, self.publisher)
        id_ = f"{self._target.transactions}.{step_id}.{for_part}"
        target = self._target
        transactions = Transactions(target.address, target.max_bytes, target.settings, id_)
        transactions.begin()
        return _Lane(self, transactions)

    @property
    def refused(self) -> RefusedItems:
        return self._target.settings.refused

    @cached_property
    def publisher(self) -> Publisher:
        # Made where a worker first needs it, not while the flow is put together.
        return Publisher(self._target.address, self._target.max_bytes, self._target.settings)

    def topic(self, topic: str) -> str:
        return self._target.address.name + topic


class _Lane(StatefulSinkPartition[Delivery, list[Reject]]):
    def __init__(self, lanes: _Lanes, publisher: Publisher | Transactions) -> None:
        self._lanes = lanes
        self._publisher = publisher

    def write_batch(self, values: list[Delivery]) -> None:
        for value in values:
            message_id = value.event.message_id
            if value.topic.startswith("_") or not self._lanes.recent.add(value.topic, message_id):
                continue
            body = cloud_event(value.event, self._lanes.source, value.extensions)
            topic = self._lanes.topic(value.topic)
            vehicle_id = value.event.vehicle_id
            self._publisher.send(topic, vehicle_id, body, message_id, trace=value.trace)

    def snapshot(self) -> list[Reject]:
        self._lanes.refused.put(self._publisher.finish())
        return self._lanes.refused.waiting()
