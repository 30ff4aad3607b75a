"""Fixtures of real servers, and how an outage test takes one away.

A fixture gives the address of a server: ``FARWATCH_TEST_<NAME>`` where it is set, else the one
that `scripts/services up` started; where there is none the test is skipped with the reason.
"""

import os
import signal
from collections.abc import Iterator

import pytest

from scripts.servers import SERVERS
from scripts.servers.contract import Server

_VARIABLE = "FARWATCH_TEST_{}"
_controlled: set[str] = set()


class ServiceControl:
    """Takes one of our own servers away and brings it back; what is away is back after the test."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.url = server.url

    def kill9(self) -> None:
        """End all its processes at once; what it had acknowledged must be there after start."""
        self.server.kill()

    def stop(self) -> None:
        """End it in good order."""
        self.server.stop()

    def start(self) -> None:
        """Start it again on the same port with what it stored; returns when it answers."""
        self.server.start()

    def pause(self) -> None:
        """Stop its processes where they are: connections stay open, nothing is answered."""
        self.server.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let paused processes go on."""
        self.server.signal(signal.SIGCONT)

    def is_up(self) -> bool:
        return self.server.ready()


def service_control(name: str) -> ServiceControl:
    """Control over a server; the test is skipped where it is not up or not ours.

    RabbitMQ: a quorum queue declared less than 3 s before ``kill9`` may come back without a leader.
    """
    url = _url(name)
    if url != SERVERS[name].url:
        pytest.skip(f"{_VARIABLE.format(name.upper())} names a server that tests cannot stop")
    _controlled.add(name)
    return ServiceControl(SERVERS[name])


@pytest.fixture(autouse=True)
def _away_servers_are_back() -> Iterator[None]:
    yield
    while _controlled:
        SERVERS[_controlled.pop()].start()


def tls_address(name: str) -> str:
    """Where a server of ours speaks TLS; the test is skipped where it does not."""
    return _address(name, "tls", "speaks no TLS with our authority")


def sasl_address(name: str) -> str:
    """Where a server of ours asks for a login; the test is skipped where it does not."""
    return _address(name, "sasl", "asks for no login that we know")


def _address(name: str, kind: str, lacks: str) -> str:
    if _url(name) != SERVERS[name].url or kind not in SERVERS[name].addresses:
        pytest.skip(f"this {name} {lacks}")
    return SERVERS[name].addresses[kind]


@pytest.fixture(scope="session")
def rabbitmq_url() -> str:
    return _url("rabbitmq")


@pytest.fixture(scope="session")
def kafka_url() -> str:
    return _url("kafka")


@pytest.fixture(scope="session")
def postgresql_url() -> str:
    return _url("postgresql")


@pytest.fixture(scope="session")
def redis_url() -> str:
    return _url("redis")


@pytest.fixture(scope="session")
def influxdb_url() -> str:
    return _url("influxdb")


def _url(name: str) -> str:
    theirs = os.environ.get(_VARIABLE.format(name.upper()))
    if theirs:
        return theirs
    if os.environ.get("FARWATCH_SERVICES") == "none":
        pytest.skip(f"no {name}: FARWATCH_SERVICES=none")
    if not SERVERS[name].ready():
        pytest.skip(f"no {name}: start it with `scripts/services up {name}`")
    return SERVERS[name].url
