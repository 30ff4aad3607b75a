"""The XML tests of the JTS Topology Suite, judged by our own containment.

Every test of every file is passed, or not applicable for a reason that is counted: a test that
silently stops being run changes a count. Our containment knows positions in areas, boundary
included. So a test of points against an area is decided in full wherever the boundary does not
decide it; for lines and areas against an area the answer, if it is yes (or no), binds the vertices.
"""

import warnings
import xml.etree.ElementTree as ET
from collections import Counter
from functools import cache

import numpy as np
import pytest
import shapely

from rules.zone_geometry import ZoneGeometryError, zone_shapes
from rules.zone_index import ZoneIndex
from schemas.geojson import Area, AreaError
from schemas.zone import Zone
from tests.outside import DATA, MISSING

SUITE = None if DATA is None else DATA / "suite-jts-predicates"
FILES = [] if SUITE is None else sorted(SUITE.glob("*/*.xml"))

# Largest coordinate of a scaled case, deg: no edge is then long enough to be read the other way
# round the globe, and scaling by powers of two loses nothing.
LARGEST_DEG = 64.0

PASSED = "passed"
NOT_CONTAINMENT = "not about positions in areas: "
NO_AREA = "no area among the arguments"
NO_POSITIONS = "no positions: empty geometry, or a collection"
EMPTY_RING = "an empty ring, which GeoJSON has not"
NOT_BOUND = "the answer binds no single position"
BOUNDARY = "the boundary decides, which belongs to a zone"

ABOUT_CONTAINMENT = {
    "contains", "coveredby", "covers", "crosses", "disjoint", "intersects", "relate", "touches",
    "within",
}  # fmt: skip


def read(text):
    if text is None or not text.strip():
        return None
    text = "".join(text.split("\n")).strip()
    load = shapely.from_wkt if "(" in text or "EMPTY" in text else shapely.from_wkb
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return load(text, on_invalid="ignore")


def zone_of(area, scale):
    polygons = [
        [shapely.get_coordinates(ring) * scale for ring in shapely.get_rings(polygon)]
        for polygon in shapely.get_parts(area)
        if not polygon.is_empty
    ]
    return Zone(id="case", geometry=Area(polygons))


def scale_of(*geometries):
    largest = max(np.abs(shapely.get_coordinates(g)).max() for g in geometries)
    return 2.0 ** np.floor(np.log2(LARGEST_DEG / largest)) if largest > 0 else 1.0


def is_area(geometry):
    return geometry is not None and geometry.geom_type in ("Polygon", "MultiPolygon")


@cache
def located(area, other):
    """Which vertices of ``other`` our index finds in ``area``: (n,) bool."""
    scale = scale_of(area, other)
    longitude, latitude = (shapely.get_coordinates(other) * scale).T
    hits = ZoneIndex([zone_of(area, scale)]).locate(
        np.zeros(len(longitude), np.int8), longitude, latitude
    )
    return np.isin(np.arange(len(longitude)), hits.row)


def is_valid(geometry, *, expected):
    if not is_area(geometry):
        return NO_AREA
    if geometry.is_empty:
        return NO_POSITIONS
    if any(ring.is_empty for ring in shapely.get_rings(geometry)):
        return EMPTY_RING
    try:
        zone_shapes([zone_of(geometry, scale_of(geometry))])
        accepted = True
    except (ZoneGeometryError, AreaError):
        accepted = False
    assert accepted == expected
    return PASSED


def demanded(operation, pattern, *, expected, area_first):
    """What a test demands of the located vertices: (of all, of any), each True, False or None.

    None means the test leaves it open.
    """
    answers = {
        "intersects": (None, expected),
        "disjoint": (None, not expected),
        "covers": (expected, None) if area_first else None,
        "coveredby": None if area_first else (expected, None),
        "contains": ((True if expected else None), None) if area_first else None,
        "within": None if area_first else ((True if expected else None), None),
        "touches": (None, True) if expected else None,
        "crosses": (False, True) if expected else None,
    }
    if operation != "relate":
        return answers[operation]
    # DE-9IM of A and B, rows interior, boundary and exterior of A: a point has its interior alone.
    matrix = np.array(list(pattern)).reshape(3, 3)
    matrix = matrix if not area_first else matrix.T
    if not expected or matrix[0, 0] == "*":
        return None
    return matrix[0, 2] == "F", bool((matrix[0, :2] != "F").any())


def contained(area, other, demand, *, only_points, negative):
    """Hold the vertices of ``other`` against what the test demands of them."""
    found = located(area, other)
    of_all, of_any = demand
    if only_points:
        assert of_all is None or found.all() == of_all
        assert of_any is None or found.any() == of_any
        if of_all is None and of_any is None:
            # Contains and within say no: some point is outside, or all are on the boundary.
            assert negative
            return BOUNDARY if found.all() else PASSED
        return PASSED
    if of_all:
        assert found.all()
        return PASSED
    if of_any is False:
        assert not found.any()
        return PASSED
    return NOT_BOUND


def judged(operation, a, b, pattern, *, expected):
    """``PASSED`` or why the test is not applicable; an assertion error where we are wrong."""
    if operation == "isvalid":
        return is_valid(a, expected=expected)
    if operation not in ABOUT_CONTAINMENT:
        return NOT_CONTAINMENT + operation
    return unfit(a, b) or related(operation, a, b, pattern, expected=expected)


def unfit(a, b):
    """Why two geometries are no area and positions; None where they are."""
    if not (is_area(a) or is_area(b)):
        return NO_AREA
    if "GeometryCollection" in (a.geom_type, b.geom_type) or a.is_empty or b.is_empty:
        return NO_POSITIONS
    return None


def related(operation, a, b, pattern, *, expected):
    area_first = is_area(a)
    area, other = (a, b) if area_first else (b, a)
    only_points = other.geom_type in ("Point", "MultiPoint")
    if operation == "relate" and not only_points:
        return NOT_BOUND
    demand = demanded(operation, pattern, expected=expected, area_first=area_first)
    if demand is None:
        return NOT_BOUND
    return contained(area, other, demand, only_points=only_points, negative=not expected)


def cases_in(file):
    for case in ET.parse(file).getroot().iter("case"):
        geometries = {name: read(case.findtext(name)) for name in "ab"}
        for test in case.iter("test"):
            operation = test.find("op")
            a, b = (geometries.get((operation.get(f"arg{i}") or "").lower()) for i in (1, 2))
            expected = (operation.text or "").strip().lower() == "true"
            where = f"{file.name}: {case.findtext('desc')}: {operation.attrib}"
            yield where, operation.get("name").lower(), a, b, operation.get("arg3"), expected


def counts_of(file):
    counts = Counter()
    for where, operation, a, b, pattern, expected in cases_in(file):
        try:
            counts[judged(operation, a, b, pattern, expected=expected)] += 1
        except AssertionError as error:
            raise AssertionError(where) from error
    return counts


def test_every_test_of_the_suite_passes_or_is_not_applicable_for_a_counted_reason():
    if SUITE is None:
        pytest.skip(MISSING)
    counts = Counter()
    for file in FILES:
        counts += counts_of(file)
    for reason, count in counts.most_common():
        print(f"{count:5} {reason}")
    other = {
        reason.removeprefix(NOT_CONTAINMENT): counts.pop(reason)
        for reason in list(counts)
        if reason.startswith(NOT_CONTAINMENT)
    }
    assert counts == {
        PASSED: 482,
        NO_AREA: 2777,
        NOT_BOUND: 802,
        NO_POSITIONS: 16,
        BOUNDARY: 7,
        EMPTY_RING: 3,
    }
    assert other == {
        "equalstopo": 335,
        "overlaps": 335,
        "issimple": 44,
        "getcentroid": 38,
        "distance": 32,
        "getinteriorpoint": 24,
        "iswithindistance": 22,
        "equalsexact": 18,
        "convexhull": 14,
        "getboundary": 12,
        "equalsnorm": 5,
    }
