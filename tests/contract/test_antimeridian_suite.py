"""Polygons across the antimeridian and over the poles, held against an outside suite's answers."""

import json

import numpy as np
import pytest
import shapely

from rules.zone_geometry import ZoneGeometryError, zone_shapes
from rules.zone_index import ZoneIndex
from schemas.geojson import Area
from schemas.zone import Zone
from tests.outside import DATA, MISSING

SUITE = None if DATA is None else DATA / "suite-antimeridian"

# The suite rounds crossing latitudes to 1e-7 deg; positions nearer than this to an edge of its
# answer, or of ours, are left out.
NEAR_DEG = 1e-6

AS_GIVEN = "as given"
# The suite's answer to these is for the ring run through backwards: it asks for that (`reverse`),
# or for the other pole than the one the right-hand rule gives (`force_south_pole`).
REVERSED = "reversed"
NOT_APPLICABLE = {
    "line": "a line, not an area",
    "multi-line": "lines, not an area",
    "both-poles": "the answer is all that the ring does not surround, by winding alone; rings that "
    "hold no pole are read as what they surround, whichever way they run",
}
# The ring crosses itself; the suite's answers (one needs a pole forced, one has none) are repairs.
REFUSED = {"force-north-pole": "Self-intersection", "issues-182": "Self-intersection"}
CASES = {
    "almost-180": AS_GIVEN,
    "crossing-latitude": AS_GIVEN,
    "cw-only": AS_GIVEN,
    "extra-crossing": AS_GIVEN,
    "issues-124": REVERSED,
    "issues-164": REVERSED,
    "issues-174": AS_GIVEN,
    "issues-201": AS_GIVEN,
    "issues-81": AS_GIVEN,
    "multi-split": AS_GIVEN,
    "north-pole": AS_GIVEN,
    "one-hole": AS_GIVEN,
    "over-180": AS_GIVEN,
    "point-on-antimeridian": AS_GIVEN,
    "simple": AS_GIVEN,
    "south-pole": AS_GIVEN,
    "split": AS_GIVEN,
}


def given(name):
    return json.loads((SUITE / "input" / f"{name}.json").read_text())


def answer(name):
    return shapely.from_geojson((SUITE / "output" / "flat" / f"{name}.json").read_text())


def zone(name):
    found = Zone(id=name, geometry=given(name))
    if CASES[name] == REVERSED:
        backwards = [[ring[::-1] for ring in rings] for rings in found.geometry.polygons]
        return Zone(id=name, geometry=Area(backwards))
    return found


def positions(*shapes):
    """(n, 2): a grid over the globe, and points in and round the shapes, away from their edges."""
    rng = np.random.default_rng(1)
    grid = np.stack(np.meshgrid(np.arange(-179.5, 180, 3), np.arange(-89.5, 90, 3)), -1)
    west, south, east, north = shapely.total_bounds(shapes)
    around = rng.uniform((west, south), (east, north), (3000, 2))
    vertices = shapely.get_coordinates(shapes)
    beside = vertices[rng.integers(0, len(vertices), 3000)] + rng.normal(0, 0.05, (3000, 2))
    every = np.concatenate((grid.reshape(-1, 2), around, beside))
    every = every[(np.abs(every) < (180, 90)).all(axis=1)]
    edges = shapely.union_all(shapely.boundary(np.array(shapes, object)))
    return every[shapely.distance(shapely.points(every), edges) > NEAR_DEG]


def test_every_case_of_the_suite_is_listed():
    if SUITE is None:
        pytest.skip(MISSING)
    listed = {*CASES, *NOT_APPLICABLE, *REFUSED}
    assert {path.stem for path in (SUITE / "input").glob("*.json")} == listed


@pytest.mark.skipif(SUITE is None, reason=MISSING)
@pytest.mark.parametrize("name", CASES)
def test_positions_are_in_the_zone_where_they_are_in_the_suites_answer(name):
    shape, expected = zone_shapes([zone(name)])[0], answer(name)
    longitude, latitude = positions(shape, expected).T
    hits = ZoneIndex([zone(name)]).locate(np.zeros(len(longitude), np.int8), longitude, latitude)
    inside = shapely.intersects_xy(expected, longitude, latitude)
    assert np.array_equal(hits.row, np.flatnonzero(inside))
    assert inside.sum() > 100


@pytest.mark.skipif(SUITE is None, reason=MISSING)
@pytest.mark.parametrize("name", CASES)
def test_the_suites_answer_read_as_a_zone_is_the_same_area(name):
    again = zone_shapes([Zone(id=name, geometry=json.loads(shapely.to_geojson(answer(name))))])[0]
    assert shapely.area(shapely.symmetric_difference(again, answer(name))) < NEAR_DEG


@pytest.mark.skipif(SUITE is None, reason=MISSING)
@pytest.mark.parametrize("name", REFUSED)
def test_rings_that_cross_themselves_are_refused(name):
    with pytest.raises(ZoneGeometryError, match=REFUSED[name]):
        zone_shapes([Zone(id=name, geometry=given(name))])
