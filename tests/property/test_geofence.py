"""Laws of the geofence: a plain loop over the records says the same, however they are cut."""

from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rules.assessment import Assessor, KeyGroups
from rules.legs import Limits
from rules.memory import Memory
from rules.registry import Registry
from rules.stages import Judges, run
from schemas.event import ZONE_ENTERED, ZONE_EXITED
from schemas.zone_file import load_zones
from tests.frames import frame_of

# A box, a box inside it with a depth band, a neighbour that shares an edge, one in force late, one
# in force for a while, one that opens by the clock.
ZONES = b"""{"type": "FeatureCollection", "features": [
{"type": "Feature", "id": "box", "properties": {}, "geometry":
 {"type": "Polygon", "coordinates": [[[0,0],[4,0],[4,4],[0,4],[0,0]]]}},
{"type": "Feature", "id": "deep", "properties": {"min_depth_m": 100, "max_depth_m": 200},
 "geometry": {"type": "Polygon", "coordinates": [[[1,1],[3,1],[3,3],[1,3],[1,1]]]}},
{"type": "Feature", "id": "next", "properties": {}, "geometry":
 {"type": "Polygon", "coordinates": [[[4,0],[6,0],[6,4],[4,4],[4,0]]]}},
{"type": "Feature", "id": "late", "properties": {"effective_from": "1970-01-01T00:00:20Z"},
 "geometry": {"type": "Polygon", "coordinates": [[[0,0],[6,0],[6,4],[0,4],[0,0]]]}},
{"type": "Feature", "id": "while", "properties": {"effective_from": "1970-01-01T00:00:05Z",
 "effective_to": "1970-01-01T00:00:12.5Z"},
 "geometry": {"type": "Polygon", "coordinates": [[[0,0],[6,0],[6,4],[0,4],[0,0]]]}},
{"type": "Feature", "id": "hours", "properties": {"max_depth_m": 200, "schedule":
  {"windows": ["01:00:03-01:00:06", "01:00:07-01:00:08", "01:00:20-02:30"], "time_zone": "+01:00"}},
 "geometry": {"type": "Polygon", "coordinates": [[[0,0],[6,0],[6,4],[0,4],[0,0]]]}}]}"""
REGISTRY = Registry.of(load_zones(ZONES, "zones"), ())
INF = float("inf")
# (west, east), (south, north), (shallowest, deepest), (from, to), ...: they hold their bounds but
# the ends in time.
BOXES = {
    "box": ((0, 4), (0, 4), None, (-INF, INF)),
    "deep": ((1, 3), (1, 3), (100, 200), (-INF, INF)),
    "next": ((4, 6), (0, 4), None, (-INF, INF)),
    "late": ((0, 6), (0, 4), None, (20, INF)),
    "while": ((0, 6), (0, 4), None, (5, 12.5)),
    "hours": ((0, 6), (0, 4), (-INF, 200), (3, 6), (7, 8), (20, 5400)),
}

coordinate = st.sampled_from([-1.0, -0.3, 0.5, 1.0, 1.2, 2.0, 3.5, 4.0, 4.1, 5.0, 6.7])
record = st.fixed_dictionaries(
    {"vehicle_id": st.sampled_from(["a", "b", "c"])},
    optional={
        "position": st.tuples(coordinate, coordinate),
        "depth_m": st.sampled_from([0.0, 30.0, 150.0, 200.0, 201.0, 333.0]),
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


def numbers(r):
    return r["longitude"], r["latitude"], r.get("depth_m"), r["time_s"]


def says(zone, r):
    """Whether a fix is in a zone: True, False, None = nobody knows."""
    *sides, band = BOXES[zone][:3]
    *place, depth, time = numbers(r)
    if not is_open(zone, time):
        return False
    if not all(low <= x <= high for (low, high), x in zip(sides, place, strict=True)):
        return False
    if band is None:
        return True
    return None if depth is None else band[0] <= depth <= band[1]


def is_open(zone, time):
    return any(start <= time < stop for start, stop in BOXES[zone][3:])


def inside(zone, a, b):
    """The shares of the straight way from fix a to fix b inside a zone, more than a touch."""
    ways = (inside_box((*BOXES[zone][:3], window), a, b) for window in BOXES[zone][3:])
    return [way for way in ways if way]


def inside_box(box, a, b):
    begin, end = 0.0, 1.0
    for bounds, first, last in zip(box, numbers(a), numbers(b), strict=True):
        if bounds is None:
            continue
        if first is None or last is None:
            return None
        if first == last:
            if not bounds[0] <= first <= bounds[1]:
                return None
            continue
        shares = sorted((bound - first) / (last - first) for bound in bounds)
        begin, end = max(begin, shares[0]), min(end, shares[1])
    return (begin, end) if begin + 1e-9 < end else None


class Track:
    """One vehicle, fix by fix."""

    def __init__(self):
        self.fix, self.present, self.told = None, {}, []

    def change(self, zone, now, time):
        if now != (zone in self.present):
            self.told.append((zone, "entered" if now else "exited", time))
            if now:
                self.present[zone] = time
            else:
                del self.present[zone]

    def take(self, r):
        if "longitude" not in r:
            self.take_without_position(r)
            return
        for zone in BOXES:
            past = self.fix if self.fix and self.fix["time_s"] < r["time_s"] else None
            ways = inside(zone, past, r) if past else []
            if past and not ways and says(zone, past) and self.known(zone, past, r):
                # On the edge at the fix before, and not inside from there on.
                self.change(zone, False, past["time_s"])
            for way in ways:
                span = r["time_s"] - self.fix["time_s"]
                begin, end = (self.fix["time_s"] + share * span for share in way)
                if way[0] > 0:
                    self.change(zone, True, begin)
                if way[1] < 1:
                    self.change(zone, False, end)
            if (certain := says(zone, r)) is not None:
                self.change(zone, certain, r["time_s"] if certain else self.over(zone, r))
        self.fix = r

    def known(self, zone, *fixes):
        return BOXES[zone][2] is None or all("depth_m" in fix for fix in fixes)

    def over(self, zone, r):
        """When the zone closed since the fix before (or the entry), at the latest now."""
        known = max(self.fix["time_s"], self.present.get(zone, 0)) if self.fix else INF
        return min([r["time_s"], *(stop for _, stop in BOXES[zone][3:] if stop > known)])

    def take_without_position(self, r):
        # Nobody knows where it is, but its time or depth may say where it is not.
        for zone in list(self.present):
            band = BOXES[zone][2]
            out = "depth_m" in r and band and not band[0] <= r["depth_m"] <= band[1]
            if out or not is_open(zone, r["time_s"]):
                self.change(zone, False, self.over(zone, r))


def by_hand(records):
    tracks = {}
    for r in records:
        tracks.setdefault(r["vehicle_id"], Track()).take(r)
    return sorted((v, *event) for v, track in tracks.items() for event in track.told)


def watched(records, cuts, groups=3):
    memories, told = {}, []
    assessor = Assessor(REGISTRY, Limits(), KeyGroups(groups))
    for a, b in pairwise([0, *sorted(cuts), len(records)]):
        if a == b:
            continue
        for seen in assessor.assess(frame_of(records[a:b])):
            outcome = run(Judges(REGISTRY), memories.get(seen.key, Memory()), seen)
            memories[seen.key] = outcome.memory
            told += outcome.zone_events
    return memories, told


def brief(event):
    kind = "entered" if event.type == ZONE_ENTERED else "exited"
    return event.vehicle_id, event.data["zone_id"], kind, event.time_us / 1e6


@settings(max_examples=300)
@given(streams)
def test_entries_and_exits_are_what_a_loop_over_the_records_finds(records):
    records = in_order(records)
    _, told = watched(records, [])
    expected = by_hand(records)
    found = sorted(map(brief, told))
    assert [event[:3] for event in found] == [event[:3] for event in expected]
    assert [event[3] for event in found] == pytest.approx([e[3] for e in expected], abs=2e-6)


# In, out, in and out again at one time: two visits of no length, and of one time.
AT_ONCE = [{"vehicle_id": "a", "position": at} for at in ((0.5, 0.5), (-1.0, 0.5)) * 2]


@settings(max_examples=100)
@given(
    streams, st.lists(st.integers(0, 40), max_size=6), st.integers(1, 5), st.sampled_from([1, 4])
)
@example(AT_ONCE, [], 1, 4)
@example(AT_ONCE, [1, 2, 3], 1, 4)
@example(AT_ONCE[:3], [2], 1, 4)
def test_neither_cuts_nor_key_groups_change_an_event(records, cuts, groups, per_moment):
    records = in_order(records, per_moment)
    _, whole = watched(records, [])
    _, cut = watched(records, [c for c in cuts if c <= len(records)], groups)
    by_id = {event.message_id: event for event in whole}
    assert len(by_id) == len(whole)
    assert len(cut) == len(whole)
    assert {event.message_id: event for event in cut} == by_id


@given(streams, st.sampled_from([1, 4]))
@example(AT_ONCE[:3], 4)
def test_entered_minus_exited_is_present(records, per_moment):
    memories, told = watched(in_order(records, per_moment), [])
    present = {v for memory in memories.values() for v in memory.visits.entered().visit_id.tolist()}
    entered = {e.data["visit_id"] for e in told if e.type == ZONE_ENTERED}
    exited = {e.data["visit_id"] for e in told if e.type == ZONE_EXITED}
    assert exited <= entered
    assert present == entered - exited
