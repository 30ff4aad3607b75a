"""The simulator: the same for the same seed, true to the contract, with its incidents in it."""

import json
from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import shapely
from shapely.geometry import shape

from rules.rulesets import load_rules
from schemas.zone_file import load_zones
from scripts.scenario import write_scenario, write_telemetry
from scripts.scenario.dives import (
    CYCLE_S,
    DURATION_S,
    SURVEY,
    path_m,
    phases_at,
    survey_distance_m,
    survey_speed_mps,
)
from scripts.scenario.rover import DRIVE_MPS, leg_lengths_m, timetable_s
from scripts.scenario.telemetry import FEWEST, MOST, simulate
from scripts.scenario.track import SPAN_S, START
from scripts.scenario.waypoints import WAYPOINTS

RECORDS = 20_000
LIMITS = {
    "longitude": (-180.0, 180.0),
    "latitude": (-90.0, 90.0),
    "depth_m": (0.0, 11_000.0),
    "altitude_m": (-9_000.0, 22_000.0),
    "height_above_bottom_m": (0.0, 11_000.0),
    "speed_mps": (0.0, 10.0),
    "heading_deg": (0.0, 360.0),
    "pitch_deg": (-90.0, 90.0),
    "roll_deg": (-180.0, 180.0),
    "position_accuracy_m": (0.0, 1_000.0),
    "battery_pct": (0.0, 100.0),
    "power_generation_w": (0.0, 1_000.0),
    "power_consumption_w": (0.0, 1_000.0),
    "temperature_c": (-130.0, 40.0),
}
OTHER_FIELDS = {"vehicle_id", "kind", "body", "timestamp", "sequence", "status", "mission_id"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenario")
    write_scenario(folder, seed=7, records=RECORDS)
    return folder


@pytest.fixture(scope="module")
def good(folder: Path) -> list[dict]:
    """The records that keep the contract, in arrival order."""
    lines = (folder / "telemetry.ndjson").read_bytes().splitlines()
    return [record for line in lines if (record := judged(line)) is not None]


def judged(line: bytes) -> dict | None:
    """The record on ``line``, or None where it breaks the contract."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    numbers = {k: v for k, v in record.items() if k not in OTHER_FIELDS and k != "sensors"}
    inside = all(LIMITS[k][0] <= v <= LIMITS[k][1] for k, v in numbers.items())
    zoned = datetime.fromisoformat(record["timestamp"]).tzinfo is not None
    return record if inside and zoned else None


def of(records: list[dict], vehicle_id: str) -> list[dict]:
    return [record for record in records if record["vehicle_id"] == vehicle_id]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a", "b", "c")]
    for path, seed in zip(paths, (3, 3, 4), strict=True):
        write_telemetry(path, seed=seed, records=2_000)
    first, again, other = (path.read_bytes() for path in paths)
    assert first == again
    assert first != other


@pytest.mark.parametrize("records", [FEWEST, 12_345])
def test_the_file_has_as_many_lines_as_records_were_asked_for(tmp_path: Path, records: int) -> None:
    write_telemetry(tmp_path / "t", seed=1, records=records)
    assert (tmp_path / "t").read_bytes().count(b"\n") == records


@pytest.mark.parametrize("records", [0, FEWEST - 1, MOST + 1])
def test_a_size_out_of_range_is_refused_before_anything_is_written(
    tmp_path: Path, records: int
) -> None:
    with pytest.raises(ValueError, match=f"records is {records}: choose {FEWEST} to {MOST}"):
        write_telemetry(tmp_path / "t", seed=1, records=records)
    assert not (tmp_path / "t").exists()


def test_all_but_the_records_broken_on_purpose_keep_the_contract(good: list[dict]) -> None:
    assert RECORDS - len(good) == round(RECORDS * 0.0005)


def test_a_vehicles_times_and_sequence_always_grow(good: list[dict]) -> None:
    vehicles = {record["vehicle_id"] for record in good}
    assert len(vehicles) == 11
    for vehicle in vehicles:
        times = [record["timestamp"] for record in of(good, vehicle)]
        sequence = [record["sequence"] for record in of(good, vehicle)]
        assert all(a < b for a, b in pairwise(times))
        assert all(a < b for a, b in pairwise(sequence))
    last = datetime.fromisoformat(max(record["timestamp"] for record in good))
    assert (last - START).total_seconds() < SPAN_S


def test_records_from_below_the_surface_reach_the_shore_only_after_the_vehicle_is_up() -> None:
    for track in simulate(RECORDS, np.random.default_rng(7)):
        waited_s = track.arrival_s - track.time_ms / 1000.0
        status = np.array(track.status)
        assert (np.diff(track.arrival_s) >= 0).all()
        assert (waited_s >= 0).all()
        if track.kind == "auv":
            # Every record of a survey waits at least for the hour of ascent, the first for all.
            assert waited_s[status == "survey"].min() > 3600.0
            assert waited_s[status == "descent"].max() > 16.0 * 3600.0
            assert np.median(waited_s[status == "charging"]) == 0.0


def test_stored_records_follow_later_ones_of_other_vehicles(good: list[dict]) -> None:
    newest = good[0]["timestamp"]
    late_s = []
    for record in good:
        newest = max(newest, record["timestamp"])
        late = datetime.fromisoformat(newest) - datetime.fromisoformat(record["timestamp"])
        late_s.append(late.total_seconds())
    assert np.mean(np.array(late_s) > 6 * 3600.0) > 0.2


INCIDENTS: dict[str, Callable[[dict], bool]] = {
    "auv-thresher": lambda r: r["sensors"]["water_in_hull"] > 0,
    "auv-goblin": lambda r: r["battery_pct"] < 20,
    "auv-sixgill": lambda r: r.get("depth_m", 0) > 1000 and r.get("height_above_bottom_m", 9) < 5,
    "auv-basking": lambda r: r["sensors"]["depth_sensor_ok"] < 1,
    "auv-lantern": lambda r: r["position_accuracy_m"] > 150,
    "rover-jezero": lambda r: r["pitch_deg"] ** 2 + r["roll_deg"] ** 2 > 900,
}


@pytest.mark.parametrize("vehicle", INCIDENTS)
def test_each_planned_fault_shows_on_its_vehicle_and_on_no_other(
    good: list[dict], vehicle: str
) -> None:
    happens = INCIDENTS[vehicle]
    kind = "rover" if vehicle.startswith("rover") else "auv"
    shown = {r["vehicle_id"] for r in good if r["kind"] == kind and happens(r)}
    assert shown == {vehicle}


def test_a_vehicle_whose_pressure_sensor_failed_sends_no_depth(good: list[dict]) -> None:
    blind = [r for r in of(good, "auv-basking") if r["sensors"]["depth_sensor_ok"] < 1]
    assert blind
    assert not any("depth_m" in record for record in blind)


def inside(folder: Path, zone_id: str, records: list[dict]) -> np.ndarray:
    zones = json.loads((folder / "zones.geojson").read_bytes())["features"]
    area = next(shape(zone["geometry"]) for zone in zones if zone["id"] == zone_id)
    points = np.array([(record["longitude"], record["latitude"]) for record in records])
    return shapely.contains_xy(area, points)


def test_one_vehicle_works_at_depth_in_a_protected_area(folder: Path, good: list[dict]) -> None:
    mako = of(good, "auv-mako")
    working = [r.get("depth_m", 0) > 200 and r["speed_mps"] < 0.5 for r in mako]
    assert (inside(folder, "apei-4", mako) & working).sum() >= 10
    assert inside(folder, "ifremer-west", mako).mean() > 0.8


def test_one_vehicle_crosses_the_shared_edge_of_two_contract_areas(
    folder: Path, good: list[dict]
) -> None:
    lantern = of(good, "auv-lantern")
    west, east = inside(folder, "toml-f", lantern), inside(folder, "nori-d", lantern)
    assert np.abs(np.diff(west.astype(int))).sum() > 10
    assert (west ^ east).all()


def test_one_vehicle_passes_the_mooring_that_is_to_be_kept_clear_of(
    folder: Path, good: list[dict]
) -> None:
    assert inside(folder, "mooring-keep-out", of(good, "auv-hammerhead")).any()


def test_the_rover_ends_in_the_sand(folder: Path, good: list[dict]) -> None:
    assert inside(folder, "seitah-ripples", of(good, "rover-jezero"))[-1]


def test_position_and_speed_of_a_dive_agree() -> None:
    time_s = np.arange(0.0, CYCLE_S, 1.0)
    phases = phases_at(time_s, 0.0)
    east, north = path_m(phases, np.zeros_like(time_s))
    moved = np.hypot(np.diff(east), np.diff(north))
    # No jump anywhere: no step of a second is longer than the fastest vehicle or spiral goes.
    assert moved.max() < 2.0
    surveying = phases.phase[:-1] == SURVEY
    slow = survey_speed_mps(phases.survey_s)[:-1] < 0.5
    assert np.median(moved[surveying & slow]) == pytest.approx(0.2)
    assert np.median(moved[surveying & ~slow]) == pytest.approx(1.0)


def test_survey_distance_is_the_integral_of_survey_speed() -> None:
    time_s = np.arange(0.0, DURATION_S[SURVEY], 0.5)
    summed = np.cumsum(survey_speed_mps(time_s)) * 0.5
    assert np.abs(survey_distance_m(time_s)[1:] - summed[:-1]).max() < 1.0


def test_the_rover_drives_no_faster_than_it_can_and_is_never_early() -> None:
    starts, ends = timetable_s()
    assert leg_lengths_m() / (ends - starts) == pytest.approx(DRIVE_MPS)
    assert (starts[1:] > ends[:-1]).all()
    assert starts[0] > 0
    assert ends[-1] <= SPAN_S + 1e-6


def test_the_waypoints_are_the_published_ones(outside_data: Path) -> None:
    path = outside_data / "mars2020-traverse" / "M20_waypoints_tosol0401.json"
    rows = [feature["properties"] for feature in json.loads(path.read_bytes())["features"]]
    for ours in WAYPOINTS:
        assert any(
            row["sol"] == ours.sol
            and abs(row["lon"] - ours.longitude) < 1e-5
            and abs(row["lat"] - ours.latitude) < 1e-5
            and abs(row["elev_geoid"] - ours.altitude_m) < 0.06
            and abs(row["roll"] - ours.roll_deg) < 0.06
            and abs(row["pitch"] - ours.pitch_deg) < 0.06
            for row in rows
        ), ours


def test_joined_files_hold_all_zones_and_rules_and_the_loaders_take_them(folder: Path) -> None:
    zones = load_zones((folder / "zones.geojson").read_bytes(), "zones.geojson")
    rules = load_rules((folder / "rules.yaml").read_bytes(), "rules.yaml").rules
    assert {zone.body for zone in zones} == {"earth", "mars"}
    assert {each.rule.scope.kinds for each in rules} == {("auv",), ("rover",)}
