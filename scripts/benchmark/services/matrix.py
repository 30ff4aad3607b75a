"""The rows of the benchmark through brokers: what is read, what is heard."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from scripts.benchmark.services.speed import Speed
from scripts.benchmark.services.telemetry import STEP_S

SINGLE: Final = 200_000
BATCHED: Final = 2_000
BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class Latency:
    """Alerts of a watch that is fed ``rate`` records a second, ``records`` a message.

    ``key_groups``: of the watch; a frame of few records costs about as much for each of them.
    """

    name: str
    broker: str
    rate: int
    records: int
    key_groups: int = 16


Row = Speed | Latency

MATRIX: Final[tuple[Row, ...]] = (
    Speed("read-rabbitmq-1", "rabbitmq", "farwatch", 1, SINGLE),
    Speed("pika-1", "rabbitmq", "pika", 1, SINGLE),
    Speed("read-rabbitmq-500", "rabbitmq", "farwatch", BATCH, BATCHED),
    Speed("pika-500", "rabbitmq", "pika", BATCH, BATCHED),
    Speed("read-kafka-1", "kafka", "farwatch", 1, 5 * SINGLE),
    Speed("bytewax-kafka-1", "kafka", "bytewax", 1, 5 * SINGLE),
    Speed("read-kafka-500", "kafka", "farwatch", BATCH, BATCHED),
    Speed("bytewax-kafka-500", "kafka", "bytewax", BATCH, BATCHED),
    Speed("watch-rabbitmq-1", "rabbitmq", "watch", 1, SINGLE, step_s=STEP_S),
    Speed("watch-rabbitmq-500", "rabbitmq", "watch", BATCH, BATCHED, step_s=BATCH * STEP_S),
    Speed("watch-kafka-1", "kafka", "watch", 1, SINGLE, step_s=STEP_S),
    Speed("watch-kafka-500", "kafka", "watch", BATCH, BATCHED, step_s=BATCH * STEP_S),
    Speed("hour-rabbitmq", "rabbitmq", "watch", 1, 120_000, step_s=30),
    Latency("alerts-rabbitmq-1k", "rabbitmq", 1_000, 1),
    Latency("alerts-rabbitmq-10k", "rabbitmq", 10_000, 10),
    Latency("alerts-rabbitmq-10k-4", "rabbitmq", 10_000, 10, key_groups=4),
    Latency("alerts-rabbitmq-50k", "rabbitmq", 50_000, 50),
    Latency("alerts-kafka-1k", "kafka", 1_000, 1),
    Latency("alerts-kafka-10k", "kafka", 10_000, 10),
    Latency("alerts-kafka-50k", "kafka", 50_000, 50),
)
"""``hour``: what 1,000 vehicles say in an hour, each every 30 s, read as fast as it goes;
``-4``: of 4 key groups."""

ALL: Final = tuple(row.name for row in MATRIX)


def rows_named(names: Sequence[str]) -> tuple[Row, ...]:
    """The rows whose names begin with one of ``names``, in the order of the matrix.

    Raises:
        ValueError: for a name that none begins with.
    """
    for name in names:
        if not any(one.startswith(name) for one in ALL):
            raise ValueError(f"`--rows`: no row `{name}`; give some of {', '.join(ALL)}")
    return tuple(row for row in MATRIX if row.name.startswith(tuple(names)))
