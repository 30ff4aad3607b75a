"""Killing flows at random moments, as power cuts and schedulers do."""

import random
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.watching import ROOT


def kill_until_done(
    start: Callable[[], Sequence[subprocess.Popen]],
    out: Path,
    rng: random.Random,
    at_least: int,
    longest_s: float,
) -> int:
    """Start, kill at a random moment after the first new result, until a run ends by itself.

    Results are those below ``out / "topics"``. Returns how often it was killed.
    """
    kills = 0
    while True:
        running = start()
        before, deadline = _size(out), time.monotonic() + 60
        while (
            _size(out) == before
            and all(p.poll() is None for p in running)
            and time.monotonic() < deadline
        ):
            time.sleep(0.005)  # noqa: TID251 (a test that waits for another process)
        moment = time.monotonic() + rng.uniform(0, longest_s if kills < at_least else 600)
        while time.monotonic() < moment and any(p.poll() is None for p in running):
            time.sleep(0.005)  # noqa: TID251 (the same)
        if all(p.poll() == 0 for p in running):
            return kills
        for process in running:
            process.send_signal(signal.SIGKILL)
        # One of two may have died of the other's death before it was killed.
        assert {p.wait(60) for p in running} & {-signal.SIGKILL}, (out / "log").read_text()
        kills += 1


def popen(words: Sequence[str], env: Mapping[str, str], out: Path) -> subprocess.Popen:
    """Start a flow; what it says goes to ``out / "log"``."""
    with (out / "log").open("a") as log:
        return subprocess.Popen(words, env=dict(env), cwd=ROOT, stderr=log)


def _size(out: Path) -> int:
    return sum(path.stat().st_size for path in (out / "topics").glob("*.ndjson"))
