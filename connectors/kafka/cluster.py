"""The topics of a cluster: which there are, and making those that are missing."""

from collections.abc import Iterable
from time import monotonic
from typing import Final

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from connectors.backoff import until_available
from connectors.contract import SettingsError
from connectors.kafka.address import Address
from connectors.kafka.errors import TOPIC_EXISTS, Trouble, remedy, said, translated, translating

# How soon a login that was refused is noticed.
_PATIENCE_S: Final = 0.5


def topics(address: Address, timeout_s: float) -> dict[str, int]:
    """How many partitions each topic has that this user may see.

    Raises:
        SettingsError: no broker answers in time, or it refuses us.
    """
    trouble = Trouble(address.shown)
    client = _client(address, trouble)
    deadline_s = monotonic() + timeout_s
    while True:
        try:
            found = client.list_topics(timeout=min(timeout_s, _PATIENCE_S))
        except KafkaException as exc:
            client.poll(0)  # What the client knows of the reason comes in only now.
            if trouble.refused or monotonic() >= deadline_s:
                error = trouble.latest or exc.args[0]
                what = f"no broker can be used ({said(error)})"
                raise address.wrong(what, remedy(error)) from exc
        else:
            return {name: len(topic.partitions) for name, topic in found.topics.items()}


def create(address: Address, names: Iterable[str], partitions: int, timeout_s: float) -> None:
    """Make topics, each of so many partitions, with the brokers' own settings.

    Raises:
        ConnectorError: the brokers refuse or do not answer in time. Topics that are there already
            stay as they are.
    """
    made = [NewTopic(name, num_partitions=partitions) for name in names]
    if not made:
        return
    client = _client(address, Trouble(address.shown))
    for future in client.create_topics(made, request_timeout=timeout_s).values():
        try:
            future.result()
        except KafkaException as exc:
            if exc.args[0].name() != TOPIC_EXISTS:
                raise translated(exc.args[0], address.shown) from exc


def group_offsets(
    address: Address, group: str, partitions: int, timeout_s: float
) -> dict[int, int]:
    """The offset of each partition that the group has committed; none without a group.

    A broker that was just started answers only when it has read what groups have committed: that is
    waited for, ``timeout_s`` at most.

    Raises:
        ConnectorError: the brokers refuse or do not answer in time.
    """
    if not group:
        return {}
    wanted = [TopicPartition(address.name, partition) for partition in range(partitions)]
    client = _client(address, Trouble(address.shown))

    def ask() -> list[TopicPartition]:
        asked = client.list_consumer_group_offsets(
            [ConsumerGroupTopicPartitions(group, wanted)], request_timeout=timeout_s
        )
        with translating(address.shown):
            found: list[TopicPartition] = asked[group].result().topic_partitions
        return found

    found = until_available(address.shown, ask, timeout_s)
    return {place.partition: place.offset for place in found if place.offset >= 0}


def _client(address: Address, trouble: Trouble) -> AdminClient:
    try:
        return AdminClient(address.client(trouble))
    except KafkaException as exc:
        raise settings_refused(address, exc) from exc


def settings_refused(address: Address, exc: KafkaException) -> SettingsError:
    """The error for settings that the client does not take: a certificate it cannot read."""
    return address.wrong(said(exc.args[0]), "check the options of the URL")
