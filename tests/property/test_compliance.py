"""Laws of compliance: a plain loop over the records says the same, however they are cut."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from rules import group
from rules.assessment import Assessor, KeyGroups
from rules.legs import Limits
from rules.registry import Registry
from rules.rulesets import load_rules
from schemas.event import ALARM_RAISED
from schemas.topics import COMPLIANCE_VIOLATIONS, LATE_TELEMETRY
from schemas.zone_file import load_zones
from tests.frames import frame_of

ZONES = b"""{"type": "FeatureCollection", "features": [
{"type": "Feature", "id": "box", "properties": {"kind": "closed"}, "geometry":
 {"type": "Polygon", "coordinates": [[[0,0],[4,0],[4,4],[0,4],[0,0]]]}}]}"""
RULES = b"""
- {id: slow, when: speed_mps < 1.0, severity: critical}
- {id: deep, when: depth_m > 100.0, for: 3s, severity: warning}
- {id: work, when: zone.kind == "closed" && speed_mps < 1.0, for: 2s, severity: critical}
- {id: other, when: speed_mps < 1.0, severity: info, scope: {kinds: [rover]}}
"""
REGISTRY = Registry.of(load_zones(ZONES, "zones"), load_rules(RULES, "rules").rules)
NOT_LATE = group.Policy(lateness_us=0)
HOLD_S = {"slow": 0, "deep": 3, "work": 2}

record = st.fixed_dictionaries(
    {"vehicle_id": st.sampled_from(["a", "b"])},
    optional={
        "position": st.sampled_from([(2.0, 2.0), (5.0, 5.0)]),
        "speed_mps": st.sampled_from([0.5, 2.0]),
        "depth_m": st.sampled_from([50.0, 150.0]),
    },
)
streams = st.lists(record, min_size=1, max_size=40)


def in_order(records):
    return [
        {k: v for k, v in r.items() if k != "position"}
        | {"time_s": float(i)}
        | dict(zip(("longitude", "latitude"), r.get("position", ()), strict=False))
        for i, r in enumerate(records)
    ]


def answers(r, inside):
    """Rule -> True, False, None = unknown, of one record."""
    slow = None if "speed_mps" not in r else r["speed_mps"] < 1.0
    deep = None if "depth_m" not in r else r["depth_m"] > 100.0
    return {"slow": slow, "deep": deep, "work": slow if inside else False}


def told_by_hand(records):
    told, since, raised, inside = [], {}, set(), {}
    for r in records:
        vehicle, now = r["vehicle_id"], r["time_s"]
        if "longitude" in r:
            inside[vehicle] = r["longitude"] <= 4
        for rule, answer in answers(r, inside.get(vehicle, False)).items():
            key = (vehicle, rule)
            if answer is True:
                since.setdefault(key, now)
                if key not in raised and now - since[key] >= HOLD_S[rule]:
                    raised.add(key)
                    told.append((*key, "raised", now))
            elif answer is False and key in since:
                del since[key]
                if key in raised:
                    raised.remove(key)
                    told.append((*key, "cleared", now))
    return sorted(told)


def run(records, cuts, groups=2):
    states, told = {}, []
    assessor = Assessor(REGISTRY, Limits(), KeyGroups(groups))
    for a, b in pairwise([0, *sorted(cuts), len(records)]):
        if a < b:
            for seen in assessor.assess(frame_of(records[a:b])):
                state = states.get(seen.key, group.GroupState())
                states[seen.key], out = group.advance(group.Policy(), REGISTRY, state, seen)
                told += [d.event for d in out if d.topic == COMPLIANCE_VIOLATIONS]
    return told


def brief(event):
    kind = "raised" if event.type == ALARM_RAISED else "cleared"
    return event.vehicle_id, event.data["rule_id"], kind, event.time_us / 1e6


@given(streams)
def test_alarms_are_what_a_loop_over_the_records_finds(records):
    records = in_order(records)
    assert sorted(map(brief, run(records, []))) == told_by_hand(records)


@settings(max_examples=60)
@given(streams, st.lists(st.integers(0, 40), max_size=6), st.integers(1, 4))
def test_neither_cuts_nor_key_groups_change_an_alarm(records, cuts, groups):
    records = in_order(records)
    whole = {event.message_id: event for event in run(records, [])}
    cut = run(records, [c for c in cuts if c <= len(records)], groups)
    assert len(cut) == len(whole)
    assert {event.message_id: event for event in cut} == whole


@given(streams)
def test_every_alarm_cleared_was_raised_before_and_under_the_same_id(records):
    open_alarms = {}
    for event in run(in_order(records), []):
        key = (event.vehicle_id, event.data["rule_id"])
        if event.type == ALARM_RAISED:
            assert key not in open_alarms
            open_alarms[key] = event
        else:
            raised = open_alarms.pop(key)
            assert raised.data["alarm_id"] == event.data["alarm_id"]
            assert raised.time_us <= event.time_us


@given(streams)
def test_a_decision_record_shows_the_input_beyond_its_limit(records):
    for event in run(in_order(records), []):
        if event.type == ALARM_RAISED and event.data["rule_id"] == "deep":
            decision = event.data["decision"]
            assert decision["inputs"] == {"depth_m": 150.0}
            assert (decision["limit"], decision["margin"]) == (100.0, 50.0)
            assert len(decision["fixes"]) == 2


@given(streams, st.lists(st.integers(0, 5), min_size=40, max_size=40), st.integers(1, 7))
def test_without_lateness_every_record_is_judged_in_order_or_told_as_late(records, moments, size):
    records = [r | {"time_s": float(t)} for r, t in zip(in_order(records), moments, strict=False)]
    late, newest = 0, {}
    for cut in range(0, len(records), size):
        frame = records[cut : cut + size]
        late += sum(r["time_s"] < newest.get(r["vehicle_id"], 0.0) for r in frame)
        for r in frame:
            newest[r["vehicle_id"]] = max(r["time_s"], newest.get(r["vehicle_id"], 0.0))
    states, told = {}, []
    assessor = Assessor(REGISTRY, Limits(), KeyGroups(2))
    for cut in range(0, len(records), size):
        for seen in assessor.assess(frame_of(records[cut : cut + size])):
            state = states.get(seen.key, group.GroupState())
            states[seen.key], out = group.advance(NOT_LATE, REGISTRY, state, seen)
            told += [d.event for d in out if d.topic == LATE_TELEMETRY]
    counts = [state.tallies[key] for key, state in states.items()]
    assert len(told) == late == sum(counted["late"] for counted in counts)
    assert sum(counted["records"] for counted in counts) == len(records)
