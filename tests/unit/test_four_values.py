"""Pass, fail, unknown and error: what each does to an alarm, and that failures are counted."""

import pytest

from rules import group
from rules.assessment import Assessor, KeyGroups
from rules.legs import Limits
from rules.registry import Registry
from rules.rulesets import load_rules
from schemas.event import ALARM_CLEARED, ALARM_RAISED
from schemas.topics import COMPLIANCE_VIOLATIONS
from schemas.zone_file import load_zones
from scripts.report.from_store import _rule_errors
from tests.frames import frame_of

BOX = b"""{"type": "FeatureCollection", "features": [
{"type": "Feature", "id": "box", "geometry":
 {"type": "Polygon", "coordinates": [[[0,0],[4,0],[4,4],[0,4],[0,0]]]}}]}"""


def watched(rules: str, *records: dict, at_once: bool = True):
    """The state, and (rule, what became of its alarm, when) in order."""
    registry = Registry.of(load_zones(BOX, "zones"), load_rules(rules.encode(), "rules").rules)
    rows = [{"vehicle_id": "a", "time_s": float(i)} | record for i, record in enumerate(records)]
    state, told = group.GroupState(), []
    for frame in [rows] if at_once else [[row] for row in rows]:
        [seen] = Assessor(registry, Limits(), KeyGroups(1)).assess(frame_of(frame))
        state, deliveries = group.advance(group.Policy(), registry, state, seen)
        told += [d.event for d in deliveries if d.topic == COMPLIANCE_VIOLATIONS]
    words = {ALARM_RAISED: "raised", ALARM_CLEARED: "cleared"}
    return state, [(e.data["rule_id"], words[e.type], e.happened_us // 10**6) for e in told]


DEEP, HIGH, NOTHING = {"depth_m": 200.0}, {"depth_m": 1.0}, {}


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize(
    ("on_unknown", "records", "told"),
    [
        ("keep", [DEEP, NOTHING, HIGH], [("raised", 0), ("cleared", 2)]),
        ("keep", [NOTHING, DEEP, NOTHING], [("raised", 1)]),
        ("raise", [NOTHING, HIGH, NOTHING], [("raised", 0), ("cleared", 1), ("raised", 2)]),
        ("raise", [DEEP, NOTHING, HIGH], [("raised", 0), ("cleared", 2)]),
        ("clear", [DEEP, NOTHING, DEEP], [("raised", 0), ("cleared", 1), ("raised", 2)]),
        ("clear", [NOTHING, HIGH], []),
    ],
)
def test_what_is_unknown_raises_and_clears_only_where_the_rule_says_so(
    on_unknown, records, told, at_once
):
    rule = f"- {{id: r, when: depth_m > 100.0, severity: info, on_unknown: {on_unknown}}}"
    _, found = watched(rule, *records, at_once=at_once)
    assert [(what, when) for _, what, when in found] == told


def test_a_rule_about_a_zone_says_what_the_unknown_means_too():
    rule = (
        "- {id: r, when: depth_m > 100.0, severity: info, on_unknown: raise,"
        " scope: {zones: {id: [box]}}}"
    )
    inside = {"longitude": 1.0, "latitude": 1.0}
    _, found = watched(rule, inside | HIGH, inside, {"longitude": 5.0, "latitude": 1.0})
    assert [(what, when) for _, what, when in found] == [("raised", 1), ("cleared", 2)]


def test_a_computation_that_fails_is_an_error_counted_by_rule_and_reason():
    rules = """
- {id: share, when: 100 / int(depth_m) > 3, severity: info}
- {id: number.1, when: int(status) > 3, severity: info}
- {id: huge, when: int(depth_m) + 9223372036854775807 > 3, severity: info}
- {id: steps, when: "100 / int(depth_m - previous.depth_m) > 3", severity: info}
- {id: in-box, when: '100 / int(depth_m) > 3 && zone.id == "box"', severity: info}
"""
    state, _ = watched(
        rules,
        {"depth_m": 0.0, "status": "ok", "longitude": 1.0, "latitude": 1.0},
        {"depth_m": 0.0, "status": "7"},
        {"depth_m": 10.0, "status": "ok"},
        {},
        at_once=False,
    )
    [tallies] = state.tallies.values()
    assert {k: v for k, v in tallies.items() if k.startswith("rule_error")} == {
        "rule_errors": 7,
        "rule_error.share.division by zero": 2,
        "rule_error.number.1.cannot convert string to int": 2,
        "rule_error.huge.integer overflow": 1,
        "rule_error.steps.division by zero": 1,
        "rule_error.in-box.division by zero": 1,
    }
    assert _rule_errors(tallies) == {
        "of rule number.1: cannot convert string to int": 2,
        "of rule share: division by zero": 2,
        "of rule huge: integer overflow": 1,
        "of rule in-box: division by zero": 1,
        "of rule steps: division by zero": 1,
    }


def test_an_error_neither_raises_nor_clears():
    rule = "- {id: r, when: 100 / int(depth_m) > 3, severity: info}"
    _, found = watched(rule, {"depth_m": 0.0}, {"depth_m": 2.0}, {"depth_m": 0.0}, DEEP)
    assert [(what, when) for _, what, when in found] == [("raised", 1), ("cleared", 3)]
