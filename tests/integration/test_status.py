"""`farwatch status`: the same answers from every store that keeps the states of vehicles."""

import json
from contextlib import closing
from urllib.parse import urlsplit

import pytest
import redis

from connectors.contract import ConnectorSettings
from connectors.registry import open_sink
from connectors.states import StateStore
from schemas.live import VehicleStates, states_delivery
from tests.databases import empty_database
from tests.frames import frame_of
from tests.watching import command, environment, run, telemetry, write_inputs

T0 = 1_767_225_600


@pytest.fixture
def sqlite(tmp_path):
    return f"sqlite:{tmp_path}/out/results.db"


@pytest.fixture
def postgresql(postgresql_url):
    with empty_database(postgresql_url) as url:
        yield url


@pytest.fixture
def in_redis(redis_url):
    url = f"redis://{urlsplit(redis_url).netloc}/7"
    with closing(redis.Redis.from_url(url)) as client:
        client.flushdb()
        yield url
        client.flushdb()


@pytest.fixture(params=["sqlite", "postgresql", "in_redis"])
def store(request):
    return request.getfixturevalue(request.param)


def told(*records, zones=(), unknown=()):
    """A delivery of states; ``zones``: (row, zone id, entered, s), ``unknown``: (row, zone id)."""
    row, zone_id, entered = ([each[i] for each in zones] for i in range(3))
    entered_us = [(T0 + at) * 1_000_000 for at in entered]
    states = VehicleStates(frame_of(list(records)), row, zone_id, entered_us, list(unknown))
    return states_delivery("group-0000", states)


def tell(url, *deliveries):
    sink = open_sink(url, ConnectorSettings()).build("/farwatch/test")
    with closing(sink.build_part("to_0", sink.list_parts()[0], None)) as part:
        part.write_batch(list(deliveries))
        part.snapshot()


def auv(at, name="a", **fields):
    return {"vehicle_id": name, "time_s": T0 + at, "latitude": 1.5, "longitude": 2.5} | fields


def states(url, vehicle_id=None):
    kept = open_sink(url, ConnectorSettings())
    assert isinstance(kept, StateStore)
    return list(kept.states(vehicle_id))


def test_a_state_comes_back_as_it_was_told(store):
    tell(
        store,
        told(
            auv(0, depth_m=10.0, status="diving"),
            auv(1, "b:1", kind="rover", body="mars"),
            zones=[(0, "z 2", -60), (0, "é", -30)],
            unknown=[(0, "é"), (1, "m")],
        ),
    )
    a, b = states(store)
    assert (a.vehicle_id, a.kind, a.time) == ("a", "auv", "2026-01-01T00:00:00.000000Z")
    assert a.record["depth_m"] == 10.0
    assert a.record["status"] == "diving"
    assert a.zones == {"z 2": "2025-12-31T23:59:00.000000Z", "é": "2025-12-31T23:59:30.000000Z"}
    assert a.unknown == ("é",)
    assert (b.vehicle_id, b.kind, b.zones, b.unknown) == ("b:1", "rover", {}, ("m",))
    assert states(store, "b:1") == [b]
    assert states(store, "c") == []


def test_the_newest_state_stays_whatever_comes_when(store):
    tell(store, told(auv(10, depth_m=1.0), zones=[(0, "z", 0)]))
    tell(store, told(auv(5, depth_m=2.0)), told(auv(20, depth_m=3.0)), told(auv(15, depth_m=4.0)))
    [state] = states(store)
    assert (state.record["depth_m"], state.zones) == (3.0, {})
    tell(store, told(auv(19, depth_m=5.0)))
    assert states(store) == [state]
    tell(store, told(auv(20, depth_m=6.0)))
    [again] = states(store)
    assert again.record["depth_m"] == 6.0


def test_a_flow_tells_it_and_the_command_shows_it(store, tmp_path):
    write_inputs(tmp_path, telemetry(2_000))
    out = tmp_path / "topics"
    settings = environment(tmp_path, out, results=f"dir:{out} {store}")
    assert run(command("watch", "--quiet"), settings).returncode == 0
    present, newest = {}, {}
    for line in (out / "geofencing_events.ndjson").read_text().splitlines():
        event = json.loads(line)
        data = event["data"]
        if event["type"] == "farwatch.zone.entered.v1":
            present[data["visit_id"]] = (data["vehicle_id"], data["zone_id"], data["time"])
        elif event["type"] == "farwatch.zone.exited.v1":
            del present[data["visit_id"]]
    for record in map(json.loads, (tmp_path / "telemetry.ndjson").read_text().splitlines()):
        if record.get("latitude") != 95.0:
            newest[record["vehicle_id"]] = record
    shown = run(command("status", "--from", store, "--json"), settings)
    assert shown.returncode == 0
    documents = [json.loads(line) for line in shown.stdout.splitlines()]
    assert [each["vehicle_id"] for each in documents] == sorted(newest)
    assert {
        (each["vehicle_id"], zone, since)
        for each in documents
        for zone, since in each["zones"].items()
    } == set(present.values())
    for each in documents:
        assert each["record"].get("speed_mps") == newest[each["vehicle_id"]]["speed_mps"]
    # Where the settings name a store, nothing need be given; a zone leaves those that are in it.
    vehicle, zone, since = min(present.values())
    table = run(command("status", "--zone", zone), settings).stdout
    assert f"{zone} since {since[:19]}Z" in table
    assert vehicle in table
    within = {v for v, z, _ in present.values() if z == zone}
    maybe = {each["vehicle_id"] for each in documents if zone in each["unknown"]}
    assert len(table.splitlines()) == 1 + len(within | maybe)
    [head, line] = run(command("status", vehicle), settings).stdout.splitlines()
    assert head.split()[:4] == ["vehicle", "kind", "body", "time"]
    assert line.startswith(vehicle)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--from", "dir:out"), "`dir:out`: keeps no states of vehicles; use one of"),
        ((), "no results that keep states of vehicles; give --from"),
        (("--from", "sqlite:nowhere/none.db"), "no such file"),
    ],
)
def test_what_cannot_answer_is_told_in_one_line(words, told, tmp_path):
    settings = environment(tmp_path, tmp_path / "out", results=f"dir:{tmp_path}/out")
    ended = run(command("status", *words), settings)
    assert ended.returncode == 2
    assert told in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_vehicle_that_nobody_knows_is_told(sqlite, tmp_path):
    tell(sqlite, told(auv(0)))
    ended = run(command("status", "b", "--from", sqlite), environment(tmp_path, tmp_path))
    assert (ended.returncode, ended.stderr.count("knows no vehicle `b`")) == (2, 1)
