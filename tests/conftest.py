"""Fixtures that every test may use."""

import fcntl
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from scripts.servers import SERVERS
from tests.outside import DATA, MISSING

pytest_plugins = ["tests.services"]

# How long an example takes says more about the machine than about the code.
settings.register_profile("farwatch", deadline=None)
settings.load_profile("farwatch")


@pytest.fixture
def outside_data() -> Path:
    """The folder of outside data sets; the test is skipped where it is absent."""
    if DATA is None:
        pytest.skip(MISSING)
    return DATA


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests that take minutes too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--slow"):
        return
    skip = pytest.mark.skip(reason="takes minutes: run with --slow")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(scope="module", autouse=True)
def _alone_with_the_servers(request: pytest.FixtureRequest) -> Iterator[None]:
    """Files that need servers run one after the other: some of them take servers away."""
    text = request.path.read_text()
    if "service_control" not in text and not any(f"{name}_url" in text for name in SERVERS):
        yield
        return
    lock_file = request.config.rootpath / ".services" / "tests.lock"
    lock_file.parent.mkdir(exist_ok=True)
    with lock_file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture
def unused_tcp_ports() -> tuple[int, int]:
    """Two ports of the loopback address that nothing listens on."""
    with socket.socket() as a, socket.socket() as b:
        a.bind(("127.0.0.1", 0))
        b.bind(("127.0.0.1", 0))
        return a.getsockname()[1], b.getsockname()[1]
