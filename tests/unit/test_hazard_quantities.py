"""What the parts of a hazard score read: each quantity on a few records worked out by hand."""

import math

import numpy as np
import pytest

from flows.hazard import LIBRARY, load_profiles
from rules.hazard.quantities import QUANTITIES
from rules.planning.plans import Plans, in_order
from rules.terrain.ground import Ground, Terrain
from schemas.hazard_file import HazardFileError, parse_profiles
from schemas.hazard_profile import Part, Profile, Vehicle, Vision
from tests.planning import START, plan
from tests.scoring import frame_of_records, part, score
from tests.slopes import MadeRaster

M = math.degrees(1 / 6_378_137.0)  # degrees of a metre at the equator
PITCHED = Terrain([Ground(MadeRaster(lambda x, y: 0.5 * x - 200.0))])
"""Rises to the east by a metre in two, 200 m below the surface in the middle."""


def values(quantity, records, terrain=None, max_age_s=1e6, **about):
    """What a part of that quantity reads, record by record: (value or None, state)."""
    vehicle = Vehicle(**{k: v for k, v in about.items() if k in Vehicle.model_fields})
    made = Part(reads=quantity, safe=0, limit=1, weight=0.5, source="made", max_age_s=max_age_s)
    profile = Profile(
        id="one",
        kinds=("vehicle",),
        vehicle=vehicle,
        vision=about.get("vision", Vision()),
        parts={"one": made},
    )
    told = [
        {"vehicle_id": "v", "body": "earth", "timestamp": 1e9 + record.pop("t", i), **record}
        for i, record in enumerate(dict(record) for record in records)
    ]
    found = score(frame_of_records(told), profile, terrain, missions=about.get("missions"))
    return [(part(data, "one")["value"], part(data, "one")["state"]) for data in found]


def only(quantity, *records, **about):
    """The value after the last record."""
    value, state = values(quantity, records, **about)[-1]
    assert state == "known"
    return value


def test_tilt_is_told_or_follows_from_roll_and_pitch_of_one_record():
    assert only("tilt_deg", {"roll_deg": 30.0, "pitch_deg": 0.0}) == pytest.approx(30)
    expected = math.degrees(math.acos(math.cos(math.radians(30)) * math.cos(math.radians(40))))
    assert only("tilt_deg", {"roll_deg": -30.0, "pitch_deg": 40.0}) == pytest.approx(expected)
    assert only("tilt_deg", {"roll_deg": 30.0, "pitch_deg": 40.0, "tilt_deg": 7.0}) == 7.0
    assert values("tilt_deg", [{"roll_deg": 30.0}, {"pitch_deg": 4.0}]) == [(None, "unknown")] * 2


def test_the_rate_of_tilt_is_between_records_that_tell_it_and_not_across_a_long_gap():
    records = [{"t": 0, "tilt_deg": 5.0}, {"t": 1}, {"t": 4, "tilt_deg": 3.0}]
    assert only("tilt_rate_deg_per_s", *records) == pytest.approx(0.5)
    records[-1]["t"] = 5000
    assert values("tilt_rate_deg_per_s", records)[-1] == (None, "unknown")


def test_slip_by_speeds_by_odometry_and_by_fixes():
    assert only("slip_ratio", {"wheel_speed_mps": 0.04, "speed_mps": 0.01}) == pytest.approx(0.75)
    assert values("slip_ratio", [{"wheel_speed_mps": 0.0, "speed_mps": 0.0}])[0][0] is None
    ways = [{"wheel_distance_m": 10.0, "moved_distance_m": 9.0}]
    ways += [{"wheel_distance_m": 12.0, "moved_distance_m": 10.5}]
    assert only("slip_ratio", *ways) == pytest.approx(0.25)
    fixes = [
        {"wheel_distance_m": d, "latitude": 0.0, "longitude": x * M} for d, x in ((5, 0), (9, 1))
    ]
    assert only("slip_ratio", *fixes) == pytest.approx(0.75, abs=0.01)
    # Too little driven to tell, and too far for straight lines between fixes.
    for end in (5.1, 90.0):
        fixes[1]["wheel_distance_m"] = end
        assert values("slip_ratio", fixes)[-1] == (None, "unknown")


def test_a_vehicle_is_stuck_for_as_long_as_its_wheels_drive_on_the_spot():
    def at(t, speed_mps):
        return {"t": t, "wheel_speed_mps": 0.04, "speed_mps": speed_mps}

    records = [at(0, 0.04), at(10, 0.001), at(20, 0.0), {"t": 25}, at(40, 0.0), at(50, 0.04)]
    assert [value for value, _ in values("stuck_s", records)] == [0, 10, 20, 20, 40, 0]


def test_time_to_the_reserve_and_energy_to_the_surface():
    about = {"battery_capacity_wh": 1000, "battery_reserve_pct": 20}
    record = {"battery_pct": 70.0, "power_consumption_w": 150.0, "power_generation_w": 50.0}
    assert only("net_power_w", record) == -100
    assert only("time_to_reserve_h", record, **about) == pytest.approx(5.0)
    assert only("time_to_reserve_h", record | {"battery_pct": 10.0}, **about) == 0.0
    charging = record | {"power_generation_w": 200.0}
    assert values("time_to_reserve_h", [charging], **about) == [(None, "known")]
    assert values("time_to_reserve_h", [record]) == [(None, "unknown")]
    about |= {"ascent_speed_mps": 0.5, "ascent_power_w": 100}
    deep = {"battery_pct": 30.0, "depth_m": 900.0}
    # 1,800 s at 100 W are 50 Wh; 100 Wh are left above the reserve.
    assert only("surface_energy_ratio", deep, **about) == pytest.approx(2.0)
    surfaced = deep | {"depth_m": 0.0}
    assert values("surface_energy_ratio", [surfaced], **about) == [(None, "known")]


def test_clearance_is_the_least_that_anybody_says_and_stale_words_do_not_count():
    assert only("clearance_m", {"height_above_bottom_m": 12.0}) == 12.0
    assert only("clearance_m", {"depth_m": 80.0, "bottom_depth_m": 90.0}) == pytest.approx(10.0)
    both = {"depth_m": 80.0, "bottom_depth_m": 90.0, "height_above_bottom_m": 7.0}
    assert only("clearance_m", both) == 7.0
    no_echo = {"depth_m": 80.0, "bottom_depth_m": -1.0}
    assert values("clearance_m", [no_echo]) == [(None, "unknown")]
    later = [
        {"t": 0, "height_above_bottom_m": 7.0},
        {"t": 100, "depth_m": 80, "bottom_depth_m": 90},
    ]
    assert only("clearance_m", *later, max_age_s=50) == pytest.approx(10.0)
    assert only("clearance_m", *later, max_age_s=500) == 7.0
    here = {"depth_m": 150.0, "longitude": 20 * M, "latitude": 0.0}
    assert only("clearance_m", here, terrain=PITCHED) == pytest.approx(40.0, abs=0.01)


def test_time_to_the_bottom_is_infinite_unless_the_vehicle_sinks():
    down = [{"t": 0, "depth_m": 50.0}, {"t": 10, "depth_m": 60.0, "height_above_bottom_m": 20.0}]
    assert only("time_to_bottom_s", *down) == pytest.approx(20.0)
    assert only("vertical_speed_mps", *down) == pytest.approx(1.0)
    up = [down[0] | {"depth_m": 70.0}, down[1]]
    assert values("time_to_bottom_s", up)[-1] == (None, "known")
    assert only("vertical_speed_mps", *up) == pytest.approx(1.0)


def test_depth_margin_current_hull_and_vacuum():
    assert only("depth_margin_m", {"depth_m": 550.0}, max_depth_m=600) == 50
    assert values("depth_margin_m", [{"depth_m": 550.0}]) == [(None, "unknown")]
    assert only("current_mps", {"m_water_vx": 0.3, "m_water_vy": -0.4}) == pytest.approx(0.5)
    assert only("current_mps", {"m_water_vx": 0.3, "m_water_vy": 0.0, "current_mps": 1.0}) == 1.0
    assert only("leak_detect_v", {"m_leakdetect_voltage": 2.49}) == 2.49
    assert only("vacuum_inhg", {"m_vacuum": 8.8, "vacuum_inhg": 7.0}) == 7.0
    assert only("ground_fault_pct", {"state_gfi_pct": 3.0}) == 3.0


def test_silence_is_what_lay_before_a_record_or_what_it_says_itself():
    records = [{"t": 0}, {"t": 600}, {"t": 601, "contact_age_s": 4000.0}]
    found = values("silence_s", records)
    assert found == [(None, "unknown"), (600.0, "known"), (4000.0, "known")]


def test_what_a_vision_model_saw_counts_near_in_time_and_place_and_from_a_confidence_on():
    vision = Vision(danger={2: 0.8}, min_confidence=0.5, max_age_s=60, max_distance_m=20)
    seen = {"t": 0, "longitude": 0.0, "latitude": 0.0, "terrain_class": 2, "confidence": 0.9}

    def after(*records):
        return values("terrain_danger", [seen, *records], vision=vision)[-1]

    assert after() == (pytest.approx(0.72), "known")
    assert after({"t": 50, "longitude": 15 * M, "latitude": 0.0})[0] == pytest.approx(0.72)
    assert after({"t": 50, "longitude": 25 * M, "latitude": 0.0}) == (None, "unknown")
    assert after({"t": 70, "longitude": 0.0, "latitude": 0.0}) == (None, "unknown")
    doubtful = seen | {"confidence": 0.4}
    assert values("terrain_danger", [doubtful], vision=vision) == [(None, "unknown")]
    other = seen | {"terrain_class": 7}
    assert values("terrain_danger", [other], vision=vision) == [(None, "unknown")]


def test_the_ground_below_and_ahead_toward_the_waypoint_else_along_the_heading():
    wall = Terrain([Ground(MadeRaster(lambda x, y: 20.0 * (x >= 50) + 0.0 * y))])
    about = {"terrain": wall, "max_slope_deg": 30, "corridor_m": 80}
    here = {"longitude": 0.0, "latitude": 0.0}
    slope = only("ground_slope_deg", here, terrain=PITCHED)
    assert slope == pytest.approx(math.degrees(math.atan(0.5)), abs=0.01)
    assert only("ahead_distance_m", here | {"heading_deg": 90.0}, **about) == pytest.approx(
        49, abs=1.1
    )
    # Known and infinite: nothing lies ahead to the west.
    assert values("ahead_distance_m", [here | {"heading_deg": 270.0}], **about) == [(None, "known")]
    # The plan is to go east, whatever the vehicle heads for.
    planned = here | {"heading_deg": 270.0, "waypoint_longitude": 70 * M, "waypoint_latitude": 0.0}
    assert only("ahead_distance_m", planned, **about) == pytest.approx(49, abs=1.1)
    near = planned | {"waypoint_longitude": 30 * M}
    assert values("ahead_distance_m", [near], **about) == [(None, "known")]
    # Without either whence it came says whither it goes.
    came = [{"longitude": -10 * M, "latitude": 0.0}, here]
    assert only("ahead_distance_m", *came, **about) == pytest.approx(49, abs=1.1)
    assert values("ahead_distance_m", [here], **about) == [(None, "unknown")]


def path_of(*metres, time=START):
    """A plan of vehicle v along points, metres east and north of the middle."""
    points = [{"longitude": x * M, "latitude": y * M} for x, y in metres]
    return plan("v", time, path=points)


def test_the_way_ahead_is_along_the_planned_path_wherever_the_vehicle_heads():
    # Level but for a pit 40 m north of the middle of the straight way to the path's end.
    pit = MadeRaster(lambda x, y: np.where((abs(x - 50) < 10) & (abs(y - 40) < 10), -20.0, 0.0))
    about = {"terrain": Terrain([Ground(pit)]), "max_slope_deg": 30, "corridor_m": 150}
    here = {"longitude": 0.0, "latitude": 0.0, "heading_deg": 90.0}
    assert values("ahead_distance_m", [here], **about) == [(None, "known")]
    # North for 40 m, then east into the pit, which begins 40 m on.
    round_about = path_of((0, 0), (0, 40), (100, 40), (100, 0))
    known = about | {"missions": Plans.of({"v": (round_about,)})}
    assert only("ahead_distance_m", here, **known) == pytest.approx(80, abs=1.6)
    waypoint = here | {"waypoint_longitude": 100 * M, "waypoint_latitude": 0.0}
    assert only("ahead_distance_m", waypoint, **known) == pytest.approx(80, abs=1.6)
    assert only("ahead_slope_deg", here, **known) > 30
    assert only("ahead_step_m", here, **known) == pytest.approx(20)
    # From its place on: half of the first stretch is behind it, the corridor ends before the pit.
    on = here | {"latitude": 20 * M}
    assert only("ahead_distance_m", on, **known) == pytest.approx(60, abs=1.6)
    short = known | {"corridor_m": 70}
    assert values("ahead_distance_m", [here], **short) == [(None, "known")]
    # Behind the pit there is none on the path, nor to the path's end and beyond.
    gone = here | {"longitude": 100 * M, "latitude": 30 * M}
    assert values("ahead_distance_m", [gone], **known) == [(None, "known")]
    past = here | {"longitude": 100 * M, "latitude": -10 * M, "heading_deg": 315.0}
    assert only("ahead_distance_m", past, **known) == pytest.approx(40 * 2**0.5, abs=2)


def test_a_path_counts_from_the_time_of_its_plan_on_and_unknown_ground_on_it_is_unknown():
    wall = MadeRaster(lambda x, y: 20.0 * (y >= 50) + 0.0 * x, (400, 500))
    about = {"terrain": Terrain([Ground(wall)]), "max_slope_deg": 30, "corridor_m": 100}
    north, west = path_of((0, 0), (0, 100), time="2001-09-09T01:46:42Z"), path_of((0, 0), (-400, 0))
    about["missions"] = Plans.of({"v": in_order([north, west])})
    records = [{"longitude": 0.0, "latitude": 0.0, "t": t} for t in range(4)]
    found = [value for value, _ in values("ahead_distance_m", records, **about)]
    assert found == [None, None, *[pytest.approx(49, abs=1.1)] * 2]
    assert values("ahead_distance_m", records[:1], **about) == [(None, "known")]
    # The model ends 50 m on.
    edge = {"longitude": -200 * M, "latitude": 0.0}
    assert values("ahead_distance_m", [edge], **about) == [(None, "unknown")]


def test_the_sun_lights_the_ground_on_mars():
    noon = {"t": 0, "body": "mars", "kind": "vehicle", "longitude": 0.0, "latitude": 0.0}
    heights = [
        values("sun_elevation_deg", [noon | {"t": hour * 3600.0}])[0][0] for hour in range(25)
    ]
    assert max(heights) > 60
    assert min(heights) < -60
    on_earth = noon | {"body": "earth"}
    assert values("sun_elevation_deg", [on_earth]) == [(None, "unknown")]


def test_what_was_known_once_is_held_and_widens_the_score_when_it_is_stale():
    made = Part(reads="sensors.x", safe=0, limit=10, weight=0.8, source="made", max_age_s=10)
    never = Part(reads="sensors.y", safe=0, limit=10, weight=0.5, source="made")
    spare = Part(reads="sensors.z", safe=0, limit=10, weight=0.9, source="made", optional=True)
    profile = Profile(id="p", kinds=("vehicle",), parts={"x": made, "y": never, "z": spare})
    records = [{"vehicle_id": "v", "timestamp": 1e9, "x": 5.0}]
    records += [{"vehicle_id": "v", "timestamp": 1e9 + 20, "speed_mps": 1.0}]
    fresh, stale = score(frame_of_records(records), profile)
    assert (fresh["lower"], fresh["score"]) == (pytest.approx(0.4), pytest.approx(0.4))
    assert fresh["upper"] == pytest.approx(1 - 0.6 * 0.5)
    assert stale["score"] == pytest.approx(0.4)
    assert (stale["lower"], stale["upper"]) == (0.0, pytest.approx(1 - 0.2 * 0.5))
    assert [one["state"] for one in stale["parts"]] == ["held", "unknown"]
    assert [one["name"] for one in fresh["parts"]] == ["x", "y"]


def test_the_shipped_profiles_are_sound_and_every_limit_says_where_it_is_from():
    for path in LIBRARY.glob("*.yaml"):
        [profile] = load_profiles((path.stem,))
        assert profile.id == path.stem
        for one in profile.parts.values():
            assert len(one.source) > 20
    everything = {
        profile.reads(name)
        for path in LIBRARY.glob("*.yaml")
        for profile in load_profiles((path.stem,))
        for name in profile.parts
    }
    assert everything <= set(QUANTITIES)


@pytest.mark.parametrize(
    ("name", "vital"),
    [
        ("rover", {"tilt", "battery", "slope_here"}),
        ("auv", {"clearance", "depth_margin", "battery", "surface_energy"}),
        ("glider", {"clearance", "depth_margin", "leak", "vacuum", "battery"}),
    ],
)
def test_of_a_vehicle_that_tells_nothing_vital_the_score_may_be_anything(name, vital):
    [profile] = load_profiles((name,))
    assert {part for part, one in profile.parts.items() if not one.optional} == vital
    [data] = score(frame_of_records([{"vehicle_id": "v", "kind": name, "timestamp": 1e9}]), profile)
    assert {one["name"] for one in data["parts"]} == vital
    assert (data["lower"], data["score"]) == (0.0, 0.0)
    left = math.prod(1 - profile.parts[part].weight for part in vital)
    assert data["upper"] == pytest.approx(1 - left, abs=1e-6)
    assert data["upper"] > 0.99


def test_a_rover_by_its_power_and_a_glider_by_its_way_to_the_surface():
    drawing = {"power_generation_w": 110.0, "power_consumption_w": 590.0, "battery_pct": 80.0}
    [rover] = load_profiles(("rover",))
    told = {"rover_id": "r", "timestamp": 1e9} | drawing
    [data] = score(frame_of_records([told]), rover)
    # 40 % of 2,350 Wh at 480 W last not quite two hours.
    assert part(data, "time_to_reserve")["value"] == pytest.approx(1.958, abs=1e-3)
    assert part(data, "time_to_reserve")["contribution"] == pytest.approx(0.6)
    [glider] = load_profiles(("glider",))
    told = {"vehicle_id": "g", "kind": "glider", "timestamp": 1e9, "battery_pct": 11.0}
    [data] = score(frame_of_records([told | {"depth_m": 180.0}]), glider)
    # 22 Wh above the reserve; 900 s at 10 W are 2.5 Wh.
    assert part(data, "surface_energy")["value"] == pytest.approx(8.8)


def test_a_profile_file_tells_every_mistake_with_its_line():
    text = b"""
- id: a
  kinds: [auv]
  colour: red
  parts:
    tilt: {reads: tilt_deg, safe: 1, limit: 1, weight: 1, source: x}
    wet: {reads: wetness, safe: 1, limit: 2, weight: 1, source: x}
    dry: {safe: 1, limit: 2, weight: 3}
- id: b
  kinds: [auv]
  parts:
    wet: {reads: wetness, safe: 1, limit: 2, weight: 1, source: x}
- id: b
  kinds: [auv]
  parts:
    tilt_deg: {safe: 1, limit: 2, weight: 1, source: x}
"""
    with pytest.raises(HazardFileError) as refused:
        parse_profiles(text, "p.yaml", QUANTITIES)
    told = refused.value.mistakes
    assert [one.split(":")[1] for one in told] == ["4", "6", "8", "8", "12", "13"]
    assert "there is no `colour`" in told[0]
    assert "`safe` is `limit`" in told[1]
    assert "there is no quantity `wetness`; give `reads: sensors.NAME` or one of" in told[4]
    assert "`b`: is there already" in told[5]
    for wrong, said in ((b"- [", "not YAML"), (b"", "is no list"), (b"\xff", "is not UTF-8")):
        with pytest.raises(HazardFileError, match=said):
            parse_profiles(wrong, "p.yaml", QUANTITIES)
