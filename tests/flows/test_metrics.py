"""The values of metrics after a watch over known telemetry, counted here by other means."""

import gc
import json
from collections import Counter
from datetime import timedelta

import numpy as np
import pytest
from bytewax.testing import run_main
from prometheus_client import REGISTRY

from flows.settings import Settings
from flows.steps.census import count_state
from flows.watch import watch
from flows.wiring import wire
from tests.commanded import ALERTS, command_file, commanded_inputs
from tests.watching import ZONES, telemetry, told, with_late_records, write_inputs

VEHICLES, LATENESS_S = 20, 120
LINES = with_late_records(telemetry(6_000, VEHICLES), VEHICLES)
GOOD = [record for record in map(json.loads, LINES) if record.get("latitude") != 95.0]


def shown() -> Counter[tuple[str, ...]]:
    """Name and the values of its labels -> what the metric says in this process."""
    return Counter(
        {
            (sample.name, *sample.labels.values()): sample.value
            for metric in REGISTRY.collect()
            for sample in metric.samples
            if sample.name.startswith("farwatch_")
        }
    )


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
    """What the counters went up by, the gauges at the end, and the events told."""
    folder = tmp_path_factory.mktemp("metrics")
    write_inputs(folder, LINES)
    settings = Settings(
        telemetry=f"file:{folder}/telemetry.ndjson",
        zones=f"file:{folder}/zones.geojson",
        rules=f"file:{folder}/rules.yaml",
        results=(f"dir:{folder}/topics",),
        frame_rows=20,
        lateness_s=LATENESS_S,
    )
    before = shown()
    gc.disable()  # Gauges are of what lives: the flow's state must, until they are read.
    try:
        run_main(watch(wire(settings)), epoch_interval=timedelta(seconds=1))
        after = shown()
    finally:
        gc.enable()
    events = {
        path.stem: [json.loads(line) for line in path.read_text().splitlines()]
        for path in (folder / "topics").glob("*.ndjson")
    }
    return Counter({name: value - before[name] for name, value in after.items()}), after, events


def late() -> Counter[str]:
    """Good records behind their vehicle's newest, by whether they can still revise."""
    newest: dict[str, float] = {}
    found: Counter[str] = Counter()
    for record in GOOD:
        vehicle, time_s = record["vehicle_id"], record["timestamp"]
        behind_s = newest.get(vehicle, time_s) - time_s
        if behind_s > 0:
            found["too_late" if behind_s > LATENESS_S else "revising"] += 1
        newest[vehicle] = max(newest.get(vehicle, time_s), time_s)
    return found


def test_records_are_counted_by_what_became_of_them(counted):
    more, _, events = counted
    rejected = len(LINES) - len(GOOD)
    assert more["farwatch_records_in_total",] == len(GOOD)
    assert more["farwatch_records_rejected_total", "latitude"] == rejected > 0
    assert len(events["dead_letters"]) == rejected
    assert more["farwatch_records_no_position_total",] == sum("latitude" not in r for r in GOOD)
    expected = late()
    assert expected["too_late"] > 0
    for outcome in ("revising", "too_late"):
        assert more["farwatch_records_late_total", outcome] == expected[outcome] > 0


def test_records_of_which_no_depth_says_whether_they_are_in_a_zone_are_counted(counted):
    more, _, _ = counted
    boxes = [
        np.array(zone["geometry"]["coordinates"][0])
        for zone in ZONES["features"]
        if "max_depth_m" in zone["properties"]
    ]
    unknown = [
        record
        for record in GOOD
        if "depth_m" not in record
        and "longitude" in record
        and any(
            (box.min(axis=0) <= place).all() and (place <= box.max(axis=0)).all()
            for box in boxes
            for place in [(record["longitude"], record["latitude"])]
        )
    ]
    without = sum("depth_m" not in record for record in GOOD)
    assert 0 < len(unknown) < without
    assert more["farwatch_records_unknown_depth_total",] == len(unknown)


def test_alarms_that_are_followed_are_those_of_the_end_by_state(tmp_path, monkeypatch):
    commanded_inputs(tmp_path)
    rules = tmp_path / "rules.yaml"
    # What flaps is folded into a notice: its alarm's state is not told by itself.
    flapping = "alarm: {flapping: {count: 4, within: 2m}}"
    rules.write_text(rules.read_text().replace(flapping, "alarm: {acknowledged_for: 1d}"))
    commands = command_file(tmp_path, tmp_path / "first")
    settings = Settings(
        telemetry=f"file:{tmp_path}/telemetry.ndjson",
        zones=f"file:{tmp_path}/zones.geojson",
        rules=f"file:{tmp_path}/rules.yaml",
        results=(f"dir:{tmp_path}/topics",),
        commands=commands,
    )
    alive = []  # Gauges are of what lives, and the engine lets the state go at the end.

    def keep(step_id, logic):
        alive.append(logic)
        count_state(step_id, logic)

    monkeypatch.setattr("flows.steps.state.count_state", keep)
    before = at_state()
    run_main(watch(wire(settings)), epoch_interval=timedelta(seconds=1))
    more = at_state() - before
    assert alive
    newest: dict[str, dict] = {}
    for (topic, _), event in told(tmp_path).items():
        data = event["data"]
        if topic in ALERTS[:3] and "state" in data:
            known = newest.get(data["event_id"])
            if known is None or known["version"] < data["version"]:
                newest[data["event_id"]] = data
    last = {
        (data["vehicle_id"], data["rule_id"], data["zone_id"]): (data["severity"], data["state"])
        for data in sorted(newest.values(), key=lambda data: data["time"])
        if not data["retracted"]
    }
    expected = Counter(state for state in last.values() if state[1] != "normal")
    assert len(expected) > 2
    assert more == expected


def at_state() -> Counter[tuple[str, ...]]:
    """Severity and state -> alarms, of all that lives."""
    return Counter(
        {series[1:]: n for series, n in shown().items() if series[0] == "farwatch_alarms"}
    )


def test_events_are_counted_by_topic(counted):
    more, _, events = counted
    told = {topic: len(lines) for topic, lines in events.items() if lines}
    assert len(told) > 4
    counts = {
        labels[0]: value
        for (name, *labels), value in more.items()
        if name == "farwatch_events_out_total" and value
    }
    assert counts == told


def test_raised_alarms_and_versions_are_those_of_the_end(counted):
    _, at_end, events = counted
    newest = {}
    for event in events["compliance_violations"]:
        data = event["data"]
        known = newest.get(data["event_id"])
        if known is None or data["version"] > known["data"]["version"]:
            newest[data["event_id"]] = event
    # An alarm is of a visit: it may be raised and cleared again and again in it.
    last = {
        event["data"]["alarm_id"]: event
        for event in sorted(newest.values(), key=lambda event: event["data"]["time"])
        if not event["data"]["retracted"]
    }
    raised = Counter(
        event["data"]["severity"]
        for event in last.values()
        if event["type"] == "farwatch.alarm.raised.v1"
    )
    assert raised["critical"]
    for severity in ("warning", "critical"):
        assert at_end["farwatch_alarms_raised", severity] == raised[severity]
    for what in ("zone", "rule"):
        assert at_end["farwatch_definitions", what] == 4
    assert at_end["farwatch_version_in_force", "zone", "z0"] == 1
    assert at_end["farwatch_version_in_force", "rule", "deep"] == 1
