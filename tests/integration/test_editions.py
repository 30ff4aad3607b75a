"""Zones and rules that change while a flow runs: taken whole, or refused and told."""

import json
import os
import threading
import time
from contextlib import closing
from urllib.parse import urlsplit

import psycopg
import pytest
import redis

from connectors import backoff
from connectors.contract import ConnectorError, ConnectorSettings, SettingsError, UnavailableError
from connectors.documents import open_definitions
from connectors.listener import THREAD
from flows.definitions import Definitions, bodies
from flows.settings import Settings
from flows.steps import editions as step
from flows.steps.editions import Editions
from flows.steps.registry import load_registry
from flows.wiring import keep_registry, wire
from tests.databases import empty_database
from tests.tcp_proxy import TcpProxy
from tests.watching import ZONES, telemetry, write_inputs


@pytest.fixture
def urls(tmp_path):
    write_inputs(tmp_path, [])
    return f"file:{tmp_path}/zones.geojson", f"file:{tmp_path}/rules.yaml"


@pytest.fixture
def taken():
    return []


@pytest.fixture
def following(urls, taken):
    """Looks at every call: any time is long enough ago."""
    return Editions(load_registry(*urls), urls, every_s=1e-9, on_change=taken.append)


def change(folder, edit):
    zones = json.loads(json.dumps(ZONES))
    edit(zones["features"])
    path = folder / "zones.geojson"
    path.write_text(json.dumps(zones))
    # Two changes within one tick of the file system's clock differ all the same.
    os.utime(path, ns=(path.stat().st_mtime_ns + 1_000_000,) * 2)


def test_a_changed_file_is_taken_and_told_once(following, taken, tmp_path):
    first = following.newest()
    assert following.newest() is first

    def add(features):
        features.append({**features[0], "id": "new"})

    change(tmp_path, add)
    second = following.newest()
    assert second.fences.zones[-1].id == "new"
    assert following.newest() is second
    assert taken == [second]
    assert following.at_least(first.fingerprint) is second


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda f: f.pop(0), "zone `z0` version 1 is gone; end it with `effective_to`"),
        (
            lambda f: f[0]["properties"].update(max_depth_m=7),
            "zone `z0` version 1 says something else than before",
        ),
        (
            lambda f: f[0]["geometry"]["coordinates"][0].reverse() or f[0].update(id=""),
            "`id` has 0 characters",
        ),
        (lambda f: f[0]["geometry"]["coordinates"][0].pop(), "not closed"),
    ],
)
def test_a_mistake_leaves_all_as_it_was_and_is_told_once(following, taken, tmp_path, capfd, edit,
                                                         says):  # fmt: skip
    first = following.newest()
    change(tmp_path, edit)
    for _ in range(3):
        assert following.newest() is first
    said = capfd.readouterr().err
    assert said.count("\n") == 1
    assert "zones and rules stay as they were" in said
    assert says in said
    change(tmp_path, lambda f: f[0]["properties"].update(effective_to="2030-01-01T00:00:00Z"))
    assert following.newest().fences.zones[0].effective_to is not None
    assert len(taken) == 1


def test_a_flow_that_does_not_look_keeps_what_it_has(urls, tmp_path):
    editions = Editions(load_registry(*urls), urls, every_s=0)
    change(tmp_path, lambda f: f.append({**f[0], "id": "new"}))
    assert len(editions.newest().fences.zones) == len(ZONES["features"])


def test_what_another_process_has_is_waited_for(urls, tmp_path, monkeypatch):
    editions = Editions(load_registry(*urls), urls, every_s=3_600)
    change(tmp_path, lambda f: f.append({**f[0], "id": "new"}))
    other = load_registry(*urls).fingerprint
    assert editions.at_least(other).fingerprint == other
    monkeypatch.setattr(step, "PATIENCE_S", 0.0)
    with pytest.raises(ConnectorError, match="other zones or rules"):
        editions.at_least("of nobody")


def test_what_a_store_refuses_is_not_taken(urls, tmp_path, capfd):
    def refuse(registry):
        raise SettingsError("kept with other content")

    editions = Editions(load_registry(*urls), urls, every_s=1e-9, on_change=refuse)
    first = editions.newest()
    change(tmp_path, lambda f: f.append({**f[0], "id": "new"}))
    assert editions.newest() is editions.newest() is first
    said = capfd.readouterr().err
    assert said.count("\n") == 1
    assert "zones and rules stay as they were: kept with other content" in said


# --- a results store that is away when zones change ------------------------------------------


@pytest.fixture(params=["postgresql", "redis"])
def store(request):
    """(URL of an empty store, what tells the ids of the zones that it keeps)."""
    server = request.getfixturevalue(f"{request.param}_url")
    if request.param == "redis":
        url = f"redis://{urlsplit(server).netloc}/10"
        with closing(redis.Redis.from_url(url, decode_responses=True)) as client:
            client.flushdb()
            yield url, lambda: set(client.hkeys("zones:all"))
            client.flushdb()
        return
    with empty_database(server) as url, psycopg.connect(url, autocommit=True) as connection:
        yield url, lambda: {id_ for (id_,) in connection.execute("SELECT id FROM zones")}


@pytest.fixture
def proxy(store):
    there = urlsplit(store[0])
    with TcpProxy(there.hostname, there.port) as proxy:
        yield proxy


@pytest.fixture
def patience_s():
    return 30.0


@pytest.fixture
def wiring(store, proxy, tmp_path, urls, patience_s, monkeypatch):
    """A watch that looks at every call, with results in the store, behind the proxy."""
    (tmp_path / "telemetry.ndjson").write_text("\n".join(telemetry(20)))
    (tmp_path / "recovery").mkdir()
    there = urlsplit(store[0])
    login = f"{there.netloc.rpartition('@')[0]}@" if "@" in there.netloc else ""
    connector = ConnectorSettings(patience_s=patience_s)
    monkeypatch.setattr(Settings, "connector", lambda self: connector)
    settings = Settings.load(
        telemetry=f"file:{tmp_path}/telemetry.ndjson",
        zones=urls[0],
        rules=urls[1],
        results=[there._replace(netloc=f"{login}127.0.0.1:{proxy.port}").geturl()],
        recovery=tmp_path / "recovery",
        registry_poll_s=1e-9,
    )
    wiring = wire(settings)
    keep_registry(wiring.registry, wiring.sinks.values())
    return wiring


def test_a_change_while_a_store_is_away_is_taken_and_kept_when_it_is_back(
    wiring, store, proxy, tmp_path, monkeypatch
):
    waits = []

    def wait(target, why, waited_s):
        waits.append(target)
        if len(waits) == 2:
            proxy.bring_back()

    monkeypatch.setattr(backoff, "note_waiting", wait)
    _, kept = store
    editions = wiring.judged_by()
    assert kept() == {"z0", "z1", "z2", "z3"}
    change(tmp_path, lambda f: f.append({**f[0], "id": "new"}))
    proxy.take_away()
    changed = editions.newest()
    assert [zone.id for zone in changed.fences.zones][-1] == "new"
    assert len(waits) == 2
    assert kept() == {"z0", "z1", "z2", "z3", "new"}
    noted = Definitions(tmp_path / "recovery").edition(changed.fingerprint)
    assert noted is not None
    assert noted.contents() == changed.contents()


@pytest.mark.parametrize("patience_s", [0.01])
def test_a_store_that_stays_away_ends_the_flow_before_anything_is_judged_by_the_change(
    wiring, proxy, tmp_path
):
    editions = wiring.judged_by()
    first = editions.newest()
    change(tmp_path, lambda f: f.append({**f[0], "id": "new"}))
    proxy.take_away()
    with pytest.raises(UnavailableError):
        editions.newest()
    assert editions.registry is first
    assert not (tmp_path / "recovery" / "definitions.json").exists()


# --- a registry that tells of changes --------------------------------------------------------


@pytest.fixture
def registry_store(postgresql_url, urls):
    """An empty database that holds the zones and rules."""
    with empty_database(postgresql_url) as url:
        store = open_definitions(url)
        store.keep(bodies(load_registry(*urls)), "put")
        yield store, url


def listening():
    return [thread for thread in threading.enumerate() if thread.name == THREAD]


def comes_to_hold(editions, name, within_s=20):
    """Whether a zone of that name is taken, long before the next look that is due."""
    ends_s = time.monotonic() + within_s
    while time.monotonic() < ends_s:
        if any(zone.id == name for zone in editions.newest().fences.zones):
            return True
        threading.Event().wait(0.02)
    return False


def put(store, tmp_path, name):
    change(tmp_path, lambda f: f.append({**f[0], "id": name}))
    registry = load_registry(f"file:{tmp_path}/zones.geojson", "")
    store.keep({"zones": bodies(registry)["zones"]}, "put")


def test_what_postgresql_tells_of_is_taken_at_once_also_after_a_lost_connection(
    registry_store, tmp_path
):
    store, url = registry_store
    editions = Editions(load_registry(url, url), (url, url), every_s=3600)
    assert not listening()
    put(store, tmp_path, "before-it-listens")
    assert comes_to_hold(editions, "before-it-listens")
    [thread] = listening()
    put(store, tmp_path, "told")
    assert comes_to_hold(editions, "told")
    with psycopg.connect(url, autocommit=True) as connection:
        [(lost,)] = connection.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert lost == 1
    put(store, tmp_path, "missed")
    assert comes_to_hold(editions, "missed")
    assert listening() == [thread]
    del editions
    thread.join(20)
    assert not thread.is_alive()
