"""kill -9 of a flow between Kafka topics: nothing lost, again only what one epoch told.

The same records are watched once from a file, undisturbed, and once from a topic into topics, with
kills at random moments.
"""

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from zlib import crc32

import pytest

from schemas.topics import DEAD_LETTERS, RESULT_TOPICS
from tests.kafka_topics import new_topics, read, send
from tests.services import service_control
from tests.watching import ROOT, command, environment, run, telemetry, told, write_inputs

RECORDS = 12_000
PARTITIONS = 4
# Slow enough for many kills: at most this many records an epoch of a twentieth of a second.
PACE = {"epoch_s": 0.05, "epoch_rows": 75, "frame_rows": 75}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    write_inputs(folder, telemetry(RECORDS))
    return folder


@pytest.fixture(scope="module")
def undisturbed(inputs, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed")
    done = run(command("watch", "--quiet"), environment(inputs, out))
    assert done.returncode == 0, done.stderr
    return told(out)


@pytest.fixture
def topics(kafka_url, inputs):
    """The prefix of all topics; the telemetry is in four partitions, a vehicle in one of them."""
    lines = (inputs / "telemetry.ndjson").read_bytes().splitlines()
    with new_topics(kafka_url, "telemetry", partitions=PARTITIONS) as prefix:
        for partition in range(PARTITIONS):
            mine = [
                line
                for line in lines
                if crc32(json.loads(line)["vehicle_id"].encode()) % PARTITIONS == partition
            ]
            send(kafka_url, f"{prefix}telemetry", mine, partition)
        yield prefix


def from_kafka(kafka_url, inputs, out, prefix, **settings):
    return environment(
        inputs,
        out,
        telemetry=f"{kafka_url}/{prefix}telemetry?until=end&group={prefix}watch",
        results=f"{kafka_url}/{prefix}?create={PARTITIONS} dir:{out}/topics",
        **settings,
    )


def size(out: Path) -> int:
    return sum(path.stat().st_size for path in (out / "topics").glob("*.ndjson"))


def kill_until_done(start, out: Path, kills: int, longest_s: float) -> int:
    """Start, kill at a random moment after the first new result, until a run ends by itself."""
    rng = random.Random(kills)
    killed = 0
    while True:
        running = start()
        before, deadline = size(out), time.monotonic() + 60
        while (
            size(out) == before
            and all(process.poll() is None for process in running)
            and time.monotonic() < deadline
        ):
            time.sleep(0.005)  # noqa: TID251 (a test that waits for another process)
        moment = time.monotonic() + rng.uniform(0, longest_s if killed < kills else 600)
        while time.monotonic() < moment and any(process.poll() is None for process in running):
            time.sleep(0.005)  # noqa: TID251 (the same)
        if all(process.poll() == 0 for process in running):
            return killed
        for process in running:
            process.send_signal(signal.SIGKILL)
        # One of two may have died of the other's death before it was killed.
        assert {process.wait() for process in running} & {-signal.SIGKILL}, (
            out / "log"
        ).read_text()
        killed += 1


def popen(words: list[str], env: dict[str, str], out: Path) -> subprocess.Popen:
    with (out / "log").open("a") as log:
        return subprocess.Popen(words, env=env, cwd=ROOT, stderr=log)


def events_of(kafka_url, prefix):
    """What is in the topics: (topic, message id) -> event, how often each came, all payloads."""
    events, copies = {}, Counter()
    for topic in RESULT_TOPICS:
        for message in read(kafka_url, prefix + topic):
            event = json.loads(message.value())
            key = topic, dict(message.headers())["message_id"].decode()
            assert key[1] == event["id"]
            assert (message.key() or b"").decode() == event.get("subject", "")
            assert events.setdefault(key, event) == event, "one id, two payloads"
            copies[key] += 1
    return events, copies


def without_origin(events):
    """Dead letters name their place, which differs between a file and a topic."""
    kept = {key: event for key, event in events.items() if key[0] != DEAD_LETTERS}
    raws = [event["data"]["raw"] for (topic, _), event in events.items() if topic == DEAD_LETTERS]
    return kept, sorted(raws)


def assert_nothing_is_lost(kafka_url, prefix, out, undisturbed, most_twice):
    events, copies = events_of(kafka_url, prefix)
    assert without_origin(events) == without_origin(undisturbed)
    assert without_origin(told(out)) == without_origin(undisturbed)
    twice = sum(copies.values()) - len(copies)
    print(f"{len(copies)} events, {twice} of them again")
    assert twice <= most_twice


@pytest.mark.parametrize(
    "kills", [5, pytest.param(100, marks=pytest.mark.slow)], ids=lambda n: f"{n}-kills"
)
def test_kills_lose_nothing_between_topics(kafka_url, topics, inputs, undisturbed, tmp_path, kills):
    env = from_kafka(kafka_url, inputs, tmp_path, topics, recovery=tmp_path / "recovery", **PACE)

    def start():
        return [popen(command("watch", "--quiet"), env, tmp_path)]

    done = kill_until_done(start, tmp_path, kills, longest_s=8.0 / kills)
    assert done >= kills
    # Each kill repeats at most one epoch, whose records tell less than one event each.
    assert_nothing_is_lost(kafka_url, topics, tmp_path, undisturbed, done * PACE["epoch_rows"])


@pytest.mark.parametrize(
    ("kills", "epoch_rows", "longest_s"),
    [(2, 1000, 2.0), pytest.param(100, 60, 0.5, marks=pytest.mark.slow)],
    ids=["2-kills", "100-kills"],
)
def test_two_processes_and_kills_lose_nothing_between_topics(
    kafka_url, topics, inputs, undisturbed, tmp_path, kills, epoch_rows, longest_s, unused_tcp_ports
):
    recovery = tmp_path / "recovery"
    recovery.mkdir()
    # The engine's own command line knows epochs of whole seconds only.
    settings = {"epoch_rows": epoch_rows, "frame_rows": min(150, epoch_rows)}
    env = from_kafka(kafka_url, inputs, tmp_path, topics, **settings)
    made = run([sys.executable, "-m", "bytewax.recovery", str(recovery), "2"], env)
    assert made.returncode == 0, made.stderr
    addresses = ";".join(f"127.0.0.1:{port}" for port in unused_tcp_ports)

    def start():
        return [
            popen(
                [
                    *(sys.executable, "-m", "bytewax.run", "flows.watch:flow"),
                    *("-i", str(process), "-a", addresses),
                    *("-r", str(recovery), "-s", "1", "-b", "0"),
                ],
                env,
                tmp_path,
            )
            for process in range(2)
        ]

    done = kill_until_done(start, tmp_path, kills, longest_s)
    assert done >= kills
    assert_nothing_is_lost(kafka_url, topics, tmp_path, undisturbed, done * 2 * epoch_rows)


@pytest.mark.slow
def test_brokers_that_die_and_come_back_are_waited_for(
    kafka_url, topics, inputs, undisturbed, tmp_path
):
    control = service_control("kafka")
    env = from_kafka(kafka_url, inputs, tmp_path, topics, recovery=tmp_path / "recovery", **PACE)
    flow = popen(command("watch", "--quiet"), env, tmp_path)
    for _ in range(2):
        before, deadline = size(tmp_path), time.monotonic() + 60
        while size(tmp_path) < before + 100_000 and time.monotonic() < deadline:
            time.sleep(0.01)  # noqa: TID251 (a test that waits for another process)
        assert flow.poll() is None, (tmp_path / "log").read_text()
        control.kill9()
        time.sleep(5)  # noqa: TID251 (an outage of some length)
        assert flow.poll() is None, (tmp_path / "log").read_text()
        control.start()
    assert flow.wait(timeout=120) == 0, (tmp_path / "log").read_text()
    # Nobody killed the flow, and its producer is idempotent: nothing comes twice.
    assert_nothing_is_lost(kafka_url, topics, tmp_path, undisturbed, most_twice=0)
