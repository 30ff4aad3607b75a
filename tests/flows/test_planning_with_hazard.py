"""Triggers that read hazard scores: the watch asks for the same plans, wherever frames end."""

import json

import pytest

from schemas.frame import rfc3339
from tests.flows.test_planning import held
from tests.watching import RULES, ZONES, command, environment, read_topics, run

START_US, STEP_US = 1_700_000_000_000_000, 60_000_000
STEPS = 240
TRIGGERS = """
- {id: risky, when: hazard.score > 0.4, deadline: 10m}
- {id: unknown, when: "!has(hazard.score)", deadline: 10m, mode: shadow}
- {id: low, when: battery_pct < 30.0, deadline: 10m, mode: shadow}
"""
PROFILES = """
- id: divers
  kinds: [auv]
  parts:
    battery: {reads: battery_pct, safe: 60, limit: 10, weight: 0.9, source: made up}
- id: drivers
  kinds: [rover]
  parts:
    battery: {reads: battery_pct, safe: 80, limit: 20, weight: 0.8, source: made up}
"""
KINDS = ["auv", "auv", "rover", "auv", "rover", "vessel", "auv"]


def records(*, tied=False):
    """Vehicles whose batteries go up and down, each over hours, some records minutes late.

    ``tied``: of some times a vehicle has two records, which say the contrary.
    """
    timed = []
    for step in range(STEPS):
        for v, kind in enumerate(KINDS):
            time_us = START_US + STEP_US * step + v * 7_000_000
            late_us = 4 * STEP_US if (step + 5 * v) % 17 == 0 else 0
            record = {
                "vehicle_id": f"{kind}-{v}",
                "kind": kind,
                "timestamp": rfc3339(time_us),
                "battery_pct": 80.0 if (step // 20 + v) % 2 else 20.0,
                "longitude": 1.0,
                "latitude": 1.0,
            }
            timed.append((time_us + late_us, json.dumps(record) + "\n"))
            if tied and step % 29 == 7:
                other = record | {"battery_pct": 100.0 - record["battery_pct"]}
                timed.append((time_us + 3 * STEP_US, json.dumps(other) + "\n"))
    return [line for _, line in sorted(timed)]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "telemetry.ndjson").write_text("".join(records()))
    (folder / "tied.ndjson").write_text("".join(records(tied=True)))
    (folder / "zones.geojson").write_text(json.dumps(ZONES))
    (folder / "rules.yaml").write_text(RULES)
    (folder / "triggers.yaml").write_text(TRIGGERS)
    (folder / "profiles.yaml").write_text(PROFILES)
    return folder


def watched(inputs, out, **settings):
    env = environment(
        inputs,
        out,
        **{
            "results": f"dir:{out}/topics",
            "triggers": f"file:{inputs}/triggers.yaml",
            "hazard": inputs / "profiles.yaml",
            "hazard_every_s": 120,
            "lateness_s": 600,
            **settings,
        },
    )
    done = run(command("run", "watch"), env)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module", params=["telemetry", "tied"])
def one_by_one(request, inputs, tmp_path_factory):
    """The name of an input, and where its results are, judged record by record."""
    telemetry, out = f"file:{inputs}/{request.param}.ndjson", tmp_path_factory.mktemp("one")
    return telemetry, watched(inputs, out, telemetry=telemetry, frame_rows=1)


def test_each_rise_of_a_score_asks_for_a_plan(inputs, tmp_path):
    out = watched(inputs, tmp_path)
    asked = [d for d in held(out).values() if d["state"] == "requested"]
    reasons = [(d["vehicle_id"], r["trigger_id"]) for d in asked for r in d["reasons"]]
    # Twelve stretches of twenty minutes, of which every other one is dangerous.
    for v, kind in enumerate(KINDS):
        name = f"{kind}-{v}"
        assert reasons.count((name, "risky")) == (0 if kind == "vessel" else 6)
        assert reasons.count((name, "low")) == 6
        assert reasons.count((name, "unknown")) == (kind == "vessel")


@pytest.mark.parametrize(
    "settings",
    [{"frame_rows": 50}, {"frame_rows": 20_000}, {"frame_rows": 50, "processes": 2}],
    ids=["50", "all", "2-processes"],
)
def test_frames_of_any_size_end_with_the_same_requests(inputs, one_by_one, tmp_path, settings):
    telemetry, alone = one_by_one
    out = watched(inputs, tmp_path, telemetry=telemetry, **settings)
    assert held(alone)
    assert held(out) == held(alone)


def test_records_in_time_are_judged_once(inputs, tmp_path):
    lines = sorted(records(), key=lambda line: json.loads(line)["timestamp"])
    (tmp_path / "telemetry.ndjson").write_text("".join(lines))
    telemetry = f"file:{tmp_path}/telemetry.ndjson"
    out = watched(inputs, tmp_path, telemetry=telemetry, frame_rows=50)
    told = read_topics(out / "topics", ["plan_requests", "shadow_plan_requests"])
    assert told
    assert {event["data"]["version"] for event in told.values()} == {1}
