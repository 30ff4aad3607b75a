"""Laws of revision: whatever order records come in, the final answer is that of event time."""

import json
from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st

from rules import group
from rules.assessment import Assessor, KeyGroups
from rules.legs import Limits
from rules.registry import Registry
from rules.rulesets import load_rules
from schemas.event import payload
from schemas.topics import COMPLIANCE_VIOLATIONS, GEOFENCING_EVENTS, LATE_TELEMETRY
from schemas.zone_file import load_zones
from tests.frames import frame_of
from tests.judging import judged
from tests.restarts import restarted, versions_skipped

ZONES = b"""{"type": "FeatureCollection", "features": [
{"type": "Feature", "id": "box", "properties": {"kind": "closed"}, "geometry":
 {"type": "Polygon", "coordinates": [[[0,0],[4,0],[4,4],[0,4],[0,0]]]}},
{"type": "Feature", "id": "held", "properties": {"min_inside_s": 3, "min_outside_s": 2.5,
 "max_dwell_s": 5}, "geometry":
 {"type": "Polygon", "coordinates": [[[1,1],[3,1],[3,3],[1,3],[1,1]]]}},
{"type": "Feature", "id": "deep", "properties": {"min_depth_m": 100, "max_gap_s": 4}, "geometry":
 {"type": "Polygon", "coordinates": [[[0,0],[6,0],[6,4],[0,4],[0,0]]]}},
{"type": "Feature", "id": "buffered", "properties": {"exit_buffer_m": 60000, "max_dwell_s": 4,
 "dwell_window_s": 9, "approach_s": 250000}, "geometry":
 {"type": "Polygon", "coordinates": [[[1,0],[3,0],[3,4],[1,4],[1,0]]]}},
{"type": "Feature", "id": "hours", "properties": {"approach_s": 250000, "exit_buffer_m": 30000,
 "schedule": {"windows": ["00:00:04-00:00:12", "00:00:15-00:00:25"]}}, "geometry":
 {"type": "Polygon", "coordinates": [[[2,0],[6,0],[6,4],[2,4],[2,0]]]}}]}"""
RULES = b"""
- {id: slow, when: speed_mps < 1.0, severity: critical}
- {id: deep, when: depth_m > 100.0, for: 3s, severity: warning}
- {id: work, when: zone.kind == "closed" && speed_mps < 1.0, for: 2s, severity: critical}
- {id: often, when: speed_mps < 1.0, count: 2, within: 3s, clear_when: depth_m > 100.0,
   severity: info}
- {id: then, when: zone.kind == "closed" && speed_mps < 1.0, then: depth_m > 100.0, within: 3s,
   severity: info}
"""
REGISTRY = Registry.of(load_zones(ZONES, "zones"), load_rules(RULES, "rules").rules)
LATENESS_S = 6
POLICY = group.Policy(lateness_us=LATENESS_S * 1_000_000)

coordinate = st.sampled_from([-1.0, 0.5, 1.2, 2.0, 3.5, 5.0, 6.7])
record = st.fixed_dictionaries(
    {
        "vehicle_id": st.sampled_from(["a", "b", "c"]),
        "delay_s": st.floats(0, LATENESS_S - 0.01),
    },
    optional={
        "position": st.tuples(coordinate, coordinate),
        "depth_m": st.sampled_from([0.0, 150.0, 333.0]),
        "speed_mps": st.sampled_from([0.5, 2.0]),
        "heading_deg": st.sampled_from([0.0, 90.0, 270.0]),
        "position_accuracy_m": st.sampled_from([10.0, 40_000.0]),
    },
)
streams = st.lists(record, min_size=1, max_size=50)
cuts = st.lists(st.integers(0, 50), max_size=20)


def timed(records):
    """The records in order of event time, and in the order they arrive."""
    made = [
        {k: v for k, v in r.items() if k not in ("position", "delay_s")}
        | {"time_s": i * 0.7}
        | dict(zip(("longitude", "latitude"), r.get("position", ()), strict=False))
        for i, r in enumerate(records)
    ]
    arrival = sorted(range(len(made)), key=lambda i: i * 0.7 + records[i]["delay_s"])
    return made, [made[i] for i in arrival]


def watched(records, at, *, pickled=False):
    return judged(REGISTRY, POLICY, records, at, pickled=pickled)


def final(told, topics=(GEOFENCING_EVENTS, COMPLIANCE_VIOLATIONS)):
    """What is said in the end: the latest version of each event, ids and versions aside."""
    latest = {}
    for delivery in told:
        if delivery.topic in topics:
            event = delivery.event
            known = latest.get((delivery.topic, event.event_id))
            assert known is None or event.version == known.version + 1
            assert known is not None or event.version == 1
            latest[delivery.topic, event.event_id] = event
    ids = {"event_id", "version", "visit_id", "alarm_id"}
    return sorted(
        json.dumps([event.type, {k: v for k, v in payload(event).items() if k not in ids}])
        for event in latest.values()
        if not event.retracted
    )


@settings(max_examples=300, deadline=None)
@given(streams, cuts)
def test_any_order_within_the_lateness_gives_the_same_final_answer(records, at):
    in_order, arrival = timed(records)
    _, straight = watched(in_order, [])
    _, revised = watched(arrival, at)
    assert not any(d.topic == LATE_TELEMETRY for d in revised)
    assert final(revised) == final(straight)


@settings(max_examples=100, deadline=None)
@given(streams, cuts)
def test_a_state_that_went_through_the_recovery_store_revises_alike(records, at):
    _, arrival = timed(records)
    _, plain = watched(arrival, at)
    _, resumed = watched(arrival, at, pickled=True)
    assert resumed == plain


@settings(max_examples=100, deadline=None)
@given(streams, cuts)
def test_nothing_is_said_twice_with_different_words(records, at):
    _, arrival = timed(records)
    _, told = watched(arrival, at)
    said = {}
    for delivery in told:
        event = delivery.event
        assert said.setdefault((delivery.topic, event.message_id), event) == event


def zone_file(*versions):
    features = [
        {
            "type": "Feature",
            "id": name,
            "properties": {"version": version, "kind": "closed", **properties},
            "geometry": {
                "type": "Polygon",
                "coordinates": [[[x, 0], [x + side, 0], [x + side, 4], [x, 4], [x, 0]]],
            },
        }
        for name, version, x, side, properties in versions
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


CHANGE_S = 14
CHANGED = "1970-01-01T00:00:14Z"
KEPT = ("b", 1, 1, 5, {"min_inside_s": 2})
SLOW_TO_LEAVE = {"exit_buffer_m": 60_000, "max_dwell_s": 4, "dwell_window_s": 9, "approach_s": 2e5}
BUFFERED = ("e", 1, 2, 1, SLOW_TO_LEAVE)
BEFORE = zone_file(("a", 1, 0, 4, {}), KEPT, ("c", 1, -1, 1, {}), BUFFERED)
# One zone gets another shape, one ends, one comes; two stay, in other places of the file.
AFTER = zone_file(
    BUFFERED,
    ("d", 1, 2, 2, {"effective_from": CHANGED}),
    ("a", 1, 0, 4, {"effective_to": CHANGED}),
    ("a", 2, 1, 2, {"effective_from": CHANGED}),
    ("c", 1, -1, 1, {"effective_to": CHANGED}),
    KEPT,
)
COMPILED = load_rules(RULES, "rules").rules
OLD = Registry.of(load_zones(BEFORE, "zones"), COMPILED)
NEW = Registry.of(load_zones(AFTER, "zones"), COMPILED[::-1])


def watched_while_changing(records, at, change_at, *, pickled):
    """What is told where the registry changes before the record ``change_at``."""
    states, told = {}, []
    assessor = Assessor(OLD, Limits(), KeyGroups(2))
    bounds = sorted({0, change_at, *(c for c in at if c < len(records)), len(records)})
    for a, b in pairwise(bounds):
        registry = OLD if a < change_at else NEW
        # The step that judges may be ahead of the one that follows, or behind it.
        assessor.judge_by(registry if a % 2 else OLD)
        for seen in assessor.assess(frame_of(records[a:b])):
            state = states.get(seen.key, group.GroupState())
            if pickled:
                state = restarted(state, OLD, NEW)
            states[seen.key], deliveries = group.advance(POLICY, registry, state, seen)
            told += deliveries
    return states, told


@settings(max_examples=200, deadline=None)
@given(streams, cuts, st.booleans(), st.floats(-4, 4))
@example(
    # The record at the very moment of the change comes before the change is known.
    [{"vehicle_id": "a", "delay_s": float(i == 19)} for i in range(20)]
    + [{"vehicle_id": "a", "delay_s": 0.0, "position": (-1.0, 0.5)}],
    [],
    False,
    0.0,
)
def test_zones_that_change_while_running_give_what_a_replay_by_their_times_gives(
    records, at, pickled, early_s
):
    in_order, arrival = timed(records)
    straight = []
    assessor = Assessor(NEW, Limits(), KeyGroups(1))
    state = group.GroupState()
    for seen in assessor.assess(frame_of(in_order)):
        state, straight = group.advance(POLICY, NEW, state, seen)
    # Known before it takes effect, or somewhat later than that, maybe with a restart in between.
    change_at = sum(r["time_s"] < CHANGE_S - early_s for r in arrival)
    # What no record comes after is not acted on yet.
    change_at = min(change_at, len(arrival) - 1)
    _, told = watched_while_changing(arrival, at, change_at, pickled=pickled)
    assert final(told) == final(straight)
    assert versions_skipped(told) == []


def test_hours_of_stored_fixes_uploaded_in_order_are_not_late():
    def fix(name, time_s, longitude):
        at = {"longitude": longitude, "latitude": 1.0, "depth_m": 10.0}
        return {"vehicle_id": name, "time_s": float(time_s), **at}

    policy = group.Policy()
    others = [fix("b", t, 50.0) for t in range(0, 20_000, 100)]
    # Under way for hours while others report; then all it stored comes at once.
    stored = [fix("a", t, -3.0 + t / 2_000) for t in range(0, 19_000, 100)]
    told, state = [], group.GroupState()
    assessor = Assessor(REGISTRY, Limits(), KeyGroups(1))
    for records in (stored[:1] + others, stored[1:90], stored[90:]):
        for seen in assessor.assess(frame_of(records)):
            state, deliveries = group.advance(policy, REGISTRY, state, seen)
            told += deliveries
    assert not [d for d in told if d.topic == LATE_TELEMETRY]
    alone, straight = group.GroupState(), []
    for seen in assessor.assess(frame_of(stored)):
        alone, straight = group.advance(policy, REGISTRY, alone, seen)
    mine = [d for d in told if d.event.vehicle_id == "a"]
    assert {d.topic for d in mine} >= {GEOFENCING_EVENTS}
    assert sorted(map(repr, mine)) == sorted(map(repr, straight))
    assert all(d.event.version == 1 for d in mine)
