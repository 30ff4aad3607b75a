"""A small flow with a history in a journal, as a process that tests may kill.

``python -m tests.journal_flow FOLDER [PROCESS ADDRESS ADDRESS]`` runs it on the recovery store
``FOLDER/recovery`` and writes what each key knows at the end to ``FOLDER/out``.
"""

import json
import os
import random
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zlib import crc32

import bytewax.operators as op
import numpy as np
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition
from bytewax.recovery import RecoveryConfig
from bytewax.run import cli_main

from connectors.journal import Journal
from flows.launch import journal_of_engine
from flows.steps.state import Keyed, follow

PARTITIONS = ("a", "b")
KEYS = 3  # of each partition
ITEMS = 2400  # of each partition
ROWS = 200
KEPT = 25
SEGMENT_BYTES = 40_000


@dataclass(frozen=True, slots=True)
class Rows:
    number: int
    values: np.ndarray


@dataclass(frozen=True, slots=True)
class History:
    """``total``: of every value ever, which tells records counted twice or never."""

    key: str = ""
    total: int = 0
    items: int = 0
    chunks: tuple[Rows, ...] = ()

    def with_chunks(self, chunks):
        return replace(self, chunks=chunks)


def item(part: str, i: int) -> tuple[str, np.ndarray]:
    # Neighbours share a key, so that not every key has items in every epoch.
    values = np.random.default_rng([ord(part), i]).integers(0, 1_000_000, ROWS)
    return f"{part}{i // 9 % KEYS}", values


def advance(state: History, given: tuple[str, np.ndarray]) -> tuple[History, list[str]]:
    """The last chunks are kept, one in forty of them long: it holds its segment back."""
    key, values = given
    number = state.items
    kept = [
        chunk
        for chunk in state.chunks
        if number - chunk.number < (KEPT if chunk.number % 40 else 12 * KEPT)
    ]
    moved = History(key, state.total + int(values.sum()), number + 1, (*kept, Rows(number, values)))
    return moved, []


def told(state: History) -> str:
    chunks = [[chunk.number, crc32(chunk.values.tobytes())] for chunk in state.chunks]
    known = {"key": state.key, "total": state.total, "items": state.items, "chunks": chunks}
    return json.dumps(known)


def expected(items: int = ITEMS) -> dict[str, str]:
    """What every key tells at the end of a run that nothing disturbed."""
    states: dict[str, History] = {}
    for part in PARTITIONS:
        for i in range(items):
            given = item(part, i)
            states[given[0]], _ = advance(states.get(given[0], History()), given)
    return {key: told(state) for key, state in states.items()}


class Source(FixedPartitionedSource):
    def __init__(self, started: Path, items: int) -> None:
        self.started = started
        self.items = items

    def list_parts(self):
        return list(PARTITIONS)

    def build_part(self, step_id, for_part, resume_state):
        return Part(self, for_part, resume_state or 0)


class Part(StatefulSourcePartition):
    """Hands out one to six items at a time, as it happens, about every 5 ms."""

    def __init__(self, source: Source, name: str, at: int) -> None:
        self.source = source
        self.name = name
        self.at = at
        self.random = random.Random()

    def next_batch(self):
        self.source.started.touch()
        if self.at >= self.source.items:
            raise StopIteration
        start = self.at
        self.at = min(start + self.random.randint(1, 6), self.source.items)
        given = [item(self.name, i) for i in range(start, self.at)]
        return [(pair[0], pair) for pair in given]

    def next_awake(self):
        return datetime.now(UTC) + timedelta(milliseconds=5)

    def snapshot(self):
        return self.at


class Sink(FixedPartitionedSink):
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def list_parts(self):
        return ["out"]

    def build_part(self, step_id, for_part, resume_state):
        return SinkPart(self.folder)


class SinkPart(StatefulSinkPartition):
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write_batch(self, items):
        self.folder.mkdir(exist_ok=True)
        for text in items:
            Path(self.folder, json.loads(text)["key"]).write_text(text)

    def snapshot(self):
        return None


def history_flow(folder: Path, journal: Journal | None, items: int = ITEMS) -> Dataflow:
    flow = Dataflow("histories")
    taken = op.input("source", flow, Source(folder / f"started-{os.getpid()}", items))
    keyed = Keyed(
        initial=History(),
        advance=advance,
        fingerprint="these",
        release=lambda state: (state, [told(state)]),
    )
    texts = follow("history", taken, keyed, journal)
    op.output("out", op.map("to_out", texts, lambda text: ("out", text)), Sink(folder / "out"))
    return flow


def results(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in (folder / "out").iterdir()}


def main(folder: str, process: str | None = None, *addresses: str) -> None:
    journal = Journal(Path(folder, "recovery", "journal"), segment_bytes=SEGMENT_BYTES)
    cli_main(
        history_flow(Path(folder), journal),
        workers_per_process=1,
        process_id=None if process is None else int(process),
        addresses=list(addresses) or None,
        epoch_interval=timedelta(milliseconds=20),
        recovery_config=RecoveryConfig(str(Path(folder, "recovery")), timedelta(0)),
    )


def __getattr__(name: str) -> Dataflow:
    if name == "flow":
        return history_flow(Path(os.environ["HISTORY_FOLDER"]), journal_of_engine(), items=60)
    raise AttributeError(name)


if __name__ == "__main__":
    main(*sys.argv[1:])
