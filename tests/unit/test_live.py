"""Vehicle states are told after each frame: newest record, zones as the zone events say."""

import json
from functools import partial

import pytest

from flows.steps.live import telling
from flows.steps.registry import load_registry
from rules import group
from rules.assessment import Assessor, KeyGroups
from rules.legs import Limits
from schemas.decoding import TelemetryDecoder
from schemas.event import ZONE_ENTERED, ZONE_EXITED
from schemas.live import LIVE_TOPICS, PIPELINE, VEHICLE_STATES
from schemas.message import Message
from schemas.topics import GEOFENCING_EVENTS
from tests.watching import telemetry, write_inputs

T0 = 1_767_225_600


@pytest.fixture
def registry(tmp_path):
    write_inputs(tmp_path, [])
    return load_registry(f"file:{tmp_path}/zones.geojson", f"file:{tmp_path}/rules.yaml")


def late_telemetry():
    """Lines of which every seventh comes 40 lines too late."""
    lines = telemetry(3000)
    order = sorted(range(len(lines)), key=lambda i: i + 40.5 * (i % 7 == 0))
    return [lines[i] for i in order]


def frames(lines, rows):
    decode = TelemetryDecoder().decode
    for i in range(0, len(lines), rows):
        body = "\n".join(lines[i : i + rows]).encode()
        yield decode([Message(body, "test", 1)]).frame


class Fleet:
    """What a reader of records and zone events knows: newest records, zones with entry times."""

    def __init__(self):
        self.newest, self.told, self.inside = {}, {}, {}

    def read(self, frame, told):
        """Take in a frame and what was told of it; the ids of the vehicles that moved on."""
        moved = set()
        for record in map(frame.record, range(len(frame))):
            name = record["vehicle_id"]
            if name not in self.newest or record["timestamp"] >= self.newest[name]["timestamp"]:
                self.newest[name] = record
                moved.add(name)
        for event in (one.event for one in told if one.topic == GEOFENCING_EVENTS):
            self.told[event.event_id] = event
        # The latest version of each event counts, unless it was retracted.
        self.inside = {name: {} for name in self.newest}
        stood = [event for event in self.told.values() if not event.retracted]
        left = {event.data["visit_id"] for event in stood if event.type == ZONE_EXITED}
        for event in stood:
            if event.type == ZONE_ENTERED and event.data["visit_id"] not in left:
                self.inside[event.vehicle_id][event.data["zone_id"]] = event.time_us
        return {name: (self.newest[name], self.inside.get(name, {})) for name in moved}


def by_vehicle(states):
    """Vehicle id -> its record and its zones with entry times."""
    found = {}
    for row in range(len(states.frame)):
        record = states.frame.record(row)
        stays = zip(states.row, states.zone_id, states.entered_us, strict=True)
        found[record["vehicle_id"]] = record, {zone: time for at, zone, time in stays if at == row}
    return found


@pytest.mark.parametrize("rows", [1, 30, 700])
def test_states_follow_the_records_in_order_and_the_zone_events(registry, rows):
    advance = telling(partial(group.advance, group.Policy(), registry), LIVE_TOPICS)
    kept, fleet = {}, Fleet()
    assessor = Assessor(registry, Limits(), KeyGroups(3))
    for frame in frames(late_telemetry()[: 40 * rows], rows):
        for seen in assessor.assess(frame):
            kept[seen.key], told = advance(kept.get(seen.key, group.GroupState()), seen)
            [states] = [one.event.data["states"] for one in told if one.topic == VEHICLE_STATES]
            assert by_vehicle(states) == fleet.read(seen.frame, told)
    assert any(fleet.inside.values())


def test_counts_are_told_with_the_newest_time_of_the_group(registry):
    policy = group.Policy(lateness_us=0)
    advance = telling(partial(group.advance, policy, registry), {PIPELINE})
    states, last = {}, {}
    assessor = Assessor(registry, Limits(), KeyGroups(2))
    for frame in frames(late_telemetry(), 200):
        for seen in assessor.assess(frame):
            states[seen.key], told = advance(states.get(seen.key, group.GroupState()), seen)
            assert not [one for one in told if one.topic == VEHICLE_STATES]
            [last[seen.key]] = [one.event for one in told if one.topic == PIPELINE]
    lines = [json.loads(line) for line in late_telemetry()]
    good = [one for one in lines if one.get("latitude", 0) < 90]
    assert sum(event.data["records"] for event in last.values()) == len(good)
    assert sum(event.data["late"] for event in last.values()) > 20
    assert max(event.time_us for event in last.values()) == round(
        max(one["timestamp"] for one in good) * 1e6
    )


def test_what_nobody_wants_costs_nothing(registry):
    advance = partial(group.advance, group.Policy(), registry)
    assert telling(advance, frozenset()) is advance


def test_zones_of_which_nobody_knows_are_told_as_unknown(registry):
    advance = telling(partial(group.advance, group.Policy(), registry), LIVE_TOPICS)
    # z1 has a band of depths; a record without a depth may be in it.
    records = [{"vehicle_id": "a", "timestamp": T0, "latitude": 4.0, "longitude": 4.0}]
    records.append(records[0] | {"timestamp": T0 + 10, "depth_m": 200.0})
    records.append(records[0] | {"timestamp": T0 + 20})
    records.append(records[0] | {"timestamp": T0 + 30, "depth_m": 50.0})
    state, said = group.GroupState(), []
    assessor = Assessor(registry, Limits(), KeyGroups(1))
    for frame in frames([json.dumps(record) for record in records], 1):
        [seen] = assessor.assess(frame)
        state, told = advance(state, seen)
        [states] = [one.event.data["states"] for one in told if one.topic == VEHICLE_STATES]
        said.append((states.zone_id, [zone for _, zone in states.unknown]))
    assert said == [([], ["z1"]), (["z1"], []), (["z1"], ["z1"]), ([], [])]


def test_after_a_gap_it_is_unknown_whether_a_vehicle_is_still_there_until_a_fix_tells(registry):
    policy = group.Policy(limits=Limits.of({"auv": 100.0}, {}))
    advance = telling(partial(group.advance, policy, registry), LIVE_TOPICS)
    inside = {"vehicle_id": "a", "latitude": 1.0, "longitude": 1.0, "depth_m": 10.0}
    nowhere = {"vehicle_id": "a"}
    # In z0, then in the band of z1; its depth is not told any more, and then not even its place.
    records = [
        inside | {"timestamp": T0},
        inside | {"timestamp": T0 + 50, "latitude": 3.5, "longitude": 3.5, "depth_m": 200.0},
        {"vehicle_id": "a", "timestamp": T0 + 60, "latitude": 3.5, "longitude": 3.5},
        nowhere | {"timestamp": T0 + 70},
        {"vehicle_id": "a", "timestamp": T0 + 500, "latitude": 3.5, "longitude": 3.5},
        nowhere | {"timestamp": T0 + 510},
        inside | {"timestamp": T0 + 520},
    ]
    state, said = group.GroupState(), []
    assessor = Assessor(registry, policy.limits, KeyGroups(1))
    for frame in frames([json.dumps(record) for record in records], 1):
        [seen] = assessor.assess(frame)
        state, told = advance(state, seen)
        [states] = [one.event.data["states"] for one in told if one.topic == VEHICLE_STATES]
        said.append((states.zone_id, [zone for _, zone in states.unknown]))
    known = [(["z0"], []), (["z1"], [])]
    assert said == [*known, *[(["z1"], ["z1"])] * 4, (["z0"], [])]
