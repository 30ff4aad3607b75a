"""A watch on a broker, drained under load: nothing is lost, and nothing is even told again."""

import signal
import subprocess

import pytest

from tests.far_sides import NEW_TOPICS, told_on, without_origin
from tests.kills import wait_until
from tests.watching import ROOT, command, environment, run, telemetry, told, write_inputs

RECORDS = 3_000
EPOCH_ROWS = 100
PACE = {"epoch_s": 0.05, "epoch_rows": EPOCH_ROWS, "frame_rows": EPOCH_ROWS}


@pytest.mark.parametrize(
    ("broker", "processes", "drains"),
    [
        ("rabbitmq", 1, 1),
        pytest.param("rabbitmq", 2, 4, marks=pytest.mark.slow),
        pytest.param("kafka", 1, 4, marks=pytest.mark.slow),
        pytest.param("kafka", 2, 4, marks=pytest.mark.slow),
    ],
)
def test_drained_under_load_it_tells_everything_once(request, tmp_path, broker, processes, drains):
    url = request.getfixturevalue(f"{broker}_url")
    inputs, alone, out = tmp_path / "inputs", tmp_path / "alone", tmp_path / "out"
    lines = telemetry(RECORDS)
    write_inputs(inputs, lines)
    done = run(command("watch", "--quiet"), environment(inputs, alone))
    assert done.returncode == 0, done.stderr
    with NEW_TOPICS[broker](url, processes) as topics:
        topics.publish(lines)
        results = f"{topics.results} dir:{out}/topics"
        env = environment(
            inputs,
            out,
            telemetry=topics.source,
            results=results,
            recovery=out / "recovery",
            processes=processes,
            **PACE,
        )

        def told_bytes() -> int:
            return sum(path.stat().st_size for path in (out / "topics").glob("*.ndjson"))

        for _ in range(drains):
            before, unread = told_bytes(), topics.unread()
            running = subprocess.Popen(
                command("run", "watch"), env=env, cwd=ROOT, stderr=subprocess.PIPE, text=True
            )
            assert wait_until(lambda: told_bytes() > before, 60)  # noqa: B023 (called at once)
            running.send_signal(signal.SIGTERM)
            said = running.communicate(timeout=60)[1]
            assert running.returncode == 0, said
            assert "draining" in said
            assert 0 < topics.unread() < unread, "drained of everything, or of nothing"
        done = run(command("run", "watch"), env)
        assert done.returncode == 0, done.stderr
        assert topics.unread() == 0
        there = told_on(topics)
    assert there.again == 0
    assert without_origin(there.events) == without_origin(told(alone))
    assert without_origin(told(out)) == without_origin(told(alone))
