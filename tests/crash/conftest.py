"""What the crash tests share: a run without kills, and new far sides on real servers."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.far_sides import NEW_TOPICS, Events, Shown, new_stores
from tests.watching import command, environment, run, telemetry, told, write_inputs


@dataclass(frozen=True)
class Undisturbed:
    """A run without kills over a file: its inputs, what it left, what it told."""

    inputs: Path
    lines: list[str]
    shown: Shown
    events: Events


@pytest.fixture(scope="session")
def urls(postgresql_url, redis_url, influxdb_url):
    return {"postgresql": postgresql_url, "redis": redis_url, "influxdb": influxdb_url}


@pytest.fixture(scope="session")
def undisturbed_of(urls, tmp_path_factory):
    """A run without kills over so many records; each made once."""
    made: dict[int, Undisturbed] = {}

    def of(records: int) -> Undisturbed:
        if records not in made:
            folder = tmp_path_factory.mktemp("undisturbed")
            lines = telemetry(records)
            write_inputs(folder, lines)
            with new_stores(urls, number=6) as stores:
                results = f"{stores.results} dir:{folder}/topics"
                done = run(
                    command("watch", "--quiet"), environment(folder, folder, results=results)
                )
                assert done.returncode == 0, done.stderr
                made[records] = Undisturbed(folder, lines, stores.shown(), told(folder))
        return made[records]

    return of


@pytest.fixture
def stores(urls):
    with new_stores(urls, number=7) as stores:
        yield stores


@pytest.fixture
def topics(request, broker, processes):
    with NEW_TOPICS[broker](request.getfixturevalue(f"{broker}_url"), processes) as topics:
        yield topics
