"""The benchmark through brokers feeds what it says and tells what it found."""

import json
import os
from io import StringIO
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from schemas.event import ALARM_RAISED
from scripts.benchmark.fleet import DEG_PER_M
from scripts.benchmark.services.feed import AT_ONCE, Fed, Pace, feed
from scripts.benchmark.services.latency import Alerts, Heard, alarm_every
from scripts.benchmark.services.matrix import ALL, Latency, rows_named
from scripts.benchmark.services.programs import Charts
from scripts.benchmark.services.read import Reading, cpu_s, memory_mb, peak_mb
from scripts.benchmark.services.soak import Soaked
from scripts.benchmark.services.speed import Measured, Speed
from scripts.benchmark.services.table import Outcome, as_json, as_tables, soak_line
from scripts.benchmark.services.telemetry import ALARM_RULE, VEHICLES, Messages
from scripts.cli import app
from tests.watching import command, run


class Publisher:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, list[dict[str, float]]]] = []

    def publish(self, body: bytes, key: str) -> None:
        self.told.append((key, [json.loads(line) for line in body.splitlines()]))

    def flush(self) -> None: ...

    def close(self) -> None: ...


def test_each_alarm_that_was_announced_is_told_by_the_watch(tmp_path):
    charts, messages = Charts.made_in(tmp_path), Messages(1, 4)
    made = [messages.make(1_767_225_600 + number / 100) for number in range(5 * VEHICLES)]
    telemetry = tmp_path / "telemetry.ndjson"
    telemetry.write_bytes(b"\n".join(message.body for message in made))
    settings = charts.settings(f"dir:{tmp_path}/out", tmp_path / "recovery")
    kept = {k: v for k, v in os.environ.items() if not k.startswith("FARWATCH_")}
    done = run(command("watch", "--telemetry", f"file:{telemetry}", "--quiet"), kept | settings)
    assert done.returncode == 0, done.stderr
    told = map(json.loads, (tmp_path / "out" / "critical_alerts.ndjson").read_text().splitlines())
    raised = [
        event
        for event in told
        if event["type"] == ALARM_RAISED and event["data"]["rule_id"] == ALARM_RULE
    ]
    assert len(raised) == sum(message.alarms for message in made) > VEHICLES


def test_vehicles_take_turns_and_never_leap():
    messages = Messages(2, 10)
    made = [messages.make(1000 + number / 50, 0.01) for number in range(40 * VEHICLES)]
    assert [message.vehicle_id for message in made[:2]] == ["auv-000000", "auv-000001"]
    for first in (0, 7):
        lines = [line for one in made[first::VEHICLES] for line in one.body.splitlines()]
        records = [json.loads(line) for line in lines]
        assert len(records) == 80
        times = [record["timestamp"] for record in records]
        assert times[:3] == pytest.approx([1000 + first / 50 + add for add in (0, 0.01, 20)])
        for one, other in pairwise(records):
            north, east = (other[name] - one[name] for name in ("latitude", "longitude"))
            # A record holds 7 decimal places: 0.02 m.
            gone_m = np.hypot(north, east) / DEG_PER_M
            assert gone_m <= 6 * (other["timestamp"] - one["timestamp"]) + 0.03
        places = {(record["latitude"], record["longitude"]) for record in records}
        assert len(places) > 40


def test_a_feed_keeps_count_and_pace():
    publisher = Publisher()
    pace = Pace(rate=20_000, records=10, seconds=0.2, every=2)
    fed = feed(publisher, pace)
    assert pace.messages == len(publisher.told) == 400
    assert fed.records == 4_000
    assert fed.took_s >= 0.19
    depths = [record["depth_m"] for _, records in publisher.told for record in records]
    assert fed.alarms == depths.count(6000) == 2_000


def test_event_time_steps_where_it_is_told_to():
    publisher = Publisher()
    feed(publisher, Pace(AT_ONCE, 1, 3 * VEHICLES / AT_ONCE, 100, step_s=30))
    times = [records[0]["timestamp"] for _, records in publisher.told]
    assert len(times) == 3 * VEHICLES
    assert times[2 * VEHICLES] - times[0] == pytest.approx(60, abs=0.01)
    assert times[VEHICLES - 1] == pytest.approx(times[0], abs=0.01)


def test_about_fifty_alarms_a_second_at_any_rate_that_allows_it():
    for rate in (1_000, 10_000, 50_000):
        assert rate / alarm_every(rate) == pytest.approx(50)
    assert alarm_every(10) == 2


class Subscription:
    """Says these bodies, then nothing."""

    def __init__(self, said: list[bytes | None]) -> None:
        self._said = said

    def bodies(self):
        yield from self._said
        while True:
            yield None

    def close(self) -> None: ...


def test_alerts_are_heard_until_no_more_come():
    time = "2026-01-01T00:00:00Z"
    alert = {"type": ALARM_RAISED, "time": time, "data": {"rule_id": ALARM_RULE}}
    other = {"type": ALARM_RAISED, "time": time, "data": {"rule_id": "another"}}
    said = [*map(msgspec.json.encode, (alert, other, alert)), None, msgspec.json.encode(alert)]
    alerts = Alerts(Subscription(said))
    alerts.hear_rest(2, 60)
    assert alerts.times_s == [1_767_225_600] * 2
    alerts.hear_rest(4, 0.05)
    assert len(alerts.times_s) == len(alerts.latencies_s) == 3


def test_medians_of_runs_by_record():
    readings = [Reading(100, took, cpu, 50.0) for took, cpu in ((1, 2), (2, 1), (4, 9))]
    assert Measured.of(readings, 10) == Measured(50, 500, pytest.approx(2e3), 50.0)


def test_figures_of_a_process_are_those_of_the_kernel():
    pid = os.getpid()
    assert 0 < memory_mb(pid) <= peak_mb(pid)
    used = os.times()
    assert cpu_s(pid) == pytest.approx(used.user + used.system, abs=0.5)
    assert memory_mb(2**22 + 1) == 0


def test_rows_are_named_by_how_they_begin():
    assert [row.name for row in rows_named(["pika-1", "alerts-kafka"])] == [
        "pika-1",
        "alerts-kafka-1k",
        "alerts-kafka-10k",
        "alerts-kafka-50k",
    ]
    assert len(rows_named(ALL)) == len(ALL)
    with pytest.raises(ValueError, match="no row `pike`"):
        rows_named(["pike"])


FED = Fed(began_s=0.0, took_s=60.0, records=600_000, alarms=3, late_s=0.25)


def test_what_was_found_is_in_the_tables_and_in_the_json():
    outcome = Outcome()
    speed = Speed("pika-1", "rabbitmq", "pika", 1, 100)
    outcome.speeds.append((speed, Measured(12_345, 12_345, 6.789, 100)))
    latency = Latency("alerts-kafka-1k", "kafka", 1_000, 1)
    heard = Heard(FED, 2, [10.0, 20.0], [5.0], cpu_us=40.0, peak_mb=300)
    outcome.latencies.append((latency, heard))
    outcome.load = {"pika-1": 1.5, "alerts-kafka-1k": 2.5}
    outcome.failed["read-kafka-1"] = "ended with 1: [no] such broker"
    shown = StringIO()
    console = Console(file=shown, width=124)
    for table in as_tables(outcome):
        console.print(table)
    assert "12,345" in shown.getvalue()
    assert "[no] such broker" in shown.getvalue()
    found = as_json(outcome)
    json.dumps(found)
    assert found["speeds"][0]["cpu_us_per_record"] == 6.789
    assert found["latencies"][0]["p50_ms"] == 15
    assert found["latencies"][0]["lost"] == 1
    assert found["latencies"][0]["echo_p99_ms"] == 5


def test_growth_is_that_of_the_second_half():
    minutes = [float(minute) for minute in range(11)]
    flat = Soaked(FED, 3, minutes, [100.0 + min(5, m) * 20 for m in minutes], [1.0], 40, 200)
    grows = Soaked(FED, 3, minutes, [100.0 + m * 2 for m in minutes], [1.0], 40, 120)
    assert flat.growth_mb_per_minute == pytest.approx(0, abs=1e-9)
    assert grows.growth_mb_per_minute == pytest.approx(2)
    line, figures = soak_line(grows)
    assert "+2.0 MB/min" in line
    assert figures["growth_mb_per_minute"] == pytest.approx(2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--rows", "pike"], "no row `pike`"),
        (["--soak", "1", "--broker", "zeromq"], "give rabbitmq or kafka"),
    ],
)
def test_what_cannot_be_measured_is_said_before_anything_runs(words, said):
    result = CliRunner().invoke(app, ["bench", "--services", *words])
    assert result.exit_code == 2
    assert said in result.stderr
