"""The probes of a running watch: well, stuck in a sink, waiting for a far side, well again."""

import json
import subprocess
import sys
import time

import pytest

from schemas.metrics import METRICS
from tests.kills import wait_until
from tests.ports import unused_ports
from tests.probing import Probed, probed
from tests.services import service_control
from tests.watching import ROOT, command, environment, run, telemetry, write_inputs

STALL_S = 1
PACE = {"frame_rows": 20, "epoch_rows": 20, "epoch_s": 0.05, "stall_s": STALL_S}
NOTICED_S = 10.0


def test_a_sink_that_blocks_is_noticed_and_named(tmp_path, unused_tcp_ports):
    write_inputs(tmp_path, telemetry(6000))
    env = environment(tmp_path, tmp_path, results="stdout:", **PACE)
    with probed(env, unused_tcp_ports[0], stdout=subprocess.PIPE) as flow:
        # Nobody reads the pipe: once it is full the sink does not come back.
        assert wait_until(lambda: flow.well("readyz"), 60)
        assert wait_until(lambda: "`to_0 " in flow.why(), 60), flow.get("healthz")
        assert float(flow.why().split()[-2]) < NOTICED_S
        assert flow.well("livez")
        asked = run(command("probe"), env | {"FARWATCH_METRICS_PORT": str(unused_tcp_ports[0])})
        assert asked.returncode == 1
        assert "has not ended for" in asked.stderr
        for _ in range(200):
            assert flow.process.stdout.readline()
        assert wait_until(flow.well, 30), flow.why()


def test_a_far_side_that_is_stopped_is_noticed_and_named(tmp_path, redis_url, unused_tcp_ports):
    redis = service_control("redis")
    write_inputs(tmp_path, telemetry(40_000))
    results = f"{redis_url} dir:{tmp_path}/topics"
    env = environment(tmp_path, tmp_path, results=results, **PACE)
    with probed(env, unused_tcp_ports[0]) as flow:
        assert wait_until(lambda: flow.well("readyz"), 60)
        assert json.loads(flow.get("readyz")[1])["zones"] == 4
        redis.pause()
        try:
            paused = time.monotonic()
            assert wait_until(flow.why, 30)
            first = flow.why()
            assert "redis" in first or "to_0" in first
            assert time.monotonic() - paused < NOTICED_S
            assert wait_until(lambda: "(away)" in flow.why(), 30), flow.why()
            assert flow.well("livez")
            assert "is away" in flow.why("readyz")
        finally:
            redis.resume()
        assert wait_until(flow.well, 60), flow.why()
        assert wait_until(lambda: flow.well("readyz"), 30)


def test_every_metric_of_the_list_is_shown_and_no_other_of_ours(tmp_path, unused_tcp_ports):
    write_inputs(tmp_path, telemetry(6000))
    env = environment(tmp_path, tmp_path, results="stdout:", recovery=f"{tmp_path}/rec", **PACE)
    with probed(env, unused_tcp_ports[0], stdout=subprocess.PIPE) as flow:
        assert wait_until(lambda: flow.well("readyz"), 60)
        status, body = flow.get("metrics")
    assert status == 200
    # `_total` is no part of the name in the header of a counter.
    lines = [line.split() for line in body.splitlines()]
    shown = {words[2]: words[3] for words in lines if words[:2] == ["#", "TYPE"]}
    ours = {
        name: kind
        for name, kind in shown.items()
        if name.startswith("farwatch_") and not name.endswith("_created")
    }
    assert ours == {metric.name: metric.kind for metric in METRICS}


def test_a_port_that_is_taken_is_said_before_the_flow_starts(tmp_path, unused_tcp_ports):
    write_inputs(tmp_path, telemetry(100))
    env = environment(tmp_path, tmp_path, metrics_port=unused_tcp_ports[0])
    server = [
        sys.executable,
        "-c",
        "import socket, sys, time; s = socket.create_server(('127.0.0.1', int(sys.argv[1])));"
        "print(1, flush=True); time.sleep(600)",
    ]
    with subprocess.Popen([*server, str(unused_tcp_ports[0])], stdout=subprocess.PIPE) as other:
        assert other.stdout.readline()
        done = run(command("run", "watch"), env)
        other.kill()
    assert done.returncode == 2
    assert f"metrics port {unused_tcp_ports[0]}" in done.stderr
    assert not (tmp_path / "topics").exists()


@pytest.mark.slow
def test_all_processes_of_a_machine_are_asked(tmp_path):
    write_inputs(tmp_path, telemetry(20_000))
    pace = {"frame_rows": 20, "epoch_rows": 20, "epoch_s": 0.05}
    env = environment(tmp_path, tmp_path, results=f"dir:{tmp_path}/topics", processes=2, **pace)
    first, second_port, _ = unused_ports(3)
    with probed(env, first) as flow:
        second = Probed(flow.process, second_port)
        assert wait_until(lambda: flow.well("readyz") and second.well("readyz"), 90)
        env |= {"FARWATCH_METRICS_PORT": str(first)}
        both = run(command("probe", "readyz"), env)
        assert (both.returncode, both.stdout.count("\n")) == (0, 2), both.stderr
        asked = run(command("probe", "readyz"), env | {"FARWATCH_PROCESSES": "3"})
        assert (asked.returncode, asked.stderr.count("\n")) == (1, 1)
        assert f"127.0.0.1:{first + 2}/readyz: no answer" in asked.stderr
        flow.process.terminate()
        flow.process.wait(60)


def test_bytewax_run_answers_too_each_process_at_a_port_of_its_own(tmp_path, unused_tcp_ports):
    write_inputs(tmp_path, telemetry(6000))
    env = environment(tmp_path, tmp_path, results="stdout:", **PACE)
    env |= {"FARWATCH_METRICS_PORT": str(unused_tcp_ports[0] - 1)}
    address = f"127.0.0.1:{unused_tcp_ports[1]}"
    words = [sys.executable, "-m", "bytewax.run", "flows.watch:flow", "-i", "1", "-a"]
    with subprocess.Popen(
        [*words, f"{address};{address}"], env=env, cwd=ROOT, stdout=subprocess.PIPE
    ) as process:
        try:
            flow = Probed(process, unused_tcp_ports[0])
            assert wait_until(lambda: flow.get("metrics")[0] == 200, 60)
        finally:
            process.kill()
