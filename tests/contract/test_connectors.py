"""What every connector must do, whatever the technology: one suite over all of them."""

import json
import os
import pickle
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from itertools import chain, count, islice
from pathlib import Path

import bytewax.operators as op
import pytest
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import TestingSink, TestingSource, run_main

from connectors.contract import ConnectorSettings, SettingsError, Sink
from connectors.memory import channel
from connectors.registry import SCHEMES, masked, open_sink, open_source
from connectors.sqlite import read_events
from schemas.delivery import Delivery
from schemas.event import TELEMETRY_LATE, ZONE_ENTERED, Event
from schemas.message import Message, Reject
from schemas.topics import COMPLIANCE_VIOLATIONS, GEOFENCING_EVENTS, LATE_TELEMETRY

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
    return under_test


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


def test_every_scheme_is_in_this_suite() -> None:
    assert {*SINKS, *SOURCES} == set(SCHEMES)


def test_a_sink_that_is_told_nothing_tells_nothing(target: SinkUnderTest) -> None:
    write(target, [])
    assert target.told() == []


@pytest.mark.parametrize(("many", "batch_size"), [(1, 1), (10, 10), (1000, 1), (1000, 64)])
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

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    def fill(self, bodies: list[bytes]) -> str: ...


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


SOURCES: dict[str, type[SourceUnderTest]] = {"file": FilesUnderTest, "memory": ChannelUnderTest}
RECORDS = [b'{"vehicle_id":"auv-%d","timestamp":%d}' % (n % 3, n) for n in range(12)]


@pytest.fixture(params=SOURCES)
def origin(request: pytest.FixtureRequest, tmp_path: Path) -> SourceUnderTest:
    return SOURCES[request.param](tmp_path)


def settings(epoch_rows: int = 1000) -> ConnectorSettings:
    return ConnectorSettings(batch_rows=1, epoch_rows=epoch_rows)


def bodies(batches: Iterable[Iterable[Message | Reject]]) -> list[bytes]:
    return [item.body.strip() for batch in batches for item in batch if isinstance(item, Message)]


class Reading:
    """A partition read by hand, as Bytewax would."""

    def __init__(self, url: str, resume_state: object = None, epoch_rows: int = 1000) -> None:
        self.source = open_source(url, settings(epoch_rows))
        self.source.check()
        self.progress: list[tuple[str, int, int]] = []
        built = self.source.build(lambda *told: self.progress.append(told))
        [part] = built.list_parts()
        self.part = built.build_part("telemetry", part, resume_state)

    def __iter__(self) -> Iterator[list[Message | Reject]]:
        while True:
            try:
                yield list(self.part.next_batch())
            except StopIteration:
                self.part.close()
                return


def test_a_source_hands_out_everything_in_order(origin: SourceUnderTest) -> None:
    url = origin.fill(RECORDS)
    seen: list[Message | Reject] = []
    flow = Dataflow("test")
    telemetry = op.input("telemetry", flow, open_source(url, settings()).build())
    op.output("seen", telemetry, TestingSink(seen))
    run_main(flow)
    assert bodies([seen]) == RECORDS


def test_a_source_resumes_at_every_batch_boundary(origin: SourceUnderTest) -> None:
    url = origin.fill(RECORDS)
    for handed_out in range(len(RECORDS) + 1):
        first = Reading(url)
        before = bodies(batch for _, batch in zip(range(handed_out), first, strict=False))
        state = pickle.loads(pickle.dumps(first.part.snapshot()))
        first.part.close()
        assert before == RECORDS[:handed_out]
        assert bodies(Reading(url, state)) == RECORDS[handed_out:]


def test_a_source_hands_out_no_more_than_its_cap_in_an_epoch(origin: SourceUnderTest) -> None:
    reading = Reading(origin.fill(RECORDS), epoch_rows=5)
    epochs = []
    for _ in range(2):
        epochs.append(bodies(reading.part.next_batch() for _ in range(8)))
        assert list(reading.part.next_batch()) == []
        reading.part.snapshot()
    epochs.append(bodies(islice(reading, 8)))
    assert [len(epoch) for epoch in epochs] == [5, 5, 2]
    assert [*chain(*epochs)] == RECORDS


def test_a_source_waits_within_an_epoch_without_asking_to_sleep(origin: SourceUnderTest) -> None:
    reading = Reading(origin.fill(RECORDS), epoch_rows=1)
    while list(reading.part.next_batch()):
        pass
    assert reading.part.next_awake() is None


def test_a_source_reports_progress_to_its_end(origin: SourceUnderTest) -> None:
    reading = Reading(origin.fill(RECORDS))
    list(reading)
    done = [told[1] for told in reading.progress]
    assert done == sorted(done)
    assert done[-1] == reading.progress[-1][2] == reading.source.total_bytes


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
    with pytest.raises(SettingsError, match="holds telemetry, takes no results; use one of dir"):
        open_sink("file:x", ConnectorSettings())
    with pytest.raises(SettingsError, match="takes results, holds no telemetry; use one of file"):
        open_source("dir:x", ConnectorSettings())


def test_a_password_is_never_shown() -> None:
    assert masked("amqps://u:p:a%40/@host/v") == "amqps://u:***@host/v"
    assert masked("redis://:secret@host") == "redis://:***@host"
    assert masked("kafka://host:9092/topic") == "kafka://host:9092/topic"


@pytest.mark.parametrize("name", ["batch_rows", "epoch_rows", "timeout_s"])
def test_settings_of_nothing_are_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=f"`{name}` 0"):
        ConnectorSettings(**{name: 0})
