"""Hazard on files: alone and in the watch, however it is run, it ends with the same scores."""

import json
import math
import random
import sqlite3
import sys
from contextlib import closing

import numpy as np
import pytest
from pyproj import CRS

from connectors.contract import SettingsError
from flows.hazard import load_profiles, load_terrain
from flows.settings import Settings
from flows.wiring import wire
from schemas.payloads import HazardScored
from tests.killing import kill_until_done, popen
from tests.watching import (
    command,
    environment,
    read_topics,
    run,
    telemetry,
    with_late_records,
    write_inputs,
)

ALONE = [sys.executable, "-m", "bytewax.run", "flows.hazard:flow"]
WATCH = command("watch", "--quiet")
RECORDS, VEHICLES = 2_400, 20
PROFILE = """
- id: any
  kinds: [vehicle]
  max_age_s: 60
  vehicle: {max_depth_m: 450}
  parts:
    depth_margin: {reads: depth_margin_m, safe: 200, limit: 0, weight: 0.9, source: made up}
    battery: {reads: battery_pct, safe: 60, limit: 10, weight: 0.7, source: made up}
    rush: {reads: vertical_speed_mps, safe: 1, limit: 6, weight: 0.4, source: made up}
"""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    write_inputs(folder, with_late_records(telemetry(RECORDS, VEHICLES), VEHICLES))
    (folder / "profile.yaml").write_text(PROFILE)
    return folder


def settings(inputs, out, **more):
    given = {"results": f"dir:{out}/topics", "hazard": inputs / "profile.yaml"}
    return environment(inputs, out, **(given | {"hazard_every_s": 60, "frame_rows": 20} | more))


def newest(out):
    """Score -> the data of its last version, of those that stand; in order of version."""
    found = {}
    for event in read_topics(out / "topics", ["hazard_scores"]).values():
        data = event["data"]
        assert data["version"] == found.get(data["event_id"], {"version": 0})["version"] + 1
        found[data["event_id"]] = data
    return {key: data for key, data in found.items() if not data["retracted"]}


def without_versions(scores):
    return {key: data | {"version": 0} for key, data in scores.items()}


@pytest.fixture(scope="module")
def alone(inputs, tmp_path_factory):
    out = tmp_path_factory.mktemp("alone")
    done = run(ALONE, settings(inputs, out))
    assert done.returncode == 0, done.stderr
    return out


def test_scores_revise_for_late_records_and_have_the_form_that_is_published(alone):
    events = read_topics(alone / "topics", ["hazard_scores"]).values()
    for event in events:
        assert event["source"] == "/farwatch/hazard"
        assert event["id"] == f"{event['data']['event_id']}.{event['data']['version']}"
        HazardScored.model_validate(event["data"])
    assert any(event["data"]["version"] > 1 for event in events)
    assert any(event["data"]["retracted"] for event in events)
    scores = newest(alone).values()
    assert {data["class"] for data in scores} >= {"low", "moderate", "high"}
    # Every vehicle is told at least once a minute, and more often only where the class changes.
    assert {data["vehicle_id"] for data in scores} == {f"auv-{v:03d}" for v in range(VEHICLES)}
    late = read_topics(alone / "topics", ["late_telemetry"]).values()
    assert late
    assert {event["data"]["zones"] == [] for event in late} == {True}


def test_the_watch_in_other_frames_and_groups_ends_with_the_same_scores(inputs, alone, tmp_path):
    results = f"dir:{tmp_path}/topics sqlite:{tmp_path}/results.sqlite"
    env = settings(inputs, tmp_path, results=results, key_groups=3, frame_rows=777)
    done = run(WATCH, env)
    assert done.returncode == 0, done.stderr
    assert without_versions(newest(tmp_path)) == without_versions(newest(alone))
    with closing(sqlite3.connect(tmp_path / "results.sqlite")) as store:
        rows = store.execute("SELECT event_id, version, score, class, data FROM hazards").fetchall()
    assert len(rows) == len(read_topics(tmp_path / "topics", ["hazard_scores"]))
    for event_id, version, score, grade, data in rows:
        found = json.loads(data)
        assert (found["event_id"], found["version"]) == (event_id, version)
        assert (found["score"], found["class"]) == (score, grade)


def test_two_profiles_of_one_watch_each_score_the_vehicles_that_they_are_for(
    inputs, alone, tmp_path
):
    rest = PROFILE.replace("id: any", 'id: rest\n  vehicles: ["auv-01?"]')
    first = PROFILE.replace("id: any", 'id: first\n  vehicles: ["auv-00?"]')
    (tmp_path / "two.yaml").write_text(first + rest)
    done = run(WATCH, settings(inputs, tmp_path, hazard=tmp_path / "two.yaml"))
    assert done.returncode == 0, done.stderr

    def scored(out):
        return sorted(
            (data["vehicle_id"], data["time"], data["score"], data["class"])
            for data in newest(out).values()
        )

    assert scored(tmp_path) == scored(alone)
    by = {(data["vehicle_id"][:6], data["profile_id"]) for data in newest(tmp_path).values()}
    assert by == {("auv-00", "first"), ("auv-01", "rest")}


ROVER = """
- id: driver
  kinds: [rover]
  vehicle: {max_slope_deg: 30, corridor_m: 100}
  parts:
    here: {reads: ground_slope_deg, safe: 10, limit: 40, weight: 0.5, source: made up}
    ahead: {reads: ahead_distance_m, safe: 80, limit: 5, weight: 0.9, source: made up}
"""
M = math.degrees(1 / 6_378_137.0)


def write_pit(folder):
    """Level ground of 400 m by 400 m about 0, 0 with a pit 60 to 80 m north, of metre cells."""
    heights = np.zeros((400, 400), ">f4")
    heights[120:140] = -20.0
    (folder / "pit.flt").write_bytes(heights.tobytes())
    (folder / "pit.hdr").write_text("NROWS 400\nNCOLS 400\nBYTEORDER M\n")
    (folder / "pit.ftw").write_text("1\n0\n0\n-1\n-200\n200\n")
    (folder / "pit.prj").write_text(CRS.from_proj4("+proj=eqc +R=6378137 +units=m").to_wkt())
    return folder / "pit.flt"


def test_the_terrain_is_looked_at_along_the_planned_path(tmp_path):
    # East along a level line; the plan is to turn north after 30 m.
    records = [
        {
            "rover_id": name,
            "body": "earth",
            "timestamp": f"2026-03-02T00:{minute:02}:00Z",
            "longitude": 5 * minute * M,
            "latitude": 0.0,
        }
        for minute in range(6)
        for name in ("planned", "free")
    ]
    path = [{"longitude": x * M, "latitude": y * M} for x, y in ((0, 0), (30, 0), (30, 100))]
    plan = {"vehicle_id": "planned", "time": "2026-03-02T00:02:00Z", "path": path}
    (tmp_path / "telemetry.ndjson").write_text("".join(json.dumps(r) + "\n" for r in records))
    (tmp_path / "plans.ndjson").write_text(json.dumps(plan))
    (tmp_path / "profile.yaml").write_text(ROVER)
    given = {"terrain": write_pit(tmp_path), "mission_plans": f"file:{tmp_path}/plans.ndjson"}
    done = run(ALONE, settings(tmp_path, tmp_path, **given))
    assert done.returncode == 0, done.stderr
    told = {"planned": [], "free": []}
    for data in sorted(newest(tmp_path).values(), key=lambda data: data["time"]):
        [here, ahead] = data["parts"]
        assert (here["value"], here["state"]) == (0.0, "known")
        # Nobody knows whither before the second record.
        assert ahead["state"] == ("unknown" if "00:00:00" in data["time"] else "known")
        told[data["vehicle_id"]].append(ahead["value"])
    assert told["free"] == [None] * len(told["free"])
    # A metre before its edge the pit is felt; on the path it is 30 m east and 60 m north.
    expected = [None, None, *(30 - 5 * minute + 59 for minute in range(2, 6))]
    assert told["planned"] == [pytest.approx(v, abs=2) if v else None for v in expected]


@pytest.mark.slow
def test_after_kills_the_scores_are_those_of_an_undisturbed_run(inputs, alone, tmp_path):
    def start():
        env = settings(inputs, tmp_path, recovery=tmp_path / "recovery", epoch_rows=100)
        return [popen(WATCH, env | {"FARWATCH_EPOCH_S": "0.05"}, tmp_path)]

    assert kill_until_done(start, tmp_path, random.Random(2), 4, longest_s=0.5) >= 4
    assert newest(tmp_path) == newest(alone)
    env = settings(inputs, tmp_path, recovery=tmp_path / "recovery", hazard="auv")
    done = run(WATCH, env)
    assert done.returncode == 2
    assert "made with other hazard;" in done.stderr


def test_a_wrong_profile_is_refused_in_one_line(inputs, tmp_path):
    done = run(ALONE, settings(inputs, tmp_path, hazard="submarine"))
    assert done.returncode == 2, done.stderr
    assert done.stderr == (
        "farwatch: FARWATCH_HAZARD `submarine`: cannot be read (No such file or directory); give"
        " the path of a profile file or one of auv, glider, rover\n"
    )


def test_other_wrong_settings_are_refused_in_one_line():
    with pytest.raises(SettingsError, match="two profiles have the id `auv`"):
        load_profiles(("auv", "auv"))
    with pytest.raises(SettingsError, match=r"terrain `nowhere\.tif`: no such file"):
        load_terrain(Settings(terrain=("nowhere.tif",)))
    with pytest.raises(SettingsError, match="setting `hazard_every_s` 0: "):
        Settings.load(hazard_every_s=0)
    plans = Settings(
        telemetry="memory:a", results="memory:b", hazard="auv", mission_plans="memory:plans"
    )
    with pytest.raises(SettingsError, match="FARWATCH_MISSION_PLANS: read by planning"):
        wire(plans, zones=False, rules=False)
    with pytest.raises(SettingsError, match=r"not set: FARWATCH_HAZARD"):
        Settings().require("hazard")
