"""Analytics on files: alone and in the watch, however it is run, it ends with the same windows."""

import json
import sys
from collections import Counter
from datetime import datetime

import pytest

from tests.watching import (
    command,
    environment,
    read_topics,
    run,
    telemetry,
    with_late_records,
    write_inputs,
)

ALONE = [sys.executable, "-m", "bytewax.run", "flows.analytics:flow"]
WATCH = command("watch", "--quiet")
RECORDS = 4_000
VEHICLES = 20


@pytest.fixture(scope="module")
def lines():
    """Records in order but for some that come late, of which a few come too late."""
    return with_late_records(telemetry(RECORDS, VEHICLES), VEHICLES)


@pytest.fixture(scope="module")
def inputs(lines, tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    write_inputs(folder, lines)
    return folder


def newest(folder):
    """Window -> the data of its last version; the lines of a file are in the order told."""
    found = {}
    for event in read_topics(folder, ["analytics_data"]).values():
        before = found.get(event["data"]["event_id"])
        assert before is None or before["version"] < event["data"]["version"]
        found[event["data"]["event_id"]] = event["data"]
    return found


@pytest.fixture(scope="module")
def alone(inputs, tmp_path_factory):
    out = tmp_path_factory.mktemp("alone")
    done = run(ALONE, environment(inputs, out, results=f"dir:{out}", frame_rows=20))
    assert done.returncode == 0, done.stderr
    return newest(out)


def test_every_record_is_in_a_window_or_a_dead_letter(lines, alone):
    good = [r for r in map(json.loads, lines) if r.get("latitude", 0) < 90]
    counted = sum(data["count"] + data["too_late"] for data in alone.values())
    assert counted == len(good) < RECORDS
    assert sum(data["too_late"] for data in alone.values()) > 0
    of_vehicle = Counter()
    for data in alone.values():
        of_vehicle[data["vehicle_id"]] += data["version"]
    assert of_vehicle == Counter(r["vehicle_id"] for r in good)


def test_windows_of_records_in_time_are_what_a_loop_finds(lines, alone):
    depths = {}
    for r in map(json.loads, lines):
        if r.get("latitude", 0) < 90 and "depth_m" in r:
            key = r["vehicle_id"], int(r["timestamp"] // 60)
            depths.setdefault(key, []).append((r["timestamp"], r["depth_m"]))
    whole = 0
    for data in alone.values():
        minute = datetime.fromisoformat(data["time"]).timestamp() // 60
        values = depths.get((data["vehicle_id"], minute), [])
        if data["figures"].get("depth_m", {}).get("count") != len(values):
            continue  # some came too late
        whole += 1
        if values:
            found = data["figures"]["depth_m"]
            only = [depth for _, depth in values]
            assert (found["min"], found["max"]) == (min(only), max(only))
            assert found["mean"] == pytest.approx(sum(only) / len(only), rel=1e-12)
            assert found["last"] == max(values)[1]
    assert whole > 0.9 * len(alone)


@pytest.mark.parametrize("key_groups", [1, 16])
def test_the_watch_ends_with_the_windows_of_the_flow_alone(inputs, alone, tmp_path, key_groups):
    env = environment(
        inputs,
        tmp_path,
        results=f"dir:{tmp_path}/topics",
        analytics="on",
        frame_rows=20,
        key_groups=key_groups,
    )
    done = run(WATCH, env)
    assert done.returncode == 0, done.stderr
    assert newest(tmp_path / "topics") == alone


def test_frames_of_any_size_end_with_the_same_windows(inputs, alone, tmp_path):
    done = run(ALONE, environment(inputs, tmp_path, results=f"dir:{tmp_path}", frame_rows=777))
    assert done.returncode == 0, done.stderr
    assert newest(tmp_path) == alone


def test_the_watch_tells_no_windows_that_nobody_asked_for(inputs, tmp_path):
    done = run(WATCH, environment(inputs, tmp_path, results=f"dir:{tmp_path}/topics"))
    assert done.returncode == 0, done.stderr
    assert newest(tmp_path / "topics") == {}


def test_state_goes_on_with_the_lengths_it_was_made_with_only(inputs, tmp_path):
    env = environment(
        inputs,
        tmp_path,
        results=f"dir:{tmp_path}/topics",
        analytics="on",
        recovery=tmp_path / "recovery",
    )
    assert run(WATCH, env).returncode == 0
    done = run(WATCH, env | {"FARWATCH_ANALYTICS": "off"})
    assert (done.returncode, "made with other analytics;" in done.stderr) == (2, True)
    done = run(WATCH, env | {"FARWATCH_WINDOW_S": "30"})
    assert done.returncode == 2
    assert done.stderr == (
        "farwatch: the recovery folder holds windows made with window_s 60, window_gap_s 30,"
        " lateness_s 120; start again with those or with a new folder\n"
    )


@pytest.mark.parametrize("flow", [ALONE, WATCH], ids=["alone", "watch"])
def test_windows_that_no_result_keeps_are_refused_in_one_line(inputs, tmp_path, flow):
    env = environment(inputs, tmp_path, results=f"sqlite:{tmp_path}/r.sqlite", analytics="on")
    done = run(flow, env)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "farwatch: windows are told, but no place in FARWATCH_RESULTS (--results) keeps them; add"
        " one: `dir:`, `stdout:`, `kafka:`, `amqp:` or `influxdb:`\n"
    )


@pytest.mark.parametrize(
    ("name", "value"), [("window_s", "0"), ("window_gap_s", "-1"), ("analytics", "yes")]
)
def test_a_wrong_setting_is_refused_in_one_line(inputs, tmp_path, name, value):
    done = run(ALONE, environment(inputs, tmp_path, results="stdout:", **{name: value}))
    assert done.returncode == 2
    assert done.stderr.startswith(f"farwatch: setting `{name}` '{value}': ")
    assert done.stderr.count("\n") == 1
