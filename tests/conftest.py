"""Fixtures that every test may use."""

import fcntl
import re
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from scripts.servers import SERVERS
from tests.outside import DATA, MISSING
from tests.ports import unused_ports

pytest_plugins = ["tests.services"]

# How long an example takes says more about the machine than about the code.
settings.register_profile("farwatch", deadline=None)
settings.load_profile("farwatch")

_SLOW_TIMEOUT_S = 3 * 3600
_BROKERS = ("rabbitmq", "kafka")


@pytest.fixture(scope="session")
def outside_data() -> Path:
    """The folder of outside data sets; the test is skipped where it is absent."""
    if DATA is None:
        pytest.skip(MISSING)
    return DATA


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests that take minutes too")


class _FilesInTurn(LoadFileScheduling):
    """Whole files to a process of xdist, all that use the same servers to the same one.

    All of RabbitMQ to one, of the others all of Kafka to one, all of databases alone to one.
    """

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        servers = servers_of(self.config.rootpath / file)
        if not servers:
            return file
        return next((broker for broker in _BROKERS if broker in servers), "databases")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    return _FilesInTurn(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    skip = pytest.mark.skip(reason="takes minutes: run with --slow")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(
                pytest.mark.timeout(_SLOW_TIMEOUT_S) if config.getoption("--slow") else skip
            )


@cache
def servers_of(path: Path) -> frozenset[str]:
    """The servers a file of tests needs, by the names in its text: xdist tells files alone."""
    text = path.read_text()
    if "{broker}_url" in text:
        return frozenset(_BROKERS)
    if re.search(r"\bstores\b|\{\w+\}_url\b|\bservice_control\((?!\")", text):
        return frozenset(SERVERS)
    return frozenset(re.findall(rf"\b({'|'.join(SERVERS)})_url\b", text)) | frozenset(
        re.findall(r"\bservice_control\(\"(\w+)", text)
    )


@pytest.fixture(scope="module", autouse=True)
def _alone_with_its_servers(request: pytest.FixtureRequest) -> Iterator[None]:
    """No two files have a server at the same time: some take them away, or use the same names."""
    folder = request.config.rootpath / ".services"
    with ExitStack() as held:
        # In one order for all, so that no two wait for each other.
        for name in sorted(servers_of(request.path)):
            folder.mkdir(exist_ok=True)
            lock = held.enter_context((folder / f"{name}.tests.lock").open("w"))
            with _without_time_limit():
                fcntl.flock(lock, fcntl.LOCK_EX)
            # A process that a test forked may hold the file open still.
            held.callback(fcntl.flock, lock, fcntl.LOCK_UN)
        yield


@contextmanager
def _without_time_limit() -> Iterator[None]:
    """What passes meanwhile does not count for the time limit of the test."""
    left_s, _ = signal.setitimer(signal.ITIMER_REAL, 0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, left_s)


@pytest.fixture
def unused_tcp_ports() -> list[int]:
    """Two ports of the loopback address that nothing listens on."""
    return unused_ports(2)
