"""Planning on files: alone and in the watch, however it is run, it ends with the same requests."""

import json
import sys

import pytest

from connectors.contract import SettingsError
from flows.settings import Settings
from flows.watch import watch
from flows.wiring import wire
from schemas.payloads import PAYLOADS
from tests.watching import (
    command,
    environment,
    read_topics,
    rows,
    run,
    telemetry,
    with_late_records,
    write_inputs,
)

ALONE = [sys.executable, "-m", "bytewax.run", "flows.planning:flow"]
WATCH = command("watch", "--quiet")
RECORDS, VEHICLES = 3_000, 20
TOPICS = ("plan_requests", "shadow_plan_requests", "compliance_violations")
TRIGGERS = """
- id: low
  forecasts: {battery: {of: battery_pct, method: robust, look_back: 10m, horizon: 30m}}
  when: forecast.battery.low < plan.reserve_pct
  consecutive: 3
  deadline: 10m
  message: "{vehicle_id} at {battery_pct} %"
- {id: closed, when: ahead.zone_in_s < 300.0, scope: {zones: {kind: [apei]}}, priority: 7}
- {id: quiet, absent_for: 15s, mode: shadow}
"""


RISKY = """
- {id: risky, when: hazard.upper > 0.6, deadline: 10m}
- id: rising
  forecasts: {risk: {of: hazard.score, look_back: 10m, horizon: 5m, limit: 0.9}}
  when: forecast.risk.reaches_s < 240.0
  deadline: 10m
"""
PROFILE = """
- id: any
  kinds: [vehicle]
  vehicle: {max_depth_m: 450}
  parts:
    depth_margin: {reads: depth_margin_m, safe: 200, limit: 0, weight: 0.9, source: made up}
    battery: {reads: battery_pct, safe: 60, limit: 10, weight: 0.7, source: made up}
"""


def plans():
    """A plan a vehicle, of which the second half comes as events."""
    for v in range(VEHICLES):
        plan = {
            "vehicle_id": f"auv-{v:03d}",
            "time": "2026-01-01T00:00:00Z",
            "reserve_pct": 85,
            "path": [{"longitude": v % 8, "latitude": 1.0}, {"longitude": 4.0, "latitude": 4.0}],
        }
        event_type = "farwatch.mission.planned.v1"
        event = {"specversion": "1.0", "id": str(v), "source": "/x", "type": event_type}
        yield plan if v < VEHICLES // 2 else event | {"data": plan}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    write_inputs(folder, with_late_records(telemetry(RECORDS, VEHICLES), VEHICLES))
    (folder / "triggers.yaml").write_text(TRIGGERS)
    (folder / "risky.yaml").write_text(RISKY)
    (folder / "profile.yaml").write_text(PROFILE)
    (folder / "plans.ndjson").write_text("".join(json.dumps(p) + "\n" for p in plans()))
    return folder


def planned(inputs, out, **settings):
    return environment(
        inputs,
        out,
        **{
            "results": f"dir:{out}/topics sqlite:{out}/results.sqlite",
            "triggers": f"file:{inputs}/triggers.yaml",
            "mission_plans": f"file:{inputs}/plans.ndjson",
            "planning_every_s": 20,
            # What comes later than that may be judged or not, by the frame that it is in.
            "lateness_s": 1200,
            **settings,
        },
    )


def held(out):
    """(topic, event id) -> data of the newest versions that are not retracted, versions aside."""
    newest = {}
    for (topic, _), event in read_topics(out / "topics", TOPICS).items():
        if event["type"].startswith("farwatch.plan.") or "no-plan" in event["data"]["rule_id"]:
            PAYLOADS[event["type"]].model_validate(event["data"])
            key = topic, event["data"]["event_id"]
            assert key not in newest or newest[key]["version"] < event["data"]["version"]
            newest[key] = event["data"]
    return {
        key: {name: value for name, value in data.items() if name != "version"}
        for key, data in newest.items()
        if not data["retracted"]
    }


@pytest.fixture(scope="module")
def alone(inputs, tmp_path_factory):
    out = tmp_path_factory.mktemp("alone")
    done = run(ALONE, planned(inputs, out, frame_rows=100))
    assert done.returncode == 0, done.stderr
    return out


def test_requests_of_every_trigger_are_told_and_expire(alone):
    found = held(alone)
    reasons = [r["trigger_id"] for data in found.values() for r in data.get("reasons", [])]
    assert set(reasons) == {"low", "closed", "quiet"}
    assert {data["state"] for data in found.values()} == {"requested", "expired", "unacknowledged"}
    asked = [d for (topic, _), d in found.items() if topic == "plan_requests"]
    assert any(len(data.get("reasons", [])) > 1 for data in asked)
    assert any(d["retracted"] for d in versions(alone)), "no late record took anything back"


def versions(out):
    return [event["data"] for event in read_topics(out / "topics", TOPICS).values()]


@pytest.mark.parametrize(
    "settings", [{"frame_rows": 777}, {"frame_rows": 100, "key_groups": 1}], ids=["frames", "group"]
)
def test_frames_and_groups_of_any_size_end_with_the_same(inputs, alone, tmp_path, settings):
    done = run(ALONE, planned(inputs, tmp_path, **settings))
    assert done.returncode == 0, done.stderr
    assert held(tmp_path) == held(alone)


def test_the_watch_ends_with_the_requests_of_the_flow_alone(inputs, alone, tmp_path):
    done = run(WATCH, planned(inputs, tmp_path, frame_rows=100))
    assert done.returncode == 0, done.stderr
    assert held(tmp_path) == held(alone)
    told = {
        event["data"]["alarm_id"]
        for event in read_topics(tmp_path / "topics", ["alert_notifications"]).values()
    }
    unanswered = {d["alarm_id"] for (topic, _), d in held(tmp_path).items() if topic == TOPICS[2]}
    assert unanswered
    assert unanswered <= told
    kept = rows(tmp_path)
    assert kept["violations"]


def test_the_watch_asks_for_no_plans_that_nobody_asked_for(inputs, tmp_path):
    done = run(WATCH, environment(inputs, tmp_path))
    assert done.returncode == 0, done.stderr
    assert not read_topics(tmp_path / "topics", TOPICS[:2])


def test_results_in_a_file_answer_the_same_requests_on_replay(inputs, alone, tmp_path):
    asked = [d for d in held(alone).values() if d["state"] == "requested" and d["mode"] == "active"]
    results = [
        {
            "vehicle_id": data["vehicle_id"],
            "time": data["time"],
            "request_id": data["request_id"],
            "status": "answered",
            "plan_id": "p2",
        }
        for data in asked
    ]
    (tmp_path / "results.ndjson").write_text("".join(json.dumps(r) + "\n" for r in results))
    env = planned(inputs, tmp_path, frame_rows=100, plan_results=f"file:{tmp_path}/results.ndjson")
    done = run(ALONE, env)
    assert done.returncode == 0, done.stderr
    states = [data["state"] for (topic, _), data in held(tmp_path).items() if topic == TOPICS[0]]
    assert sorted(set(states)) == ["answered", "requested"]
    assert states.count("answered") == len(asked) == states.count("requested")
    assert not [1 for topic, _ in held(tmp_path) if topic == TOPICS[2]]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"triggers": "", "mission_plans": ""}, "not set: FARWATCH_TRIGGERS (--triggers)"),
        ({"mission_plans": ""}, "triggers `low` ask for `plan.name`"),
        (
            {"triggers": "hazard"},
            "triggers `risky`, `rising` ask for `hazard.name`; set FARWATCH_HAZARD in the watch, or"
            " FARWATCH_HAZARD_SCORES",
        ),
        ({"zones": ""}, "triggers `closed` ask for `ahead.name`; set FARWATCH_ZONES"),
        ({"planning_every_s": "0"}, "setting `planning_every_s` '0': "),
    ],
)
def test_a_wrong_set_up_is_refused_in_one_line(inputs, tmp_path, settings, said):
    if settings.get("triggers") == "hazard":
        settings = {"triggers": f"file:{inputs}/risky.yaml"}
    done = run(ALONE, planned(inputs, tmp_path, **settings))
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_wrong_plans_in_a_file_are_told_all_at_once(inputs, tmp_path):
    (tmp_path / "plans.ndjson").write_text('{"vehicle_id": "a"}\nno\n')
    env = planned(inputs, tmp_path, mission_plans=f"file:{tmp_path}/plans.ndjson")
    done = run(ALONE, env)
    assert done.returncode == 2
    first, second = done.stderr.splitlines()
    assert f"{tmp_path}/plans.ndjson:1: time: field required" in first
    assert f"{tmp_path}/plans.ndjson:2: no JSON object" in second


def test_a_recovery_folder_belongs_to_its_triggers(inputs, tmp_path):
    env = planned(inputs, tmp_path, recovery=tmp_path / "recovery")
    assert run(WATCH, env).returncode == 0
    without = dict.fromkeys(("TRIGGERS", "MISSION_PLANS", "PLAN_RESULTS"), "")
    done = run(WATCH, env | {f"FARWATCH_{name}": value for name, value in without.items()})
    assert (done.returncode, "made with other triggers;" in done.stderr) == (2, True)


@pytest.mark.slow
def test_scores_of_the_watch_and_of_the_hazard_flow_ask_for_the_same_plans(inputs, tmp_path):
    scored = {"hazard": inputs / "profile.yaml", "hazard_every_s": 30}
    risky = {"triggers": f"file:{inputs}/risky.yaml", "mission_plans": "", "frame_rows": 100}
    done = run(WATCH, planned(inputs, tmp_path / "watch", **scored, **risky))
    assert done.returncode == 0, done.stderr
    found = held(tmp_path / "watch")
    asked = [data for data in found.values() if data["state"] == "requested"]
    assert {r["trigger_id"] for data in asked for r in data["reasons"]} == {"risky", "rising"}
    for data in asked:
        [ahead] = data["context"]["constraints"]["hazards_ahead"]
        assert ahead["upper"] >= ahead["score"] >= 0
    assert any(d["context"]["constraints"]["hazards_ahead"][0]["score"] > 0.6 for d in asked)
    hazard = [sys.executable, "-m", "bytewax.run", "flows.hazard:flow"]
    done = run(
        hazard, planned(inputs, tmp_path / "hazard", **scored, triggers="", mission_plans="")
    )
    assert done.returncode == 0, done.stderr
    scores = f"file:{tmp_path}/hazard/topics/hazard_scores.ndjson"
    done = run(ALONE, planned(inputs, tmp_path / "alone", **risky, hazard_scores=scores))
    assert done.returncode == 0, done.stderr
    assert held(tmp_path / "alone") == found


def test_scores_of_two_kinds_are_refused(inputs, tmp_path):
    settings = Settings(
        telemetry=f"file:{inputs}/telemetry.ndjson",
        results=f"dir:{tmp_path}",
        triggers=f"file:{inputs}/risky.yaml",
        hazard=str(inputs / "profile.yaml"),
        hazard_scores="file:scores.ndjson",
    )
    with pytest.raises(SettingsError, match="leave out one of the two"):
        watch(wire(settings, zones=False, rules=False))


def test_what_is_no_score_is_a_dead_letter(inputs, tmp_path):
    (tmp_path / "scores.ndjson").write_text('{"id": "1", "type": "x", "data": {}}\n{}\n')
    risky = {"triggers": f"file:{inputs}/risky.yaml", "mission_plans": ""}
    scores = f"file:{tmp_path}/scores.ndjson"
    done = run(ALONE, planned(inputs, tmp_path, **risky, hazard_scores=scores))
    assert done.returncode == 0, done.stderr
    letters = read_topics(tmp_path / "topics", ["dead_letters"]).values()
    reasons = [d["reason"] for d in (one["data"] for one in letters) if "scores" in d["origin"]]
    assert len(reasons) == 2
    assert any("farwatch.hazard.scored.v1" in reason for reason in reasons)
