"""Runs one geofence on the benchmark's input: its answers, and its records a CPU second.

As in the rest of the benchmark a program runs on the first record alone, before and after, and on
the whole input; what it takes for the rest is its speed. CPU seconds of all its threads count, so
that a program that uses two cores is no faster for it.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from confluent_kafka import Producer

from scripts.benchmark.generate import Inputs
from scripts.benchmark.measure import RunFailedError, Usage, combined, run_command
from scripts.benchmark.peers.answers import Answers, read_answers
from scripts.benchmark.services.rooms import KafkaRoom

_HERE = Path(__file__).resolve().parent
_ROOT = _HERE.parents[2]
_ASKED_BEFORE = 1_000_000  # records that wait in the producer before it is polled
_PATIENCE_S: Final = 60.0


class Packaged(Protocol):
    """What is installed as a package."""

    @property
    def package(self) -> str:
        """The name of the package."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A geofence: the package its program imports, whether it reads Kafka, what it can say.

    ``crossings``: it tells when an edge was crossed between two fixes.
    """

    name: str
    package: str
    crossings: bool = False
    from_kafka: bool = False

    @property
    def program(self) -> Path:
        """The file of its program."""
        return _HERE / "programs" / f"{self.name}_fence.py"


FARWATCH: Final = Peer("farwatch", "farwatch", crossings=True)
PEERS: Final = (
    Peer("pathway", "pathway"),
    Peer("quix", "quixstreams", from_kafka=True),
    Peer("pymeos", "pymeos", crossings=True),
)


@dataclass(frozen=True, slots=True)
class Ran:
    """What a geofence took, ``start`` at least on the first record alone, and what it answered."""

    peer: Peer
    version: str
    records: int
    start: Usage
    whole: Usage
    answers: Answers

    @property
    def records_per_cpu_s(self) -> float:
        """Throughput of one core without start-up."""
        return (self.records - 1) / max(self.whole.cpu_s - self.start.cpu_s, 1e-3)


def version_of(peer: Packaged, python: str) -> str | None:
    """The version of the peer that the interpreter has, None where it has none."""
    ask = f"from importlib.metadata import version; print(version('{peer.package}'))"
    asked = subprocess.run(  # noqa: S603 - an interpreter that the user names
        [python, "-I", "-c", ask], capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() if asked.returncode == 0 else None


def run_peer(peer: Peer, python: str, version: str, inputs: Inputs, records: int) -> Ran:
    """Runs a geofence on an input of so many records.

    Raises:
        RunFailedError: when its program does not end with status 0, or Kafka takes no records.
    """
    answers = inputs.telemetry.with_name(f"answers-{peer.name}.ndjson")
    try:
        before = _run(peer, python, inputs, inputs.first_record, 1, answers)
        whole = _run(peer, python, inputs, inputs.telemetry, records, answers)
        found = read_answers(answers)
        after = _run(peer, python, inputs, inputs.first_record, 1, answers)
        return Ran(peer, version, records, combined([before, after], min), whole, found)
    finally:
        answers.unlink(missing_ok=True)


def _run(
    peer: Peer, python: str, inputs: Inputs, telemetry: Path, records: int, answers: Path
) -> Usage:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("FARWATCH")}
    if peer is FARWATCH:
        environment["PYTHONPATH"] = str(_ROOT)
    command = [python, "-P", str(peer.program)]
    if not peer.from_kafka:
        command += [str(telemetry), str(inputs.zones), str(answers)]
        return run_command(peer.name, command, environment, answers)
    with _published(telemetry) as room:
        command += [str(inputs.zones), str(answers), room.brokers, room.topic, str(records)]
        return run_command(peer.name, command, environment, answers)


@contextmanager
def _published(telemetry: Path) -> Iterator[KafkaRoom]:
    """A room whose topic of telemetry holds the file's records, one a message."""
    room = KafkaRoom()
    producer = Producer(
        {
            "bootstrap.servers": room.brokers,
            "queue.buffering.max.messages": 2 * _ASKED_BEFORE,
            "log_level": 5,
        }
    )
    try:
        with telemetry.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                vehicle_id = line.split(b'"', 4)[3]
                producer.produce(room.topic, line, vehicle_id)
                if number % _ASKED_BEFORE == 0:
                    producer.flush(_PATIENCE_S)
        if left := producer.flush(_PATIENCE_S):
            raise RunFailedError(f"Kafka at {room.brokers} has not taken {left} records")
        yield room
    finally:
        room.close()
