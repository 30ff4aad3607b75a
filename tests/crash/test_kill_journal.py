"""kill -9 at random moments: what a resumed key reads back of its journal is all it knew."""

import random
import signal
import socket
import subprocess
import sys
import time

import pytest
from bytewax.recovery import init_db_dir

from tests.journal_flow import expected, results
from tests.watching import ROOT

KILLS = 10


def start(folder, processes):
    addresses = []
    if processes > 1:
        holders = [socket.create_server(("127.0.0.1", 0)) for _ in range(processes)]
        addresses = [f"127.0.0.1:{holder.getsockname()[1]}" for holder in holders]
        for holder in holders:
            holder.close()
    words = [sys.executable, "-m", "tests.journal_flow", str(folder)]
    with (folder / "log").open("a") as log:
        return [
            subprocess.Popen(
                [*words, *([str(i), *addresses] if addresses else [])], cwd=ROOT, stderr=log
            )
            for i in range(processes)
        ]


def alive(running):
    return all(process.poll() is None for process in running)


def wait_while(condition, deadline_s):
    deadline = time.monotonic() + deadline_s
    while condition() and time.monotonic() < deadline:
        time.sleep(0.005)  # noqa: TID251 (a test that waits for another process)


def kill(running):
    for process in running:
        process.send_signal(signal.SIGKILL)
    # One of two may have died of the other's death before it was killed.
    assert {process.wait() for process in running} & {-signal.SIGKILL}


def journal_bytes(folder):
    return sum(p.stat().st_size for p in (folder / "recovery/journal").rglob("*") if p.is_file())


@pytest.mark.parametrize("cluster", [(1,), (2,), (1, 2)], ids=["one", "two", "rescaled"])
def test_kill_and_resume(cluster, tmp_path):
    (tmp_path / "recovery").mkdir()
    init_db_dir(tmp_path / "recovery", 2)
    rng = random.Random()
    kills = 0
    while True:
        running = start(tmp_path, cluster[kills % len(cluster)])
        begun = [tmp_path / f"started-{process.pid}" for process in running]
        wait_while(lambda r=running, b=begun: alive(r) and not all(p.exists() for p in b), 60)
        wait_while(lambda r=running: alive(r), rng.uniform(0, 0.5) if kills < KILLS else 60)
        if not alive(running):
            break
        kill(running)
        kills += 1
    assert [process.wait() for process in running] == [0] * len(running), (
        tmp_path / "log"
    ).read_text()
    assert kills >= KILLS
    assert results(tmp_path) == expected()
    # 9 MB were written; the states hold about 0.4.
    assert 300_000 < journal_bytes(tmp_path) < 3_000_000
