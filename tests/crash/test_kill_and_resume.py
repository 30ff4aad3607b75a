"""kill -9 at random moments, resume, and the results are those of a run without kills."""

import random
import sys

import pytest

from tests.killing import kill_until_done, popen
from tests.watching import (
    command,
    environment,
    rows,
    run,
    telemetry,
    told,
    write_inputs,
)

RECORDS = 24_000
# Slow enough for many kills: at most this many records an epoch of a twentieth of a second.
PACE = {"epoch_s": 0.05, "epoch_rows": 150, "frame_rows": 150, "analytics": "on"}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    write_inputs(folder, telemetry(RECORDS))
    return folder


@pytest.fixture(scope="module")
def undisturbed(inputs, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed")
    done = run(command("watch", "--quiet"), environment(inputs, out, analytics="on"))
    assert done.returncode == 0, done.stderr
    return out


@pytest.mark.parametrize(
    "kills", [8, pytest.param(200, marks=pytest.mark.slow)], ids=lambda n: f"{n}-kills"
)
def test_results_after_kills_are_those_of_an_undisturbed_run(inputs, undisturbed, tmp_path, kills):
    rng = random.Random(kills)
    env = environment(inputs, tmp_path, recovery=tmp_path / "recovery", **PACE)

    def start():
        return [popen(command("watch", "--quiet"), env, tmp_path)]

    done = kill_until_done(start, tmp_path, rng, kills, longest_s=4.0 / kills)
    assert done >= kills
    assert told(tmp_path) == told(undisturbed)
    assert rows(tmp_path) == rows(undisturbed)


@pytest.mark.parametrize(
    "kills", [0, 3, pytest.param(50, marks=pytest.mark.slow)], ids=lambda n: f"{n}-kills"
)
def test_two_processes_tell_what_one_tells(tmp_path, kills, unused_tcp_ports):
    rng = random.Random(kills)
    inputs = tmp_path / "inputs"
    write_inputs(inputs, [])
    for part in range(2):
        lines = telemetry(RECORDS // 2, vehicles=10, seed=part, name=f"fleet{part}")
        (inputs / f"telemetry-{part}.ndjson").write_text("\n".join(lines) + "\n")
    (inputs / "telemetry.ndjson").unlink()
    one, two = tmp_path / "one", tmp_path / "two"
    alone = run(command("watch", "--quiet"), environment(inputs, one, analytics="on"))
    assert alone.returncode == 0, alone.stderr
    (two / "recovery").mkdir(parents=True)
    made = run(
        [sys.executable, "-m", "bytewax.recovery", f"{two}/recovery", "2"], environment(inputs, two)
    )
    assert made.returncode == 0, made.stderr
    # The engine's own command line knows epochs of whole seconds only: two of them for each kill.
    pace = {"epoch_rows": RECORDS // 4 // kills, "frame_rows": 150} if kills else {}
    env = environment(inputs, two, analytics="on", **pace)
    addresses = ";".join(f"127.0.0.1:{port}" for port in unused_tcp_ports)

    def start():
        return [
            popen(
                [
                    *(sys.executable, "-m", "bytewax.run", "flows.watch:flow"),
                    *("-i", str(process), "-a", addresses),
                    *("-r", f"{two}/recovery", "-s", "1", "-b", "0"),
                ],
                env,
                two,
            )
            for process in range(2)
        ]

    done = kill_until_done(start, two, rng, kills, longest_s=3.0)
    assert done >= kills
    assert told(two) == told(one)
    assert rows(two) == rows(one)
