"""Zones to keep in: rules about them are judged while a vehicle is outside."""

import json

import pytest

from rules import group
from rules.assessment import Assessor, KeyGroups
from rules.legs import Limits
from rules.registry import Registry
from rules.rulesets import load_rules
from schemas.topics import COMPLIANCE_VIOLATIONS
from schemas.zone_file import load_zones
from tests.frames import frame_of

RULES = b"""
- {id: stray, when: zone.kind == "keep_in", severity: critical}
- {id: fast-outside, when: zone.kind == "keep_in" && speed_mps > 2.0, severity: warning}
- {id: fast-inside, when: zone.kind == "mpa" && speed_mps > 2.0, severity: warning}
"""


def registry(**properties):
    ring = [[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]
    features = [
        {
            "type": "Feature",
            "id": kind,
            "properties": {"kind": kind, **(properties if kind == "keep_in" else {})},
            "geometry": {"type": "Polygon", "coordinates": [ring]},
        }
        for kind in ("keep_in", "mpa")
    ]
    document = json.dumps({"type": "FeatureCollection", "features": features}).encode()
    return Registry.of(load_zones(document, "zones"), load_rules(RULES, "rules").rules)


def alarms(registry, records):
    """(rule, raised or cleared, seconds, reason); the same for frames of any size."""
    answers = []
    for size in (1, 2, 3, 1000):
        assessor = Assessor(registry, Limits(), KeyGroups(1))
        state, told = group.GroupState(), []
        for first in range(0, len(records), size):
            for seen in assessor.assess(frame_of(records[first : first + size])):
                state, out = group.advance(group.Policy(), registry, state, seen)
                told += [d.event for d in out if d.topic == COMPLIANCE_VIOLATIONS]
        answers.append(
            sorted(
                (
                    e.time_us / 1e6,
                    e.data["rule_id"],
                    e.type.split(".")[2],
                    e.data.get("reason"),
                    e.event_id,
                )
                for e in told
            )
        )
    assert all(answer == answers[0] for answer in answers)
    return [answer[:4] for answer in answers[0]]


def track(*longitudes, **fields):
    return [
        {"vehicle_id": "a", "time_s": 10.0 * i, "latitude": 0.5, "longitude": x} | fields
        for i, x in enumerate(longitudes)
    ]


def test_outside_is_the_violation_and_coming_back_ends_it():
    assert alarms(registry(), track(0.5, 0.6, 2.0, 3.0, 0.5, 0.4, 2.0)) == [
        (20, "stray", "raised", None),
        (40, "stray", "cleared", "zone_entered"),
        (60, "stray", "raised", None),
    ]


def test_a_vehicle_first_seen_outside_is_outside():
    assert alarms(registry(), track(2.0, 3.0, 0.5)) == [
        (0, "stray", "raised", None),
        (20, "stray", "cleared", "zone_entered"),
    ]


def test_other_conditions_are_judged_on_each_record_outside():
    records = track(0.5, 2.0, 2.1, 2.2, 0.5, speed_mps=3.0)
    records[2]["speed_mps"] = 1.0
    assert alarms(registry(), records) == [
        (0, "fast-inside", "raised", None),
        (10, "fast-inside", "cleared", "zone_exited"),
        (10, "fast-outside", "raised", None),
        (10, "stray", "raised", None),
        (20, "fast-outside", "cleared", "condition_false"),
        (30, "fast-outside", "raised", None),
        (40, "fast-inside", "raised", None),
        (40, "fast-outside", "cleared", "zone_entered"),
        (40, "stray", "cleared", "zone_entered"),
    ]


def test_an_unknown_depth_is_neither_inside_nor_outside():
    banded = registry(max_depth_m=100)
    assert alarms(banded, track(0.5, 0.6)) == []
    deep = track(0.5, 0.6, 0.7)
    deep[1]["depth_m"] = 150.0
    assert alarms(banded, deep) == [(10, "stray", "raised", None)]


def test_the_buffer_and_the_time_outside_hold_for_outings_too():
    flapping = track(0.999, 1.0005, 0.999, 1.0005)
    assert alarms(registry(exit_buffer_m=200), flapping) == []
    assert alarms(registry(min_outside_s=30), track(0.5, 2.0, 0.5, 2.0, 2.0, 2.0, 2.0)) == [
        (60, "stray", "raised", None)
    ]


def test_vehicles_of_another_body_are_not_meant():
    assert alarms(registry(), track(2.0, 3.0, body="mars")) == []


def test_a_zone_holds_nobody_while_it_is_not_in_force():
    assert alarms(registry(effective_from="1970-01-01T00:00:20Z"), track(2.0, 2.0, 2.0, 2.0)) == [
        (20, "stray", "raised", None)
    ]
    assert alarms(registry(effective_to="1970-01-01T00:00:20Z"), track(2.0, 2.0, 2.0, 2.0)) == [
        (0, "stray", "raised", None),
        (20, "stray", "cleared", "zone_changed"),
    ]


@pytest.mark.parametrize("order", [(0, 1, 3, 2, 4), (0, 2, 1, 3, 4), (1, 0, 2, 3, 4)])
def test_late_records_revise_outings(order):
    straight = track(0.5, 2.0, 3.0, 0.5, 2.0)
    shuffled = [straight[i] for i in order]
    final = {}
    assessor, state = Assessor(registry(), Limits(), KeyGroups(1)), group.GroupState()
    for record in shuffled:
        for seen in assessor.assess(frame_of([record])):
            state, out = group.advance(group.Policy(), assessor.registry, state, seen)
            final |= {d.event.event_id: d.event for d in out if d.topic == COMPLIANCE_VIOLATIONS}
    said = sorted(
        (e.time_us / 1e6, e.data["rule_id"], e.type.split(".")[2], e.data.get("reason"))
        for e in final.values()
        if not e.retracted
    )
    assert said == alarms(registry(), straight)
