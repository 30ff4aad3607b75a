"""Processes of one machine: how often they commit, and where they listen."""

import os
import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from time import monotonic

import pytest

from tests.kills import wait_until
from tests.launched import Launched, spawned
from tests.watching import ROOT, command, environment, telemetry, write_inputs

EPOCH_S, EPOCH_ROWS, EPOCHS = 0.2, 100, 30
LISTENING, ESTABLISHED = "0A", "01"
LOOPBACK = "0100007F"
"""127.0.0.1, as the kernel writes it."""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    write_inputs(folder, [])
    (folder / "telemetry.ndjson").unlink()
    for part in range(2):
        lines = telemetry(EPOCHS * EPOCH_ROWS, vehicles=10, seed=part, name=f"fleet{part}")
        (folder / f"telemetry-{part}.ndjson").write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.parametrize("processes", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_epochs_below_a_second_are_as_many_as_they_must_be(inputs, tmp_path, processes):
    pace = {"epoch_s": EPOCH_S, "epoch_rows": EPOCH_ROWS, "frame_rows": EPOCH_ROWS}
    began = monotonic()
    launched = Launched(inputs, tmp_path, processes=processes, **pace)
    told_first = monotonic()
    status, said = launched.end()
    ended = monotonic()
    assert status == 0, said
    with closing(sqlite3.connect(tmp_path / "recovery" / "part-0.sqlite3")) as store:
        [(committed,)] = store.execute("SELECT commit_epoch FROM commits").fetchall()
    # Whole seconds would give one a second at most, and there is no more than the clock allows.
    assert committed >= EPOCHS
    assert ended - told_first < committed < (ended - began) / EPOCH_S + 2


def test_processes_of_one_machine_listen_and_talk_on_the_loopback_address_alone(inputs, tmp_path):
    env = environment(inputs, tmp_path, processes=2)
    process = subprocess.Popen(command("run", "watch"), env=env, cwd=ROOT)
    try:
        assert wait_until(lambda: len(spawned(process.pid)) == 2, 60)
        first, second = spawned(process.pid)
        # The first listens until the second has come: so long that it can be looked at.
        os.kill(second, signal.SIGSTOP)
        assert wait_until(lambda: sockets(first, LISTENING) != [], 60)
        listening = sockets(first, LISTENING)
        os.kill(second, signal.SIGCONT)
        assert wait_until(lambda: sockets(second, ESTABLISHED) != [], 60)
        talking = sockets(second, ESTABLISHED)
        assert process.wait(timeout=120) == 0
    finally:
        process.kill()
        process.wait(timeout=60)
    assert {host for host, _ in listening} == {LOOPBACK}
    assert {host for pair in talking for host in pair} == {LOOPBACK}


def sockets(pid: int, state: str) -> list[tuple[str, str]]:
    """Local and remote address of each TCP socket of a process that is in this state, in hex."""
    try:
        held = {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()}
    except OSError:  # A file was closed, or the process ended, between two looks.
        return []
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            _, local, remote, its_state, *rest = line.split()
            if its_state == state and f"socket:[{rest[5]}]" in held:
                found.append((local.partition(":")[0], remote.partition(":")[0]))
    return found
