"""Laws of the geofence: a plain loop over the records says the same, however they are cut."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from rules.assessment import KeyGroups, assess
from rules.group import FenceState, fence
from rules.registry import Registry
from schemas.event import ZONE_ENTERED
from schemas.zone import load_zones
from tests.frames import frame_of

# A box, a box inside it with a depth band, a neighbour that shares an edge, one in force late.
ZONES = b"""{"type": "FeatureCollection", "features": [
{"type": "Feature", "id": "box", "properties": {}, "geometry":
 {"type": "Polygon", "coordinates": [[[0,0],[4,0],[4,4],[0,4],[0,0]]]}},
{"type": "Feature", "id": "deep", "properties": {"min_depth_m": 100, "max_depth_m": 200},
 "geometry": {"type": "Polygon", "coordinates": [[[1,1],[3,1],[3,3],[1,3],[1,1]]]}},
{"type": "Feature", "id": "next", "properties": {}, "geometry":
 {"type": "Polygon", "coordinates": [[[4,0],[6,0],[6,4],[4,4],[4,0]]]}},
{"type": "Feature", "id": "late", "properties": {"effective_from": "1970-01-01T00:00:20Z"},
 "geometry": {"type": "Polygon", "coordinates": [[[0,0],[6,0],[6,4],[0,4],[0,0]]]}}]}"""
REGISTRY = Registry.of(load_zones(ZONES, "zones"), ())
BOXES = {"box": (0, 4, 0, 4), "deep": (1, 3, 1, 3), "next": (4, 6, 0, 4), "late": (0, 6, 0, 4)}

coordinate = st.sampled_from([-1.0, 0.0, 0.5, 1.0, 2.0, 3.5, 4.0, 5.0, 6.5])
record = st.fixed_dictionaries(
    {"vehicle_id": st.sampled_from(["a", "b", "c"])},
    optional={
        "position": st.tuples(coordinate, coordinate),
        "depth_m": st.sampled_from([0.0, 100.0, 150.0, 201.0]),
    },
)
streams = st.lists(record, min_size=1, max_size=40)


def in_order(records, per_moment=1):
    """The records with rising times; ``per_moment`` of them share each time."""
    return [
        {
            "vehicle_id": r["vehicle_id"],
            "time_s": float(i // per_moment),
            **({"depth_m": r["depth_m"]} if "depth_m" in r else {}),
            **dict(zip(("longitude", "latitude"), r.get("position", ()), strict=False)),
        }
        for i, r in enumerate(records)
    ]


def zones_by_hand(r):
    """(zones that hold the record, zones that may hold it)."""
    sure, maybe = set(), set()
    for zone, (west, east, south, north) in BOXES.items():
        if not (west <= r["longitude"] <= east and south <= r["latitude"] <= north):
            continue
        if zone == "late" and r["time_s"] < 20:
            continue
        if zone == "deep":
            if "depth_m" not in r:
                maybe.add(zone)
                continue
            if not 100 <= r["depth_m"] <= 200:
                continue
        sure.add(zone)
    return sure, maybe


def events_by_hand(records):
    inside, told = {}, set()
    for r in records:
        now = inside.setdefault(r["vehicle_id"], set())
        if "longitude" in r:
            sure, maybe = zones_by_hand(r)
        else:
            # Nobody knows where it is, but its depth may say where it is not.
            out_of_band = "depth_m" in r and not 100 <= r["depth_m"] <= 200
            sure, maybe = set(), now - ({"deep"} if out_of_band else set())
        told |= {(r["vehicle_id"], z, "entered", r["time_s"]) for z in sure - now}
        told |= {(r["vehicle_id"], z, "exited", r["time_s"]) for z in now - sure - maybe}
        inside[r["vehicle_id"]] = sure | (now & maybe)
    return told


def run(records, cuts, groups=3):
    states, told = {}, []
    key_groups = KeyGroups(groups)
    bounds = [0, *sorted(cuts), len(records)]
    for a, b in pairwise(bounds):
        if a == b:
            continue
        for seen in assess(REGISTRY, key_groups, frame_of(records[a:b])):
            state = states.get(seen.key, FenceState())
            states[seen.key], _, events = fence(REGISTRY, state, seen)
            told += events
    return states, told


def brief(event):
    kind = "entered" if event.type == ZONE_ENTERED else "exited"
    return event.vehicle_id, event.data["zone_id"], kind, event.time_us / 1e6


@given(streams)
def test_entries_and_exits_are_what_a_loop_over_the_records_finds(records):
    records = in_order(records)
    _, told = run(records, [])
    assert len(told) == len(set(map(brief, told)))
    assert set(map(brief, told)) == events_by_hand(records)


@settings(max_examples=100)
@given(
    streams, st.lists(st.integers(0, 40), max_size=6), st.integers(1, 5), st.sampled_from([1, 4])
)
def test_neither_cuts_nor_key_groups_change_an_event(records, cuts, groups, per_moment):
    records = in_order(records, per_moment)
    _, whole = run(records, [])
    _, cut = run(records, [c for c in cuts if c <= len(records)], groups)
    by_id = {event.message_id: event for event in whole}
    assert len(by_id) == len(whole)
    assert len(cut) == len(whole)
    assert {event.message_id: event for event in cut} == by_id


@given(streams)
def test_entered_minus_exited_is_present(records):
    records = in_order(records)
    states, told = run(records, [])
    present = {v for state in states.values() for v in state.visits.visit_id.tolist()}
    entered = {e.data["visit_id"] for e in told if e.type == ZONE_ENTERED}
    exited = {e.data["visit_id"] for e in told if e.type != ZONE_ENTERED}
    assert exited <= entered
    assert present == entered - exited
