"""A record that kills the process again and again becomes a dead letter; all else is told."""

import os
import signal
from collections.abc import Callable
from contextlib import contextmanager

import pytest

from connectors.contract import ConnectorSettings
from connectors.registry import open_source
from connectors.trials import SUSPECT_AFTER, TRIALS
from schemas.decoding import TelemetryDecoder
from schemas.topics import DEAD_LETTERS
from tests.far_sides import without_origin
from tests.kafka_topics import new_topics, send
from tests.kills import Lives, wait_until
from tests.rabbitmq_broker import new_broker
from tests.watching import command, environment, rows, run, telemetry, told, write_inputs

RECORDS = 400
DEADLY_AT = 123
EPOCH_S = 0.05
DEADLY = b'"deadly"'
# Each life but the trials and those before caution gets further: in one it takes so many epochs.
MOST_LIVES = SUSPECT_AFTER + TRIALS + 8


def die_of_deadly_records() -> None:
    """As a fault in a native library would: whoever decodes such a record is gone at once."""
    decode = TelemetryDecoder.decode

    def deadly(decoder, messages):
        if any(DEADLY in message.body for message in messages):
            os.kill(os.getpid(), signal.SIGKILL)
        return decode(decoder, messages)

    TelemetryDecoder.decode = deadly  # type: ignore[method-assign]


@contextmanager
def kafka(url: str, lines: list[str]):
    with new_topics(url, "telemetry", partitions=2) as prefix:
        send(url, f"{prefix}telemetry", [line.encode() for line in lines])
        yield f"{url}/{prefix}telemetry?until=end"


@contextmanager
def stream(url: str, lines: list[str]):
    with new_broker(url) as broker:
        telemetry = broker.source(queues=1, type="stream", until="end")
        open_source(telemetry, ConnectorSettings()).check()
        broker.publish([line.encode() for line in lines])
        yield telemetry


SOURCES: dict[str, Callable] = {"kafka": kafka, "rabbitmq": stream}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Inputs, and what a run tells that nothing kills and that has no deadly record."""
    folder = tmp_path_factory.mktemp("undisturbed")
    lines = telemetry(RECORDS)
    write_inputs(folder, lines)
    done = run(command("watch", "--quiet"), environment(folder, folder))
    assert done.returncode == 0, done.stderr
    return folder, lines


def lives_until_done(env: dict[str, str], out) -> Lives:
    """Start the flow again whenever it has died; at most ``MOST_LIVES`` times."""
    lives = Lives(env, out, epoch_s=EPOCH_S, prepare=die_of_deadly_records)
    try:
        while lives.started < MOST_LIVES:
            lives.start()
            assert wait_until(lambda: not lives.running, 60)
            if lives.statuses == [0]:
                return lives
            assert lives.statuses == [-signal.SIGKILL], lives.log()
        raise AssertionError(f"it still dies after {lives.started} lives: {lives.log()}")
    finally:
        lives.end()


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.slow) for kind in ("kafka", "rabbitmq")]
)
def test_what_the_flow_dies_of_is_a_dead_letter_at_last(request, kind, undisturbed, tmp_path):
    inputs, lines = undisturbed
    deadly = '{"vehicle_id": "deadly", "timestamp": 1767225600}'
    url = request.getfixturevalue(f"{kind}_url")
    with SOURCES[kind](url, [*lines[:DEADLY_AT], deadly, *lines[DEADLY_AT:]]) as source:
        lives = lives_until_done(environment(inputs, tmp_path, telemetry=source), tmp_path)

    assert lives.started > SUSPECT_AFTER + TRIALS, "nothing killed it"
    letters = [e["data"] for (topic, _), e in told(tmp_path).items() if topic == DEAD_LETTERS]
    expected = without_origin(told(inputs))
    found, told_letters = without_origin(told(tmp_path))
    assert found == expected[0]
    assert len(told_letters) == len(expected[1]) + 1, "no other is refused for its sake"
    (letter,) = [each for each in letters if "the flow ended" in each["reason"]]
    kept = [row for row in rows(tmp_path)["dead_letters"] if deadly.encode() == row[2]]
    assert [row[1] for row in kept] == [letter["reason"]]
    assert not list((tmp_path / "recovery" / "trials").glob("*.json")), "nothing is open any more"
