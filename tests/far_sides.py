"""What a watch leaves at its far sides, read back to compare one run with another."""

import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import psycopg
import redis

from connectors.contract import ConnectorSettings
from connectors.registry import open_publisher
from schemas.topics import ANALYTICS_DATA, DEAD_LETTERS, RESULT_TOPICS
from tests.databases import empty_database
from tests.influxdb_buckets import Bucket, new_bucket
from tests.kafka_topics import committed, new_topics, read
from tests.rabbitmq_broker import Broker, empty_topics, new_broker
from tests.views import RedisUnderTest

Events = dict[tuple[str, str], dict[str, Any]]
"""(topic, CloudEvents id) -> event."""

EVENT_TABLES = ("zone_events", "violations", "alerts", "late_telemetry")
DATABASES = ("postgresql", "redis", "influxdb")


@dataclass(frozen=True)
class Shown:
    """What is there, without what differs between a file and a broker: where records came from."""

    rows: dict[str, list[tuple[Any, ...]]]
    states: dict[str, Any]
    points: list[dict[str, list[dict[str, Any]]]]


@dataclass(frozen=True)
class Stores:
    """A database, a Redis database and two buckets (all telemetry, thinned) of one run."""

    postgresql: str
    redis: RedisUnderTest
    buckets: Sequence[Bucket]

    @property
    def results(self) -> str:
        """The URLs of results."""
        every, thinned = (bucket.url for bucket in self.buckets)
        views = f"{self.redis.url} {every}?telemetry=all {thinned}?telemetry=45s"
        return f"{self.postgresql} {views}"

    def shown(self) -> Shown:
        """What they hold now."""
        with psycopg.connect(self.postgresql) as connection:
            rows = {
                table: connection.execute(
                    f"SELECT event_id, version, data::text FROM {table} ORDER BY 1, 2".encode()
                ).fetchall()
                for table in EVENT_TABLES
            }
            letters = connection.execute("SELECT reason, raw FROM dead_letters ORDER BY 1, 2")
            rows[DEAD_LETTERS] = letters.fetchall()
        return Shown(rows, self.redis.shown(), [_points(bucket) for bucket in self.buckets])


@contextmanager
def new_stores(urls: dict[str, str], number: int) -> Iterator[Stores]:
    """Empty stores on the servers of ``urls``; ``number`` is that of the Redis database."""
    state = RedisUnderTest(f"redis://{urlsplit(urls['redis']).netloc}/{number}")
    with ExitStack() as stack:
        database = stack.enter_context(empty_database(urls["postgresql"]))
        buckets = [stack.enter_context(new_bucket(urls["influxdb"])) for _ in range(2)]
        client = stack.enter_context(closing(redis.Redis.from_url(state.url)))
        client.flushdb()
        stack.callback(client.flushdb)
        yield Stores(database, state, buckets)


def _points(bucket: Bucket) -> dict[str, list[dict[str, Any]]]:
    """All points; of the counts, which come once a frame, the last of each group."""
    found = bucket.everything()
    last = {point["group"]: point for point in found["pipeline"]}
    return found | {"pipeline": [last[group] for group in sorted(last)]}


def without_origin(events: Events) -> tuple[Events, list[tuple[str, str]]]:
    """The events, and reason and bytes of the dead letters, whose ids name their place.

    Of each window what was told last: where frames end, and so which counts of it are told before,
    is as records arrive.
    """
    kept: Events = {}
    for (topic, message_id), event in sorted(events.items(), key=lambda one: _version(one[1])):
        if topic == ANALYTICS_DATA:
            kept[topic, event["data"]["event_id"]] = event
        elif topic != DEAD_LETTERS:
            kept[topic, message_id] = event
    letters = [event["data"] for (topic, _), event in events.items() if topic == DEAD_LETTERS]
    return kept, sorted((letter["reason"], letter["raw"]) for letter in letters)


def _version(event: dict[str, Any]) -> int:
    version: int = event["data"].get("version", 1)
    return version


class Topics(ABC):
    """The queues and topics of one test at one broker: telemetry goes in, results come out."""

    name: str

    def __init__(self, url: str, parallel: int) -> None:
        self.url = url
        self.parallel = parallel

    source: str
    """The URL of the telemetry, to its end."""
    target: str
    """The URL to publish telemetry to."""
    results: str

    @abstractmethod
    def copies(self, topic: str) -> Iterator[tuple[str, bytes]]:
        """Message id and body of all that came to a topic, again and again where it did."""

    @abstractmethod
    def unread(self) -> int:
        """How many telemetry messages no committed epoch has acknowledged; no flow runs."""

    def publish(self, lines: Sequence[str]) -> None:
        """Publish records and return when the broker has them all; waits while it is away."""
        publisher = open_publisher(self.target, ConnectorSettings(patience_s=120))
        with closing(publisher):
            for line in lines:
                publisher.publish(line.encode(), json.loads(line)["vehicle_id"])
            publisher.flush()


@dataclass
class Told:
    """What came to the topics: each event once, and how often each came."""

    events: Events = field(default_factory=dict)
    copies: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def again(self) -> int:
        """How many messages are a further copy of one before."""
        return self.copies.total() - len(self.copies)

    def summary(self) -> str:
        """The figures of a run."""
        most = max(self.copies.values(), default=0)
        return f"{len(self.copies)} events, {self.again} copies more, {most} of one at most"


def told_on(topics: Topics) -> Told:
    """Read all topics of results; asserts that no (event id, version) has two payloads."""
    told = Told()
    for topic in RESULT_TOPICS:
        bodies: dict[str, bytes] = {}
        for message_id, body in topics.copies(topic):
            told.copies[topic, message_id] += 1
            assert bodies.setdefault(message_id, body) == body, "one id, two payloads"
        for message_id, body in bodies.items():
            event = json.loads(body)
            assert event["id"] == message_id
            told.events[topic, message_id] = event
    return told


class RabbitmqTopics(Topics):
    name = "rabbitmq"

    def __init__(self, url: str, parallel: int, broker: Broker) -> None:
        super().__init__(url, parallel)
        self._broker = broker
        self.source = broker.source(queues=parallel, until="end")
        self.target = broker.source(queues=parallel)
        self.results = url

    def copies(self, topic: str) -> Iterator[tuple[str, bytes]]:
        for properties, _, body in self._broker.take(topic):
            yield properties.message_id, body

    def unread(self) -> int:
        queues = [f"{self._broker.exchange}.{number}" for number in range(self.parallel)]
        return sum(map(self._broker.count, queues))


class KafkaTopics(Topics):
    name = "kafka"

    def __init__(self, url: str, parallel: int, prefix: str) -> None:
        super().__init__(url, parallel)
        self._prefix = prefix
        self.target = f"{url}/{prefix}telemetry"
        self.source = f"{self.target}?until=end&group={prefix}watch"
        self.results = f"{url}/{prefix}?create={parallel}"

    def copies(self, topic: str) -> Iterator[tuple[str, bytes]]:
        for message in read(self.url, self._prefix + topic):
            body = message.value() or b""
            assert (message.key() or b"").decode() == json.loads(body).get("subject", "")
            yield dict(message.headers() or [])["message_id"].decode(), body

    def unread(self) -> int:
        topic = f"{self._prefix}telemetry"
        there = len(read(self.url, topic))
        offsets = committed(self.url, f"{self._prefix}watch", topic, self.parallel)
        return there - sum(max(offset, 0) for offset in offsets)


@contextmanager
def new_rabbitmq_topics(url: str, parallel: int) -> Iterator[RabbitmqTopics]:
    """As many queues of telemetry; the topics of results, which have names for all, are emptied."""
    with new_broker(url) as broker:
        empty_topics(broker)
        yield RabbitmqTopics(url, parallel, broker)
        empty_topics(broker)


@contextmanager
def new_kafka_topics(url: str, parallel: int) -> Iterator[KafkaTopics]:
    """Topics of as many partitions."""
    with new_topics(url, "telemetry", partitions=parallel) as prefix:
        yield KafkaTopics(url, parallel, prefix)


NEW_TOPICS = {"rabbitmq": new_rabbitmq_topics, "kafka": new_kafka_topics}
