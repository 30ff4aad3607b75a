"""Results as NDJSON files: what is peculiar to ``dir:``."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import bytewax.operators as op
import pytest
from bytewax.dataflow import Dataflow
from bytewax.outputs import StatefulSinkPartition
from bytewax.testing import TestingSource, cluster_main

from connectors.contract import RefusedError, SettingsError
from connectors.directory import TOPICS, DirectorySink
from schemas.delivery import Delivery
from schemas.event import ALARM_RAISED, Event, cloud_event
from schemas.topics import (
    CRITICAL_ALERTS,
    DEAD_LETTERS,
    GEOFENCING_EVENTS,
    RESULT_TOPICS,
    WARNING_ALERTS,
)
from tests.full_disk import file_limit

SOURCE = "/farwatch/watch"


def delivery(number: int, topic: str = CRITICAL_ALERTS) -> Delivery:
    event = Event(
        type=ALARM_RAISED,
        event_id=f"e{number}",
        vehicle_id="auv-1",
        time_us=number,
        data={"message": "a" * 20},
    )
    return Delivery(topic, event, {"batch": "b1"} if topic == WARNING_ALERTS else None)


@contextmanager
def opened(
    folder: Path, resume_at: int | None = None, topic: str = CRITICAL_ALERTS
) -> Iterator[StatefulSinkPartition[Delivery, int]]:
    sink = DirectorySink(f"dir:{folder}").build(SOURCE)
    sink.list_parts()
    with closing(sink.build_part("results", topic, resume_at)) as part:
        yield part


def written(folder: Path, *numbers: int) -> int:
    with opened(folder) as part:
        part.write_batch([delivery(number) for number in numbers])
        return part.snapshot()


def ids(folder: Path, topic: str = CRITICAL_ALERTS) -> list[str]:
    lines = (folder / f"{topic}.ndjson").read_text().splitlines()
    return [json.loads(line)["data"]["event_id"] for line in lines]


def test_every_result_topic_has_its_file_from_the_start(tmp_path: Path) -> None:
    folder = tmp_path / "deep/results"
    DirectorySink(f"dir:{folder}").build(SOURCE).list_parts()
    assert {path.stem for path in folder.iterdir()} == set(RESULT_TOPICS)


def test_a_line_is_the_cloud_event_with_its_extensions(tmp_path: Path) -> None:
    told = delivery(1, WARNING_ALERTS)
    with opened(tmp_path, topic=WARNING_ALERTS) as part:
        part.write_batch([told])
        part.snapshot()
    line = (tmp_path / "warning_alerts.ndjson").read_bytes()
    assert line == cloud_event(told.event, SOURCE, {"batch": "b1"}) + b"\n"


def test_two_workers_write_every_topic_to_its_own_file(tmp_path: Path) -> None:
    told = [delivery(number, topic) for number in range(5) for topic in TOPICS]
    flow = Dataflow("test")
    deliveries = op.input("told", flow, TestingSource([(one.topic, one) for one in told], 7))
    op.output("results", deliveries, DirectorySink(f"dir:{tmp_path}").build(SOURCE))
    cluster_main(flow, [], 0, worker_count_per_proc=2, epoch_interval=timedelta(seconds=1))
    for topic in TOPICS:
        assert ids(tmp_path, topic) == [f"e{number}" for number in range(5)]


def test_a_torn_last_line_is_cut_off_and_told_again(tmp_path: Path) -> None:
    length = written(tmp_path, 1, 2)
    path = tmp_path / "critical_alerts.ndjson"
    path.write_bytes(path.read_bytes()[: length - 9])
    DirectorySink(f"dir:{tmp_path}").check()
    assert written(tmp_path, 1, 2, 3) > length
    assert ids(tmp_path) == ["e1", "e2", "e3"]


def test_a_first_line_torn_by_a_kill_is_cut_off_too(tmp_path: Path) -> None:
    (tmp_path / "critical_alerts.ndjson").write_bytes(b'{"specv')
    DirectorySink(f"dir:{tmp_path}").check()
    written(tmp_path, 1)
    assert ids(tmp_path) == ["e1"]


def test_a_resumed_file_is_cut_back_to_the_committed_epoch(tmp_path: Path) -> None:
    committed = written(tmp_path, 1, 2)
    written(tmp_path, 3, 4)
    with opened(tmp_path, committed) as part:
        assert ids(tmp_path) == ["e1", "e2"]
        part.write_batch([delivery(2), delivery(5)])
        part.snapshot()
    assert ids(tmp_path) == ["e1", "e2", "e5"]


def test_a_file_somebody_removed_begins_anew(tmp_path: Path) -> None:
    committed = written(tmp_path, 1, 2)
    (tmp_path / "critical_alerts.ndjson").unlink()
    with opened(tmp_path, committed) as part:
        part.write_batch([delivery(3)])
        part.snapshot()
    assert ids(tmp_path) == ["e3"]


def test_a_file_somebody_edited_is_not_cut(tmp_path: Path) -> None:
    committed = written(tmp_path, 1, 2)
    path = tmp_path / "critical_alerts.ndjson"
    edited = path.read_bytes().replace(b"e1", b"e1001")
    path.write_bytes(edited)
    with pytest.raises(RefusedError, match="was changed since"), opened(tmp_path, committed):
        pass
    assert path.read_bytes() == edited


@pytest.mark.parametrize("content", [b"hello\n", b'{"name": "x"}\n', b"no line end", b"[1]\n"])
def test_a_file_that_is_not_ours_is_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "dead_letters.ndjson"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"dead_letters\.ndjson.*; move .* away or name"):
        DirectorySink(f"dir:{tmp_path}").check()
    assert path.read_bytes() == content


def test_a_foreign_line_further_down_is_named_by_its_number(tmp_path: Path) -> None:
    written(tmp_path, 1, 2)
    with (tmp_path / "critical_alerts.ndjson").open("ab") as file:
        file.write(b"hello\n")
    with pytest.raises(SettingsError, match=r"critical_alerts\.ndjson:3`: is no event"):
        written(tmp_path, 3)


def test_two_flows_never_write_to_one_file(tmp_path: Path) -> None:
    with opened(tmp_path), pytest.raises(RefusedError, match="another process is writing"):
        written(tmp_path, 1)
    with opened(tmp_path), opened(tmp_path, topic=DEAD_LETTERS):
        pass


def test_a_topic_without_a_file_is_refused(tmp_path: Path) -> None:
    sink = DirectorySink(f"dir:{tmp_path}").build(SOURCE)
    assert TOPICS[sink.part_fn(GEOFENCING_EVENTS)] == GEOFENCING_EVENTS
    with pytest.raises(RefusedError, match="no file for the topic `gossip`"):
        sink.part_fn("gossip")


def test_a_full_disk_is_told_in_one_line(tmp_path: Path) -> None:
    with file_limit(4096), pytest.raises(RefusedError) as refused:
        written(tmp_path, *range(1000))
    assert "critical_alerts.ndjson`: cannot write (File too large)" in str(refused.value)
    written(tmp_path, *range(1000))
    assert ids(tmp_path) == [f"e{number}" for number in range(1000)]
