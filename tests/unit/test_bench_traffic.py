"""The generated town and its traffic are what the benchmark says they are."""

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import shapely

from schemas.zone_file import load_zones
from scripts.benchmark.areas import FENCED, memberships
from scripts.benchmark.fleet import DEG_PER_M, FIRST_TIME_MS, arrival_order
from scripts.benchmark.generate import Size, make_inputs
from scripts.benchmark.streets import (
    FREEWAY,
    MAIN_STREET,
    SIDE_M,
    SIDE_STREET,
    SPEED_MPS,
    Streets,
    build_streets,
)
from scripts.benchmark.traffic import (
    EAST_DEG_PER_M,
    SOUTH_DEG,
    WEST_DEG,
    Traffic,
    draw_regions,
    simulate_traffic,
)

VEHICLES = 40


@pytest.fixture(scope="module")
def town() -> Streets:
    return build_streets(1)


@pytest.fixture(scope="module")
def traffic() -> Traffic:
    return simulate_traffic(VEHICLES, 60_000, 1)


def seconds(streets: Streets, way: list[int]) -> float:
    taken = [streets.street(a, b) for a, b in pairwise(way)]
    return float((streets.length_m[taken] / SPEED_MPS[streets.kind[taken]]).sum())


def test_every_corner_is_reached_and_every_class_of_street_is_there(town: Streets) -> None:
    assert set(town.kind) == {SIDE_STREET, MAIN_STREET, FREEWAY}
    for goal in range(len(town.corner_m)):
        way = town.way(0, goal)
        assert (way[0], way[-1]) == (0, goal)


def test_no_detour_is_faster_than_the_way_taken(town: Streets) -> None:
    rng = np.random.default_rng(1)
    for a, b, via in rng.integers(len(town.corner_m), size=(200, 3)).tolist():
        detour = seconds(town, town.way(a, via)) + seconds(town, town.way(via, b))
        assert seconds(town, town.way(a, b)) <= detour + 1e-9
        # Streets lead both ways.
        assert seconds(town, town.way(a, b)) == pytest.approx(seconds(town, town.way(b, a)))


def test_traffic_is_the_same_for_a_seed_and_another_for_another() -> None:
    first, again, other = (simulate_traffic(5, 2_000, seed) for seed in (1, 1, 2))
    for column in ("vehicle", "time_ms", "latitude", "longitude", "speed_mps"):
        assert np.array_equal(getattr(first, column), getattr(again, column))
    assert not np.array_equal(first.latitude, other.latitude)


def test_fixes_come_in_time_order_one_to_two_seconds_apart_while_driving(traffic: Traffic) -> None:
    assert len(traffic) == 60_000
    assert np.all(np.diff(traffic.time_ms) >= 0)
    for vehicle in range(VEHICLES):
        gap_ms = np.diff(traffic.time_ms[traffic.vehicle == vehicle])
        parked = gap_ms > 2_000
        # Between two drives at least a minute; while driving always the vehicle's own interval.
        assert gap_ms[parked].min() >= 58_000
        assert set(gap_ms[~parked]) in ({1_000}, {2_000})


def test_cars_stay_on_streets_and_within_their_speeds(town: Streets, traffic: Traffic) -> None:
    lines = shapely.linestrings(town.corner_m[town.ends])
    east_m = (traffic.longitude - WEST_DEG) / EAST_DEG_PER_M
    north_m = (traffic.latitude - SOUTH_DEG) / DEG_PER_M
    points = shapely.points(east_m, north_m)
    _, off_m = shapely.STRtree(lines).query_nearest(points, return_distance=True, all_matches=False)
    # The receiver's error is 2 m, one sigma a coordinate.
    assert off_m.max() < 12
    assert traffic.speed_mps.max() <= SPEED_MPS[FREEWAY] * 1.05 + 0.01
    assert np.median(traffic.speed_mps[traffic.speed_mps > 0.5]) > 5


def test_people_go_out_on_sunday_and_to_work_on_monday(traffic: Traffic) -> None:
    hour = (traffic.time_ms - FIRST_TIME_MS) / 3_600_000
    sunday, monday = hour < 24, hour >= 24
    out = len(np.unique(traffic.vehicle[sunday]))
    assert 0.3 * VEHICLES < out < VEHICLES
    assert hour[sunday].min() > 9.9
    assert len(np.unique(traffic.vehicle[monday & (hour < 24 + 11)])) == VEHICLES
    assert hour[monday].min() >= 24 + 6


def test_regions_are_valid_and_some_cars_enter_and_leave_them(traffic: Traffic) -> None:
    regions = draw_regions(100, 1)
    polygons = shapely.polygons(regions.rings)
    assert shapely.is_valid(polygons).all()
    _, enters, leaves = memberships(traffic, regions)
    inside_now: dict[int, set[int]] = {}
    known = shapely.STRtree(polygons)
    entered, left = [], []
    # The same once more, record by record.
    for row in range(len(traffic)):
        point = shapely.Point(traffic.longitude[row], traffic.latitude[row])
        vehicle, zones = int(traffic.vehicle[row]), set(known.query(point, "within").tolist())
        before = inside_now.get(vehicle, set())
        entered += [row] * bool(zones - before)
        left += [row] * bool(before - zones)
        inside_now[vehicle] = zones
    assert np.flatnonzero(enters).tolist() == entered != []
    assert np.flatnonzero(leaves).tolist() == left != []


def test_the_street_scene_is_telemetry_that_the_project_takes(tmp_path: Path) -> None:
    inputs = make_inputs(Size(5, 100, 0, 500, scene="streets"), tmp_path)
    records = [json.loads(line) for line in inputs.telemetry.read_text().splitlines()]
    assert len(records) == 500
    assert {record["kind"] for record in records} == {"vehicle"}
    assert 0 < (records[0]["longitude"] - WEST_DEG) / EAST_DEG_PER_M < SIDE_M
    assert len(load_zones(inputs.zones.read_bytes(), "zones.geojson")) == 100


def test_fenced_zones_have_hold_times_a_buffer_and_a_band(tmp_path: Path) -> None:
    inputs = make_inputs(Size(5, 20, 0, 100, scene="fences"), tmp_path)
    for zone in load_zones(inputs.zones.read_bytes(), "zones.geojson"):
        assert {name: getattr(zone, name) for name in FENCED} == FENCED
        assert zone.min_depth_m is not None
        assert zone.max_depth_m is not None


def test_late_records_come_up_to_a_minute_after_their_time(tmp_path: Path) -> None:
    time_ms = np.arange(0, 3_600_000, 50)
    assert np.array_equal(arrival_order(time_ms, 0, 1), np.arange(len(time_ms)))
    arrived_ms = time_ms[arrival_order(time_ms, 0.01, 1)]
    late_ms = np.maximum.accumulate(arrived_ms) - arrived_ms
    assert 0.005 < np.mean(late_ms > 0) < 0.015
    assert 30_000 < late_ms.max() <= 60_000
    on_time, late = (
        make_inputs(Size(20, 20, 0, 2_000, scene="fences", late=share), tmp_path)
        for share in (0, 0.05)
    )
    lines = [made.telemetry.read_text().splitlines() for made in (on_time, late)]
    assert lines[0] != lines[1]
    assert Counter(lines[0]) == Counter(lines[1])
    assert on_time.shares == late.shares
