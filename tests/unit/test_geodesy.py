"""Metres on every body, held against cartesian geometry and the closed forms of spheres."""

import numpy as np
import pytest
import shapely

from rules.geodesy import bearing_deg, destination, distance_m, inverse, rough_distance_m
from rules.nearest import distance_to_shape_m
from schemas.ellipsoids import ELLIPSOIDS
from schemas.frame import BODIES

EARTH, MARS, MOON = (BODIES.index(name) for name in ("earth", "mars", "moon"))
A, B = 3_396_190.0, 3_376_200.0


def on_mars(longitude, latitude):
    """Cartesian positions (3, n) m of planetocentric ones on the ellipsoid."""
    lon, lat = np.radians(longitude), np.radians(latitude)
    radius = A * B / np.hypot(B * np.cos(lat), A * np.sin(lat))
    return radius * np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])


def anywhere(rng, count):
    return rng.uniform(-180, 180, count), np.degrees(np.arcsin(rng.uniform(-1, 1, count)))


def test_short_ways_on_mars_are_as_long_as_their_chords():
    lon, lat = anywhere(np.random.default_rng(0), 500)
    bearing = np.linspace(0, 360, 500)
    body = np.full(500, MARS, np.int8)
    to_lon, to_lat = destination(body, lon, lat, bearing, 1_000.0)
    chord = np.linalg.norm(on_mars(to_lon, to_lat) - on_mars(lon, lat), axis=0)
    # The chord of 1 km is 3.6 um shorter.
    assert chord == pytest.approx(1_000.0, abs=1e-5)
    assert distance_m(body, lon, lat, to_lon, to_lat) == pytest.approx(1_000.0, abs=1e-6)


def test_the_meridian_of_mars_has_the_length_of_its_ellipse():
    angle = (np.arange(100_000) + 0.5) * (np.pi / 2 / 100_000)
    quarter_m = np.hypot(A * np.sin(angle), B * np.cos(angle)).sum() * (np.pi / 2 / 100_000)
    body = np.array([MARS], np.int8)
    found = distance_m(body, np.array([20.0]), np.array([0.0]), np.array([77.0]), np.array([90.0]))
    assert found[0] == pytest.approx(quarter_m, rel=1e-9)
    to_lon, to_lat = destination(body, np.array([20.0]), np.array([0.0]), 0.0, quarter_m)
    assert to_lat[0] == pytest.approx(90.0, abs=1e-7)
    assert -180 <= to_lon[0] <= 180


def test_north_on_mars_is_along_the_meridian():
    lon, lat = np.array([77.45, -10.0]), np.array([18.44, -60.0])
    body = np.full(2, MARS, np.int8)
    assert bearing_deg(body, lon, lat, lon, lat + 0.1) == pytest.approx(0.0, abs=1e-9)
    assert bearing_deg(body, lon, lat, lon, lat - 0.1) == pytest.approx(180.0, abs=1e-9)


def test_the_moon_is_a_sphere():
    rng = np.random.default_rng(1)
    (lon0, lat0), (lon1, lat1) = anywhere(rng, 500), anywhere(rng, 500)
    p0, p1, turn = np.radians(lat0), np.radians(lat1), np.radians(lon1 - lon0)
    haversine = np.sin((p1 - p0) / 2) ** 2 + np.cos(p0) * np.cos(p1) * np.sin(turn / 2) ** 2
    north = np.cos(p0) * np.sin(p1) - np.sin(p0) * np.cos(p1) * np.cos(turn)
    distance, bearing = inverse(np.full(500, MOON, np.int8), lon0, lat0, lon1, lat1)
    assert distance == pytest.approx(2 * 1_737_400 * np.arcsin(np.sqrt(haversine)), rel=1e-9)
    expected = np.degrees(np.arctan2(np.sin(turn) * np.cos(p1), north)) % 360
    assert bearing == pytest.approx(expected, abs=1e-7)


def test_bodies_mixed_in_a_column_are_each_their_own():
    lon0, lat0 = anywhere(np.random.default_rng(2), 60)
    lon1, lat1 = lon0 + 1.0, lat0 * 0.99
    body = np.arange(60, dtype=np.int8) % 3
    mixed = distance_m(body, lon0, lat0, lon1, lat1)
    for code in (EARTH, MARS, MOON):
        alone = distance_m(np.full(60, code, np.int8), lon0, lat0, lon1, lat1)
        assert (mixed[body == code] == alone[body == code]).all()


@pytest.mark.parametrize("body", [EARTH, MARS, MOON])
@pytest.mark.parametrize(
    ("reach_m", "off"), [(100.0, 2e-5), (100_000.0, 2e-5), (1_000_000.0, 1e-4), (3e6, 1e-2)]
)
def test_rough_distances_are_as_near_as_they_say(body, reach_m, off):
    rng = np.random.default_rng(3)
    lon, lat = anywhere(rng, 2_000)
    body = np.full(2_000, body, np.int8)
    far = reach_m * rng.uniform(0.1, 1.0, 2_000)
    to_lon, to_lat = destination(body, lon, lat, rng.uniform(0, 360, 2_000), far)
    rough = rough_distance_m(body, lon, lat, to_lon, to_lat)
    assert np.abs(rough / far - 1).max() < off


def test_unknown_coordinates_make_unknown_distances():
    nan = np.array([np.nan, 0.0, 0.0])
    zero = np.zeros(3)
    body = np.array([EARTH, MARS, MOON], np.int8)
    for measure in (distance_m, bearing_deg, rough_distance_m):
        assert np.isnan(measure(body, nan, zero, zero + 1, zero)).tolist() == [True, False, False]
    assert np.isnan(destination(body, zero, nan, 10.0, 5.0)[0]).tolist() == [True, False, False]
    assert len(distance_m(body[:0], zero[:0], zero[:0], zero[:0], zero[:0])) == 0


def test_what_is_given_is_not_written_to():
    columns = [np.array([1.0, 2.0]) for _ in range(4)]
    inverse(np.zeros(2, np.int8), *columns)
    destination(np.zeros(2, np.int8), *columns)
    assert all(column.tolist() == [1.0, 2.0] for column in columns)


SHAPES = {
    "a box": shapely.box(10, 50, 11, 51),
    "a large one": shapely.box(-60, -40, 20, 55),
    "with a hole": shapely.box(0, 0, 9, 9).difference(shapely.box(1, 1, 8, 8)),
    "beside the antimeridian": shapely.box(170, -10, 180, 10),
    "around a pole": shapely.box(-180, 80, 180, 90),
}


@pytest.mark.parametrize("body", [EARTH, MARS])
@pytest.mark.parametrize("name", SHAPES)
def test_the_nearest_point_of_a_shape_is_found(body, name):
    shape = SHAPES[name]
    lon, lat = anywhere(np.random.default_rng(4), 12)
    lon[:4], lat[:4] = [5.0, 179.9, -179.9, 12.0], [5.0, 0.0, 11.0, 50.5]
    found = distance_to_shape_m(body, shape, lon, lat)
    # Positions along the edges every 0.005 deg: the nearest of them is at most 280 m off the way.
    edge = shapely.get_coordinates(shapely.segmentize(shape, 0.005))
    for i in range(len(lon)):
        rough = rough_distance_m(np.full(len(edge), body, np.int8), lon[i], lat[i], *edge.T)
        near = edge[np.argsort(rough)[:2_000]]
        there = distance_m(np.full(len(near), body, np.int8), lon[i], lat[i], *near.T).min()
        if shapely.intersects_xy(shape, lon[i], lat[i]):
            assert found[i] == 0.0
        else:
            assert found[i] <= there * (1 + 1e-6) + 1e-3
            assert found[i] >= np.sqrt(max(there**2 - 300.0**2, 0.0)) - 1.0 - 0.002 * there


def test_figures_are_those_of_the_iau_and_wgs_84():
    assert ELLIPSOIDS["earth"].polar_m == pytest.approx(6_356_752.3142, abs=1e-4)
    assert ELLIPSOIDS["mars"].flattening == pytest.approx(1 / 169.894, rel=1e-5)
    assert ELLIPSOIDS["moon"].flattening == 0
