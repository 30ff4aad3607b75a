"""Geodesics against GeographicLib's test set, and on a sphere against Turf's fixtures."""

import json

import numpy as np
import pytest

from rules.geodesy import bearing_deg, destination, distance_m, rough_distance_m
from schemas.ellipsoids import Ellipsoid
from tests.outside import DATA, MISSING

SUITE = None if DATA is None else DATA / "suite-geodesic"
TURF = None if DATA is None else DATA / "suite-turf-fixtures"
# Turf measures on this sphere.
SPHERE = Ellipsoid(6_371_008.8, 6_371_008.8, planetocentric=False)
METRES = {"kilometers": 1000.0, "miles": 1609.344, "nauticalmiles": 1852.0}

pytestmark = pytest.mark.skipif(DATA is None, reason=MISSING)


def turned(angle):
    return (np.asarray(angle) + 180.0) % 360.0 - 180.0


@pytest.fixture
def geodesics():
    return np.loadtxt(SUITE / "GeodTest_first66.dat").T


def test_distances_and_bearings_are_those_of_geographiclib(geodesics):
    lat1, lon1, azi1, lat2, lon2, _, s12 = geodesics[:7]
    earth = np.zeros(len(lat1), np.int8)
    assert len(earth) == 66
    assert distance_m(earth, lon1, lat1, lon2, lat2) == pytest.approx(s12, abs=1e-7)
    # Near the antipode a digit of the position turns the bearing by degrees.
    near = s12 < 1.9e7
    assert near.sum() > 20
    off = turned(bearing_deg(earth, lon1, lat1, lon2, lat2) - azi1)
    assert np.abs(off[near]).max() < 1e-9


def test_destinations_are_those_of_geographiclib(geodesics):
    lat1, lon1, azi1, lat2, lon2, _, s12 = geodesics[:7]
    earth = np.zeros(len(lat1), np.int8)
    longitude, latitude = destination(earth, lon1, lat1, azi1, s12)
    assert latitude == pytest.approx(lat2, abs=1e-12)
    # Beside a pole a longitude is worth little.
    east = turned(longitude - lon2) * np.cos(np.radians(lat2))
    assert east == pytest.approx(0.0, abs=1e-12)


def test_rough_distances_keep_their_word(geodesics):
    lat1, lon1, _, lat2, lon2, _, s12 = geodesics[:7]
    rough = rough_distance_m(np.zeros(len(lat1), np.int8), lon1, lat1, lon2, lat2)
    assert np.abs(rough / s12 - 1).max() < 0.01


def test_distances_on_a_sphere_are_those_of_turf():
    points = json.loads((TURF / "distance" / "in" / "points.geojson").read_text())["features"]
    (lon0, lat0), (lon1, lat1) = (np.array(p["geometry"]["coordinates"]) for p in points)
    expected = json.loads((TURF / "distance" / "out" / "points.json").read_text())
    measured, _ = SPHERE.inverse(*(np.array([x]) for x in (lon0, lat0, lon1, lat1)))
    assert measured[0] == pytest.approx(expected["radians"] * SPHERE.polar_m, rel=1e-9)
    assert measured[0] == pytest.approx(expected["kilometers"] * 1000.0, rel=1e-9)


def test_destinations_on_a_sphere_are_those_of_turf():
    files = sorted((TURF / "destination" / "in").glob("*.geojson"))
    assert len(files) == 6
    for file in files:
        origin = json.loads(file.read_text())
        given = origin["properties"]
        far_m = given.get("dist", 100) * METRES[given.get("units", "kilometers")]
        out = json.loads((TURF / "destination" / "out" / file.name).read_text())
        expected = out["features"][1]["geometry"]["coordinates"]
        lon, lat = (np.array([x]) for x in origin["geometry"]["coordinates"][:2])
        reached = SPHERE.direct(lon, lat, np.array([given.get("bearing", 180)]), np.array([far_m]))
        # Written with six decimals.
        assert turned(reached[0][0] - expected[0]) == pytest.approx(0.0, abs=1e-6), file.name
        assert reached[1][0] == pytest.approx(expected[1], abs=1e-6), file.name
