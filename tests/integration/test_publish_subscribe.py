"""`farwatch publish` and `farwatch subscribe`, as their users run them."""

import gzip
import json
import os
import pty
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest
from typer.testing import CliRunner

from connectors.contract import SettingsError
from connectors.readers.registry import reader_for
from scripts.cli import app
from scripts.publish import Pace, Published, Record, records
from scripts.subscribe import passes, read_filter, readable
from tests.watching import ROOT, command

ENV = {name: value for name, value in os.environ.items() if not name.startswith("FARWATCH_")}


def record(vehicle, at, **more):
    return json.dumps({"auv_id": vehicle, "timestamp": at, **more})


MAPPING = """
[time]
column = "t"
format = "epoch_s"
[fields.vehicle_id]
column = "id"
[fields.latitude]
column = "y"
[fields.longitude]
column = "x"
[fields.depth_m]
column = "z"
unit = "m"
negate = true
"""
LINES = [record(f"auv-{i % 3}", 1_767_225_600 + i, depth_m=i) for i in range(10)]


@pytest.fixture
def given(tmp_path):
    (tmp_path / "in.ndjson").write_text("\n".join(LINES) + "\n")
    return tmp_path


def publish(given, *words, file="in.ndjson"):
    to = [] if "--to" in words else ["--to", f"file:{given}/out.ndjson"]
    return CliRunner().invoke(app, ["publish", f"{given}/{file}", *to, *words])


def published(given):
    return (given / "out.ndjson").read_text().splitlines()


def test_each_record_is_a_message_as_it_is_in_the_order_of_the_file(given):
    done = publish(given)
    assert done.exit_code == 0, done.stderr
    assert done.stderr.strip().endswith(": 10 records in 10 messages, all confirmed")
    assert published(given) == LINES


def test_publishing_again_adds(given):
    assert [publish(given, "--quiet").stderr for _ in range(2)] == ["", ""]
    assert published(given) == 2 * LINES


def test_a_batch_holds_records_of_one_vehicle_in_their_order(given):
    done = publish(given, "--batch", "3")
    assert "10 records in 4 messages" in done.stderr
    of = lambda v: LINES[v::3]  # noqa: E731
    assert published(given) == [*of(0)[:3], *of(1), *of(2), *of(0)[3:]]


def test_an_array_in_a_compressed_file_is_published_record_by_record(given):
    with gzip.open(given / "in.ndjson.gz", "wt") as file:
        file.write("[" + ",".join(LINES) + "]")
    assert publish(given, file="in.ndjson.gz").exit_code == 0
    assert [json.loads(line) for line in published(given)] == [json.loads(line) for line in LINES]


def test_what_the_decoder_would_refuse_is_published_too(given):
    lines = [LINES[0], "not json", '{"auv_id": 3}', "[1, {]", LINES[1]]
    (given / "in.ndjson").write_text("\n".join(lines))
    assert publish(given).exit_code == 0
    assert published(given) == lines


def test_another_format_is_published_as_records_of_the_contract(given):
    (given / "log.csv").write_text("id,t,y,x,z\nauv-1,0,1.5,2.5,-30\nauv-2,10,1.5,2.5,oops\n")
    (given / "log.toml").write_text(MAPPING)
    done = publish(given, "--format", f"csv:{given}/log.toml", file="log.csv")
    assert done.exit_code == 0, done.stderr
    [found] = map(json.loads, published(given))
    assert found["vehicle_id"] == "auv-1"
    assert (found["latitude"], found["longitude"], found["depth_m"]) == (1.5, 2.5, 30)
    assert "1 records of the file could not be read, and were left out" in done.stderr


def test_progress_is_shown_on_a_terminal(given):
    ours, theirs = pty.openpty()
    words = command("publish", f"{given}/in.ndjson", "--to", f"file:{given}/out.ndjson")
    with subprocess.Popen(words, stderr=theirs, env=ENV | {"TERM": "xterm"}, cwd=ROOT) as done:
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # The other end is closed: all is read.
            while piece := os.read(ours, 65_536):
                shown += piece
        os.close(ours)
    assert done.returncode == 0
    assert b"10 records " in shown
    assert b"0:00:0" in shown
    assert b"all confirmed" in shown
    assert b"all confirmed" in publish(given).stderr_bytes
    assert b"0:00:0" not in publish(given).stderr_bytes


def test_the_pace_is_that_asked_for(given):
    first, last = (Record(b"", "a", time_s) for time_s in (1000.0, 1090.0))
    at_once, steady, fast = (Pace().due_s(), Pace(rate=4).due_s(), Pace(speed=30).due_s())
    for due, expected in ((at_once, [0, 0]), (steady, [0, 0.25]), (fast, [0, 3])):
        assert [due(first), due(last)] == expected
    untimed = Record(b"", "a", None)
    assert [fast(untimed), Pace(speed=1).due_s()(untimed)] == [0, 0]


@pytest.mark.parametrize("words", [("--rate", "20"), ("--speed", "20")])
def test_publishing_takes_the_time_it_should(given, words):
    began = time.monotonic()
    paced = publish(given, "--quiet", *words)
    assert paced.exit_code == 0
    # 10 records at 20 a second, or 9 seconds 20 times as fast: 0.45 s.
    assert time.monotonic() - began > 0.45


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--rate", "0"), "--rate 0.0: must be more than 0"),
        (("--rate", "1", "--speed", "1"), "give one of them"),
        (("--batch", "0"), "--batch 0: must be at least 1"),
        (("--format", "ndjsn"), "did you mean ndjson?"),
        (("--to", "dir:x"), "takes no telemetry; use one of"),
        (("--to", "file:/proc/x/y"), "cannot write"),
    ],
)
def test_wrong_words_are_one_line_and_status_2(given, words, says):
    done = publish(given, *words)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1), done.stderr
    assert says in done.stderr
    assert publish(given, *words, file="none").exit_code == 2


def test_an_interrupted_publisher_says_so(given):
    words = ["publish", f"{given}/in.ndjson", "--to", f"file:{given}/out.ndjson", "--rate", "2"]
    with subprocess.Popen(command(*words), env=ENV, cwd=ROOT, stderr=subprocess.PIPE) as running:
        wait_for((given / "out.ndjson").exists)
        running.send_signal(signal.SIGINT)
        said = running.communicate(timeout=20)[1].decode()
    assert running.returncode == 130
    assert said.startswith("farwatch: interrupted; what was published")
    assert published(given) == LINES[: len(published(given))]


def test_records_carry_vehicle_and_time(given):
    done = Published()
    path = given / "more.ndjson"
    path.write_text('{"rover_id":"r","timestamp":"1970-01-01T00:00:05Z"}\n{"vehicle_id":7}\n')
    assert list(records(path, reader_for("ndjson"), done)) == [
        Record(b'{"rover_id":"r","timestamp":"1970-01-01T00:00:05Z"}', "r", 5.0),
        Record(b'{"vehicle_id":7}', "", None),
    ]
    assert done.bytes_done == path.stat().st_size


# --- subscribe -------------------------------------------------------------------------------


def event(number, severity="critical"):
    return {
        "specversion": "1.0",
        "id": f"e{number}.1",
        "type": "farwatch.alarm.raised.v1",
        "subject": "auv-1",
        "time": "2026-01-01T00:00:00.000000Z",
        "data": {
            "event_id": f"e{number}",
            "vehicle_id": "auv-1",
            "severity": severity,
            "message": f"alarm {number}",
            "decision": {"margin": number / 2, "limit": None},
        },
    }


def append(folder: Path, text: str) -> None:
    with (folder / "critical_alerts.ndjson").open("a") as file:
        file.write(text)


def wait_for(true):
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)  # noqa: TID251 (a test that waits for another process)


class Subscriber:
    """A running `farwatch subscribe` over a folder of results."""

    def __init__(self, folder, *words):
        words = command("subscribe", "critical_alerts", "--from", f"dir:{folder}", *words)
        self.out = folder / "printed"
        with self.out.open("w") as out:
            self.process = subprocess.Popen(
                words, env=ENV | {"PYTHONUNBUFFERED": "1"}, cwd=ROOT, stdout=out, stderr=out
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(60)

    def lines(self, many):
        wait_for(lambda: self.out.read_text().count("\n") >= many)
        return self.out.read_text().splitlines()


def test_a_topic_is_told_from_its_beginning_and_as_it_grows(tmp_path):
    append(tmp_path, json.dumps(event(1)) + "\n")
    with Subscriber(tmp_path, "--json") as subscriber:
        assert [json.loads(line) for line in subscriber.lines(1)] == [event(1)]
        whole = json.dumps(event(2)) + "\n"
        append(tmp_path, whole[:30])
        time.sleep(0.4)  # noqa: TID251 (half a line must not be told)
        assert len(subscriber.lines(1)) == 1
        append(tmp_path, whole[30:])
        assert [json.loads(line) for line in subscriber.lines(2)] == [event(1), event(2)]
        subscriber.process.send_signal(signal.SIGINT)
        assert subscriber.process.wait(10) == 0
    assert len(subscriber.lines(2)) == 2


def test_a_readable_line_says_when_what_who_and_why(tmp_path):
    with Subscriber(
        tmp_path, "--filter", "severity=critical", "--filter", "data.decision.margin > 1"
    ) as subscriber:
        for number in range(5):
            append(tmp_path, json.dumps(event(number)) + "\n")
        append(tmp_path, json.dumps(event(9, "warning")) + "\n")
        front = "2026-01-01T00:00:00.000000Z  alarm.raised  auv-1  critical  "
        assert subscriber.lines(2) == [f"{front}alarm {number}" for number in (3, 4)]


def test_a_reader_that_goes_away_ends_it_quietly(tmp_path):
    append(tmp_path, "".join(json.dumps(event(n)) + "\n" for n in range(5000)))
    words = command("subscribe", "critical_alerts", "--from", f"dir:{tmp_path}", "--json")
    with subprocess.Popen(
        words, env=ENV, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        running.stdout.readline()
        running.stdout.close()
        assert running.wait(20) == 0
        assert running.stderr.read() == b""


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("none_such", "--from", "dir:{}"), "`none_such`: no such topic; known are"),
        (("critical_alerts", "--from", "dir:{}/none"), "no such folder"),
        (("critical_alerts", "--from", "file:x"), "has no topics to follow; use one of"),
        (("critical_alerts", "--from", "dir:{}", "--filter", "data.x >"), "--filter `data.x >`"),
    ],
)
def test_a_wrong_subscription_is_one_line_and_status_2(tmp_path, words, says):
    done = CliRunner().invoke(app, ["subscribe", *[word.format(tmp_path) for word in words]])
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1), done.stderr
    assert says in done.stderr


@pytest.mark.parametrize(
    ("text", "passing"),
    [
        ("severity=critical", True),
        ("data.severity=critical", True),
        ("type=farwatch.alarm.raised.v1", True),
        ("decision.margin=1.5", True),
        ("severity=warning", False),
        ("nothing=", False),
        ('data.severity == "critical" && data.decision.margin >= 1.5', True),
        ("data.decision.margin > 1", True),
        ('event.subject.startsWith("auv")', True),
        ("data.nothing > 1", False),
        ("data.severity > 1", False),
        ("1", False),
    ],
)
def test_a_filter_passes_what_it_says(text, passing):
    assert passes(json.dumps(event(3)).encode(), [read_filter(text)]) is passing
    assert not passes(b"not json", [read_filter(text)])


def test_telemetry_is_filtered_and_read_too():
    line = b'{"auv_id":"a","timestamp":5,"depth_m":3.5}'
    assert passes(line, [read_filter("data.depth_m < 4"), read_filter("auv_id=a")])
    assert readable(json.loads(line)).plain == "5  auv_id=a depth_m=3.5"


def test_a_filter_that_is_no_expression_is_refused():
    with pytest.raises(SettingsError, match="write field=value or a CEL expression"):
        read_filter("depth_m")
