"""Events and alarms keep their id: when late records move what was told, and within one visit."""

import pytest

from rules import group
from rules.assessment import Assessor, KeyGroups
from rules.legs import Limits
from rules.registry import Registry
from rules.rulesets import load_rules
from schemas.event import ALARM_CLEARED, ALARM_RAISED, ZONE_ENTERED, ZONE_EXITED
from schemas.topics import COMPLIANCE_VIOLATIONS, GEOFENCING_EVENTS
from schemas.zone_file import load_zones
from tests.frames import frame_of

ZONES = b"""{"type": "FeatureCollection", "features": [
{"type": "Feature", "id": "box", "geometry":
 {"type": "Polygon", "coordinates": [[[0,0],[1,0],[1,1],[0,1],[0,0]]]}},
{"type": "Feature", "id": "around", "geometry":
 {"type": "Polygon", "coordinates": [[[-8,-8],[8,-8],[8,8],[-8,8],[-8,-8]]]}}]}"""
RULES = b"""
- {id: slow, when: speed_mps < 1.0, severity: info, scope: {zones: {id: [box, around]}}}
- {id: slow-anywhere, when: speed_mps < 1.0, severity: info}
"""
REGISTRY = Registry.of(load_zones(ZONES, "zones"), load_rules(RULES, "rules").rules)
POLICY = group.Policy(lateness_us=600_000_000)


def fix(time_s, longitude, **fields):
    return {"vehicle_id": "a", "time_s": time_s, "longitude": longitude, "latitude": 0.5} | fields


def told(topic, *frames):
    """All events of a topic."""
    state, events = group.GroupState(), []
    for records in frames:
        [seen] = Assessor(REGISTRY, Limits(), KeyGroups(1)).assess(frame_of(records))
        state, deliveries = group.advance(POLICY, REGISTRY, state, seen)
        events += [d.event for d in deliveries if d.topic == topic]
    return events


def of_box(events, kind):
    return [e for e in events if e.type == kind and e.data["zone_id"] == "box"]


@pytest.mark.parametrize(
    ("late", "moved_s"),
    [
        # On the way in it waited: the crossing comes later.
        (fix(8.0, -1.0), 9.0),
        # It was in before.
        (fix(2.0, 1.0), 1.0),
    ],
)
def test_a_late_fix_that_moves_a_crossing_corrects_it_under_its_id(late, moved_s):
    # From one degree west of the zone to one beyond its western edge.
    events = told(GEOFENCING_EVENTS, [fix(0.0, -1.0), fix(10.0, 1.0)], [fix(20.0, 0.5)], [late])
    entries = of_box(events, ZONE_ENTERED)
    assert [(e.version, e.retracted, e.time_us / 1e6) for e in entries] == [
        (1, False, 5.0),
        (2, False, pytest.approx(moved_s)),
    ]
    assert len({e.event_id for e in entries}) == 1
    assert len({e.data["visit_id"] for e in entries}) == 1


def test_the_exit_of_a_visit_that_is_moved_keeps_its_id_and_tells_the_new_time_inside():
    passes = [fix(0.0, -1.0), fix(10.0, 0.5), fix(20.0, 2.0)]
    events = told(GEOFENCING_EVENTS, passes, [fix(9.0, -1.0)])
    exits = of_box(events, ZONE_EXITED)
    entered, left = 20 / 3, 10 + 10 / 3
    again = 9 + 2 / 3
    assert [(e.version, e.time_us / 1e6, e.data["duration_s"]) for e in exits] == [
        (1, pytest.approx(left), pytest.approx(left - entered)),
        (2, pytest.approx(left), pytest.approx(left - again)),
    ]
    assert len({e.event_id for e in exits}) == 1
    assert {e.data["visit_id"] for e in exits} == {
        e.data["visit_id"] for e in of_box(events, ZONE_ENTERED)
    }


def test_a_late_fix_that_undoes_a_visit_retracts_both_crossings():
    # Through the zone, as long as nobody knows that it went round it.
    through = [fix(0.0, -1.0), fix(10.0, 2.0)]
    round_it = [fix(t, x) | {"latitude": 5.0} for t, x in ((1.0, -1.0), (9.0, 2.0))]
    events = told(GEOFENCING_EVENTS, through, round_it, [fix(5.0, 0.5)])
    for kind in (ZONE_ENTERED, ZONE_EXITED):
        first, gone, other = of_box(events, kind)
        assert (first.version, first.retracted) == (1, False)
        assert (gone.event_id, gone.version, gone.retracted) == (first.event_id, 2, True)
        # Round it to its middle and back is another visit.
        assert (other.version, other.retracted) == (1, False)
        assert other.event_id != first.event_id


def alarms(*records, rule="slow", zone="box"):
    found = told(COMPLIANCE_VIOLATIONS, records)
    assert found == told(COMPLIANCE_VIOLATIONS, *([record] for record in records))
    return [
        (e.type, e.data["alarm_id"])
        for e in found
        if (e.data["rule_id"], e.data["zone_id"]) == (rule, zone)
    ]


SLOW, FAST = {"speed_mps": 0.5}, {"speed_mps": 2.0}


def test_an_alarm_about_a_zone_has_one_id_a_visit():
    found = alarms(
        fix(0.0, 0.5, **SLOW),
        fix(1.0, 0.5, **FAST),
        fix(2.0, 0.5, **SLOW),
        fix(3.0, 2.0, **SLOW),
        fix(4.0, 0.5, **SLOW),
    )
    kinds, ids = zip(*found, strict=True)
    assert kinds == (ALARM_RAISED, ALARM_CLEARED) * 2 + (ALARM_RAISED,)
    first, *same, next_visit = ids
    assert same == [first] * 3
    assert next_visit != first
    # Of another zone, which it never left, the same rule has an alarm of its own.
    wide = alarms(fix(0.0, 0.5, **SLOW), fix(3.0, 2.0, **SLOW), zone="around")
    assert len(wide) == 1
    assert wide[0][1] not in ids


def test_an_alarm_about_no_zone_has_an_id_for_each_time_it_holds():
    found = alarms(
        fix(0.0, 0.5, **SLOW),
        fix(1.0, 0.5, **FAST),
        fix(2.0, 0.5, **SLOW),
        rule="slow-anywhere",
        zone=None,
    )
    first, cleared, second = (alarm_id for _, alarm_id in found)
    assert cleared == first
    assert second != first


def test_a_late_record_that_moves_when_an_alarm_began_corrects_it_under_its_id():
    records = [fix(0.0, 0.5, **FAST), fix(10.0, 0.5, **SLOW), fix(20.0, 0.5, **FAST)]
    events = told(COMPLIANCE_VIOLATIONS, records, [fix(5.0, 0.5, **SLOW)])
    for rule, zone in (("slow", "box"), ("slow-anywhere", None)):
        raised = [
            e
            for e in events
            if (e.type, e.data["rule_id"], e.data["zone_id"]) == (ALARM_RAISED, rule, zone)
        ]
        assert [(e.version, e.retracted, e.time_us / 1e6) for e in raised] == [
            (1, False, 10.0),
            (2, False, 5.0),
        ]
        assert len({e.event_id for e in raised}) == 1
        assert len({e.data["alarm_id"] for e in raised}) == 1
