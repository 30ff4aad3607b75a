"""What parts of a hazard score read of ground, light, weather, hull and vision: by hand."""

import math

import numpy as np
import pytest

from rules.terrain.ground import Ground, Terrain
from schemas.hazard_profile import Part, Profile, Vision
from schemas.mars_sun import MARS
from tests.scoring import frame_of_records, part, score, shipped
from tests.slopes import MadeRaster, near_equator
from tests.unit.test_hazard_quantities import PITCHED, only, values

HERE = {"longitude": 0.0, "latitude": 0.0}
"""The middle of the cell that is 0, 0 to a ``MadeRaster``."""
BUMP = Terrain([Ground(MadeRaster(lambda x, y: np.where((x == 0) & (y == 0), 0.9, 0.0)))])
WALL = Terrain([Ground(MadeRaster(lambda x, y: 20.0 * (x >= 50) + 0.0 * y))])
EASTWARD = {"heading_deg": 90.0, **HERE}


@pytest.mark.parametrize(
    ("quantity", "record", "terrain", "expected"),
    [
        # Nine cells, one of them 0.9 m higher: 0.72 square metres from their mean, no plane in it.
        ("ground_roughness_m", HERE, BUMP, math.sqrt(0.72 / 9)),
        ("ground_roughness_m", HERE, PITCHED, 0.0),
        ("ground_step_m", HERE, BUMP, 0.9),
        ("ground_step_m", HERE, PITCHED, 0.5),
        # Central differences over two cells of a metre, 20 m high.
        ("ahead_slope_deg", EASTWARD, WALL, math.degrees(math.atan(10.0))),
        ("ahead_slope_deg", EASTWARD, PITCHED, math.degrees(math.atan(0.5))),
        ("ahead_slope_deg", EASTWARD | {"heading_deg": 270.0}, WALL, 0.0),
        ("ahead_step_m", EASTWARD, WALL, 20.0),
        ("ahead_step_m", EASTWARD, PITCHED, 0.5),
        ("ahead_step_m", EASTWARD | {"heading_deg": 270.0}, WALL, 0.0),
        ("dust_opacity", {"dust_opacity": 1.5, "tau": 9.0}, None, 1.5),
        ("dust_opacity", {"atmospheric_opacity": 0.7, "tau": 9.0}, None, 0.7),
        ("dust_opacity", {"tau": 0.6}, None, 0.6),
        ("wind_mps", {"wind_mps": 12.0, "wind_speed_mps": 3.0}, None, 12.0),
        ("wind_mps", {"wind_speed_mps": 7.0}, None, 7.0),
        ("water_in_hull", {"water_in_hull": 1.0}, None, 1.0),
        ("temperature_c", {"temperature_c": -101.5}, None, -101.5),
        ("battery_v", {"battery_v": 24.5, "m_battery": 12.0}, None, 24.5),
        ("battery_v", {"m_battery": 12.0}, None, 12.0),
        ("battery_v", {"state_voltage_v": 26.0}, None, 26.0),
        ("battery_pct", {"battery_pct": 61.0}, None, 61.0),
    ],
)
def test_a_quantity_is_what_is_told_or_what_the_ground_says(quantity, record, terrain, expected):
    about = {} if terrain is None else {"terrain": terrain, "corridor_m": 80}
    assert only(quantity, record, **about) == pytest.approx(expected, abs=0.01)
    assert values(quantity, [{"speed_mps": 1.0}], **about) == [(None, "unknown")]


def on_mars(height):
    return Terrain(
        [Ground(MadeRaster(height, georeference=near_equator((400, 500), 1, 3_396_190)))]
    )


def test_the_light_on_the_ground_is_the_suns_on_its_slope():
    level, west_facing = (on_mars(lambda x, y, k=k: k * x + 0.0 * y) for k in (0.0, 0.5))
    here = {"body": "mars", "longitude": 0.0, "latitude": 0.0}
    hours = [{"t": hour * 3600.0, **here} for hour in range(25)]
    flat, facing = (
        np.array([value for value, state in values("illumination", hours, terrain)])
        for terrain in (level, west_facing)
    )
    times = np.array([(10**9 + hour * 3600) * 10**6 for hour in range(25)])
    sun = MARS.position(times, *(np.full(25, here[n]) for n in ("longitude", "latitude")))
    azimuth, up = np.radians(sun.azimuth_deg), np.radians(sun.elevation_deg)
    np.testing.assert_allclose(flat, np.maximum(np.sin(up), 0.0), atol=1e-6)
    # The ground's normal leans west: (-0.5, 0, 1) east, north, up.
    toward = (-0.5 * np.cos(up) * np.sin(azimuth) + np.sin(up)) / math.hypot(0.5, 1.0)
    np.testing.assert_allclose(facing, np.where(up > 0, np.maximum(toward, 0), 0), atol=1e-3)
    assert (flat == 0).sum() > 8
    assert (facing > flat).any()
    assert (facing < flat).any()
    # Where the sun stands on Earth is not asked.
    on_earth = [{"t": 0, **HERE}]
    assert values("illumination", on_earth, PITCHED) == [(None, "unknown")]


def test_a_score_tells_which_version_of_which_model_saw_what():
    vision = Vision(danger={2: 0.8}, min_confidence=0.5, max_age_s=60, max_distance_m=20)
    danger = Part(reads="terrain_danger", safe=0, limit=1, weight=0.5, source="made")
    profile = Profile(id="one", kinds=("vehicle",), vision=vision, parts={"danger": danger})
    place = {"vehicle_id": "v", "longitude": 0.0, "latitude": 0.0}
    seen = {"terrain_class": 2, "confidence": 0.9, "model_version": 7}
    told = score(
        frame_of_records(
            [
                place | {"timestamp": 1e9} | seen,
                place | {"timestamp": 1e9 + 10},
                place | {"timestamp": 1e9 + 20} | seen | {"model_version": 8, "confidence": 0.6},
                place | {"timestamp": 1e9 + 30} | {"terrain_class": 2, "confidence": 0.7},
            ]
        ),
        profile,
    )
    found = [tuple(data["vision"].values()) for data in told]
    assert found == [(2, 0.9, 7), (2, 0.9, 7), (2, 0.6, 8), (2, 0.7, None)]
    assert list(told[0]["vision"]) == ["terrain_class", "confidence", "model_version"]


@pytest.mark.parametrize(
    ("profile", "name", "field", "steps"),
    [
        ("rover", "cold", "temperature_c", [(-60, 0), (-90, 0), (-109, 0.2), (-128, 0.4)]),
        ("rover", "hot", "temperature_c", [(20, 0), (30, 0), (40, 0.2), (60, 0.4)]),
        ("rover", "dust", "dust_opacity", [(0.5, 0), (3.0, 0.3), (10.8, 0.6)]),
        ("rover", "wind", "wind_speed_mps", [(5, 0), (22.5, 0.15), (40, 0.3)]),
        ("auv", "water", "water_in_hull", [(0, 0), (1, 1.0)]),
    ],
)
def test_shipped_parts_grow_from_their_safe_value_to_their_limit(profile, name, field, steps):
    for value, contribution in steps:
        told = {"vehicle_id": "v", "kind": profile, "timestamp": 1e9, field: value}
        [data] = score(frame_of_records([told]), shipped(profile))
        assert part(data, name)["value"] == value
        assert part(data, name)["contribution"] == pytest.approx(contribution, abs=1e-6)
