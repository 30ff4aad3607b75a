"""Laws of rules that change: open alarms go on under the next version, or are cleared with it."""

from itertools import pairwise

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from rules import group
from rules.assessment import Assessor, KeyGroups
from rules.legs import Limits
from rules.registry import Registry
from rules.rulesets import load_rules
from schemas.event import ALARM_CLEARED, ALARM_RAISED, ALARM_UPDATED
from schemas.topics import COMPLIANCE_VIOLATIONS, LATE_TELEMETRY
from schemas.zone_file import load_zones
from tests.frames import frame_of
from tests.property.test_rules_on_time import STEP_S, ZONES, deep, final, latest, slow, timed
from tests.restarts import restarted, versions_skipped

CHANGE_S = 14
CHANGED = "1970-01-01T00:00:14Z"
ALWAYS = """
- {{id: plain, when: speed_mps < 1.0, severity: info{end}}}
- {{id: patient, when: speed_mps < 1.0, for: 2s, severity: warning{end}}}
- {{id: box, when: zone.kind == "closed" && speed_mps < 1.0, severity: info{end}}}
- {{id: keep, when: speed_mps < 1.0, keep_firing_for: 2s, severity: info{end}}}
- {{id: silent, when: "true", absent_for: 5s, severity: info{end}}}
"""
# The next versions: of another condition, a longer time, another severity.
NEXT = f"""
- {{id: plain, version: 2, when: depth_m > 100.0, severity: critical, effective_from: "{CHANGED}"}}
- {{id: patient, version: 2, when: speed_mps < 1.0, for: 4s, severity: warning,
   effective_from: "{CHANGED}"}}
- {{id: box, version: 2, when: zone.kind == "closed" && depth_m > 100.0, severity: info,
   effective_from: "{CHANGED}"}}
- {{id: keep, version: 2, when: depth_m > 100.0, keep_firing_for: 1s, severity: info,
   effective_from: "{CHANGED}"}}
- {{id: silent, version: 2, when: "true", absent_for: 3s, severity: info,
   effective_from: "{CHANGED}"}}
"""
END = f', effective_to: "{CHANGED}"'


def registry(text):
    return Registry.of(load_zones(ZONES, "zones"), load_rules(text.encode(), "rules").rules)


OLD = registry(ALWAYS.format(end=""))
NEW = registry(ALWAYS.format(end=END) + NEXT)
LATENESS_S = 6
POLICY = group.Policy(lateness_us=LATENESS_S * 1_000_000)

record = st.fixed_dictionaries(
    {
        "vehicle_id": st.sampled_from(["a", "a", "b"]),
        "delay_s": st.sampled_from([0.0, 0.0, 1.0, LATENESS_S - 0.01]),
    },
    optional={
        "x": st.sampled_from([1.0, 1.0, 9.0]),
        "speed_mps": st.sampled_from([0.5, 0.5, 2.0]),
        "depth_m": st.sampled_from([50.0, 150.0]),
    },
)
streams = st.lists(record, min_size=10, max_size=45)
cuts = st.lists(st.integers(0, 45), max_size=10)


def watched(records, at, change_at=0, *, pickled=False):
    """What is told where the changed rules are known from a record on; ``pickled``: restarts."""
    states, told = {}, []
    assessor = Assessor(OLD if change_at else NEW, Limits(), KeyGroups(2), 3_000_000)
    bounds = sorted({0, change_at, *(c for c in at if c < len(records)), len(records)})
    for a, b in pairwise(bounds):
        by = OLD if a < change_at else NEW
        assessor.judge_by(by)
        for seen in assessor.assess(frame_of(records[a:b], "p")):
            state = states.get(seen.key, group.GroupState())
            if pickled:
                state = restarted(state, OLD, NEW)
            states[seen.key], deliveries = group.advance(POLICY, by, state, seen)
            told += deliveries
    for state in states.values():
        told += group.finish(POLICY, NEW, state)[1]
    return told


def by_hand(rows):
    """(rule, what, time, reason, version) for one vehicle's records, of `plain` and `patient`."""
    for rule, before, after, holds_s in (
        ("plain", slow, deep, (0, 0)),
        ("patient", slow, slow, (2, 4)),
    ):
        since, firing, changed = None, False, False
        for r in rows:
            now = r["time_s"]
            first_of_new = now >= CHANGE_S and not changed
            changed = now >= CHANGE_S
            holds = (after if changed else before)(r)
            if first_of_new:
                since = None
                if firing and holds:
                    since = now
                    yield rule, ALARM_UPDATED, now, "rule_changed", 2
                elif firing:
                    firing = False
                    yield rule, ALARM_CLEARED, now, "rule_changed", 1
            since = since if holds is None else (now if since is None else since) if holds else None
            if not firing and holds and now - since >= holds_s[changed] - 1e-9:
                firing = True
                yield rule, ALARM_RAISED, now, None, 1 + changed
            elif firing and holds is False:
                firing = False
                yield rule, ALARM_CLEARED, now, "condition_false", 1 + changed


@settings(max_examples=30, deadline=None)
@given(streams, cuts)
def test_open_alarms_go_on_or_are_cleared_as_a_loop_over_the_records_finds(records, at):
    in_order, _ = timed(records)
    told = sorted(
        (
            *(event.vehicle_id, event.data["rule_id"], event.type, round(event.time_us / 1e6, 3)),
            *(event.data.get("reason") or "", event.data["rule_version"]),
        )
        for event in latest(watched(in_order, at))
        if event.data["rule_id"] in ("plain", "patient")
    )
    expected = sorted(
        (vehicle, rule, what, round(now, 3), reason or "", version)
        for vehicle in ("a", "b")
        for rule, what, now, reason, version in by_hand(
            [r for r in in_order if r["vehicle_id"] == vehicle]
        )
    )
    assert told == expected


STANDING = [{"vehicle_id": "a", "delay_s": 0.0, "speed_mps": 0.5} for _ in range(30)]


@settings(max_examples=30, deadline=None)
@given(streams, cuts, st.booleans(), st.floats(-4, 4))
@example(STANDING, [], False, -2.0)
@example(STANDING, [], True, -2.0)
def test_a_change_made_while_running_or_down_gives_what_a_replay_gives(
    records, at, pickled, early_s
):
    in_order, arrival = timed(records)
    change_at = sum(r["time_s"] < CHANGE_S - early_s for r in arrival)
    # What no record comes after is not acted on yet.
    change_at = min(change_at, len(arrival) - 1)
    told = watched(arrival, at, change_at, pickled=pickled)
    # A vehicle whose records had come late before may be too late sooner after a change.
    assume(not any(delivery.topic == LATE_TELEMETRY for delivery in told))
    assert final(told) == final(watched(in_order, []))
    assert versions_skipped(told) == []


@settings(max_examples=15, deadline=None)
@given(streams, cuts)
def test_an_alarm_that_goes_on_keeps_its_id_and_since_when(records, at):
    in_order, _ = timed(records)
    known = {}
    for event in sorted(latest(watched(in_order, at)), key=lambda e: e.time_us):
        point = event.vehicle_id, event.data["rule_id"], event.data["zone_id"]
        if event.data["rule_id"] == "silent":
            continue
        if event.type == ALARM_RAISED:
            assert point not in known
            known[point] = event
        else:
            before = known[point]
            assert event.data["alarm_id"] == before.data["alarm_id"]
            assert event.data["decision"]["since"] == before.data["decision"]["since"]
            if event.type == ALARM_UPDATED:
                assert event.data["replaces_rule_version"] == before.data["rule_version"]
                assert event.data["severity"] == (
                    "critical" if point[1] == "plain" else before.data["severity"]
                )
            else:
                del known[point]


def test_an_alarm_of_absence_ends_with_its_rule():
    records = [{"vehicle_id": "a", "time_s": 0.0}]
    records += [{"vehicle_id": "b", "time_s": t * STEP_S} for t in range(40)]
    told = [
        (event.type, event.time_us / 1e6, event.data["rule_version"], event.data.get("reason"))
        for event in latest(watched(records, [5, 20]))
        if event.vehicle_id == "a" and event.data["rule_id"] == "silent"
    ]
    assert sorted(told, key=lambda t: t[1]) == [
        (ALARM_RAISED, 5.0, 1, None),
        (ALARM_CLEARED, 14.0, 1, "rule_changed"),
        (ALARM_RAISED, 17.0, 2, None),
    ]
    assert all(d.topic == COMPLIANCE_VIOLATIONS for d in watched(records, []))
