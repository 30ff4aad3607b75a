"""Redis: the newest state of each vehicle, never put back by older data."""

import json
from contextlib import closing
from threading import Thread
from urllib.parse import urlsplit

import pytest
import redis
from bytewax.outputs import StatefulSinkPartition
from prometheus_client import REGISTRY

from connectors.contract import (
    ConnectorSettings,
    Definition,
    RefusedError,
    SettingsError,
    UnavailableError,
)
from connectors.redis import RedisSink
from connectors.redis.keys import EXPIRES_S
from connectors.redis.server import is_transient
from connectors.registry import open_sink
from schemas.frame import rfc3339
from schemas.live import VehicleStates, states_delivery
from tests.frames import frame_of
from tests.kills import wait_until
from tests.redis_tls import tls_redis
from tests.services import service_control
from tests.watching import command, environment, read_topics, run, telemetry, write_inputs

T0 = 1_767_225_600


@pytest.fixture
def url(redis_url):
    """A database of its own, empty."""
    url = f"redis://{urlsplit(redis_url).netloc}/9"
    with closing(redis.Redis.from_url(url)) as client:
        client.flushdb()
        yield url
        client.flushdb()


@pytest.fixture
def client(url):
    with closing(redis.Redis.from_url(url, decode_responses=True)) as client:
        yield client


def states(*rows):
    """A delivery of states; ``zones`` of a row are zone ids with entry times in s."""
    frame = frame_of([{k: v for k, v in row.items() if k != "zones"} for row in rows])
    stays = [
        (i, zone, T0 * 1_000_000 + entered * 1_000_000)
        for i, row in enumerate(rows)
        for zone, entered in row.get("zones", {}).items()
    ]
    columns = ([stay[i] for stay in stays] for i in range(3))
    return states_delivery("group-0000", VehicleStates(frame, *columns))


def state(vehicle_id, at, **more):
    return {"vehicle_id": vehicle_id, "time_s": T0 + at, "longitude": float(at), **more}


def partition(url, **settings) -> StatefulSinkPartition:
    sink = open_sink(url, ConnectorSettings(**settings)).build("/farwatch/test")
    return sink.build_part("to_0", sink.list_parts()[0], None)


def tell(url, *deliveries):
    with closing(partition(url)) as part:
        part.write_batch(list(deliveries))
        part.snapshot()


def everything(client):
    """Key -> value, of all keys."""
    return {
        key: client.hgetall(key) if client.type(key) == "hash" else client.get(key)
        for key in client.scan_iter()
    }


def time(at):
    return rfc3339((T0 + at) * 1_000_000)


def test_a_vehicle_is_a_hash_and_a_key_for_each_zone(url, client):
    tell(url, states(state("auv-1", 5, status="diving", zones={"apei-3": 1, "b:c": 4})))
    assert everything(client) == {
        "auv:state:auv-1": {
            "record": client.hget("auv:state:auv-1", "record"),
            "zones": '["apei-3","b:c"]',
            "unknown": "[]",
            "status": "diving",
            "last_update": time(5),
        },
        "auv:zone:auv-1:apei-3": time(1),
        "auv:zone:auv-1:b:c": time(4),
    }
    assert json.loads(client.hget("auv:state:auv-1", "record")) == {
        "vehicle_id": "auv-1",
        "timestamp": time(5),
        "kind": "auv",
        "body": "earth",
        "longitude": 5.0,
        "status": "diving",
    }


def test_who_is_in_a_zone_now_is_read_from_the_zone_keys(url, client):
    tell(
        url,
        states(state("a", 1, zones={"z": 0}), state("b", 1, zones={"y": 0})),
        states(state("c", 1, kind="rover", zones={"y": 0, "z": 1})),
    )
    assert sorted(client.scan_iter("*:zone:*:z")) == ["auv:zone:a:z", "rover:zone:c:z"]
    tell(url, states(state("a", 2)), states(state("b", 3, zones={"y": 0, "z": 3})))
    assert sorted(client.scan_iter("*:zone:*:z")) == ["auv:zone:b:z", "rover:zone:c:z"]


def test_everything_of_a_vehicle_expires_an_hour_after_its_last_record(url, client):
    tell(url, states(state("a", 1, zones={"z": 0})))
    for key in everything(client):
        client.expire(key, 10)
    tell(url, states(state("a", 2, zones={"z": 0})))
    assert all(EXPIRES_S - 5 < client.ttl(key) <= EXPIRES_S for key in everything(client))


def test_a_status_that_is_no_longer_told_is_gone(url, client):
    tell(url, states(state("a", 1, status="ok")))
    tell(url, states(state("a", 2)))
    assert client.hget("auv:state:a", "status") is None


def test_older_data_never_puts_back_newer(url, client):
    tell(url, states(state("a", 9, status="new", zones={"z": 8})))
    kept = everything(client)
    tell(url, states(state("a", 8, status="old", zones={"y": 1})))
    tell(url, states(state("a", 1)))
    assert everything(client) == kept


def test_the_newest_of_an_epoch_wins_whatever_the_order(url, client):
    tell(url, states(state("a", 3)), states(state("a", 7, zones={"z": 7})), states(state("a", 5)))
    assert client.hget("auv:state:a", "last_update") == time(7)
    assert client.get("auv:zone:a:z") == time(7)


def test_a_replay_leaves_what_it_left_the_first_time(url, client):
    told = [states(state("a", at, zones={"y": 2} if at % 3 else {})) for at in range(10)]
    for one in told:
        tell(url, one)
    kept = everything(client)
    for one in told[3:]:
        tell(url, one)
        assert everything(client) == kept


def zone(name, version, begins=None, ends=None):
    """A version of a zone; times in s from ``T0`` on."""
    begins_us, ends_us = (None if at is None else (T0 + at) * 1_000_000 for at in (begins, ends))
    return Definition(
        id=name,
        version=version,
        body={"properties": {"version": version}},
        effective_from_us=begins_us,
        effective_to_us=ends_us,
    )


def cached(client):
    """Zone id -> cached version."""
    found = client.hgetall("zones:all")
    return {name: json.loads(body)["properties"]["version"] for name, body in found.items()}


@pytest.fixture
def part_of():
    """Opens the one partition of a sink; closed after the test."""
    opened = []

    def open_part(sink):
        built = sink.build("/farwatch/test")
        opened.append(built.build_part("to_0", built.list_parts()[0], None))
        return opened[-1]

    yield open_part
    for each in opened:
        each.close()


def test_zones_are_cached_as_they_are_in_force_at_the_newest_event_time(url, client, part_of):
    sink = RedisSink(url, ConnectorSettings())
    sink.write_registry([zone("z", 2, begins=50), zone("z", 1, ends=50), zone("y", 7)], [])
    assert cached(client) == {"z": 1, "y": 7}, "what begins later does not hide what is in force"
    part = part_of(sink)
    for at, version in ((40, 1), (49, 1), (50, 2), (45, 2)):
        part.write_batch([states(state("auv-1", at))])
        part.snapshot()
        assert cached(client) == {"z": version, "y": 7}

    replay = RedisSink(url, ConnectorSettings())
    replay.write_registry([zone("z", 1, ends=50), zone("z", 2, begins=50), zone("y", 7)], [])
    part = part_of(replay)
    part.write_batch([states(state("auv-1", 40))])
    part.snapshot()
    assert cached(client)["z"] == 2, "a replay puts nothing older back"


def test_zones_that_are_gone_or_ended_leave_the_cache_also_while_the_flow_runs(
    url, client, part_of
):
    sink = RedisSink(url, ConnectorSettings())
    sink.write_registry([zone("a", 1), zone("b", 1), zone("c", 1)], [])
    part = part_of(sink)
    part.write_batch([states(state("auv-1", 10))])
    part.snapshot()
    sink.write_registry([zone("a", 1), zone("b", 1, ends=20), zone("d", 1, begins=10)], [])
    assert cached(client) == {"a": 1, "b": 1, "d": 1}
    part.write_batch([states(state("auv-1", 20))])
    part.snapshot()
    assert cached(client) == {"a": 1, "d": 1}
    sink.write_registry([], [])
    assert cached(client) == {"a": 1, "d": 1}, "a flow without zones says nothing about them"


@pytest.mark.parametrize("recovery", [False, True])
def test_the_watch_leaves_who_is_where_as_its_zone_events_say(url, client, tmp_path, recovery):
    write_inputs(tmp_path / "in", telemetry(4000))
    more = {"recovery": tmp_path / "recovery"} if recovery else {}
    env = environment(
        tmp_path / "in", tmp_path / "out", results=f"dir:{tmp_path}/out/topics {url}", **more
    )
    done = run(command("watch", "--quiet"), env)
    assert done.returncode == 0, done.stderr
    inside = {}
    for event in read_topics(tmp_path / "out/topics", ["geofencing_events"]).values():
        key = f"vehicle:zone:{event['subject']}:{event['data']['zone_id']}"
        inside.setdefault(key, []).append((event["time"], "exited" in event["type"]))
    expected = {key: max(told)[0] for key, told in inside.items() if not max(told)[1]}
    found = everything(client)
    assert {key: value for key, value in found.items() if ":zone:" in key} == expected
    assert len([key for key in found if ":state:" in key]) == 20
    assert sorted(found["zones:all"]) == ["z0", "z1", "z2", "z3"]


def test_a_server_away_for_a_while_is_waited_for(redis_url):
    server = service_control("redis")
    assert server.url == redis_url
    part = partition(redis_url, timeout_s=1.0)
    part.write_batch([states(state("away", 1))])
    server.kill9()
    writing = Thread(target=part.snapshot)
    writing.start()
    writing.join(2.5)
    assert writing.is_alive()
    server.start()
    writing.join(15)
    assert not writing.is_alive()
    part.write_batch([states(state("away", 2))])
    part.snapshot()
    part.close()
    with closing(redis.Redis.from_url(redis_url, decode_responses=True)) as client:
        assert client.hget("auv:state:away", "last_update") == time(2)
        client.delete("auv:state:away")


def test_patience_ends(unused_tcp_ports):
    part = partition(f"redis://127.0.0.1:{unused_tcp_ports[0]}/0", timeout_s=0.2, patience_s=0.3)
    part.write_batch([states(state("a", 1))])
    with pytest.raises(UnavailableError, match=r"does not answer .*; start it or check"):
        part.snapshot()


def test_a_full_server_is_a_state_that_passes(url, client):
    used = client.info("memory")["used_memory"]
    with closing(partition(url, timeout_s=1.0, patience_s=20.0)) as part:
        part.write_batch([states(state("a", 1))])
        client.config_set("maxmemory", max(used // 2, 1))
        writing = Thread(target=part.snapshot)
        try:
            writing.start()
            assert wait_until(lambda: shown(url, "full"), 10)
            assert writing.is_alive()
        finally:
            client.config_set("maxmemory", 0)
        writing.join(15)
    assert shown(url, "up")
    assert not shown(url, "full")
    assert client.exists("auv:state:a")


def shown(url: str, state: str) -> bool:
    """Whether the metrics show the server in this state."""
    labels = {"target": url, "state": state}
    return REGISTRY.get_sample_value("farwatch_far_side_state", labels) == 1


def test_the_states_of_an_epoch_share_their_round_trips(url, client):
    # The server reads what has come at once: a read for each of these had each waited for the last.
    reads = "total_reads_processed"
    before = client.info("stats")[reads]
    tell(url, states(*(state(f"auv-{n}", n) for n in range(2_000))))
    assert client.info("stats")[reads] - before < 500
    assert client.exists("auv:state:auv-1999")


@pytest.fixture
def guarded(url, client, tmp_path, monkeypatch):
    """A user who may do everything, with a password that holds the characters of URLs."""
    client.execute_command("ACL", "SETUSER", "watch", "on", ">p@ss:/word", "~*", "&*", "+@all")
    yield url.replace("redis://", "redis://watch@")
    client.execute_command("ACL", "DELUSER", "watch")


def test_a_password_comes_from_the_environment_or_a_file(guarded, tmp_path, monkeypatch):
    sink = lambda: RedisSink(guarded, ConnectorSettings())  # noqa: E731
    with pytest.raises(SettingsError, match="check user, password"):
        sink().check()
    monkeypatch.setenv("FARWATCH_REDIS_PASSWORD", "p@ss:/word")
    sink().check()
    monkeypatch.delenv("FARWATCH_REDIS_PASSWORD")
    (tmp_path / "secret").write_text("p@ss:/word\n")
    monkeypatch.setenv("FARWATCH_REDIS_PASSWORD_FILE", str(tmp_path / "secret"))
    sink().check()


def test_a_wrong_password_is_refused_at_once_and_not_shown(guarded):
    wrong = guarded.replace("watch@", "watch:guess@")
    with pytest.raises(SettingsError, match="refuses") as refused:
        RedisSink(wrong, ConnectorSettings()).check()
    assert "guess" not in str(refused.value)
    part = partition(wrong)
    part.write_batch([states(state("a", 1))])
    with pytest.raises(RefusedError, match="check user, password and rights"):
        part.snapshot()


def test_transient_is_what_may_pass():
    away = redis.exceptions.ConnectionError(), redis.exceptions.TimeoutError()
    passing = redis.exceptions.OutOfMemoryError(), redis.exceptions.ReadOnlyError()
    for_ever = redis.exceptions.AuthenticationError(), redis.exceptions.ResponseError()
    assert all(map(is_transient, (*away, *passing, redis.exceptions.BusyLoadingError())))
    assert not any(map(is_transient, for_ever))


@pytest.mark.usefixtures("redis_url")
def test_tls_with_an_authority_of_ones_own(tmp_path):
    with tls_redis(tmp_path) as (url, pem):
        trusting = f"{url}?ssl_ca_certs={pem}"
        tell(trusting, states(state("a", 1)))
        with closing(redis.Redis.from_url(trusting)) as client:
            assert client.exists("auv:state:a")
        with pytest.raises(UnavailableError, match=r"(?i)certificate"):
            RedisSink(url, ConnectorSettings()).check()
