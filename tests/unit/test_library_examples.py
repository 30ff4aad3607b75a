"""The rule sets for any zones: each rule has telemetry that fires it, and some that does not."""

import json
from pathlib import Path

import pytest
import yaml

from rules.explanation import judge_again
from rules.legs import Limits
from rules.registry import Registry
from rules.rulesets import load_rules
from schemas.decoding import TelemetryDecoder
from schemas.event import ALARM_RAISED
from schemas.message import Message
from schemas.zone_file import load_zones
from tests.alarm_news import Stage, final

LIBRARY = Path(__file__).resolve().parents[2] / "rules" / "library"
EXAMPLES = LIBRARY / "examples"
SETS = ("isa-mining", "marine-protected-areas", "auv-safety", "rover-safety", "vessel-speed")
ON_TIME = (
    *("for", "count", "then", "clear_when", "keep_firing_for", "once_per_visit"),
    *("absent_for", "schedule", "stale_after"),
)


def rules(name):
    return yaml.safe_load((LIBRARY / f"{name}.yaml").read_bytes())


def records(name):
    return [json.loads(line) for line in (EXAMPLES / f"{name}.ndjson").read_bytes().splitlines()]


def frame_of(given):
    batch = TelemetryDecoder().decode([Message(json.dumps(given).encode(), "examples")])
    assert not batch.rejects
    assert batch.frame is not None
    return batch.frame


def registry_of(name):
    zones = load_zones((EXAMPLES / "zones.geojson").read_bytes(), "zones.geojson")
    return Registry.of(zones, load_rules((LIBRARY / f"{name}.yaml").read_bytes(), name).rules)


def raised(events):
    """(rule, vehicle) of the alarms in the end."""
    newest = {event.event_id: event for event in events}
    return {
        (event.data["rule_id"], event.vehicle_id)
        for event in newest.values()
        if event.type == ALARM_RAISED and not event.retracted
    }


def test_every_set_has_its_examples_and_there_are_no_others():
    there = {path.name for path in EXAMPLES.iterdir()}
    assert there == {"zones.geojson", *(f"{name}.ndjson" for name in SETS)}


@pytest.mark.parametrize("name", SETS)
def test_each_rule_has_an_example_that_fires_it_and_one_that_does_not(name):
    wanted = {f"{rule['id']}.{what}" for rule in rules(name) for what in ("fires", "quiet")}
    assert {record["vehicle_id"] for record in records(name)} == wanted


@pytest.mark.parametrize("name", SETS)
def test_exactly_its_example_fires_each_rule_and_no_other_one(name):
    found = raised(judge_again(registry_of(name), Limits(), frame_of(records(name))))
    assert found == {(rule["id"], f"{rule['id']}.fires") for rule in rules(name)}


@pytest.mark.parametrize("name", SETS)
def test_quiet_examples_are_not_quiet_because_they_say_less(name):
    """They are in the rule's scope and have every reading that the examples which fire have."""
    given, frame = records(name), frame_of(records(name))
    book = registry_of(name).book

    def read(vehicle_id):
        mine = [record for record in given if record["vehicle_id"] == vehicle_id]
        return {key for record in mine for key in (*record, *record.get("sensors", ()))}

    for place, compiled in enumerate(book.rules):
        quiet = f"{compiled.rule.id}.quiet"
        mine = frame.vehicle == frame.vehicle_ids.index(quiet)
        assert book.is_about(place, frame)[mine].all(), quiet
        assert read(quiet) >= read(f"{compiled.rule.id}.fires"), quiet


def without(rule, key):
    left_out = ("count", "within") if key == "count" else (key,)
    kept = {k: v for k, v in rule.items() if k not in left_out}
    return load_rules(yaml.safe_dump([kept]).encode(), "rules.yaml").rules


@pytest.mark.parametrize("name", SETS)
def test_what_a_rule_says_of_time_keeps_its_example_quiet(name):
    """Without one of these keys the rule would fire on it too."""
    zones, frame = registry_of(name).fences.zones, frame_of(records(name))
    asked = 0
    for rule in rules(name):
        for key in {"for", "count", "schedule", "stale_after"} & rule.keys():
            registry = Registry.of(zones, without(rule, key))
            found = {vehicle for _, vehicle in raised(judge_again(registry, Limits(), frame))}
            assert f"{rule['id']}.quiet" in found, (rule["id"], key)
            asked += 1
    assert asked


def test_drafts_are_marked_as_such_and_run_in_shadow():
    for rule in rules("isa-mining"):
        draft = "CRP" in rule["source"]
        assert draft == rule["source"].startswith("DRAFT, not in force: "), rule["id"]
        assert draft == rule["message"].endswith("(draft rule, not in force)"), rule["id"]
        assert draft == (rule.get("mode") == "shadow"), rule["id"]
        assert draft == rule["id"].startswith("isa-draft-"), rule["id"]


@pytest.mark.parametrize("name", SETS)
def test_each_rule_says_where_it_is_from_and_whose_its_limit_is(name):
    cited = ("ISBA/", "UNCLOS", "CFR ", "MARPOL", "SOLAS", "NOAA", "JPL", "the zone's own")
    for rule in rules(name):
        source = rule["source"]
        assert "set yours" in source.lower() or any(word in source for word in cited), rule["id"]


def test_the_sets_use_every_kind_of_rule_on_time():
    every = [rule for name in SETS for rule in rules(name)]
    assert [key for key in ON_TIME if not any(key in rule for rule in every)] == []


LOST = [
    ("auv-safety", "auv", 6, {"depth_m": 5950.0}, "auv-safety-depth-limit"),
    ("rover-safety", "rover", 50, {"sensors": {"tilt_deg": 31.0}}, "rover-safety-tilt"),
]


@pytest.mark.parametrize(("name", "kind", "silent_h", "broken", "limit"), LOST)
def test_alarms_on_limits_of_a_vehicle_are_suppressed_while_it_is_lost(
    name, kind, silent_h, broken, limit
):
    rows = [
        {"vehicle_id": "v", "kind": kind, "timestamp": f"2026-03-{day:02}T12:00:00Z", **broken}
        for day in (2, 6)
    ]
    violations = judge_again(registry_of(name), Limits(), frame_of(rows))
    lost = f"{name}-contact-lost"
    assert {event.data["rule_id"] for event in violations} >= {lost, limit}
    stage = Stage()
    stage.tell(*violations)
    stage.end()
    states = [
        (event.happened_us // 3_600_000_000, event.data["state"])
        for event in sorted(final(stage.told).values(), key=lambda event: event.happened_us)
        if event.data["rule_id"] == limit
    ]
    first_h = violations[0].happened_us // 3_600_000_000
    assert states == [
        (first_h, "unacknowledged"),
        (first_h + silent_h, "suppressed"),
        (first_h + 4 * 24, "unacknowledged"),
    ]
