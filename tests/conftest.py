"""Fixtures that every test may use."""

import socket
from functools import cache
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
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item.path)))
    if config.getoption("--slow"):
        return
    skip = pytest.mark.skip(reason="takes minutes: run with --slow")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)


@cache
def _group(path: Path) -> str:
    """What one process runs: a file, or all files that need servers, which some of them stop."""
    text = path.read_text()
    needs = any(f"{name}_url" in text for name in SERVERS) or "service_control" in text
    return "servers" if needs else str(path)


@pytest.fixture
def unused_tcp_ports() -> tuple[int, int]:
    """Two ports of the loopback address that nothing listens on."""
    with socket.socket() as a, socket.socket() as b:
        a.bind(("127.0.0.1", 0))
        b.bind(("127.0.0.1", 0))
        return a.getsockname()[1], b.getsockname()[1]
