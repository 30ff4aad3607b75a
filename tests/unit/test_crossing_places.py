"""Where a crossing between two fixes was: linear in longitude, latitude and depth, as in time."""

import json

import pytest

from rules.assessment import Assessor, KeyGroups
from rules.legs import Limits
from rules.memory import Memory
from rules.registry import Registry
from rules.stages import Judges, run
from schemas.event import ZONE_ENTERED, ZONE_EXITED
from schemas.zone_file import load_zones
from tests.frames import frame_of


def crossings(west, properties, *fixes):
    """(type, seconds, longitude, latitude, depth) of a zone four degrees wide and high."""
    # Beyond 180 the same ring is given in two parts (RFC 7946).
    spans = [(west, west + 4)] if west + 4 <= 180 else [(west, 180), (-180, west + 4 - 360)]
    rings = [[[[a, 0], [b, 0], [b, 4], [a, 4], [a, 0]]] for a, b in spans]
    feature = {
        "type": "Feature",
        "id": "z",
        "properties": properties,
        "geometry": {"type": "MultiPolygon", "coordinates": rings},
    }
    document = {"type": "FeatureCollection", "features": [feature]}
    registry = Registry.of(load_zones(json.dumps(document).encode(), "zones"), ())
    records = [
        {
            "vehicle_id": "a",
            "time_s": float(time_s),
            "longitude": (west + east + 180) % 360 - 180,
            "latitude": float(latitude),
        }
        | ({} if depth_m is None else {"depth_m": depth_m})
        for time_s, east, latitude, depth_m in fixes
    ]
    [seen] = Assessor(registry, Limits(), KeyGroups(1)).assess(frame_of(records))
    return [
        (
            event.type,
            event.time_us / 1e6,
            *(event.data[name] for name in ("longitude", "latitude", "depth_m")),
        )
        for event in run(Judges(registry), Memory(), seen).zone_events
    ]


def east_of(west, degrees):
    return pytest.approx((west + degrees + 180) % 360 - 180)


WESTS = pytest.mark.parametrize("west", [20.0, -60.0, 178.0, 176.5, -180.0])


@WESTS
def test_a_crossing_of_an_edge_has_its_place_and_depth(west):
    # A quarter of the way in, and out through the northern edge.
    assert crossings(west, {}, (0, -1, 1, 10.0), (40, 3, 2, 50.0), (60, 3.5, 6, 70.0)) == [
        (ZONE_ENTERED, 10, east_of(west, 0), pytest.approx(1.25), pytest.approx(20)),
        (ZONE_EXITED, 50, east_of(west, 3.25), pytest.approx(4), pytest.approx(60)),
    ]


@WESTS
def test_a_crossing_of_a_bound_of_depth_has_its_place(west):
    fixes = (0, 1, 1, 0.0), (40, 3, 2, 200.0), (60, 2, 3, 0.0)
    assert crossings(west, {"min_depth_m": 50}, *fixes) == [
        (ZONE_ENTERED, 10, east_of(west, 1.5), pytest.approx(1.25), pytest.approx(50)),
        (ZONE_EXITED, 55, east_of(west, 2.25), pytest.approx(2.75), pytest.approx(50)),
    ]


@WESTS
def test_a_crossing_seen_at_a_fix_has_its_place_and_an_unknown_depth_stays_unknown(west):
    assert crossings(west, {}, (0, 1, 1, None), (40, 5, 3, 10.0)) == [
        (ZONE_ENTERED, 0, east_of(west, 1), 1, None),
        (ZONE_EXITED, 30, east_of(west, 4), pytest.approx(2.5), None),
    ]


@WESTS
def test_a_zone_that_ends_ends_at_the_place_of_that_moment(west):
    ends = {"effective_to": "1970-01-01T00:00:10Z"}
    assert crossings(west, ends, (0, 1, 1, 10.0), (40, 3, 3, 50.0)) == [
        (ZONE_ENTERED, 0, east_of(west, 1), 1, 10),
        (ZONE_EXITED, 10, east_of(west, 1.5), pytest.approx(1.5), pytest.approx(20)),
    ]
