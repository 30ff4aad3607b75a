"""`farwatch run`: drained by signals, restarted together, and the results are as undisturbed."""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import termios
from array import array
from contextlib import ExitStack
from pathlib import Path

import pytest

from schemas.catalogue import TOPICS
from tests.kills import wait_until
from tests.launched import PACE, Launched
from tests.watching import ROOT, command, environment, rows, run, telemetry, told, write_inputs

RECORDS = 10_000


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    write_inputs(folder, [])
    (folder / "telemetry.ndjson").unlink()
    for part in range(2):
        lines = telemetry(RECORDS // 2, vehicles=10, seed=part, name=f"fleet{part}")
        (folder / f"telemetry-{part}.ndjson").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def undisturbed(inputs, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed")
    done = run(command("watch", "--quiet"), environment(inputs, out, analytics="on"))
    assert done.returncode == 0, done.stderr
    return out


def test_drained_rescaled_and_killed_it_tells_what_it_would_have(inputs, undisturbed, tmp_path):
    alone = Launched(inputs, tmp_path)
    drain(alone, signal.SIGINT)
    # No window as it stands, no alarm before its time: nothing that the whole run would not tell.
    assert told(tmp_path).items() <= told(undisturbed).items()
    for (topic, _), event in told(undisturbed).items():
        assert event["type"] in TOPICS[topic].types

    two = Launched(inputs, tmp_path, processes=2, log="json")
    first = two.children()
    assert len(first) == 2
    os.kill(first[1], signal.SIGKILL)
    # The first two have told something already: the others have once there is more than that.
    two.until(lambda: len(set(two.children()) - set(first)) == 2)
    before = two.told_bytes()
    two.until(lambda: two.told_bytes() > before)
    lines = [json.loads(line) for line in drain(two, signal.SIGTERM).splitlines()]
    assert [line["level"] for line in lines] == ["warning", "info"]
    assert "process 1 of 2 ended with status -9; all 2 start again in" in lines[0]["message"]

    assert Launched(inputs, tmp_path).end()[0] == 0
    assert_the_same(tmp_path, undisturbed)


def drain(launched: Launched, number: signal.Signals) -> str:
    assert launched.process.poll() is None, "read all before the signal"
    launched.process.send_signal(number)
    status, said = launched.end()
    assert (status, said.count("draining")) == (0, 1), said
    return said


@pytest.mark.slow
def test_one_two_four_and_back(inputs, undisturbed, tmp_path):
    for processes in (1, 2, 4, 2):
        drain(Launched(inputs, tmp_path, processes=processes), signal.SIGTERM)
    assert Launched(inputs, tmp_path, processes=4).end()[0] == 0
    assert_the_same(tmp_path, undisturbed)


def assert_the_same(out: Path, undisturbed: Path) -> None:
    assert told(out) == told(undisturbed)
    assert rows(out) == rows(undisturbed)


@pytest.mark.slow
def test_when_the_supervisor_is_killed_its_processes_end(inputs, undisturbed, tmp_path):
    launched = Launched(inputs, tmp_path, processes=2)
    children = launched.children()
    launched.process.kill()
    launched.end()
    gone = [Path(f"/proc/{pid}") for pid in children]
    assert wait_until(lambda: not any(path.exists() for path in gone), 20)
    status, said = Launched(inputs, tmp_path, processes=2).end()
    assert status == 0, said
    assert told(tmp_path) == told(undisturbed)


@pytest.mark.slow
def test_a_second_signal_ends_it_at_once(inputs, tmp_path):
    # An epoch that lasts longer than the test: draining cannot end before.
    launched = Launched(inputs, tmp_path, processes=2)
    launched.process.send_signal(signal.SIGSTOP)
    for number in (signal.SIGTERM, signal.SIGINT):
        launched.process.send_signal(number)
    children = launched.children()
    launched.process.send_signal(signal.SIGCONT)
    assert launched.end()[0] in (128 + signal.SIGTERM, 128 + signal.SIGINT)
    assert not any(Path(f"/proc/{pid}").exists() for pid in children)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_before_its_processes_are_started_a_signal_ends_it_with_one_line(inputs, tmp_path, number):
    # A broker that takes connections and never says a word: what is tried before they are started.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        url = f"amqp://127.0.0.1:{silent.getsockname()[1]}/%2f"
        env = environment(inputs, tmp_path, processes=2, results=url)
        process = subprocess.Popen(
            command("run", "watch"), env=env, cwd=ROOT, stderr=subprocess.PIPE, text=True
        )
        connection, _ = silent.accept()
        with connection:
            process.send_signal(number)
            said = process.communicate(timeout=60)[1]
    assert process.returncode == 128 + number, said
    assert said == "farwatch: ended by a signal before it had started\n"


def test_ctrl_c_while_the_processes_come_up_drains_them(inputs, tmp_path):
    env = environment(inputs, tmp_path, processes=2, recovery=tmp_path / "recovery", **PACE)
    process = subprocess.Popen(
        command("run", "watch"),
        env=env,
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")

    def spawned() -> list[bytes]:
        lines = (Path(f"/proc/{pid}/cmdline") for pid in children.read_text().split())
        return [line for path in lines if b"spawn_main" in (line := path.read_bytes())]

    assert wait_until(lambda: len(spawned()) == 2, 60)
    # As a terminal does: to all of them, before any has imported what it runs.
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert (process.returncode, said.count("\n")) == (0, 1), said
    assert "draining" in said


@pytest.mark.slow
def test_processes_that_die_too_often_are_given_up(inputs, tmp_path):
    launched = Launched(inputs, tmp_path, processes=2, restarts=1)
    first = launched.children()
    os.kill(first[0], signal.SIGKILL)
    launched.until(lambda: len(set(launched.children()) - set(first)) == 2)
    os.kill((set(launched.children()) - set(first)).pop(), signal.SIGKILL)
    status, said = launched.end()
    assert status == 1
    restarted, gave_up = said.splitlines()
    assert "start again" in restarted
    assert gave_up.endswith("ended with status -9; gave up after 1 restarts in a row")


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_what_is_not_drained_in_time_ends_with_status_1_and_says_so(inputs, tmp_path, processes):
    env = environment(inputs, tmp_path, processes=processes, recovery=tmp_path / "recovery", **PACE)
    # Nobody takes what goes to standard output: the sink does not come back, so no epoch ends.
    reader, writer = os.pipe()
    env |= {"FARWATCH_RESULTS": "stdout:", "FARWATCH_DRAIN_S": "1"}
    process = subprocess.Popen(
        command("run", "watch"), env=env, cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, text=True
    )
    os.close(writer)
    try:
        assert wait_until(lambda: full(reader), 60)
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=60)[1]
    finally:
        os.close(reader)
    assert process.returncode == 1, said
    assert said.splitlines()[-1] == (
        "farwatch: not drained within 1.05 s; what is not committed is read again"
    )


def full(pipe: int) -> bool:
    """Whether a pipe holds all it can."""
    held = array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, held)
    return held[0] >= fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ) - 4096


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_one_process_of_a_cluster_hangs_none(inputs, tmp_path, number):
    with ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2)]
        ports = [one.getsockname()[1] for one in sockets]
    addresses = ";".join(f"127.0.0.1:{port}" for port in ports)
    env = environment(inputs, tmp_path, **PACE)
    words = [sys.executable, "-m", "bytewax.run", "flows.watch:flow", "-a", addresses, "-i"]
    both = [
        subprocess.Popen([*words, str(n)], env=env, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        for n in range(2)
    ]
    try:
        topics = tmp_path / "topics"
        assert wait_until(lambda: any(p.stat().st_size for p in topics.glob("*.ndjson")), 60)
        both[1].send_signal(number)
        said = both[1].communicate(timeout=60)[1]
        assert both[1].returncode == 0, said
        assert "draining" in said
        both[0].communicate(timeout=60)
        assert both[0].returncode is not None
    finally:
        for process in both:
            process.kill()


def test_a_signal_to_one_of_its_processes_is_for_all_of_them(inputs, undisturbed, tmp_path):
    two = Launched(inputs, tmp_path, processes=2)
    both = two.children()
    # A terminal's Ctrl-C comes to each, and is the launcher's to obey: alone it changes nothing.
    os.kill(both[1], signal.SIGINT)
    before = two.told_bytes()
    two.until(lambda: two.told_bytes() > before)
    assert two.process.poll() is None
    assert two.children() == both
    os.kill(both[1], signal.SIGTERM)
    status, said = two.end()
    assert (status, said.count("draining"), said.count("\n")) == (0, 1, 1), said
    assert not any(Path(f"/proc/{pid}").exists() for pid in both)
    assert told(tmp_path).items() <= told(undisturbed).items()


def test_a_wrong_set_up_is_told_once_and_not_tried_again(inputs, tmp_path):
    env = environment(inputs, tmp_path, processes=2, zones="file:none.geojson")
    done = run(command("run", "watch"), env)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "none.geojson" in done.stderr


@pytest.mark.slow
def test_a_flow_of_bytewax_run_is_drained_too(inputs, undisturbed, tmp_path):
    recovery = tmp_path / "recovery"
    recovery.mkdir()
    env = environment(inputs, tmp_path, **PACE | {"epoch_rows": 3000})
    made = run([sys.executable, "-m", "bytewax.recovery", str(recovery), "1"], env)
    assert made.returncode == 0, made.stderr
    words = [sys.executable, "-m", "bytewax.run", "flows.watch:flow", "-r", str(recovery)]
    words += ["-s", "1", "-b", "0"]
    process = subprocess.Popen(words, env=env, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    topics = tmp_path / "topics"
    assert wait_until(lambda: any(p.stat().st_size for p in topics.glob("*.ndjson")), 60)
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=60)[1]
    assert (process.returncode, "draining" in said) == (0, True), said
    done = run(words, env)
    assert done.returncode == 0, done.stderr
    assert told(tmp_path) == told(undisturbed)
