"""What every connector must do, whatever the technology: one suite over all of them."""

import json
import os
import pickle
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from itertools import chain, count, islice
from pathlib import Path
from time import monotonic

import bytewax.operators as op
import pytest
from bytewax.dataflow import Dataflow
from bytewax.inputs import StatefulSourcePartition
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import TestingSink, TestingSource, run_main

from connectors import postgres
from connectors.contract import ConnectorSettings, SettingsError, Sink
from connectors.memory import channel
from connectors.registry import SCHEMES, masked, open_sink, open_source
from connectors.sqlite import read_events
from schemas.delivery import Delivery
from schemas.event import TELEMETRY_LATE, ZONE_ENTERED, Event
from schemas.message import Message, Reject
from schemas.topics import COMPLIANCE_VIOLATIONS, GEOFENCING_EVENTS, LATE_TELEMETRY
from tests.databases import empty_database
from tests.kafka_topics import make, new_topics, read, send
from tests.rabbitmq_broker import Broker, empty_topics, new_broker
from tests.tcp_proxy import line_to
from tests.views import VIEWS

TOPICS = (GEOFENCING_EVENTS, COMPLIANCE_VIOLATIONS, LATE_TELEMETRY)
SOURCE = "/farwatch/test"
Told = list[tuple[str, str]]
_names = count()


def delivery(number: int, topic: str | None = None, version: int = 1) -> Delivery:
    topic = topic or TOPICS[number % len(TOPICS)]
    event = Event(
        type=TELEMETRY_LATE if topic == LATE_TELEMETRY else ZONE_ENTERED,
        event_id=f"e{number:06}",
        vehicle_id=f"auv-{number % 5}",
        time_us=1_700_000_000_000_000 + number,
        data={"zone_id": "apei-3", "note": "mañana\n"},
        version=version,
    )
    return Delivery(topic, event)


def told_of(deliveries: Iterable[Delivery]) -> Told:
    return [(one.topic, one.event.message_id) for one in deliveries]


def by_topic(told: Told) -> dict[str, list[str]]:
    return {topic: [name for of, name in told if of == topic] for topic, _ in told}


# --- sinks -----------------------------------------------------------------------------------


class SinkUnderTest(ABC):
    """A sink and the way to see what it was told, in order within a topic."""

    keeps = True
    """What was written is still known in the next run."""
    bad_urls: tuple[str, ...] = ()

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    @abstractmethod
    def url(self) -> str: ...

    @abstractmethod
    def told(self) -> Told: ...


class DirectoryUnderTest(SinkUnderTest):
    bad_urls = ("dir:", "dir:{folder}/afile", "dir:{folder}/afile/below")

    @property
    def url(self) -> str:
        return f"dir:{self.folder}/results/today"

    def told(self) -> Told:
        files = sorted((self.folder / "results/today").glob("*.ndjson"))
        return [
            (file.stem, json.loads(line)["id"])
            for file in files
            for line in file.read_text().splitlines()
        ]


class SqliteUnderTest(SinkUnderTest):
    bad_urls = ("sqlite:", "sqlite:{folder}", "sqlite:{folder}/afile", "sqlite:{folder}/afile/x")
    tables = ("zone_events", "violations", "late_telemetry")

    @property
    def url(self) -> str:
        return f"sqlite:{self.folder}/results/today.db"

    def told(self) -> Told:
        path = self.folder / "results/today.db"
        return [
            (topic, f"{event['event_id']}.{event['version']}")
            for topic, table in zip(TOPICS, self.tables, strict=True)
            for event in read_events(path, table)
        ]


class PostgresUnderTest(SinkUnderTest):
    bad_urls = (
        "postgresql:",
        "postgresql://host",
        "postgresql://user:p@ss@host/database",
        "postgresql://host:0/database",
        "postgresql://host/database?colour=blue",
        "postgresql://nobody.invalid/database",
    )
    tables = ("zone_events", "violations", "late_telemetry")
    database: str

    @property
    def url(self) -> str:
        return self.database

    def told(self) -> Told:
        return [
            (topic, f"{event['event_id']}.{event['version']}")
            for topic, table in zip(TOPICS, self.tables, strict=True)
            for event in postgres.read_events(self.database, table)
        ]


class PostgresByItsOtherName(PostgresUnderTest):
    @property
    def url(self) -> str:
        return self.database.replace("postgresql:", "postgres:", 1)


class KafkaTopicsUnderTest(SinkUnderTest):
    keeps = False
    bad_urls = (
        "kafka:",
        "kafka://host:port/",
        "kafka://host/a/b",
        "kafka://host/?colour=blue",
    )
    brokers: str
    prefix: str

    @property
    def url(self) -> str:
        return f"{self.brokers}/{self.prefix}?create=1"

    def told(self) -> Told:
        return [
            (topic, dict(message.headers())["message_id"].decode())
            for topic in TOPICS
            for message in read(self.brokers, self.prefix + topic)
        ]


class RabbitUnderTest(SinkUnderTest):
    keeps = False
    bad_urls = (
        "amqp:",
        "amqp://ann@host",
        "amqp://host:port/",
        "amqp://host/?keep=perhaps",
        "amqps://host/?ca=/none.pem",
    )
    broker: Broker

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._told: Told = []

    @property
    def url(self) -> str:
        return self.broker.url

    def told(self) -> Told:
        self._told += [
            (topic, properties.message_id)
            for topic in TOPICS
            for properties, _, _ in self.broker.take(topic)
        ]
        return self._told


class StdoutUnderTest(SinkUnderTest):
    keeps = False
    bad_urls = ("stdout:file.ndjson",)
    read: Callable[[], str]

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._text = ""

    @property
    def url(self) -> str:
        return "stdout:"

    def told(self) -> Told:
        self._text += self.read()
        lines = map(json.loads, self._text.splitlines())
        return [(line["topic"], line["id"]) for line in lines]


class MemoryUnderTest(SinkUnderTest):
    bad_urls = ("memory:",)

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._name = f"sink-{next(_names)}"

    @property
    def url(self) -> str:
        return f"memory:{self._name}"

    def told(self) -> Told:
        return told_of(one for one in channel(self._name).deliveries if one.topic[0] != "_")


SINKS: dict[str, type[SinkUnderTest]] = {
    "dir": DirectoryUnderTest,
    "sqlite": SqliteUnderTest,
    "postgresql": PostgresUnderTest,
    "postgres": PostgresByItsOtherName,
    "kafka": KafkaTopicsUnderTest,
    "amqp": RabbitUnderTest,
    "stdout": StdoutUnderTest,
    "memory": MemoryUnderTest,
}


@pytest.fixture(params=SINKS)
def target(
    request: pytest.FixtureRequest, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> SinkUnderTest:
    folder = tmp_path / "target"
    folder.mkdir()
    (folder / "afile").write_text("not yours\n" * 100)
    under_test = SINKS[request.param](folder)
    if isinstance(under_test, StdoutUnderTest):
        under_test.read = lambda: capfd.readouterr().out
    if isinstance(under_test, PostgresUnderTest):
        under_test.database = request.getfixturevalue("database")
    if isinstance(under_test, KafkaTopicsUnderTest):
        under_test.brokers = request.getfixturevalue("kafka_url")
        under_test.prefix = request.getfixturevalue("kafka_prefix")
    if isinstance(under_test, RabbitUnderTest):
        under_test.broker = request.getfixturevalue("broker")
        empty_topics(under_test.broker)
    return under_test


@pytest.fixture
def kafka_prefix(kafka_url: str) -> Iterator[str]:
    with new_topics(kafka_url) as prefix:
        yield prefix


@pytest.fixture
def broker(rabbitmq_url: str) -> Iterator[Broker]:
    with new_broker(rabbitmq_url) as broker:
        yield broker


@pytest.fixture
def database(postgresql_url: str) -> Iterator[str]:
    with empty_database(postgresql_url) as url:
        yield url


@pytest.fixture
def recovery(tmp_path: Path) -> RecoveryConfig:
    folder = tmp_path / "recovery"
    folder.mkdir()
    init_db_dir(folder, 1)
    return RecoveryConfig(str(folder), timedelta(0))


def sink_of(target: SinkUnderTest) -> Sink:
    return open_sink(target.url, ConnectorSettings())


def write(
    target: SinkUnderTest,
    items: Iterable[Delivery | TestingSource.ABORT],
    batch_size: int = 1,
    recovery: RecoveryConfig | None = None,
) -> None:
    sink = sink_of(target)
    sink.check()
    keyed = [
        item if isinstance(item, TestingSource.ABORT) else (item.topic, item) for item in items
    ]
    flow = Dataflow("test")
    deliveries = op.input("deliveries", flow, TestingSource(keyed, batch_size))
    op.output("results", deliveries, sink.build(SOURCE))
    run_main(flow, epoch_interval=timedelta(0), recovery_config=recovery)


def test_every_connector_is_in_this_suite() -> None:
    kinds = (*SINKS, *SOURCES, *VIEWS)
    served = {SCHEMES[kind.removesuffix("-stream")] for kind in kinds}
    # Notifications cannot be taken back, so they go out at least once: `test_notify.py`.
    assert served == set(SCHEMES.values()) - {"connectors.notify"}


def test_a_sink_that_is_told_nothing_tells_nothing(target: SinkUnderTest) -> None:
    write(target, [])
    assert target.told() == []


@pytest.mark.parametrize(("many", "batch_size"), [(1, 1), (10, 10), (300, 1), (1000, 64)])
def test_a_sink_keeps_the_order_of_each_topic(
    target: SinkUnderTest, many: int, batch_size: int
) -> None:
    deliveries = [delivery(number) for number in range(many)]
    write(target, deliveries, batch_size)
    assert by_topic(target.told()) == by_topic(told_of(deliveries))


@pytest.mark.parametrize("abort_at", [1, 7, 20, 39])
def test_a_sink_loses_and_doubles_nothing_across_an_abort(
    target: SinkUnderTest, recovery: RecoveryConfig, abort_at: int
) -> None:
    deliveries: list[Delivery | TestingSource.ABORT] = [delivery(n) for n in range(40)]
    expected = by_topic(told_of(map(delivery, range(40))))
    deliveries.insert(abort_at, TestingSource.ABORT())
    write(target, deliveries, recovery=recovery)
    write(target, deliveries, recovery=recovery)
    told = by_topic(target.told())
    if not target.keeps:  # What was said before the abort cannot be unsaid.
        told = {topic: list(dict.fromkeys(names)) for topic, names in told.items()}
    assert told == expected


@pytest.mark.parametrize("batch_size", [1, 4])
def test_an_event_given_twice_in_one_run_is_told_once(
    target: SinkUnderTest, batch_size: int
) -> None:
    write(target, [delivery(1), delivery(1), delivery(4), delivery(1)], batch_size)
    assert by_topic(target.told()) == by_topic(told_of([delivery(1), delivery(4)]))


def test_an_event_given_again_in_another_run_is_told_once(target: SinkUnderTest) -> None:
    write(target, map(delivery, range(10)))
    write(target, map(delivery, range(20)))
    told = target.told()
    if not target.keeps:
        told = list(dict.fromkeys(told))
    assert by_topic(told) == by_topic(told_of(map(delivery, range(20))))


@pytest.mark.parametrize("target", ["postgresql", "amqp", "kafka"], indirect=True)
def test_a_sink_that_loses_its_connection_goes_on_over_another(target: SinkUnderTest) -> None:
    deliveries = [delivery(number) for number in range(60)]
    with line_to(target.url) as (proxy, through):
        sink = open_sink(through, ConnectorSettings(patience_s=30))
        sink.check()
        built = sink.build(SOURCE)
        name, *_ = built.list_parts()  # Any takes everything.
        part = built.build_part("results", name, None)
        for number, one in enumerate(deliveries):
            part.write_batch([one])
            if number in (7, 19, 33):
                proxy.cut()
            if number % 20 == 19:
                part.snapshot()
        part.close()
    told = by_topic(target.told())
    if not target.keeps:  # What was not confirmed is told again.
        told = {topic: list(dict.fromkeys(names)) for topic, names in told.items()}
    assert told == by_topic(told_of(deliveries))


def test_a_correction_is_told_besides_what_it_corrects(target: SinkUnderTest) -> None:
    corrections = [delivery(3), delivery(3, version=2)]
    write(target, corrections)
    assert target.told() == told_of(corrections)


def test_internal_topics_are_not_shown(target: SinkUnderTest) -> None:
    write(target, [delivery(1), delivery(2, "_tracks"), delivery(3)], 3)
    assert by_topic(target.told()) == by_topic(told_of([delivery(1), delivery(3)]))


def test_a_check_leaves_nothing_behind(target: SinkUnderTest) -> None:
    before = tree(target.folder)
    sink_of(target).check()
    assert tree(target.folder) == before
    write(target, [delivery(1)])
    before = tree(target.folder)
    sink_of(target).check()
    assert tree(target.folder) == before


def test_a_sink_refuses_a_target_it_cannot_write_in_one_line(target: SinkUnderTest) -> None:
    before = tree(target.folder)
    for url in target.bad_urls:
        with pytest.raises(SettingsError) as refused:
            open_sink(url.format(folder=target.folder), ConnectorSettings()).check()
        assert "`" in str(refused.value)
        assert "\n" not in str(refused.value)
    assert tree(target.folder) == before


def test_a_failed_run_leaves_no_file_open(target: SinkUnderTest) -> None:
    flow = Dataflow("test")
    items = [(one.topic, one) for one in map(delivery, range(9))]
    deliveries = op.input("deliveries", flow, TestingSource(items))
    checked = op.map("fail", deliveries, lambda item: item if item[1] != items[8][1] else 1 / 0)
    op.output("results", checked, sink_of(target).build(SOURCE))
    with pytest.raises(Exception, match="fail"):
        run_main(flow, epoch_interval=timedelta(0))
    opened = [os.path.realpath(handle) for handle in Path("/proc/self/fd").iterdir()]
    assert not [path for path in opened if path.startswith(str(target.folder))]
    write(target, map(delivery, range(9)))
    assert set(target.told()) == set(told_of(map(delivery, range(9))))


def tree(folder: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


# --- sources ---------------------------------------------------------------------------------


class SourceUnderTest(ABC):
    """A source and the way to fill it: one message is one batch of one record."""

    bad_urls: tuple[str, ...] = ()
    boundaries: Iterable[int] = range(13)
    """After how many records it is resumed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    def fill(self, bodies: list[bytes]) -> str: ...

    def fill_again(self, bodies: list[bytes]) -> None:
        """Have them all there once more, where reading to the end takes them away."""
        del bodies

    def add(self, bodies: list[bytes]) -> None:
        """Let more come while it is read."""
        raise NotImplementedError


class FilesUnderTest(SourceUnderTest):
    bad_urls = ("file:", "file:{folder}", "file:{folder}/none.ndjson", "file:{folder}/*.none")

    def fill(self, bodies: list[bytes]) -> str:
        path = self.folder / "telemetry.ndjson"
        path.write_bytes(b"".join(body + b"\n" for body in bodies))
        return f"file:{path}"


class ChannelUnderTest(SourceUnderTest):
    bad_urls = ("memory:",)

    def fill(self, bodies: list[bytes]) -> str:
        name = f"source-{next(_names)}"
        channel(name).telemetry += [Message(body, f"memory:{name}") for body in bodies]
        return f"memory:{name}"


class KafkaTopicUnderTest(SourceUnderTest):
    bad_urls = (
        "kafka:",
        "kafka://host",
        "kafka://host/a?start=now",
        "kafka://host/a?colour=blue",
    )
    brokers: str
    topic: str

    def fill(self, bodies: list[bytes]) -> str:
        self.add(bodies)
        return f"{self.brokers}/{self.topic}?until=end"

    def add(self, bodies: list[bytes]) -> None:
        send(self.brokers, self.topic, bodies)


class QueueUnderTest(SourceUnderTest):
    bad_urls = (
        "amqp://host",
        "amqp://host/?exchange=a&queues=0",
        "amqp://host/?exchange=a&colour=blue",
        "amqp://host:port/?exchange=a",
    )
    broker: Broker

    def fill(self, bodies: list[bytes]) -> str:
        url = self.broker.source(until="end")
        open_source(url, settings()).check()
        self.broker.publish(bodies)
        return url

    def fill_again(self, bodies: list[bytes]) -> None:
        self.broker.publish(bodies)

    def add(self, bodies: list[bytes]) -> None:
        self.broker.publish(bodies)


class StreamUnderTest(QueueUnderTest):
    """Messages stay, so that there is nothing to fill again; each end takes a second of quiet."""

    boundaries = (0, 1, 5, 12)
    bad_urls = (
        "amqp://host/?exchange=a&type=stream&queues=0",
        "amqp://host/?exchange=a&type=brook",
        "amqp://host/?exchange=a&type=stream&colour=blue",
    )

    def fill(self, bodies: list[bytes]) -> str:
        url = self.broker.source(type="stream", until="end")
        open_source(url, settings()).check()
        self.broker.publish(bodies)
        return url

    def fill_again(self, bodies: list[bytes]) -> None:
        del bodies


SOURCES: dict[str, type[SourceUnderTest]] = {
    "file": FilesUnderTest,
    "memory": ChannelUnderTest,
    "kafka": KafkaTopicUnderTest,
    "amqp": QueueUnderTest,
    "amqp-stream": StreamUnderTest,
}
RECORDS = [b'{"vehicle_id":"auv-%d","timestamp":%d}' % (n % 3, n) for n in range(12)]


@pytest.fixture(params=SOURCES)
def origin(request: pytest.FixtureRequest, tmp_path: Path) -> SourceUnderTest:
    under_test = SOURCES[request.param](tmp_path)
    if isinstance(under_test, KafkaTopicUnderTest):
        under_test.brokers = request.getfixturevalue("kafka_url")
        under_test.topic = request.getfixturevalue("kafka_prefix")
        make(under_test.brokers, [under_test.topic])
    if isinstance(under_test, QueueUnderTest):
        under_test.broker = request.getfixturevalue("broker")
    return under_test


TRIES = 30
"""How often a queue is asked anew whether it is at its end, of a broker that has much to do."""


def settings(epoch_rows: int = 1000) -> ConnectorSettings:
    return ConnectorSettings(batch_rows=1, epoch_rows=epoch_rows)


def bodies(batches: Iterable[Iterable[Message | Reject]]) -> list[bytes]:
    return [item.body.strip() for batch in batches for item in batch if isinstance(item, Message)]


class Reading:
    """A partition read by hand, as Bytewax would; batches without anything are left out."""

    def __init__(self, url: str, resume_state: object = None, epoch_rows: int = 1000) -> None:
        self.source = open_source(url, settings(epoch_rows))
        self.source.check()
        self.progress: list[tuple[str, int, int]] = []
        built = self.source.build(lambda *told: self.progress.append(told))
        # What is filled by one is all in the first partition.
        part, *_ = built.list_parts()
        self.part = built.build_part("telemetry", part, resume_state)

    def __iter__(self) -> Iterator[list[Message | Reject]]:
        while True:
            try:
                if batch := list(self.part.next_batch()):
                    yield batch
                else:
                    self.part.snapshot()  # An epoch ends, and is committed, in a quiet moment.
            except StopIteration:
                self.part.close()
                return


def arrived(part: StatefulSourcePartition[Message | Reject, object], many: int) -> list[bytes]:
    """The next so many records of a partition that has no end."""
    deadline_s = monotonic() + 30
    found: list[bytes] = []
    while len(found) < many:
        assert monotonic() < deadline_s, found
        found += bodies([part.next_batch()])
        part.snapshot()
    return found


def test_a_source_hands_out_everything_in_order(origin: SourceUnderTest) -> None:
    url = origin.fill(RECORDS)
    seen: list[Message | Reject] = []
    flow = Dataflow("test")
    telemetry = op.input("telemetry", flow, open_source(url, settings()).build())
    op.output("seen", telemetry, TestingSink(seen))
    run_main(flow, epoch_interval=timedelta(seconds=0.1))
    assert bodies([seen]) == RECORDS


def test_a_source_resumes_at_every_batch_boundary(origin: SourceUnderTest) -> None:
    url = origin.fill(RECORDS)
    for handed_out in origin.boundaries:
        # A queue's end is a moment's judgement: what another reader gave back may come after it.
        for _ in range(TRIES):
            first = Reading(url)
            before = bodies(batch for _, batch in zip(range(handed_out), first, strict=False))
            if before == RECORDS[:handed_out]:
                break
            first.part.close()
        state = pickle.loads(pickle.dumps(first.part.snapshot()))
        first.part.close()
        assert before == RECORDS[:handed_out]
        for _ in range(TRIES):
            rest = bodies(Reading(url, state))
            if rest or handed_out == len(RECORDS):
                break
        assert rest == RECORDS[handed_out:]
        origin.fill_again(RECORDS)


OVER_A_LINE = pytest.mark.parametrize("origin", ["amqp", "amqp-stream", "kafka"], indirect=True)


@OVER_A_LINE
def test_a_source_that_loses_its_connection_goes_on_over_another(origin: SourceUnderTest) -> None:
    url = origin.fill(RECORDS)
    with line_to(url) as (proxy, through):
        reading = Reading(through)
        found: list[bytes] = []
        for cut_after in (1, 4, 3):
            found += bodies(islice(reading, cut_after))
            proxy.cut()
        found += bodies(reading)
    assert found == RECORDS


@OVER_A_LINE
def test_what_comes_after_a_lost_connection_is_read_over_another(origin: SourceUnderTest) -> None:
    url = origin.fill(RECORDS[:4])
    live = url.replace("&until=end", "").replace("?until=end", "")
    assert live != url
    with line_to(live) as (proxy, through):
        part = Reading(through).part
        found = arrived(part, 4)
        for begin in (4, 8):
            proxy.cut()
            origin.add(RECORDS[begin : begin + 4])
            found += arrived(part, 4)
        part.close()
    assert found == RECORDS


def test_a_source_hands_out_no_more_than_its_cap_in_an_epoch(origin: SourceUnderTest) -> None:
    reading = Reading(origin.fill(RECORDS), epoch_rows=5)
    epochs = []
    for _ in range(2):
        epochs.append(bodies(islice(reading, 5)))
        assert list(reading.part.next_batch()) == []
        reading.part.snapshot()
    epochs.append(bodies(islice(reading, 8)))
    assert [len(epoch) for epoch in epochs] == [5, 5, 2]
    assert [*chain(*epochs)] == RECORDS


def test_a_source_waits_within_an_epoch_without_asking_to_sleep(origin: SourceUnderTest) -> None:
    reading = Reading(origin.fill(RECORDS), epoch_rows=1)
    next(iter(reading))
    assert list(reading.part.next_batch()) == []
    assert reading.part.next_awake() is None


def test_a_source_reports_progress_to_its_end(origin: SourceUnderTest) -> None:
    reading = Reading(origin.fill(RECORDS))
    list(reading)
    done = [told[1] for told in reading.progress]
    assert done == sorted(done)
    assert done[-1] == reading.progress[-1][2]
    assert reading.source.total_bytes in (done[-1], None)


def test_a_source_refuses_what_it_cannot_read_in_one_line(origin: SourceUnderTest) -> None:
    for url in origin.bad_urls:
        with pytest.raises(SettingsError) as refused:
            open_source(url.format(folder=origin.folder), settings()).check()
        assert "\n" not in str(refused.value)


# --- URLs ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("results", "`results`: has no scheme; for a file write `file:results`"),
        ("ftp://u:secret@host/x", "`ftp://u:***@host/x`: unknown scheme `ftp`; known are "),
    ],
)
def test_a_url_nobody_serves_is_refused_with_the_remedy(url: str, says: str) -> None:
    for opened in (open_sink, open_source):
        with pytest.raises(SettingsError) as refused:
            opened(url, ConnectorSettings())
        assert str(refused.value).startswith(says)


def test_a_url_of_the_wrong_direction_is_refused_with_the_remedy() -> None:
    with pytest.raises(SettingsError, match="holds telemetry, takes no results; use one of amqp"):
        open_sink("file:x", ConnectorSettings())
    with pytest.raises(SettingsError, match="takes results, holds no telemetry; use one of amqp"):
        open_source("dir:x", ConnectorSettings())


def test_a_password_is_never_shown() -> None:
    assert masked("amqps://u:p:a%40/@host/v") == "amqps://u:***@host/v"
    assert masked("redis://:secret@host") == "redis://:***@host"
    assert masked("kafka://host:9092/topic") == "kafka://host:9092/topic"
    assert masked("influxdb://h/o/b?token=s&tls=true") == "influxdb://h/o/b?token=***&tls=true"


@pytest.mark.parametrize("name", ["batch_rows", "epoch_rows", "timeout_s", "patience_s"])
def test_settings_of_nothing_are_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=f"`{name}` 0"):
        ConnectorSettings(**{name: 0})
