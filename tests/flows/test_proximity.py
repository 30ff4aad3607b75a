"""The proximity flow as its users run it: files, frames, processes, kills, wrong settings."""

import json
import random
import sys
from pathlib import Path

import numpy as np
import pytest

from rules.proximity.limits import Limits
from schemas.payloads import PAYLOADS
from tests.crash.test_kill_and_resume import kill_until_done, popen
from tests.encounters import encounters
from tests.watching import environment, read_topics, rows, run

STEPS, VEHICLES = 300, 12
SETTINGS = {"nearby_m": 80, "faraway_m": 120, "proximity_every_s": 10, "max_fix_age_s": 60}
FLOW = (sys.executable, "-m", "bytewax.run", "flows.proximity:flow")


def fleet(vehicles: int = VEHICLES, seed: int = 3, name: str = "auv") -> list[dict]:
    """Records in event-time order of vehicles that wander within some hundred metres."""
    rng = np.random.default_rng(seed)
    walk_m = rng.uniform(-300, 300, (1, vehicles, 2)) + np.cumsum(
        rng.normal(0, 15, (STEPS, vehicles, 2)), axis=0
    )
    depth_m = np.abs(np.cumsum(rng.normal(0, 3, (STEPS, vehicles)), axis=0))
    records = []
    for step in range(STEPS):
        for v in range(vehicles):
            if v == 1 and 100 < step < 120:
                continue
            record = {
                "vehicle_id": f"{name}-{v:02d}",
                "timestamp": 1_767_225_600 + step * 7 + round(v / vehicles, 3),
                "latitude": round(10 + walk_m[step, v, 0] / 111_000, 7),
                "longitude": round(((walk_m[step, v, 1] / 109_600) + 360) % 360 - 180, 7),
                "depth_m": round(float(depth_m[step, v]), 1),
            }
            records.append(record)
    return records


def write(folder: Path, *parts: list[dict]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for i, part in enumerate(parts):
        lines = "".join(json.dumps(record) + "\n" for record in part)
        (folder / f"telemetry-{i}.ndjson").write_text(lines)
    return folder


def run_proximity(inputs: Path, out: Path, **settings: object) -> dict[tuple[str, str], dict]:
    env = environment(inputs, out, **SETTINGS, **settings)
    done = run(FLOW, env)
    assert done.returncode == 0, done.stderr
    return read_topics(out / "topics")


def said(events: dict[tuple[str, str], dict]) -> list[tuple]:
    return sorted(
        (
            (e["data"]["vehicle_id"], e["data"]["other_vehicle_id"]),
            e["type"].split(".")[2],
            e["data"]["reason"],
            e["time"],
        )
        for e in events.values()
    )


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return write(tmp_path_factory.mktemp("inputs"), fleet())


@pytest.fixture(scope="module")
def undisturbed(inputs, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed")
    run_proximity(inputs, out)
    return out


def test_what_is_told_is_what_brute_force_says_and_is_in_the_tables_too(undisturbed):
    told = read_topics(undisturbed / "topics")
    assert {topic for topic, _ in told} == {"proximity_events"}
    for event in told.values():
        PAYLOADS[event["type"]].model_validate(event["data"])
        assert event["source"] == "/farwatch/proximity"
        assert event["subject"] == event["data"]["vehicle_id"]
    records = [record | {"time_s": record["timestamp"]} for record in fleet()]
    limits = Limits(80.0, 120.0, 10_000_000, 60_000_000)
    expected = encounters(limits, records, doubt_m=0.0)
    assert len(expected) > 50
    assert [t[:3] for t in said(told)] == sorted(t[:3] for t in expected)
    assert {t.reason for t in expected} == {"crossed", "found", "lost"}
    kept = {(e, v) for e, v, _ in rows(undisturbed)["proximity_events"]}
    assert kept == {(e["data"]["event_id"], e["data"]["version"]) for e in told.values()}


def test_frames_of_any_size_tell_the_same(inputs, undisturbed, tmp_path):
    told = run_proximity(inputs, tmp_path, frame_rows=37)
    assert told == read_topics(undisturbed / "topics")


def test_order_across_vehicles_within_the_lateness_does_not_matter(undisturbed, tmp_path):
    rng = random.Random(1)
    arriving = sorted(fleet(), key=lambda r: r["timestamp"] + rng.uniform(0, 119))
    told = run_proximity(write(tmp_path / "inputs", arriving), tmp_path, frame_rows=100)
    assert told == read_topics(undisturbed / "topics")


def test_two_processes_tell_what_one_tells(undisturbed, tmp_path, unused_tcp_ports):
    halves = [[r for r in fleet() if int(r["vehicle_id"][-2:]) % 2 == i] for i in range(2)]
    inputs = write(tmp_path / "inputs", *halves)
    # Files are read apart: one may be ahead of the other by all of it.
    env = environment(inputs, tmp_path, **SETTINGS, lateness_s=STEPS * 7)
    addresses = ";".join(f"127.0.0.1:{port}" for port in unused_tcp_ports)
    running = [
        popen([*FLOW, "-i", str(process), "-a", addresses], env, tmp_path) for process in range(2)
    ]
    assert [p.wait(120) for p in running] == [0, 0], (tmp_path / "log").read_text()
    assert said(read_topics(tmp_path / "topics")) == said(read_topics(undisturbed / "topics"))


def test_after_kills_it_tells_what_it_tells_undisturbed(inputs, undisturbed, tmp_path):
    recovery = tmp_path / "recovery"
    recovery.mkdir()
    # Epochs of whole seconds are the shortest of the engine's own command line.
    env = environment(inputs, tmp_path, **SETTINGS, epoch_rows=400, frame_rows=100)
    made = run([sys.executable, "-m", "bytewax.recovery", str(recovery), "1"], env)
    assert made.returncode == 0, made.stderr

    def start():
        words = [*FLOW, "-r", str(recovery), "-s", "1", "-b", "0"]
        return [popen(words, env, tmp_path)]

    assert kill_until_done(start, tmp_path, random.Random(2), 3, longest_s=2.0) >= 3
    assert read_topics(tmp_path / "topics") == read_topics(undisturbed / "topics")
    assert rows(tmp_path) == rows(undisturbed)


def test_a_file_that_grows_after_its_end_ends_with_the_same_answer(undisturbed, tmp_path):
    records = fleet()
    inputs = write(tmp_path / "inputs", records[: len(records) // 2])
    recovery = tmp_path / "recovery"
    recovery.mkdir()
    env = environment(inputs, tmp_path, **SETTINGS)
    assert run([sys.executable, "-m", "bytewax.recovery", str(recovery), "1"], env).returncode == 0
    words = [*FLOW, "-r", str(recovery), "-s", "1", "-b", "0"]
    assert run(words, env).returncode == 0
    early = read_topics(tmp_path / "topics")
    assert early
    write(inputs, records)
    done = run(words, env)
    assert done.returncode == 0, done.stderr
    latest: dict[str, dict] = {}
    for event in read_topics(tmp_path / "topics").values():
        data = event["data"]
        if data["version"] > latest.get(data["event_id"], {"version": 0})["version"]:
            latest[data["event_id"]] = data
    holding = {i: d | {"version": 1} for i, d in latest.items() if not d["retracted"]}
    expected = {
        e["data"]["event_id"]: e["data"] for e in read_topics(undisturbed / "topics").values()
    }
    assert holding == expected


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"nearby_m": 200}, ("faraway_m", "120", "nearby_m", "200")),
        ({"nearby_m": 0}, ("nearby_m", "greater than 0")),
        ({"nearby_m": "near"}, ("nearby_m", "near", "number")),
        ({"proximity_every_s": 0}, ("proximity_every_s", "0.1")),
        ({"max_fix_age_s": -1}, ("max_fix_age_s", "greater than 0")),
        ({"nearby": 5}, ("FARWATCH_NEARBY", "FARWATCH_NEARBY_M")),
    ],
)
def test_wrong_settings_end_with_status_2_and_one_line(inputs, tmp_path, settings, words):
    done = run(FLOW, environment(inputs, tmp_path, **SETTINGS | settings))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert all(word in done.stderr for word in words), done.stderr
    assert not list(tmp_path.rglob("*.ndjson"))


def test_other_distances_do_not_resume_a_recovery_folder(inputs, tmp_path):
    recovery = tmp_path / "recovery"
    recovery.mkdir()
    env = environment(inputs, tmp_path, **SETTINGS)
    assert run([sys.executable, "-m", "bytewax.recovery", str(recovery), "1"], env).returncode == 0
    words = [*FLOW, "-r", str(recovery), "-s", "1", "-b", "0"]
    assert run(words, env).returncode == 0
    done = run(words, environment(inputs, tmp_path, **SETTINGS | {"nearby_m": 70}))
    assert done.returncode != 0
    assert "distances" in done.stderr
