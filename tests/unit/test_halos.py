"""Exit buffers: metres on the body, wherever the zone lies and however large it is."""

import numpy as np
import pytest
import shapely

from rules.geodesy import destination
from rules.halos import halos
from rules.nearest import distance_to_shape_m
from rules.zone_geometry import zone_shapes
from rules.zone_index import ZoneIndex
from schemas.frame import BODIES
from schemas.geojson import Area
from schemas.zone import Zone


def box(west, south, east, north):
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


CASES = {
    "small at the equator": (box(0, 0, 0.02, 0.02), 100.0, "earth"),
    "small far north": (box(10, 69, 10.3, 69.1), 50.0, "earth"),
    "across the antimeridian": (box(179.9, -20, 180.2, -19.8), 1_000.0, "earth"),
    "beside the antimeridian": (box(179.5, 10, 179.999, 10.3), 5_000.0, "earth"),
    "a large one": (box(-150, 5, -145, 9), 2_000.0, "earth"),
    "a large one far south": (box(20, -66, 44, -60), 3_000.0, "earth"),
    "on Mars": (box(77.3, 18.3, 77.5, 18.5), 200.0, "mars"),
    "on the Moon": (box(-1, -1, 1, 1), 500.0, "moon"),
    "with a hole": (None, 400.0, "earth"),
    "beside the pole": (box(0, 89.0, 90, 89.9), 20_000.0, "earth"),
    "a buffer wider than the zone": (box(10, 40, 10.5, 40.5), 300_000.0, "earth"),
    "as wide as buffers may be": (box(170, -50, 174, -46), 1_000_000.0, "earth"),
    "wide enough to hold a pole": (box(30, 84, 60, 85), 1_000_000.0, "earth"),
    "around the pole": ([[-150, 80], [-30, 80], [90, 80], [-150, 80]], 10_000.0, "earth"),
}


def zone_of(case):
    ring, buffer_m, body = CASES[case]
    rings = [box(0, 0, 0.1, 0.1), box(0.02, 0.02, 0.08, 0.08)] if ring is None else [ring]
    geometry = Area([[np.array(r, float) for r in rings]])
    return Zone(id="z", body=body, geometry=geometry, exit_buffer_m=buffer_m)


def beside(rng, zone, shape, count=150):
    """Positions outside the zone near its edge, with their distances from it."""
    lonlat = shapely.get_coordinates(shapely.segmentize(shape, 0.5).boundary)
    lonlat = lonlat[np.abs(lonlat[:, 1]) < 90]
    at = lonlat[rng.integers(0, len(lonlat), count)]
    body = np.full(count, BODIES.index(zone.body), np.int8)
    lon, lat = destination(
        body, at[:, 0], at[:, 1], rng.uniform(0, 360, count),
        zone.exit_buffer_m * rng.uniform(0.3, 1.7, count),
    )  # fmt: skip
    distance = distance_to_shape_m(BODIES.index(zone.body), shape, lon, lat)
    return body, lon, lat, distance


@pytest.mark.parametrize("case", CASES)
def test_a_position_is_in_the_buffer_exactly_when_it_is_near_enough_to_the_zone(case):
    zone = zone_of(case)
    shapes = zone_shapes([zone])
    around = halos([zone], shapes)
    assert shapely.is_valid(around[0])
    assert around[0].covers(shapes[0])
    body, lon, lat, distance_m = beside(np.random.default_rng(1), zone, shapes[0])
    index = ZoneIndex([zone], around)
    hits = index.locate(body, lon, lat)
    inside = np.zeros(len(lon), bool)
    inside[hits.row[hits.zone == 1]] = True
    surely_in = distance_m < 0.99 * zone.exit_buffer_m
    surely_out = distance_m > 1.01 * zone.exit_buffer_m
    assert surely_in.sum() > 10
    assert surely_out.sum() > 10
    assert inside[surely_in].all()
    assert not inside[surely_out].any()


def test_a_zone_without_a_buffer_has_no_halo():
    zones = [
        Zone(id="a", geometry=Area([[np.array(box(0, 0, 1, 1), float)]])),
        Zone(id="b", geometry=Area([[np.array(box(0, 0, 1, 1), float)]]), exit_buffer_m=0),
    ]
    assert halos(zones, zone_shapes(zones)).tolist() == [None, None]
