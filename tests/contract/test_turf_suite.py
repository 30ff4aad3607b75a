"""Turf's fixtures of points against areas, judged by our own containment."""

import json

import numpy as np
import pytest
import shapely

from rules.zone_index import ZoneIndex
from schemas.zone import Zone
from tests.outside import DATA, MISSING

SUITE = None if DATA is None else DATA / "suite-turf-fixtures"
POINTS = ("Point", "MultiPoint")
AREAS = ("Polygon", "MultiPolygon")


def cases():
    """Each fixture of points against an area whose answer the boundary does not decide."""
    for operation in ("boolean-intersects", "boolean-disjoint"):
        for expected in (True, False):
            folder = SUITE / operation / str(expected).lower()
            for path in sorted(folder.glob("**/*.geojson")):
                a, b = (f["geometry"] for f in json.loads(path.read_text())["features"][:2])
                points, area = (a, b) if a["type"] in POINTS else (b, a)
                if points["type"] in POINTS and area["type"] in AREAS:
                    met = expected == (operation == "boolean-intersects")
                    yield pytest.param(points, area, met, id=f"{operation} {path.stem}")


CASES = [] if SUITE is None else list(cases())


@pytest.mark.skipif(SUITE is None, reason=MISSING)
def test_the_suite_has_as_many_cases_of_points_and_areas_as_ever():
    assert len(CASES) == 14


@pytest.mark.parametrize(("points", "area", "met"), CASES)
def test_a_point_is_in_the_area_where_turf_says_they_meet(points, area, met):
    longitude, latitude = shapely.get_coordinates(shapely.from_geojson(json.dumps(points))).T
    index = ZoneIndex([Zone(id="area", geometry=area)])
    hits = index.locate(np.zeros(len(longitude), np.int8), longitude, latitude)
    assert bool(hits.row.size) == met
