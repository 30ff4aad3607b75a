"""Laws of the geofence with buffers and holds: symmetry, and no two events within a hold."""

import json
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.assessment import Assessor, KeyGroups
from rules.legs import Limits
from rules.memory import Memory
from rules.registry import Registry
from rules.stages import Judges, run
from schemas.event import ZONE_ENTERED, ZONE_EXITED
from schemas.zone_file import load_zones
from tests.frames import frame_of

HOLD_S = 25.0
# Degrees: a triangle, a box with a depth band beside it, a box with an exit buffer over both.
RINGS = {
    "triangle": ([(0, 0), (4, 1), (1, 3)], {}),
    "deep": ([(4, 0), (6, 0), (6, 4), (4, 4)], {"min_depth_m": 50, "max_depth_m": 200}),
    "wide": ([(-0.5, -0.5), (5, -0.5), (5, 3.5), (-0.5, 3.5)], {"exit_buffer_m": 30_000}),
}
# A fix every 10 s, off the edges: multiples of 1/8 deg, so that mirrors and shifts are exact.
number = st.integers(-16, 64).map(lambda eighths: eighths / 8 + 1 / 64)
fixes = st.lists(
    st.tuples(number, number, st.sampled_from([None, 10.0, 120.0, 300.0])), min_size=2, max_size=25
)


def identity(lon, lat):
    return lon, lat


def mirrored(lon, lat):
    return lon, -lat


def reversed_(lon, lat):
    return -lon, lat


def shifted(degrees):
    return lambda lon, lat: (lon + degrees, lat)


@cache
def registry_of(place, hold_s):
    """The zones seen through ``place``."""
    holds = {"min_inside_s": hold_s, "min_outside_s": hold_s} if hold_s else {}
    features = [
        {
            "type": "Feature",
            "id": name,
            "properties": properties | holds,
            "geometry": {
                "type": "Polygon",
                "coordinates": [[place(*vertex) for vertex in [*ring, ring[0]]]],
            },
        }
        for name, (ring, properties) in RINGS.items()
    ]
    document = json.dumps({"type": "FeatureCollection", "features": features})
    return Registry.of(load_zones(document.encode(), "zones"), ())


def told(track, place, hold_s=0.0):
    """(zone, what, seconds) of a track seen through ``place``, by zone, then time."""
    registry, records = registry_of(place, hold_s), []
    for step, (*vertex, depth_m) in enumerate(track):
        lon, lat = place(*vertex)
        fix = {"longitude": (lon + 180) % 360 - 180, "latitude": lat}
        depth = {} if depth_m is None else {"depth_m": depth_m}
        records.append({"vehicle_id": "a", "time_s": 10.0 * step} | fix | depth)
    assessor, memory, events = Assessor(registry, Limits(), KeyGroups(1)), Memory(), []
    for first in range(0, len(records), 7):
        for seen in assessor.assess(frame_of(records[first : first + 7])):
            outcome = run(Judges(registry), memory, seen)
            memory = outcome.memory
            events += outcome.zone_events
    found = [(e.data["zone_id"], e.type, e.time_us / 1e6) for e in events]
    crossings = [event for event in found if event[1] in (ZONE_ENTERED, ZONE_EXITED)]
    return sorted(crossings, key=lambda event: (event[0], event[2], event[1]))


PLACES = {
    "mirrored at the equator": mirrored,
    "mirrored at the meridian": reversed_,
    "moved east": shifted(64.0),
    "across the antimeridian": shifted(178.0),
    "beyond it": shifted(-183.0),
    "half around": shifted(180.0),
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@settings(max_examples=25)
@given(fixes)
def test_a_mirror_or_a_move_changes_no_event(place, track):
    expected, found = told(track, identity), told(track, place)
    assert [event[:2] for event in found] == [event[:2] for event in expected]
    assert [event[2] for event in found] == pytest.approx([e[2] for e in expected], abs=1e-3)


@settings(max_examples=100)
@given(fixes)
def test_no_two_events_of_a_zone_lie_within_the_hold(track):
    events = told(track, identity, HOLD_S)
    for a, b in pairwise(events):
        if a[0] == b[0]:
            assert a[1] != b[1]
            assert b[2] - a[2] >= HOLD_S
