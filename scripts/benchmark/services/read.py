"""Reads all that a broker holds: ``python -m ...services.read PROGRAM URL MESSAGES``.

Each program does nothing with what it reads but count it, and acknowledges or commits as it goes:

- ``farwatch``: this project's source in a dataflow with a recovery store, an epoch every 0.5 s;
- ``bytewax``: Bytewax's own ``KafkaSource`` in the same dataflow;
- ``pika``: a plain consumer with pika, 1,000 messages un-acked at most, acks 500 at a time;
- ``watch``: no mere reader but the whole watch, told by FARWATCH_* what to watch and where to tell
  it; its last epoch is part of the time.

Writes what it took to standard output.
"""

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any, Final

import bytewax.operators as op
import msgspec
import pika
from bytewax.connectors.kafka import KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.inputs import Source
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from connectors.contract import ConnectorSettings
from connectors.registry import open_source
from flows.launch import launch, open_recovery
from flows.settings import Settings
from flows.watch import watch
from flows.wiring import keep_registry, wire

EPOCH: Final = timedelta(seconds=0.5)
UNACKED: Final = 1_000
ACK_EVERY: Final = 500


class Reading(msgspec.Struct, frozen=True):
    """Messages and seconds from the first batch to the last; CPU seconds; MB (10^6 bytes)."""

    messages: int
    took_s: float
    cpu_s: float
    peak_mb: float


class Counter:
    """Counts what has come, from the first batch on, which began to be read before it came."""

    def __init__(self) -> None:
        self.messages = 0
        self._began = self._latest = self._cpu = 0.0

    def count(self, messages: int) -> None:
        """Take note of a batch."""
        self._latest = perf_counter()
        if not self.messages:
            self._began, self._cpu = self._latest, process_time()
            self._first = messages
        self.messages += messages

    def reading(self) -> Reading:
        """What was counted after the first batch."""
        return Reading(
            self.messages - self._first,
            self._latest - self._began,
            process_time() - self._cpu,
            peak_mb("self"),
        )


def peak_mb(process: str | int) -> float:
    """The most resident memory that a process ever had, in MB (10^6 bytes)."""
    return memory_mb(process, "VmHWM")


def memory_mb(process: str | int, figure: str = "VmRSS") -> float:
    """A figure of a process's memory, in MB (10^6 bytes); 0 once it has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    found = [line.split() for line in status.splitlines() if line.startswith(f"{figure}:")]
    return int(found[0][1]) * 1024 / 1e6 if found else 0.0


def cpu_s(process: int) -> float:
    """CPU seconds that a process has taken so far."""
    # The fields behind the program's name, which may hold blanks: user and system time, in ticks.
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def read_by_farwatch(url: str, _messages: int) -> Reading:
    """This project's source."""
    return _in_a_dataflow(open_source(url, ConnectorSettings()).build())


def read_by_bytewax(url: str, _messages: int) -> Reading:
    """Bytewax's own source; ``url`` is BROKERS/TOPIC."""
    brokers, _, topic = url.removeprefix("kafka://").partition("?")[0].partition("/")
    return _in_a_dataflow(KafkaSource([brokers], [topic], tail=False))


def read_by_pika(url: str, messages: int) -> Reading:
    """A plain consumer; ``url`` ends with the queue after ``#``."""
    address, _, queue = url.partition("#")
    counter = Counter()
    with pika.BlockingConnection(pika.URLParameters(address)) as connection:
        channel = connection.channel()
        channel.basic_qos(prefetch_count=UNACKED)

        def delivered(_channel: object, method: Any, _properties: object, _body: bytes) -> None:
            counter.count(1)
            if counter.messages % ACK_EVERY == 0 or counter.messages == messages:
                channel.basic_ack(method.delivery_tag, multiple=True)
            if counter.messages == messages:
                channel.stop_consuming()

        channel.basic_consume(queue, delivered)
        channel.start_consuming()
    return counter.reading()


def read_by_watch(url: str, messages: int) -> Reading:
    """The whole watch: decoding, zones, rules, results."""
    settings = Settings.load(telemetry=url)
    counter = Counter()
    wiring = wire(settings)
    wiring = replace(wiring, on_progress=lambda *_: counter.count(1))
    recovery = open_recovery("watch", settings, wiring.registry)
    keep_registry(wiring.registry, wiring.sinks.values())
    launch(watch(wiring), settings, recovery)
    counter.count(0)
    return msgspec.structs.replace(counter.reading(), messages=messages)


class _Nowhere(StatelessSinkPartition[Any]):
    def write_batch(self, items: list[Any]) -> None:
        del items


class _NowhereSink(DynamicSink[Any]):
    def build(self, step_id: str, worker_index: int, worker_count: int) -> _Nowhere:
        return _Nowhere()


def _in_a_dataflow(source: Source[Any]) -> Reading:
    counter = Counter()

    def count(batch: list[Any]) -> list[Any]:
        counter.count(len(batch))
        return []

    flow = Dataflow("read")
    counted = op.flat_map_batch("count", op.input("messages", flow, source), count)
    op.output("nowhere", counted, _NowhereSink())
    with TemporaryDirectory() as folder:
        init_db_dir(Path(folder), 1)
        recovery = RecoveryConfig(folder, timedelta(0))
        cli_main(flow, epoch_interval=EPOCH, recovery_config=recovery)
    return counter.reading()


PROGRAMS: Final[dict[str, Callable[[str, int], Reading]]] = {
    "farwatch": read_by_farwatch,
    "bytewax": read_by_bytewax,
    "pika": read_by_pika,
    "watch": read_by_watch,
}


def main(program: str, url: str, messages: str) -> None:
    """Read and say what it took."""
    sys.stdout.buffer.write(msgspec.json.encode(PROGRAMS[program](url, int(messages))))


if __name__ == "__main__":
    main(*sys.argv[1:])
