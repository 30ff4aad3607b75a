"""Records that come too late: what they would have said is told, for the record alone."""

import pytest

from rules import group
from rules.assessment import Assessor, KeyGroups
from rules.legs import Limits
from rules.registry import Registry
from rules.rulesets import load_rules
from schemas.event import TELEMETRY_LATE, payload
from schemas.payloads import PAYLOADS
from schemas.topics import COMPLIANCE_VIOLATIONS, GEOFENCING_EVENTS, LATE_TELEMETRY
from schemas.zone_file import load_zones
from tests.frames import frame_of

ZONES = b"""{"type": "FeatureCollection", "features": [
{"type": "Feature", "id": "box", "properties": {"kind": "closed", "exit_buffer_m": 20000},
 "geometry": {"type": "Polygon", "coordinates": [[[0,0],[4,0],[4,4],[0,4],[0,0]]]}},
{"type": "Feature", "id": "deep", "properties": {"min_depth_m": 100}, "geometry":
 {"type": "Polygon", "coordinates": [[[0,0],[6,0],[6,4],[0,4],[0,0]]]}},
{"type": "Feature", "id": "then", "properties": {"effective_to": "1970-01-01T00:10:00Z"},
 "geometry": {"type": "Polygon", "coordinates": [[[0,0],[6,0],[6,4],[0,4],[0,0]]]}}]}"""
RULES = b"""
- {id: slow, when: speed_mps < 1.0, severity: info}
- {id: work, when: zone.kind == "closed" && speed_mps < 1.0, severity: critical}
- {id: long, when: speed_mps < 1.0, for: 1h, severity: info}
- {id: often, when: speed_mps < 1.0, count: 5, within: 1h, severity: info}
- {id: unseen, when: speed_mps < 1.0, absent_for: 1h, severity: info}
- {id: sequence, when: speed_mps < 1.0, then: speed_mps < 1.0, within: 1h, severity: info}
- {id: hot, when: temperature_c > 30.0, severity: info}
"""
REGISTRY = Registry.of(load_zones(ZONES, "zones"), load_rules(RULES, "rules").rules)
POLICY = group.Policy(lateness_us=120_000_000)
NEWEST_S = 1_000.0


def fix(time_s, longitude, **fields):
    return {"vehicle_id": "a", "time_s": time_s, "longitude": longitude, "latitude": 2.0} | fields


def judged(*late):
    """What is told after a fix far off at ``NEWEST_S``: one list a topic."""
    state, found = group.GroupState(), {}
    for records in ([fix(NEWEST_S, 50.0)], late):
        [seen] = Assessor(REGISTRY, Limits(), KeyGroups(1)).assess(frame_of(records))
        state, deliveries = group.advance(POLICY, REGISTRY, state, seen)
        found = {}
        for delivery in deliveries:
            found.setdefault(delivery.topic, []).append(delivery.event)
    return found


SLOW = ["long", "often", "slow"]


@pytest.mark.parametrize(
    ("record", "zones", "rules"),
    [
        (fix(100.0, 2.0, speed_mps=0.5, depth_m=200.0), ["box", "deep", "then"], [*SLOW, "work"]),
        # In force then, not any more when it comes; and the other way round.
        (fix(700.0, 2.0, speed_mps=0.5, depth_m=200.0), ["box", "deep"], [*SLOW, "work"]),
        # Nobody knows of the deep zone; and in the exit buffer alone it is outside.
        (fix(700.0, 2.0, speed_mps=2.0), ["box"], []),
        (fix(700.0, 4.1, speed_mps=0.5, depth_m=200.0), ["deep"], SLOW),
        (fix(700.0, 10.0, temperature_c=31.0), [], ["hot"]),
        ({"vehicle_id": "a", "time_s": 700.0, "speed_mps": 0.5}, [], SLOW),
    ],
)
def test_what_comes_too_late_tells_its_zones_and_rules_and_nothing_else(record, zones, rules):
    found = judged(record)
    [event] = found.pop(LATE_TELEMETRY)
    assert found == {}
    assert event.type == TELEMETRY_LATE
    assert event.time_us == record["time_s"] * 1e6
    assert (sorted(event.data["zones"]), event.data["rules"]) == (zones, sorted(rules))
    assert event.data["behind_s"] == NEWEST_S - record["time_s"]
    assert event.data["newest"] == "1970-01-01T00:16:40.000000Z"
    given = {k: v for k, v in record.items() if k not in ("time_s", "vehicle_id")}
    assert {k: event.data["record"][k] for k in given} == given
    PAYLOADS[TELEMETRY_LATE].model_validate(payload(event))


def test_of_a_frame_those_inside_the_lateness_revise_and_the_others_are_told():
    at_the_limit, beyond = fix(NEWEST_S - 120, 2.0), fix(NEWEST_S - 120.000001, 2.0)
    other = fix(NEWEST_S - 500, 10.0, temperature_c=31.0)
    found = judged(other, beyond, at_the_limit)
    assert [(e.data["zones"], e.data["rules"]) for e in found[LATE_TELEMETRY]] == [
        ([], ["hot"]),
        (["box"], []),
    ]
    entered = [e.data["zone_id"] for e in found[GEOFENCING_EVENTS] if "entered" in e.type]
    assert entered == ["box"]
    assert COMPLIANCE_VIOLATIONS not in found


def test_a_fix_days_late_is_no_harm_to_a_zone_with_hours():
    hours = b"""{"type": "FeatureCollection", "features": [{"type": "Feature", "id": "box",
    "properties": {"schedule": {"windows": ["06:00-12:00", "14:00-18:00"]}}, "geometry":
    {"type": "Polygon", "coordinates": [[[0,0],[4,0],[4,4],[0,4],[0,0]]]}}]}"""
    registry = Registry.of(load_zones(hours, "zones"), ())
    state, found = group.GroupState(), []
    assessor = Assessor(registry, Limits(), KeyGroups(1))
    day_s = 86_400
    # Days and parts of them, frame by frame; the third is of ten days before.
    for day in (20, 20.25, 10.3, 20.35):
        for seen in assessor.assess(frame_of([fix(day * day_s, 2.0)])):
            state, deliveries = group.advance(POLICY, registry, state, seen)
            found += [
                (d.event.type.split(".")[2], d.event.time_us / day_s / 1e6) for d in deliveries
            ]
    assert found == [("entered", 20.25), ("late", 10.3)]
