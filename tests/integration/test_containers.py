"""Servers as containers, with a stand-in for Docker that runs what the container would."""

import os
import stat
from pathlib import Path

import pytest
import yaml
from redis import Redis, RedisError

from scripts.servers import SERVERS
from scripts.servers.containers import COMPOSE, Container, engine_runs
from scripts.servers.errors import ServerError
from scripts.servers.processes import find_program
from scripts.servers.redis import RedisServer

# `up` becomes the server itself, on the port and in place of the container's.
STAND_IN = """#!/bin/sh
echo "$*" >> "{calls}"
case "$*" in
    info|"compose version") exit {engine} ;;
    *" up "*) exec redis-server --bind 127.0.0.1 --port "$REDIS" --dir "{data}" --appendonly yes ;;
    *" kill "*) pkill -9 -f "redis-server 127.0.0.1:$REDIS" ;;
    *" rm "*) [ -e "{data}" ] || { echo no such service >&2; exit 1; } ;;
esac
"""


@pytest.fixture
def docker(tmp_path, monkeypatch):
    """Puts a stand-in first on the search path; returns the file of what it was asked."""
    if find_program("redis-server") is None:
        pytest.skip("no redis-server: install redis-server")
    programs, data, calls = tmp_path / "bin", tmp_path / "data", tmp_path / "calls"
    programs.mkdir()
    data.mkdir()
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    program = programs / "docker"

    def install(engine: int) -> Path:
        text = STAND_IN.replace("{calls}", str(calls)).replace("{data}", str(data))
        program.write_text(text.replace("{engine}", str(engine)))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        return calls

    engine_runs.cache_clear()
    yield install
    engine_runs.cache_clear()


@pytest.mark.parametrize(("engine", "runs"), [(0, True), (1, False)])
def test_an_engine_counts_only_where_it_answers(docker, engine, runs):
    docker(engine)
    assert engine_runs() is runs


def test_a_container_starts_is_killed_keeps_what_it_stored_and_stops(docker, tmp_path):
    calls = docker(0)
    server = Container(RedisServer(tmp_path / "services"))
    try:
        assert server.start(patience_s=30)
        assert not server.start(patience_s=30)
        with Redis.from_url(server.url) as client:
            client.set("a", "1")
        server.kill()
        assert not server.ready()
        assert server.start(patience_s=30)
        with Redis.from_url(server.url) as client:
            assert client.get("a") == b"1"
    finally:
        server.stop()
    with Redis.from_url(server.url) as client, pytest.raises(RedisError):
        client.ping()
    server.delete()
    asked = calls.read_text().splitlines()
    common = f"compose -p {server.project} -f {COMPOSE}"
    assert asked == [
        f"{common} up --no-color redis",
        f"{common} kill -s SIGKILL redis",
        f"{common} up --no-color redis",
        f"{common} rm -s -f -v redis",
        f"volume rm -f {server.project}_redis",
    ]


def test_what_compose_says_is_told(docker, tmp_path):
    docker(0)
    (tmp_path / "data").rmdir()
    with pytest.raises(ServerError, match="redis: `docker compose rm` failed: no such service"):
        Container(RedisServer(tmp_path / "services")).delete()


def test_every_server_has_an_image_with_the_ports_that_clients_use():
    services = yaml.safe_load(COMPOSE.read_text())["services"]
    assert services.keys() == SERVERS.keys()
    for name, server in SERVERS.items():
        first = next(iter(server.preferred_ports)).upper()
        assert services[name]["ports"][0].startswith(f"127.0.0.1:${{{first}:?}}:")
        assert ":" in services[name]["image"]
        assert services[name]["volumes"][0].startswith(f"{name}:")
