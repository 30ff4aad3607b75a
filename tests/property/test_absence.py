"""Laws of absence: a plain loop says the same, in any order, cut and spread over parts anyhow."""

import pickle
from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st

from rules import group
from rules.assessment import Assessor, KeyGroups
from rules.clocks import watermark_us
from rules.legs import Limits
from rules.registry import Registry
from rules.rulesets import load_rules
from schemas.event import ALARM_RAISED
from schemas.topics import LATE_TELEMETRY
from schemas.zone_file import load_zones
from tests.frames import frame_of
from tests.property.test_rules_on_time import ZONES, brief, final, timed

RULES = """
- {id: silent, when: "true", absent_for: 5s, severity: critical, message: "{vehicle_id} silent"}
- {id: surfacing, when: depth_m < 100.0, absent_for: 8s, severity: critical}
- {id: port, when: zone.kind == "closed", absent_for: 6s, severity: warning}
- {id: entry, when: zone.kind == "closed", absent_by: "1970-01-01T00:00:09Z", severity: warning}
- {id: autos, when: "true", absent_for: 4s, severity: warning, scope: {vehicles: ["a*"]},
   effective_from: "1970-01-01T00:00:07Z", effective_to: "1970-01-01T00:00:21Z"}
"""
REGISTRY = Registry.of(load_zones(ZONES, "zones"), load_rules(RULES.encode(), "rules").rules)
LATENESS_S, SKEW_S = 6, 3
POLICY = group.Policy(lateness_us=LATENESS_S * 1_000_000)
VEHICLES = ("a", "b", "c")

record = st.fixed_dictionaries(
    {
        # Long silences of one or the other.
        "vehicle_id": st.sampled_from(["a"] * 8 + ["b"] * 4 + ["c"]),
        "delay_s": st.sampled_from([0.0, 0.0, 1.0, LATENESS_S - 0.01]),
    },
    optional={
        "x": st.sampled_from([1.0, 5.0, 9.0]),
        "depth_m": st.sampled_from([50.0, 150.0, 150.0, 150.0]),
    },
)
streams = st.lists(record, min_size=1, max_size=60)
cuts = st.lists(st.integers(0, 60), max_size=12)


def watched(records, at, *, pickled=False, parts=None, ended=True):
    """What is told; ``parts``: by vehicle, the part of the source it reports through."""
    states, told = {}, []
    skew_us = SKEW_S * 1_000_000
    assessors = {p: Assessor(REGISTRY, Limits(), KeyGroups(3), skew_us) for p in ("p", "q")}
    for a, b in pairwise([0, *sorted(c for c in at if c < len(records)), len(records)]):
        for part, assessor in assessors.items():
            rows = [r for r in records[a:b] if (parts or {}).get(r["vehicle_id"], "p") == part]
            if not rows:
                continue
            for seen in assessor.assess(frame_of(rows, part)):
                state = states.get(seen.key, group.GroupState())
                if pickled:
                    state = pickle.loads(pickle.dumps(state))
                states[seen.key], deliveries = group.advance(POLICY, REGISTRY, state, seen)
                told += deliveries
    for state in states.values() if ended else ():
        told += group.finish(POLICY, REGISTRY, state)[1]
    return told


# The oracle.


def shows(rule, r):
    if rule == "surfacing":
        return "depth_m" in r and r["depth_m"] < 100.0
    return r["inside"] if rule in ("port", "entry") else True


LIMITS_S = {"silent": 5, "surfacing": 8, "port": 6, "autos": 4}


def of_vehicle(rule, rows, clock_s):
    """(what, time) of the alarms of a rule and a vehicle that time has come to."""
    begin, end = (7, 21) if rule == "autos" else (float("-inf"), float("inf"))
    seen = [r["time_s"] for r in rows if shows(rule, r) and begin <= r["time_s"] < end]
    if rule == "entry":
        late = not any(time_s <= 9 for time_s in seen) and rows[0]["time_s"] <= 9
        gaps = [(9, min(seen, default=None))] if late else []
    else:
        starts = [max(s, begin) for s in ([rows[0]["time_s"], *seen])]
        due = [s + LIMITS_S[rule] for s in starts]
        gaps = [
            (d, next_)
            for d, next_ in zip(due, [*seen, None], strict=True)
            if next_ is None or next_ > d + 1e-6
        ]
    for due_s, next_s in gaps:
        if due_s >= end or due_s > clock_s:
            continue
        yield "raised", due_s
        over_s = end if next_s is None else next_s
        if over_s <= clock_s:
            yield "cleared", over_s


def by_hand(records):
    rows, inside = {}, {}
    for r in records:
        vehicle = r["vehicle_id"]
        if "longitude" in r:
            inside[vehicle] = r["longitude"] <= 4
        rows.setdefault(vehicle, []).append(r | {"inside": inside.get(vehicle, False)})
    newest_us = max(round(r["time_s"] * 1e6) for r in records)
    mark_s = watermark_us(newest_us, SKEW_S * 1_000_000) / 1e6
    return sorted(
        (vehicle, rule, what, round(time_s, 3))
        for vehicle, mine in rows.items()
        for rule in ("silent", "surfacing", "port", "entry", *(["autos"] if vehicle == "a" else []))
        for what, time_s in of_vehicle(rule, mine, max(mine[-1]["time_s"], mark_s))
    )


@settings(max_examples=80, deadline=None)
@given(streams, cuts)
def test_absences_are_what_a_loop_over_the_records_finds(records, at):
    in_order, _ = timed(records)
    assert brief(watched(in_order, at)) == by_hand(in_order)


# A vehicle that is silent while another one's part goes on, through a restart.
SILENT = [{"vehicle_id": name, "delay_s": 0.0} for name in "b" + 7 * "a" + "b"]


@settings(max_examples=80, deadline=None)
@given(streams, cuts, st.booleans(), st.dictionaries(st.sampled_from(VEHICLES), st.just("q")))
@example(SILENT, [], True, {"a": "q"})
def test_neither_order_cuts_restarts_nor_parts_change_the_final_answer(records, at, pickled, parts):
    in_order, arrival = timed(records)
    told = watched(arrival, at, pickled=pickled, parts=parts)
    assert not any(delivery.topic == LATE_TELEMETRY for delivery in told)
    assert final(told) == final(watched(in_order, []))


@settings(max_examples=80, deadline=None)
@given(streams, cuts, st.integers(0, 60))
def test_stored_fixes_that_come_at_last_have_the_last_word(records, at, surfaced):
    # One vehicle's records from some time on all come in the end, hours late by the others' clock.
    in_order, _ = timed(records)
    stored = [r for r in in_order[surfaced:] if r["vehicle_id"] == "a"]
    arrival = [r for r in in_order if r not in stored] + stored
    told = watched(arrival, at)
    assert final(told) == final(watched(in_order, []))
    said = {}
    for delivery in told:
        event = delivery.event
        assert said.setdefault((delivery.topic, event.message_id), event) == event


def test_a_part_that_is_ahead_makes_nobody_of_another_part_silent():
    ahead = [{"vehicle_id": "a", "time_s": float(t)} for t in range(1000)]
    behind = [{"vehicle_id": "b", "time_s": float(t)} for t in range(20)]
    told = watched(ahead + behind, [1000], parts={"b": "q"}, ended=False)
    assert not [
        d for d in told if d.event.vehicle_id == "b" and d.event.data["rule_id"] == "silent"
    ]
    # In one part they are of one time.
    told = watched(ahead + behind, [1000], ended=False)
    assert brief(told)[0][0] == "a"
    told = watched(behind + ahead, [20], ended=False)
    silent = [d.event for d in told if d.event.data.get("rule_id") == "silent"]
    assert {(e.vehicle_id, e.type, e.time_us) for e in silent} == {("b", ALARM_RAISED, 24_000_000)}


def test_a_silent_vehicle_is_told_though_no_record_comes_to_its_key_group():
    assert len({KeyGroups(3).of(vehicle) for vehicle in ("a", "b")}) == 2
    records = [{"vehicle_id": "b", "time_s": 0.0}]
    records += [{"vehicle_id": "a", "time_s": t / 2} for t in range(30)]
    told = watched(records, range(31), ended=False)
    assert ("b", "silent", "raised", 5.0) in brief(told)
    violations = [d.event for d in told]
    [event] = [e for e in violations if (e.vehicle_id, e.data["rule_id"]) == ("b", "silent")]
    assert event.data["message"] == "b silent"
    decision = event.data["decision"]
    assert (decision["limit"], decision["since"]) == (5.0, "1970-01-01T00:00:00.000000Z")
    assert decision["fixes"] == ["1970-01-01T00:00:00.000000Z"]
