"""Broker or databases away for a while: the flow waits, shows it, catches up, loses nothing."""

import os
import time
import urllib.request
from pathlib import Path
from urllib.error import URLError

import pytest

from tests.far_sides import DATABASES, told_on, without_origin
from tests.kills import PATIENCE_S, SETTLED_S, Lives, wait_until
from tests.services import service_control
from tests.watching import environment, told

RECORDS, LONG = 400, 8_000
"""Records of a flow that waits for more, and of one that must not come to the end of its input
before its broker is killed."""
EPOCH_ROWS = 20
PACE = {"epoch_rows": EPOCH_ROWS, "frame_rows": EPOCH_ROWS}
FULL_PACE: dict[str, int] = {}
AWAY_S, LONG_AWAY_S = 3.0, 60.0
BEFORE, MANY = 2_000, 200_000
MOST_GROWTH_KB = 50_000


class Watched:
    """One life of a watch, its metrics and its memory from outside."""

    def __init__(self, lives: Lives, port: int) -> None:
        self._lives = lives
        self._url = f"http://127.0.0.1:{port}/metrics"

    def states(self) -> dict[str, str]:
        """Far side -> its state, as the metrics show it; none where the flow has ended."""
        try:
            with urllib.request.urlopen(self._url, timeout=5) as answer:
                lines = answer.read().decode().splitlines()
        except (URLError, ConnectionError):
            return {}
        found = {}
        for line in lines:
            if line.startswith("farwatch_far_side_state{") and line.endswith(" 1.0"):
                labels = dict(
                    pair.split("=", 1) for pair in line[line.index("{") + 1 : -5].split(",")
                )
                found[labels["target"].strip('"')] = labels["state"].strip('"')
        return found

    def memory_kb(self) -> int:
        """What of the process is in memory."""
        (pid,) = self._lives.pids
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") // 1024


@pytest.fixture
def processes():
    return 1


@pytest.mark.parametrize(
    ("broker", "away", "away_s", "records", "pace"),
    [
        pytest.param("rabbitmq", DATABASES, AWAY_S, RECORDS, PACE, id="databases"),
        pytest.param(
            *("rabbitmq", ("postgresql",), LONG_AWAY_S, BEFORE + MANY, FULL_PACE),
            id="postgresql-minute-200000-records",
            marks=pytest.mark.slow,
        ),
        *(
            pytest.param(
                *(broker, (name,), LONG_AWAY_S, LONG if name == broker else RECORDS, PACE),
                id=f"{name}-minute",
                marks=pytest.mark.slow,
            )
            for broker, name in [
                ("rabbitmq", "rabbitmq"),
                ("kafka", "kafka"),
                *(("kafka", name) for name in DATABASES),
            ]
        ),
    ],
)
def test_what_is_away_is_waited_for(
    broker,
    away,
    away_s,
    records,
    pace,
    topics,
    stores,
    undisturbed_of,
    tmp_path,
    unused_tcp_ports,
    record_property,
):
    expected = undisturbed_of(records)
    results = f"{stores.results} {topics.results} dir:{tmp_path}/topics"
    env = environment(expected.inputs, tmp_path, telemetry=topics.source, results=results, **pace)
    env |= {
        "BYTEWAX_DATAFLOW_API_ENABLED": "1",
        "BYTEWAX_DATAFLOW_API_PORT": str(unused_tcp_ports[0]),
        "BYTEWAX_DATAFLOW_API_CACHE_PATH": str(tmp_path),
    }
    lives = Lives(env, tmp_path, epoch_s=0.05)
    watched = Watched(lives, unused_tcp_ports[0])
    servers = [service_control(name) for name in away]
    before = min(records // 2, BEFORE) if broker not in away else records
    try:
        topics.publish(expected.lines[:before])
        lives.start()
        assert wait_until(lambda: lives.told_bytes() > 0, 60), lives.log()
        # The queues of results, too, are there for long enough then.
        wait_until(lambda: broker not in away, SETTLED_S)
        assert lives.running, "read all before its broker was killed"
        for server in servers:
            server.kill9()
        before_kb, back_at = watched.memory_kb(), time.monotonic() + away_s
        if later := expected.lines[before:]:
            topics.publish(later)
        assert wait_until(lambda: "away" in watched.states().values(), 30), watched.states()
        wait_until(lambda: not lives.running or time.monotonic() > back_at, away_s)
        assert lives.running, lives.log()
        grown_kb = watched.memory_kb() - before_kb
        record_property("memory_kb", f"{before_kb} and while it was away {grown_kb} more")
        assert grown_kb < MOST_GROWTH_KB
        for server in servers:
            server.start()
        assert wait_until(lambda: set(watched.states().values()) == {"up"}, 60), lives.log()
        assert wait_until(lives.well_ended, PATIENCE_S), "still running"
    finally:
        lives.end()

    told_there = told_on(topics)
    assert without_origin(told_there.events) == without_origin(expected.events)
    assert without_origin(told(tmp_path)) == without_origin(expected.events)
    assert stores.shown() == expected.shown
    assert topics.unread() == 0
    # Nobody killed the flow, and the producer is idempotent.
    assert broker != "kafka" or told_there.again == 0
