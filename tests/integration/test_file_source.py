"""Telemetry from files: what is peculiar to ``file:``, and kill -9 from file to results."""

import gzip
import json
import pickle
import random
import signal
import subprocess
import sys
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import bytewax.operators as op
import pytest
from bytewax.dataflow import Dataflow
from bytewax.inputs import StatefulSourcePartition
from bytewax.recovery import init_db_dir
from bytewax.testing import TestingSink, run_main

from connectors.contract import ConnectorSettings, RefusedError, SettingsError
from connectors.files import FilePosition, FileSource
from connectors.sqlite import read_events
from schemas.message import Message, Reject

ROOT = Path(__file__).resolve().parents[2]


def lines(many: int, first: int = 0) -> bytes:
    return b"".join(b'{"vehicle_id":"v","sequence":%d}\n' % n for n in range(first, first + many))


def source(url: str, rows: int = 2, epoch_rows: int = 1000) -> FileSource:
    return FileSource(url, ConnectorSettings(batch_rows=rows, epoch_rows=epoch_rows))


def part(path: Path, position: FilePosition | None = None) -> StatefulSourcePartition[Any, Any]:
    return source(f"file:{path}").build().build_part("telemetry", str(path), position)


def sequences(items: list[Message | Reject]) -> list[int]:
    bodies = [item.body for item in items if isinstance(item, Message)]
    return [json.loads(line)["sequence"] for body in bodies for line in body.splitlines()]


def rest(reading: StatefulSourcePartition[Any, Any]) -> list[int]:
    seen: list[Message | Reject] = []
    with closing(reading):
        while True:
            try:
                seen += reading.next_batch()
            except StopIteration:
                return sequences(seen)


def position_after(path: Path, batches: int) -> FilePosition:
    with closing(part(path)) as reading:
        for _ in range(batches):
            reading.next_batch()
        position: FilePosition = pickle.loads(pickle.dumps(reading.snapshot()))
        return position


def run(files: FileSource, epoch: timedelta | None = None) -> list[Message | Reject]:
    seen: list[Message | Reject] = []
    flow = Dataflow("test")
    telemetry = op.input("telemetry", flow, files.build())
    op.output("seen", telemetry, TestingSink(seen))
    run_main(flow, epoch_interval=epoch)
    return seen


def test_a_pattern_names_many_files_each_in_its_own_order(tmp_path: Path) -> None:
    for name in ("b", "a", "deep/c"):
        path = tmp_path / f"{name}.ndjson"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(lines(5))
    (tmp_path / "notes.txt").write_text("not telemetry")
    files = source(f"file:{tmp_path}/**/*.ndjson")
    files.check()
    assert files.total_bytes == 3 * len(lines(5))
    assert files.build().list_parts() == [
        str(tmp_path / name) for name in ("a.ndjson", "b.ndjson", "deep/c.ndjson")
    ]
    seen = run(files)
    for name in ("a", "b", "c"):
        origin = f"file:{name}.ndjson"
        assert sequences([one for one in seen if one.origin == origin]) == [*range(5)]


def test_a_name_with_brackets_is_a_name_where_such_a_file_is(tmp_path: Path) -> None:
    path = tmp_path / "log[1].ndjson"
    path.write_bytes(lines(3))
    assert sequences(run(source(f"file:{path}"))) == [0, 1, 2]


def test_a_relative_pattern_is_taken_from_where_the_user_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.ndjson").write_bytes(lines(1))
    monkeypatch.chdir(tmp_path)
    assert source("file:*.ndjson").build().list_parts() == ["a.ndjson"]


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b not gzip"])
def test_one_unreadable_file_among_many_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.ndjson").write_bytes(lines(1))
    (tmp_path / "b.ndjson").write_bytes(content)
    with pytest.raises(SettingsError, match=r"b\.ndjson: .*; "):
        source(f"file:{tmp_path}/*.ndjson").check()


def test_an_unknown_format_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match=r"unknown format 'ndjsn'; .*known are ndjson"):
        FileSource("file:x", ConnectorSettings(format="ndjsn"))


def test_records_the_reader_cannot_read_come_as_rejects(tmp_path: Path) -> None:
    path = tmp_path / "ais.csv"
    path.write_text("MMSI,BaseDateTime,LAT,LON,SOG,COG,Heading\n1,2020-01-01T00:00:00,1\n")
    files = FileSource(f"file:{path}", ConnectorSettings(format="marinecadastre"))
    assert [one.origin for one in run(files) if isinstance(one, Reject)] == ["file:ais.csv:2"]


def test_the_cap_of_an_epoch_is_shared_by_all_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.ndjson").write_bytes(lines(10))
    built = source(f"file:{tmp_path}/*.ndjson", epoch_rows=4).build()
    first, second = (built.build_part("telemetry", one, None) for one in built.list_parts())
    with closing(first), closing(second):
        assert sequences([*first.next_batch(), *second.next_batch()]) == [0, 1, 0, 1]
        assert [*first.next_batch(), *second.next_batch()] == []
        first.snapshot()
        assert sequences([*first.next_batch(), *second.next_batch()]) == [2, 3]


def test_the_engine_ends_an_epoch_in_which_the_cap_was_reached(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.ndjson"
    path.write_bytes(lines(40))
    epoch = timedelta(milliseconds=20)
    began = time.monotonic()
    seen = run(source(f"file:{path}", epoch_rows=4), epoch)
    assert sequences(seen) == [*range(40)]
    assert time.monotonic() - began > 9 * epoch.total_seconds()


def test_a_gzip_file_goes_on_in_its_middle(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.ndjson.gz"
    path.write_bytes(gzip.compress(lines(9)))
    assert rest(part(path, position_after(path, 2))) == [*range(4, 9)]


def test_a_file_that_grew_goes_on_where_it_ended(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.ndjson"
    path.write_bytes(lines(4))
    position = position_after(path, 2)
    assert rest(part(path, position)) == []
    with path.open("ab") as file:
        file.write(lines(3, first=4))
    assert rest(part(path, position)) == [4, 5, 6]


@pytest.mark.parametrize(
    ("now", "says"),
    [(lines(1), "is shorter than the"), (lines(9, first=1), "begins otherwise than the file")],
)
def test_another_file_of_the_same_name_is_refused_at_resume(
    tmp_path: Path, now: bytes, says: str
) -> None:
    path = tmp_path / "telemetry.ndjson"
    path.write_bytes(lines(9))
    position = position_after(path, 2)
    path.write_bytes(now)
    with pytest.raises(SettingsError, match=f"{says}.*; put that file back or start with a new"):
        part(path, position)


def test_the_state_that_outlives_the_process_keeps_its_name_and_fields() -> None:
    assert (
        f"{FilePosition.__module__}.{FilePosition.__qualname__}" == "connectors.files.FilePosition"
    )
    assert FilePosition.__slots__ == ("resume", "bytes_done", "head_bytes", "head_digest")


def test_a_file_that_breaks_off_while_it_is_read_fails_the_run(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.ndjson.gz"
    path.write_bytes(gzip.compress(random.Random(1).randbytes(9_000_000))[:6_000_000])
    files = source(f"file:{path}", rows=10_000, epoch_rows=10**9)
    files.check()
    reading = files.build().build_part("telemetry", str(path), None)
    with pytest.raises(RefusedError, match=r"telemetry\.ndjson\.gz: cannot be read"):
        rest(reading)


FLOW = """
import json, sys
from datetime import timedelta
import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig
from bytewax.run import cli_main
from connectors.contract import ConnectorSettings
from connectors.registry import open_sink, open_source
from schemas.delivery import Delivery
from schemas.event import ZONE_ENTERED, Event
from schemas.topics import COMPLIANCE_VIOLATIONS, GEOFENCING_EVENTS, LATE_TELEMETRY

TOPICS = (GEOFENCING_EVENTS, COMPLIANCE_VIOLATIONS, LATE_TELEMETRY)
settings = ConnectorSettings(batch_rows=50, epoch_rows=200)

def deliveries(messages):
    for message in messages:
        for line in message.body.splitlines():
            n = json.loads(line)["sequence"]
            event = Event(type=ZONE_ENTERED, event_id=str(n), vehicle_id="v", time_us=n, data={})
            yield TOPICS[n % 3], Delivery(TOPICS[n % 3], event)

recovery, telemetry, *results = sys.argv[1:]
flow = Dataflow("copy")
told = op.flat_map_batch(
    "told", op.input("telemetry", flow, open_source(telemetry, settings).build()), deliveries
)
for number, url in enumerate(results):
    sink = open_sink(url, settings)
    sink.check()
    op.output(f"to_{number}", told, sink.build("/farwatch/copy"))
cli_main(
    flow, workers_per_process=1, process_id=None, addresses=None,
    epoch_interval=timedelta(milliseconds=50),
    recovery_config=RecoveryConfig(recovery, timedelta(0)),
)
"""


def test_every_line_is_in_every_sink_exactly_once_after_kills_at_random(tmp_path: Path) -> None:
    many, kills = 9_000, 6
    telemetry, results, recovery = tmp_path / "t.ndjson", tmp_path / "out", tmp_path / "recovery"
    telemetry.write_bytes(lines(many))
    recovery.mkdir()
    init_db_dir(recovery, 1)
    targets = [f"dir:{results}", f"sqlite:{results}/results.db"]
    words = [sys.executable, "-c", FLOW, str(recovery), f"file:{telemetry}", *targets]
    rng = random.Random(4)

    def length() -> int:
        return sum(path.stat().st_size for path in results.glob("*.ndjson"))

    for _ in range(kills):
        before = length()
        with subprocess.Popen(words, cwd=ROOT) as running:
            while length() == before and running.poll() is None:
                time.sleep(0.005)  # noqa: TID251 (a test that waits for another process)
            time.sleep(rng.uniform(0, 0.15))  # noqa: TID251 (the same)
            running.kill()
        assert running.returncode == -signal.SIGKILL
    subprocess.run(words, cwd=ROOT, check=True)

    expected = [[*range(start, many, 3)] for start in range(3)]
    topics = ("geofencing_events", "compliance_violations", "late_telemetry")
    for topic, numbers in zip(topics, expected, strict=True):
        told = (results / f"{topic}.ndjson").read_text().splitlines()
        assert [json.loads(line)["id"] for line in told] == [f"{n}.1" for n in numbers]
    for table, numbers in zip(
        ("zone_events", "violations", "late_telemetry"), expected, strict=True
    ):
        kept = read_events(results / "results.db", table)
        assert [row["event_id"] for row in kept] == [str(n) for n in numbers]
