"""The flows one by one, with files between them, tell what the watch tells."""

import sys

import pytest

from scripts.run import FLOWS
from tests.watching import command, environment, read_topics, run, telemetry, told, write_inputs

SLOW = pytest.mark.slow


def run_flow(flow: str, env: dict[str, str]) -> None:
    done = run([sys.executable, "-m", "bytewax.run", f"flows.{flow}:flow"], env)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    lines = telemetry(4_000)
    # Some records come after newer ones of their vehicle.
    for place in range(100, 3_600, 500):
        # Every other one so late that it revises nothing any more.
        behind = 60 if place % 1_000 == 100 else 400
        lines[place], lines[place + behind] = lines[place + behind], lines[place]
    write_inputs(folder, lines)
    return folder


@pytest.fixture(scope="module")
def watched(inputs, tmp_path_factory):
    out = tmp_path_factory.mktemp("watched")
    # One record a frame: so each displaced record is late in every way of running.
    done = run(command("watch", "--quiet"), environment(inputs, out, frame_rows=20))
    assert done.returncode == 0, done.stderr
    return out


def test_flows_apart_tell_what_the_watch_tells(inputs, watched, tmp_path):
    steps = {
        "geofencing": f"{inputs}/telemetry.ndjson",
        "compliance": f"{tmp_path}/geofencing/enriched_telemetry.ndjson",
        "alerting": f"{tmp_path}/compliance/compliance_violations.ndjson",
    }
    for flow, source in steps.items():
        env = environment(
            inputs,
            tmp_path,
            telemetry=f"file:{source}",
            results=f"dir:{tmp_path}/{flow}",
            frame_rows=20,
        )
        run_flow(flow, env)
    apart = {}
    for flow in steps:
        apart |= read_topics(tmp_path / flow)
    assert {k: content(e) for k, e in apart.items()} == {
        k: content(e) for k, e in told(watched).items()
    }
    assert any(topic == "late_telemetry" for topic, _ in apart)
    assert any(event["data"]["version"] > 1 for event in apart.values())


def content(event: dict) -> dict:
    """All of the event but which flow told it."""
    return {name: value for name, value in event.items() if name != "source"}


def test_checked_telemetry_passes_through_the_telemetry_flow(inputs, tmp_path):
    env = environment(inputs, tmp_path, results=f"dir:{tmp_path}/checked")
    run_flow("telemetry", env)
    events = read_topics(tmp_path / "checked", ["checked_telemetry", "dead_letters"])
    rows = sum(
        len(e["data"]["columns"]["time_us"])
        for (topic, _), e in events.items()
        if topic == "checked_telemetry"
    )
    rejected = sum(topic == "dead_letters" for topic, _ in events)
    assert rejected > 0
    assert rows + rejected == 4_000


@pytest.mark.parametrize("flow", FLOWS)
@pytest.mark.parametrize("form", ["flows.{}:flow", pytest.param("flows/{}.py:flow", marks=SLOW)])
def test_every_flow_is_found_and_without_settings_ends_with_status_2_and_one_line(
    form, flow, inputs, tmp_path
):
    env = {k: v for k, v in environment(inputs, tmp_path).items() if "FARWATCH" not in k}
    done = run([sys.executable, "-m", "bytewax.run", form.format(flow)], env)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "FARWATCH_TELEMETRY" in done.stderr


@pytest.mark.slow
def test_a_flow_runs_by_its_path(inputs, watched, tmp_path):
    words = [sys.executable, "-m", "bytewax.run", "flows/watch.py:flow"]
    done = run(words, environment(inputs, tmp_path, frame_rows=20))
    assert done.returncode == 0, done.stderr
    assert told(tmp_path) == told(watched)
