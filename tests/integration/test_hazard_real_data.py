"""Hazard scores of real vehicles: rovers, weather on Mars, an AUV's engineering data, a glider."""

import csv
import gzip
import json
import math

import numpy as np
import pytest

from connectors.terrain import open_terrain
from rules.terrain.ground import Ground, Terrain
from schemas.mars_time import MISSIONS, time_us_at_sol_date
from tests.scoring import frame_of_records, frames_of, part, score, shipped


def test_perseverances_waypoints_are_scored_by_the_tilt_that_its_imu_told(outside_data):
    path = outside_data / "mars2020-traverse" / "M20_waypoints_tosol0401.json"
    frames = frames_of(path, "mars2020-waypoints")
    told = [f["properties"]["tilt"] for f in json.loads(path.read_text())["features"]]
    jezero = open_terrain(outside_data / "mars-dem" / "jezero_mola_128ppd_256x256.json")
    found = score(frames, shipped("rover"), Terrain([Ground(jezero)]))
    assert len(found) == len(told) == 123
    tilts = [part(data, "tilt")["value"] for data in found]
    np.testing.assert_allclose(sorted(tilts), sorted(told), atol=1e-9)
    # It never tilted beyond 20 degrees there, and stayed below half of the way to its limit.
    assert max(tilts) == pytest.approx(19.8, abs=0.1)
    assert {data["class"] for data in found} == {"low", "moderate"}
    worst = max(found, key=lambda data: data["score"])
    assert part(worst, "tilt")["value"] == max(tilts)
    assert worst["score"] == pytest.approx(0.95 * (max(tilts) - 12) / 18, abs=1e-6)
    # Cells of 440 m say nothing of what a rover stands on, nor is the charge told: it may be worse.
    for name in ("slope_here", "battery"):
        assert {part(data, name)["state"] for data in found} == {"unknown"}
    assert all(data["upper"] >= 1 - (1 - 0.6) * (1 - 0.8) for data in found)


def test_roll_and_pitch_alone_give_nearly_the_tilt_that_the_imu_told(outside_data):
    path = outside_data / "mars2020-traverse" / "M20_waypoints_tosol0401.json"
    points = [f["properties"] for f in json.loads(path.read_text())["features"]]
    records = [
        {"rover_id": f"r{i}", "timestamp": 1.6e9, "roll_deg": p["roll"], "pitch_deg": p["pitch"]}
        for i, p in enumerate(points)
    ]
    found = score(frame_of_records(records), shipped("rover"))
    own = {data["vehicle_id"]: part(data, "tilt")["value"] for data in found}
    off = np.array([own[f"r{i}"] - p["tilt"] for i, p in enumerate(points)])
    assert np.median(np.abs(off)) < 0.05


def test_the_weather_of_curiosity_scores_the_same_newest_first_and_in_order(outside_data):
    path = outside_data / "mars-weather" / "rems_mars-weather_sol0001-1200.csv"
    with path.open() as file:
        rows = [row for row in csv.DictReader(file) if row["min_temp"] != "NaN"][:80]
    first, longitude = MISSIONS["msl"]
    sols = np.array([float(row["sol"]) for row in rows]) + first + 0.2
    times = time_us_at_sol_date(sols - longitude / 360) / 1e6
    records = [
        {"rover_id": "curiosity", "timestamp": t, "temperature_c": float(row["min_temp"])}
        for t, row in zip(times.tolist(), rows, strict=True)
    ]
    one_by_one = [frame for record in records for frame in frame_of_records([record])]
    found = score(one_by_one, shipped("rover"), lateness_s=1e9)
    assert found == score(frame_of_records(records[::-1]), shipped("rover"))
    coldest = min(records, key=lambda record: record["temperature_c"])
    assert coldest["temperature_c"] == -90
    assert all(part(data, "cold")["contribution"] == 0 for data in found)
    # Neither tilt nor charge nor slope was ever told: the score may be as high as they make it.
    most = round(1 - (1 - 0.95) * (1 - 0.8) * (1 - 0.6), 6)
    assert {(data["lower"], data["score"], data["upper"]) for data in found} == {(0.0, 0.0, most)}


def test_meda_weather_with_what_is_missing_left_out(outside_data):
    path = outside_data / "mars-weather" / "meda_m20_sol1127-1133.json"
    first, longitude = MISSIONS["mars2020"]
    records = []
    for row in json.loads(path.read_text())["sols"]:
        sol = np.array([float(row["sol"]) + first + 0.2 - longitude / 360])
        record = {"rover_id": "perseverance", "timestamp": float(time_us_at_sol_date(sol)[0]) / 1e6}
        if row["min_temp"] != "--":
            record["temperature_c"] = row["min_temp"]
        records.append(record | {"battery_pct": 75.0})
    found = score(frame_of_records(records), shipped("rover"))
    states = [cold and cold["state"] for cold in (part(data, "cold") for data in found)]
    assert states == [None, None, None, "known", "known", "known", "known"]


def test_a_remus_tells_ground_faults_charge_and_depth_in_messages_of_their_own(outside_data):
    folder = outside_data / "auv-ooi-remus600" / "eng"
    frames = []
    for name in ("state", "battery"):
        frames += frames_of(folder / f"subset_{name}.csv", "remus:remus-1")
    found = score(frames, shipped("auv"), lateness_s=1e7)
    assert len(found) > 30
    last = found[-1]
    assert part(last, "depth_margin")["value"] == pytest.approx(600, abs=5)
    assert part(last, "ground_fault")["limit"] == 50
    charges = {one["value"] for data in found if (one := part(data, "battery")) and one["value"]}
    with (folder / "subset_battery.csv").open(encoding="latin-1") as file:
        rows = [line.split(",") for line in file.read().splitlines()[1:]]
    own = {round(100 * float(row[10]) / float(row[9]), 6) for row in rows if len(row) > 10}
    assert {round(one, 6) for one in charges} <= own
    assert charges
    # On the bench: nothing endangers it but what is not known.
    assert {data["class"] for data in found} == {"low"}
    assert max(data["score"] for data in found) < 0.3


def glider_records(folder):
    """What the real-time files of a Slocum glider tell, as telemetry."""
    named = {"m_depth": "depth_m", "m_pitch": "pitch_deg", "m_roll": "roll_deg"}
    records = {}
    for path in sorted(folder.glob("*.gz")):
        lines = gzip.decompress(path.read_bytes()).decode().splitlines()
        names = lines[14].split()
        for line in lines[17:]:
            row = dict(zip(names, map(float, line.split()), strict=False))
            row = {name: value for name, value in row.items() if not math.isnan(value)}
            if "m_present_time" not in row:
                continue
            record = {
                "vehicle_id": "usf-bass",
                "kind": "glider",
                "timestamp": row["m_present_time"],
            }
            record["sensors"] = {n: v for n, v in row.items() if n.startswith("m_")}
            for name, field in named.items():
                if name in row:
                    record[field] = row[name] * (1 if name == "m_depth" else 180 / math.pi)
            if row.get("m_altitude", -1) >= 0:
                record["height_above_bottom_m"] = row["m_altitude"]
            records[record["timestamp"]] = record
    return [records[time] for time in sorted(records)]


def test_a_glider_is_scored_by_its_leak_detector_vacuum_and_battery(outside_data):
    records = glider_records(outside_data / "slocum-usf-bass")
    assert len(records) > 5000
    found = score(frame_of_records(records), shipped("glider"))
    leaks = np.array([one["value"] for data in found if (one := part(data, "leak"))["value"]])
    assert (leaks.min(), leaks.max()) == (
        pytest.approx(2.49, abs=0.02),
        pytest.approx(2.5, abs=0.01),
    )
    for data in found:
        assert part(data, "leak")["contribution"] == 0
    vacuums = [one["value"] for data in found if (one := part(data, "vacuum"))["value"]]
    assert 5 < min(vacuums) < max(vacuums) < 12
    # A dry and sound vehicle near a bottom 20 to 30 m deep: what there is comes from the bottom.
    worst = max(found, key=lambda data: data["score"])
    told = max(worst["parts"], key=lambda one: one["contribution"])
    assert told["name"] in {
        "clearance",
        "vacuum",
        "current",
        "vertical_speed",
        "battery",
        "silence",
    }
    # Water in the hull is told at once, whatever else is well.
    last = records[-1]
    wet = last | {"timestamp": last["timestamp"] + 10}
    wet["sensors"] = last["sensors"] | {"m_leakdetect_voltage": 1.8}
    assert (
        score(frame_of_records([*records[-50:], wet]), shipped("glider"))[-1]["class"] == "extreme"
    )
