"""Laws of rules that look back: ``previous`` and ``rate`` are what a loop over vehicles finds."""

import pickle
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules import group
from rules.assessment import Assessor, KeyGroups
from rules.expressions import ExpressionError, compile_expression
from rules.legs import Limits
from rules.registry import Registry
from rules.rulesets import load_rules
from schemas.event import ALARM_CLEARED, ALARM_RAISED
from schemas.rule import RuleFileError
from schemas.topics import COMPLIANCE_VIOLATIONS, LATE_TELEMETRY
from schemas.zone_file import load_zones
from tests.frames import frame_of

BOX = b"""{"type": "FeatureCollection", "features": [
{"type": "Feature", "id": "box", "geometry":
 {"type": "Polygon", "coordinates": [[[0,0],[4,0],[4,4],[0,4],[0,0]]]}}]}"""
STALE_AFTER_S = 2.1  # three times as long as between two records: that old is not stale yet
RULES = b"""
- {id: dives, when: "rate(depth_m) > 1.0", severity: warning}
- {id: warms, when: "rate(sensors.t * 2.0 + 1.0) >= 4.0", severity: warning}
- {id: deeper, when: depth_m > previous.depth_m, severity: warning,
   message: "{vehicle_id} {previous.depth_m} {previous.status}"}
- {id: changed, when: status != previous.status, severity: critical}
- {id: gap, when: timestamp - previous.timestamp > duration("1s"), severity: info}
- {id: known, when: "has(previous.depth_m)", severity: info}
- {id: dives-in-box, when: zone.id == "box" && depth_m > previous.depth_m, severity: warning}
- {id: fresh.dives, when: "rate(depth_m) > 1.0", severity: warning, stale_after: 2.1s}
- {id: fresh.warms, when: "rate(sensors.t * 2.0 + 1.0) >= 4.0", severity: warning,
   stale_after: 2.1s}
- {id: fresh.deeper, when: depth_m > previous.depth_m, severity: warning, stale_after: 2.1s}
- {id: fresh.changed, when: status != previous.status, severity: critical, stale_after: 2.1s}
- {id: fresh.gap, when: timestamp - previous.timestamp > duration("1s"), severity: info,
   stale_after: 2.1s}
- {id: fresh.known, when: "has(previous.depth_m)", severity: info, stale_after: 2.1s}
- {id: fresh.dives-in-box, when: zone.id == "box" && depth_m > previous.depth_m,
   severity: warning, stale_after: 2.1s}
"""
REGISTRY = Registry.of(load_zones(BOX, "zones"), load_rules(RULES, "rules").rules)
LATENESS_S = 6
POLICY = group.Policy(lateness_us=LATENESS_S * 1_000_000)

records = st.lists(
    st.fixed_dictionaries(
        {
            "vehicle_id": st.sampled_from(["a", "b", "c"]),
            "delay_s": st.floats(0, LATENESS_S - 0.01),
        },
        optional={
            "longitude": st.sampled_from([2.0, 5.0]),
            "depth_m": st.sampled_from([0.0, 1.0, 150.0, 333.0]),
            "status": st.sampled_from(["ok", "fault", "away"]),
            "sensors": st.fixed_dictionaries({"t": st.sampled_from([0.0, 1.0, 1.4, 8.0])}),
        },
    ),
    min_size=1,
    max_size=40,
)
cuts = st.lists(st.integers(0, 40), max_size=12)


def timed(made):
    """The records in order of event time, and in the order they arrive."""
    rows = [
        {k: v for k, v in r.items() if k != "delay_s"}
        | {"time_s": i * 0.7}
        | ({"latitude": 1.0} if "longitude" in r else {})
        for i, r in enumerate(made)
    ]
    arrival = sorted(range(len(rows)), key=lambda i: i * 0.7 + made[i]["delay_s"])
    return rows, [rows[i] for i in arrival]


def watched(rows, at, *, pickled=False):
    states, told = {}, []
    assessor = Assessor(REGISTRY, Limits(), KeyGroups(2))
    for a, b in pairwise([0, *sorted(c for c in at if c < len(rows)), len(rows)]):
        if a == b:
            continue
        for seen in assessor.assess(frame_of(rows[a:b])):
            state = states.get(seen.key, group.GroupState())
            if pickled:
                state = pickle.loads(pickle.dumps(state))
            states[seen.key], deliveries = group.advance(POLICY, REGISTRY, state, seen)
            told += deliveries
    assert not any(delivery.topic == LATE_TELEMETRY for delivery in told)
    return told


def held(told):
    """(rule, vehicle) -> times at which its alarm was raised and cleared, in the end."""
    latest = {}
    for delivery in told:
        if delivery.topic == COMPLIANCE_VIOLATIONS:
            latest[delivery.event.event_id] = delivery.event
    found = {}
    for event in latest.values():
        if not event.retracted and event.type in (ALARM_RAISED, ALARM_CLEARED):
            key = event.data["rule_id"], event.vehicle_id
            found.setdefault(key, set()).add((event.happened_us, event.type))
    return found


def age_us(row, earlier_s):
    return round(row["time_s"] * 1e6) - round(earlier_s * 1e6)


def looked_back(row, before, stale_us):
    """Rule -> True, False or None (unknown) of one record; ``before``: the vehicle's, in order."""
    last = before[-1] if before and age_us(row, before[-1]["time_s"]) <= stale_us else {}

    def rate(value):
        earlier = [(r["time_s"], value(r)) for r in before if value(r) is not None]
        if value(row) is None or not earlier:
            return None
        (time_s, was) = earlier[-1]
        passed_us = age_us(row, time_s)
        return None if passed_us > stale_us else (value(row) - was) / (passed_us / 1e6)

    def warmth(r):
        return r["sensors"]["t"] * 2.0 + 1.0 if "sensors" in r else None

    def judged(test, *values):
        return None if None in values else test(*values)

    depth_m, before_m = row.get("depth_m"), last.get("depth_m")
    return {
        "dives": judged(lambda r: r > 1.0, rate(lambda r: r.get("depth_m"))),
        "warms": judged(lambda r: r >= 4.0, rate(warmth)),
        "deeper": judged(lambda a, b: a > b, depth_m, before_m),
        "changed": judged(lambda a, b: a != b, row.get("status"), last.get("status")),
        "gap": judged(lambda t: row["time_s"] - t > 1.0, last.get("time_s")),
        "known": before_m is not None,
    }


def expected(rows):
    found, before, holds = {}, {}, {}
    for row in rows:
        vehicle_id = row["vehicle_id"]
        earlier = before.get(vehicle_id, [])
        verdicts = looked_back(row, earlier, float("inf"))
        fresh = looked_back(row, earlier, round(STALE_AFTER_S * 1e6))
        verdicts |= {f"fresh.{rule}": verdict for rule, verdict in fresh.items()}
        for rule, verdict in verdicts.items():
            key, time_us = (rule, vehicle_id), round(row["time_s"] * 1e6)
            if verdict is not None and verdict != holds.get(key, False):
                holds[key] = verdict
                kind = ALARM_RAISED if verdict else ALARM_CLEARED
                found.setdefault(key, set()).add((time_us, kind))
        before.setdefault(vehicle_id, []).append(row)
    return found


def of_records(found):
    return {key: times for key, times in found.items() if not key[0].endswith("dives-in-box")}


@settings(max_examples=150, deadline=None)
@given(records, cuts)
def test_what_rules_look_back_on_is_what_a_loop_finds_however_frames_are_cut(made, at):
    rows, _ = timed(made)
    assert of_records(held(watched(rows, at))) == expected(rows)


@settings(max_examples=150, deadline=None)
@given(records, cuts)
def test_late_records_take_their_place_in_the_past_of_others(made, at):
    rows, arrival = timed(made)
    assert held(watched(arrival, at)) == held(watched(rows, []))


@settings(max_examples=60, deadline=None)
@given(records, cuts)
def test_the_past_survives_the_recovery_store(made, at):
    _, arrival = timed(made)
    assert watched(arrival, at, pickled=True) == watched(arrival, at)


def test_the_decision_record_and_the_message_tell_what_was_before():
    rows = [
        {"vehicle_id": "a", "time_s": 0.0, "depth_m": 10.0, "status": "ok"},
        {"vehicle_id": "a", "time_s": 2.0, "depth_m": 14.0},
    ]
    told = [d.event for d in watched(rows, [1]) if d.topic == COMPLIANCE_VIOLATIONS]
    dives, deeper = (
        next(e for e in told if e.data["rule_id"] == name) for name in ("dives", "deeper")
    )
    assert dives.data["decision"]["inputs"] == {"rate(depth_m)": 2.0, "depth_m": 14.0}
    assert (dives.data["decision"]["limit"], dives.data["decision"]["margin"]) == (1.0, 1.0)
    assert deeper.data["decision"]["inputs"] == {"depth_m": 14.0, "previous.depth_m": 10.0}
    assert deeper.data["message"] == "a 10 ok"


def test_nothing_is_remembered_where_no_rule_looks_back():
    plain = load_rules(b"- {id: deep, when: depth_m > 1.0, severity: info}", "rules")
    registry = Registry.of((), plain.rules)
    [seen] = Assessor(registry, Limits(), KeyGroups(1)).assess(
        frame_of([{"vehicle_id": "a", "time_s": 0.0, "depth_m": 10.0}])
    )
    state, _ = group.advance(POLICY, registry, group.GroupState(), seen)
    assert not len(state.memory.last.slot)


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("rate(zone.max_depth_m) > 1.0", 10, "takes what a record itself has"),
        ("rate(previous.depth_m) > 1.0", 14, "takes what a record itself has"),
        ("rate(rate(depth_m)) > 1.0", 10, "takes what a record itself has"),
        ("rate(status) > 1.0", 5, "`rate` does not take (string)"),
        ("rate(1.0) > 1.0", 6, "takes what a record itself has"),
        ("previous.dept_m > 1.0", 9, "did you mean `depth_m`?"),
        ("previous == record", 1, "cannot be judged as a whole"),
    ],
)
def test_what_cannot_be_looked_back_on_is_refused_with_its_column(text, column, message):
    with pytest.raises(ExpressionError) as caught:
        compile_expression(text)
    assert message in str(caught.value)
    assert caught.value.column == column


def test_the_further_conditions_of_rules_on_time_look_back_too():
    rules = """
- {id: cleared, when: depth_m > 100.0, clear_when: depth_m < previous.depth_m - 9.0,
   severity: info}
- {id: then, when: "rate(depth_m) > 10.0", then: status == "fault", within: 5s, severity: info}
"""
    registry = Registry.of((), load_rules(rules.encode(), "rules").rules)
    rows = [
        {"vehicle_id": "a", "time_s": float(i), "depth_m": depth_m, "status": status}
        for i, (depth_m, status) in enumerate(
            [(150.0, "ok"), (170.0, "ok"), (90.0, "ok"), (91.0, "fault")]
        )
    ]
    for frames in ([rows], [[row] for row in rows]):
        state, told = group.GroupState(), []
        for frame in frames:
            [seen] = Assessor(registry, Limits(), KeyGroups(1)).assess(frame_of(frame))
            state, deliveries = group.advance(POLICY, registry, state, seen)
            told += deliveries
        assert held(told) == {
            ("cleared", "a"): {(0, ALARM_RAISED), (2_000_000, ALARM_CLEARED)},
            ("then", "a"): {(3_000_000, ALARM_RAISED)},
        }


STALE = """
- {id: cleared, when: depth_m > 250.0, clear_when: depth_m < previous.depth_m - 9.0,
   severity: info, stale_after: 10s}
- {id: then, when: "rate(depth_m) > 10.0", then: status == "fault", within: 1h, severity: info,
   stale_after: 10s}
- {id: told, when: depth_m > 100.0, severity: info, stale_after: 10s,
   message: "{previous.depth_m}"}
- {id: box, when: zone.id == "box" && depth_m > previous.depth_m, severity: info,
   stale_after: 10s, on_unknown: raise}
"""


@pytest.mark.parametrize(("wait_s", "stale"), [(10.0, False), (10.000001, True)])
@pytest.mark.parametrize("at_once", [True, False])
def test_what_is_stale_is_missing_to_all_parts_of_a_rule(wait_s, stale, at_once):
    registry = Registry.of(load_zones(BOX, "zones"), load_rules(STALE.encode(), "rules").rules)
    place = {"vehicle_id": "a", "longitude": 2.0, "latitude": 1.0}
    rows = [
        place | {"time_s": 0.0, "depth_m": 90.0},
        place | {"time_s": wait_s, "depth_m": 300.0},
        place | {"time_s": 2 * wait_s, "depth_m": 200.0, "status": "fault"},
    ]
    state, told = group.GroupState(), []
    for frame in [rows] if at_once else [[row] for row in rows]:
        [seen] = Assessor(registry, Limits(), KeyGroups(1)).assess(frame_of(frame))
        state, deliveries = group.advance(POLICY, registry, state, seen)
        told += [d.event for d in deliveries if d.topic == COMPLIANCE_VIOLATIONS]
    found = {(e.data["rule_id"], e.happened_us // 1_000_000, e.type == ALARM_RAISED) for e in told}
    always = {("cleared", 10, True), ("told", 10, True)}
    ended, sequence = ("cleared", 20, False), ("then", 20, True)
    box = {("box", 0, True)} | (set() if stale else {("box", 20, False)})
    assert found == always | box | (set() if stale else {ended, sequence})
    [told_rule] = [e for e in told if e.data["rule_id"] == "told"]
    assert told_rule.data["message"] == ("unknown" if stale else "90")


@pytest.mark.parametrize(
    ("rule", "mistake"),
    [
        (
            "{id: a, when: depth_m > 1.0, severity: info, stale_after: 5m}",
            '1:61: rule "a": `stale_after`: the rule looks back on nothing',
        ),
        (
            "{id: a, when: previous.depth_m > 1.0, severity: info, stale_after: 0s}",
            "1:70: rule \"a\": `stale_after` is '0s': it should be greater than 0",
        ),
        (
            "{id: a, when: previous.depth_m > 1.0, severity: info, stale_after: soon}",
            "1:70: rule \"a\": `stale_after` is 'soon': give a duration",
        ),
    ],
)
def test_a_time_to_be_stale_that_makes_no_sense_is_refused_with_its_place(rule, mistake):
    with pytest.raises(RuleFileError) as caught:
        load_rules(f"- {rule}".encode(), "f")
    [told] = caught.value.mistakes
    assert told.startswith(f"f:{mistake}")


def test_rules_that_differ_in_when_the_past_is_stale_are_judged_apart():
    rules = "".join(
        f"- {{id: r{i}, when: depth_m > previous.depth_m + {i}.0, severity: info{stale}}}\n"
        for i, stale in enumerate(["", ", stale_after: 1s", ", stale_after: 1h"])
    )
    registry = Registry.of((), load_rules(rules.encode(), "rules").rules)
    rows = [{"vehicle_id": "a", "time_s": t, "depth_m": t} for t in (0.0, 60.0)]
    [seen] = Assessor(registry, Limits(), KeyGroups(1)).assess(frame_of(rows))
    _, deliveries = group.advance(POLICY, registry, group.GroupState(), seen)
    assert {rule for rule, _ in held(deliveries)} == {"r0", "r2"}
