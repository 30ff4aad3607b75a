"""Topics of a Kafka cluster: made, filled, read and removed by tests."""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from uuid import uuid4

from confluent_kafka import Consumer, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions, NewTopic

SILENCE_S = 60
"""For so long a topic that is being read may say nothing."""


def brokers(url: str) -> str:
    """The brokers of a URL, as clients are told them."""
    return url.removeprefix("kafka://").partition("/")[0]


def admin(url: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": brokers(url)})


@contextmanager
def new_topics(
    url: str, *names: str, partitions: int = 1, cleanup: str = "delete"
) -> Iterator[str]:
    """Topics whose names begin with the prefix that is given back; all such are removed after."""
    prefix = f"test-{uuid4().hex[:8]}-"
    try:
        make(url, [prefix + name for name in names], partitions, cleanup)
        yield prefix
    finally:
        left = [name for name in admin(url).list_topics(timeout=10).topics if prefix in name]
        remove(url, left)


def make(url: str, names: Sequence[str], partitions: int = 1, cleanup: str = "delete") -> None:
    config = {"cleanup.policy": cleanup}
    if topics := [NewTopic(name, num_partitions=partitions, config=config) for name in names]:
        client = admin(url)
        _wait(client.create_topics(topics))
        for name in names:
            _until(client, name, partitions)


def remove(url: str, names: list[str]) -> None:
    if names:
        client = admin(url)
        _wait(client.delete_topics(names))


def add_partitions(url: str, topic: str, partitions: int) -> None:
    """Let a topic have so many partitions."""
    client = admin(url)
    _wait(client.create_partitions([NewPartitions(topic, partitions)]))
    _until(client, topic, partitions)


def send(url: str, topic: str, bodies: Iterable[bytes | None], partition: int = 0) -> None:
    """Append messages to a partition, in order."""
    producer = Producer(
        {"bootstrap.servers": brokers(url), "linger.ms": 5, "enable.idempotence": True}
    )
    for body in bodies:
        while True:
            try:
                producer.produce(topic, body, partition=partition)
                break
            except BufferError:
                producer.flush(1)
    assert producer.flush(60) == 0


def read(url: str, topic: str, isolation: str = "read_committed") -> list[Message]:
    """All messages of a topic, each partition in order."""
    consumer = Consumer(
        {
            "bootstrap.servers": brokers(url),
            "group.id": "tests",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 10,
            "isolation.level": isolation,
        }
    )
    topics = consumer.list_topics(timeout=10).topics
    open_ = set(topics[topic].partitions) if topic in topics else set()
    found: list[Message] = []
    if open_:
        consumer.assign([TopicPartition(topic, number, 0) for number in open_])
    heard_s = time.monotonic()
    while open_:
        assert time.monotonic() < heard_s + SILENCE_S, f"{topic}: no end of partitions {open_}"
        for message in consumer.consume(10_000, 0.1):
            heard_s = time.monotonic()
            if message.error() is None:
                found.append(message)
            else:
                assert message.error().name() == "_PARTITION_EOF", message.error()
                open_.discard(message.partition())
    consumer.close()
    return sorted(found, key=lambda message: message.partition())


def committed(url: str, group: str, topic: str, partitions: int) -> list[int]:
    """The offsets that a group has committed; -1001 where none."""
    consumer = Consumer({"bootstrap.servers": brokers(url), "group.id": group})
    places = [TopicPartition(topic, number) for number in range(partitions)]
    offsets = [place.offset for place in consumer.committed(places, timeout=10)]
    consumer.close()
    return offsets


def _wait(futures) -> None:
    # The client must outlive its futures: it gives them up when it is collected.
    for future in futures.values():
        future.result(timeout=30)


def _until(client: AdminClient, topic: str, partitions: int) -> None:
    """Wait until a broker shows what the controller has made."""
    deadline = time.monotonic() + 10
    while True:
        topics = client.list_topics(timeout=5).topics
        if topic in topics and len(topics[topic].partitions) == partitions:
            return
        assert time.monotonic() < deadline
        time.sleep(0.02)  # noqa: TID251 (a test that waits for the broker)
