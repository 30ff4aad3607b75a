"""Terrain: surfaces of a known shape, sampled and derived; corridors; memory that stays bounded."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import CRS

from rules.geodesy import destination, inverse
from rules.terrain.ground import Ground, GroundLimits, Terrain
from rules.terrain.sampling import bilinear, cells, nearest
from rules.terrain.surface import (
    aspect_deg,
    gradient,
    illumination,
    roughness_m,
    slope_deg,
    step_m,
)
from rules.terrain.tiles import TILE, Tiles
from schemas.frame import BODIES
from schemas.raster import Georeference, GeoreferenceError
from tests.slopes import MadeRaster, near_equator

SQUARE = np.array([1.0, 0.0, 0.0, -1.0]).reshape(4, 1, 1)  # a metre a cell, rows to the south
DEG_PER_M = np.degrees(1.0 / 6_378_137.0)


def grid(height, rows=9, columns=11):
    """Heights as a function of metres east and north."""
    column, row = np.meshgrid(np.arange(columns), np.arange(rows))
    return height(column.astype(float), -row.astype(float))


@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(-5000, 5000))
def test_a_plane_has_its_slope_and_aspect_everywhere_and_is_not_rough(a, b, c):
    z = grid(lambda x, y: a * x + b * y + c)
    east, north = gradient(z, SQUARE)
    np.testing.assert_allclose(east, a, atol=1e-10)
    np.testing.assert_allclose(north, b, atol=1e-10)
    np.testing.assert_allclose(
        slope_deg(east, north), np.degrees(np.arctan(np.hypot(a, b))), atol=1e-9
    )
    np.testing.assert_allclose(roughness_m(z), 0.0, atol=1e-5)
    diagonal = max(abs(a + b), abs(a - b), abs(a), abs(b))
    np.testing.assert_allclose(step_m(z), diagonal, atol=1e-9)


@pytest.mark.parametrize(
    ("east", "north", "falls_toward"), [(0, -1, 0), (-1, 0, 90), (0, 1, 180), (1, 0, 270)]
)
def test_aspect_is_where_the_ground_falls_from_north_clockwise(east, north, falls_toward):
    assert aspect_deg(np.array([float(east)]), np.array([float(north)])) == falls_toward
    assert np.isnan(aspect_deg(np.array([0.0]), np.array([0.0])))[0]


def test_the_slope_of_a_cone_and_of_a_sphere_is_the_analytic_one():
    x0, y0 = 40.0, -40.0
    cone = grid(lambda x, y: -0.5 * np.hypot(x - x0, y - y0), 81, 81)
    slope = slope_deg(*gradient(cone, SQUARE))
    x, y = np.meshgrid(np.arange(1, 80) - x0, -np.arange(1, 80) - y0)
    far = np.hypot(x, y) > 10
    np.testing.assert_allclose(slope[far], np.degrees(np.arctan(0.5)), atol=0.15)
    radius = 200.0
    sphere = grid(lambda x, y: np.sqrt(radius**2 - (x - x0) ** 2 - (y - y0) ** 2), 81, 81)
    expected = np.degrees(np.arcsin(np.hypot(x, y) / radius))
    np.testing.assert_allclose(slope_deg(*gradient(sphere, SQUARE)), expected, atol=0.01)


def test_roughness_is_the_residual_of_the_best_plane():
    rng = np.random.default_rng(3)
    z = rng.normal(0, 1, (5, 6)) - 4500.0
    found = roughness_m(z)
    for r in range(3):
        for c in range(4):
            x, y = np.meshgrid(np.arange(3), np.arange(3))
            design = np.stack([x.ravel(), y.ravel(), np.ones(9)], axis=1)
            values = z[r : r + 3, c : c + 3].ravel()
            plane = design @ np.linalg.lstsq(design, values, rcond=None)[0]
            expected = np.sqrt(np.mean((values - plane) ** 2))
            assert found[r, c] == pytest.approx(expected, abs=1e-9)


def test_what_needs_an_unknown_height_is_unknown():
    z = grid(lambda x, y: 0.1 * x)
    z[4, 5] = np.nan
    for derived in (slope_deg(*gradient(z, SQUARE)), roughness_m(z), step_m(z)):
        unknown = np.isnan(derived)
        assert unknown[2:5, 3:6].sum() >= 8
        unknown[2:5, 3:6] = False
        assert not unknown.any()


def test_ground_that_faces_the_sun_is_lit_and_what_turns_away_is_dark():
    flat = np.array([0.0])
    sun = np.array([90.0]), np.array([30.0])
    assert illumination(flat, flat, *sun)[0] == pytest.approx(0.5)
    # Falls to the east at 60 degrees, the sun in the east at 30: it shines along the normal.
    facing = np.array([-np.tan(np.radians(60.0))])
    assert illumination(facing, flat, *sun)[0] == pytest.approx(1.0)
    assert illumination(-facing, flat, *sun)[0] == 0.0
    assert illumination(flat, flat, np.array([90.0]), np.array([-1.0]))[0] == 0.0


@given(st.floats(-2, 12), st.floats(-2, 10))
def test_sampling_is_exact_on_what_is_linear_in_each_direction(column, row):
    z = grid(lambda x, y: 2.0 * x - 3.0 * y + 0.5 * x * y)
    found = bilinear(z, np.array([column]), np.array([row]))[0]
    if 0 <= column <= 10 and 0 <= row <= 8:
        assert found == pytest.approx(2.0 * column + 3.0 * row - 0.5 * column * row)
    else:
        assert np.isnan(found)
    value = nearest(z, np.array([column]), np.array([row]))[0]
    c, r = int(np.floor(column + 0.5)), int(np.floor(row + 0.5))
    if 0 <= c <= 10 and 0 <= r <= 8:
        assert value == z[r, c]
    else:
        assert np.isnan(value)


def test_a_position_that_is_not_known_has_no_cell():
    assert cells(np.array([np.nan]))[0] == -1
    assert np.isnan(bilinear(grid(lambda x, y: x), np.array([np.nan]), np.array([1.0])))[0]


PROJECTIONS = {
    "utm": CRS.from_epsg(32633),
    "polar": CRS.from_epsg(3413),
    "mercator": CRS.from_epsg(3857),
    "degrees": CRS.from_epsg(4326),
    "mars": CRS.from_proj4("+proj=eqc +lat_ts=40 +R=3396190 +units=m"),
    "mars degrees": CRS.from_proj4("+proj=longlat +a=3396190 +b=3376200"),
}
MIDDLES = {"polar": (-60.0, 82.0), "utm": (17.0, 61.0)}


@pytest.mark.parametrize("name", PROJECTIONS)
def test_slopes_are_true_on_the_ground_whatever_the_projection(name):
    """A plane in metres east and north of a point, sampled in each projection's own cells."""
    crs, (lon0, lat0) = PROJECTIONS[name], MIDDLES.get(name, (14.0, 47.0))
    cell = 0.001 if crs.is_geographic else 60.0
    shape = (61, 71)
    where = Georeference(crs, (cell, 0.0, 0.0, 0.0, -cell, 0.0))
    x0, y0 = where._to_crs.transform(lon0, where._own(np.array([lat0]))[0])
    where = Georeference(crs, (cell, 0.0, x0 - 35 * cell, 0.0, -cell, y0 + 30 * cell))
    column, row = np.meshgrid(np.arange(71.0), np.arange(61.0))
    lon, lat = where.positions(column.ravel(), row.ravel())
    body = np.full(lon.size, BODIES.index(where.body), np.int8)
    middle = where.positions(np.array([35.0]), np.array([30.0]))
    distance, bearing = inverse(body, *middle, lon, lat)
    east, north = distance * np.sin(np.radians(bearing)), distance * np.cos(np.radians(bearing))
    raster = MadeRaster(lambda x, y: np.zeros(shape), shape, where)
    raster.heights = (0.2 * east - 0.1 * north).reshape(shape)
    ground = Ground(raster)
    lon, lat = where.positions(np.array([35.0]), np.array([30.0]))
    under = ground.under(lon, lat)
    assert under.east[0] == pytest.approx(0.2, abs=2e-4)
    assert under.north[0] == pytest.approx(-0.1, abs=2e-4)
    assert under.slope_deg[0] == pytest.approx(np.degrees(np.arctan(np.hypot(0.2, 0.1))), abs=0.02)
    # Straight up the slope for 500 m the height grows by 500 m times the gradient.
    bearing = np.degrees(np.arctan2(0.2, -0.1)) % 360
    body = body[:1]
    to_lon, to_lat = destination(body, lon, lat, np.array([bearing]), 500.0)
    climbed = ground.height_m(to_lon, to_lat) - under.height_m
    assert climbed[0] == pytest.approx(500.0 * np.hypot(0.2, 0.1), rel=2e-3)


def test_a_georeference_goes_there_and_back():
    for name, crs in PROJECTIONS.items():
        lon0, lat0 = MIDDLES.get(name, (14.0, 47.0))
        where = Georeference(crs, (2.0, 0.5, 1000.0, 0.25, -2.0, 500.0))
        column, row = where.pixels(np.array([lon0]), np.array([lat0]))
        lon, lat = where.positions(column, row)
        assert (lon[0], lat[0]) == pytest.approx((lon0, lat0), abs=1e-9)


def test_a_coordinate_system_of_another_body_is_refused():
    venus = Georeference(CRS.from_proj4("+proj=longlat +R=6051800"), (1, 0, 0, 0, 1, 0))
    with pytest.raises(GeoreferenceError, match=r"of a body of 6051\.8 km, which is none of earth"):
        _ = venus.body


WALL = Ground(
    # Level but for a wall of 20 m that begins 50 m east of the middle and a gap of knowledge.
    MadeRaster(lambda x, y: np.where(x >= 50, 20.0, 0.0) + 0.0 * y, (300, 400), hole=(150, 150))
)


STEEP = GroundLimits(slope_deg=30.0)


def look(bearing, length_m=100.0, limits=STEEP, east_m=0.0, **more):
    at = np.array([east_m * DEG_PER_M]), np.array([10.0 * DEG_PER_M])
    found = WALL.ahead(*at, np.array([bearing]), length_m, limits, **more)
    return (found.distance_m[0], found.known_m[0], found.slope_deg[0], found.step_m[0])


def test_a_corridor_tells_how_far_the_first_cell_above_the_limit_is():
    distance, known, slope, step = look(90.0)
    # The slope of a cell is that of its neighbours too: the wall is felt a cell before it.
    assert distance == pytest.approx(49.0, abs=1.01)
    assert known == pytest.approx(100.0)
    assert step == pytest.approx(20.0)
    assert slope == pytest.approx(np.degrees(np.arctan(10.0)), abs=0.1)
    assert look(270.0)[0] == np.inf
    assert look(90.0, 30.0)[0] == np.inf
    distance, *_ = look(60.0)
    assert distance == pytest.approx(49.0 / np.sin(np.radians(60.0)), abs=1.2)


def test_ways_of_any_length_looked_at_together_are_as_each_alone():
    length_m = np.array([100.0, 23.4, 57.9, 0.3, 2_500.0])
    bearing = np.array([90.0, 85.0, 100.0, 90.0, 95.0])
    at = np.full(5, 33.3 * DEG_PER_M), np.full(5, 10.0 * DEG_PER_M)
    together = WALL.ahead(*at, bearing, length_m, STEEP, width_m=3.0)
    alone = [
        WALL.ahead(
            at[0][:1], at[1][:1], bearing[k : k + 1], length_m[k : k + 1], STEEP, width_m=3.0
        )
        for k in range(5)
    ]
    for name in ("slope_deg", "step_m", "roughness_m", "distance_m", "known_m"):
        one_by_one = np.concatenate([getattr(found, name) for found in alone])
        np.testing.assert_array_equal(getattr(together, name), one_by_one)
    assert np.isfinite(together.distance_m).tolist() == [True, True, True, False, True]


def test_a_corridor_over_unknown_ground_does_not_read_as_safe():
    # Toward the hole, which lies at row 150, column 150: 50 m west of the middle.
    at = np.array([0.0]), np.array([0.0])
    found = WALL.ahead(*at, np.array([270.0]), 100.0, GroundLimits(slope_deg=30.0))
    assert np.isnan(found.distance_m[0])
    assert found.known_m[0] == pytest.approx(48.0, abs=1.01)
    # Off the model.
    away = WALL.ahead(np.array([1.0]), np.array([0.0]), np.array([0.0]), 100.0, GroundLimits())
    assert np.isnan(away.distance_m[0])
    assert away.known_m[0] == 0.0


def test_a_wide_corridor_finds_what_lies_beside_the_line():
    limits = GroundLimits(slope_deg=30.0)
    north = 0.0
    assert look(north, limits=limits, east_m=45.0)[0] == np.inf
    assert look(north, limits=limits, east_m=45.0, width_m=12.0)[0] == 0.0


def test_where_tiles_end_makes_no_difference():
    def height(x, y):
        return 3.0 * np.sin(x / 11.0) + 2.0 * np.cos(y / 7.0)

    shape = (2 * TILE + 30, 2 * TILE + 50)
    raster = MadeRaster(height, shape)
    ground = Ground(raster)
    rng = np.random.default_rng(5)
    column, row = rng.uniform(0, shape[1] - 1, 4000), rng.uniform(0, shape[0] - 1, 4000)
    lon, lat = raster.georeference.positions(column, row)
    under = ground.under(lon, lat)
    np.testing.assert_allclose(under.height_m, bilinear(raster.heights, column, row), atol=1e-5)
    steps = raster.georeference.steps_m(*np.meshgrid(np.arange(1, shape[1] - 1), [100.0]))
    whole = slope_deg(*gradient(raster.heights, steps[:, :1, :1]))
    inner = np.full(shape, np.nan)
    inner[1:-1, 1:-1] = whole
    np.testing.assert_allclose(under.slope_deg, nearest(inner, column, row), atol=1e-3)


def test_tiles_are_read_when_needed_and_forgotten_when_there_are_too_many():
    raster = MadeRaster(lambda x, y: x + y, (4 * TILE, 4 * TILE))
    tiles = Tiles(raster, memory_bytes=1)
    size = tiles.tile(0, 0).size
    tiles = Tiles(raster, memory_bytes=3 * size)
    assert not raster.reads[1:]
    every = [(r, c) for r in range(4) for c in range(4)]
    for place in every:
        tiles.tile(*place)
        assert tiles.held_bytes <= 3 * size
    assert tiles.read == 16
    tiles.tile(3, 3)
    assert tiles.read == 16
    tiles.tile(0, 0)
    assert tiles.read == 17
    # All at once gives the same as one by one, however little is held.
    row, column = np.random.default_rng(1).integers(0, 4 * TILE, (2, 500))
    few, all_ = Tiles(raster, 1), Tiles(raster, 10**9)
    np.testing.assert_array_equal(few.gather((0, 1), row, column), all_.gather((0, 1), row, column))


def test_the_first_model_that_knows_a_place_counts_and_coarse_ones_tell_heights_only():
    fine = Ground(MadeRaster(lambda x, y: 0.0 * x + 7.0, (50, 50)))
    coarse = Ground(
        MadeRaster(lambda x, y: 1.0 * x, (100, 100), near_equator((100, 100), cell_m=100.0))
    )
    terrain = Terrain([fine, coarse])
    body = np.full(3, BODIES.index("earth"), np.int8)
    body[2] = BODIES.index("mars")
    lon, lat = np.array([0.0, 1000.0 * DEG_PER_M, 0.0]), np.zeros(3)
    under = terrain.under(body, lon, lat)
    assert under.height_m.tolist() == [7.0, pytest.approx(10.0), pytest.approx(np.nan, nan_ok=True)]
    assert under.slope_deg[1] == pytest.approx(np.degrees(np.arctan(0.01)), abs=1e-4)
    under = terrain.under(body, lon, lat, max_cell_m=5.0)
    assert under.height_m[1] == pytest.approx(10.0)
    assert np.isnan(under.slope_deg[1])
    ahead = terrain.ahead(body, lon, lat, np.zeros(3), 10.0, GroundLimits(), max_cell_m=5.0)
    assert np.isfinite(ahead.known_m).tolist() == [True, False, False]
