"""`farwatch publish`: the records of a file to a broker or another file, at a chosen pace."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Final

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from connectors.contract import ConnectorSettings, SettingsError
from connectors.readers.contract import (
    FormatError,
    Reader,
    SourceFileError,
    check,
    total_bytes,
)
from connectors.readers.registry import reader_for
from connectors.registry import masked, open_publisher
from schemas.timestamps import time_us

READ_ROWS: Final = 1000
SHOWN_EVERY: Final = 256
SHORTEST_WAIT_S: Final = 0.001
FLUSHED_WAIT_S: Final = 0.02
"""Before a wait of so long, what was handed over goes out: publishers gather what comes fast."""


class _Routed(msgspec.Struct):
    """The part of a record that says where it goes and when."""

    vehicle_id: str | None = None
    auv_id: str | None = None
    rover_id: str | None = None
    vessel_id: str | None = None
    timestamp: str | float | None = None


_record: Final = msgspec.json.Decoder(_Routed)
_array: Final = msgspec.json.Decoder(list[msgspec.Raw])


@dataclass(frozen=True, slots=True)
class Record:
    """One record: its bytes as they are, its vehicle ("" = unknown), its event time in seconds."""

    body: bytes
    vehicle_id: str
    time_s: float | None


@dataclass(slots=True)
class Published:
    """What was done so far."""

    records: int = 0
    messages: int = 0
    unreadable: int = 0
    bytes_done: int = 0


@dataclass(frozen=True, slots=True)
class Pace:
    """When records are due: at ``rate`` a second, at ``speed`` times event time, else at once."""

    rate: float | None = None
    speed: float | None = None

    def __post_init__(self) -> None:
        if self.rate is not None and self.speed is not None:
            raise SettingsError("--rate and --speed: give one of them")
        for name, value in (("--rate", self.rate), ("--speed", self.speed)):
            if value is not None and value <= 0:
                raise SettingsError(f"{name} {value}: must be more than 0")

    def due_s(self) -> Callable[[Record], float]:
        """A function that says how many seconds after the first record each record is due."""
        rate, speed = self.rate, self.speed
        sent = 0
        first_s: float | None = None

        def at_rate(_record: Record) -> float:
            nonlocal sent
            sent += 1
            return 0.0 if rate is None else (sent - 1) / rate

        def by_event_time(record: Record) -> float:
            nonlocal first_s
            if record.time_s is None or speed is None:
                return 0.0
            first_s = record.time_s if first_s is None else first_s
            return (record.time_s - first_s) / speed

        return at_rate if speed is None else by_event_time


@dataclass(slots=True)
class Batches:
    """Records of one vehicle gathered into messages of at most ``size`` records."""

    size: int
    _held: dict[str, list[bytes]] = field(default_factory=dict)

    def add(self, record: Record) -> Iterator[tuple[str, list[bytes]]]:
        """The message that is full with this record, if any: vehicle, bodies."""
        held = self._held.setdefault(record.vehicle_id, [])
        held.append(record.body)
        if len(held) >= self.size:
            yield record.vehicle_id, self._held.pop(record.vehicle_id)

    def rest(self) -> Iterator[tuple[str, list[bytes]]]:
        """What is left, in order of each vehicle's first record."""
        held, self._held = self._held, {}
        yield from held.items()


def run_publish(
    path: Path, to: str, *, format_: str, pace: Pace, batch: int, quiet: bool
) -> Published:
    """Publish all records of the file; every message is confirmed when this returns.

    Raises:
        SettingsError: the file, its format, the target or the pace is wrong.
        ConnectorError: the target refuses or does not answer.
        KeyboardInterrupt: what was handed over until then is confirmed.
    """
    if batch < 1:
        raise SettingsError(f"--batch {batch}: must be at least 1")
    reader = _checked_reader(path, format_)
    done = Published()
    with (
        closing(open_publisher(to, ConnectorSettings())) as publisher,
        _shown(done, total_bytes(path), quiet=quiet) as show,
    ):
        try:

            def before_wait(wait_s: float) -> None:
                show()
                if wait_s >= FLUSHED_WAIT_S:
                    publisher.flush()

            found = records(path, reader, done)
            for vehicle_id, bodies in _paced(found, pace, batch, before_wait):
                publisher.publish(b"\n".join(bodies), vehicle_id)
                done.messages += 1
                done.records += len(bodies)
                if done.messages % SHOWN_EVERY == 0:
                    show()
        finally:
            publisher.flush()
            show()
    if not quiet:
        _summary(done, to)
    return done


def records(path: Path, reader: Reader, done: Published) -> Iterator[Record]:
    """The records of the file in its order; one the decoder would refuse comes too, as it is."""
    for chunk in reader.read(path, None, READ_ROWS):
        done.unreadable += len(chunk.rejects)
        done.bytes_done = chunk.bytes_done
        body = b"" if chunk.message is None else chunk.message.body
        for line in body.split(b"\n"):
            if stripped := line.strip():
                yield from map(_routed, _objects(stripped))


def _objects(line: bytes) -> list[bytes]:
    if line.startswith(b"["):
        try:
            return [bytes(raw) for raw in _array.decode(line)]
        except msgspec.DecodeError:
            pass  # As it is: whoever decodes it says what is wrong.
    return [line]


def _routed(body: bytes) -> Record:
    try:
        found = _record.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Record(body, "", None)
    vehicle = found.vehicle_id or found.auv_id or found.rover_id or found.vessel_id or ""
    return Record(body, vehicle, _seconds(found.timestamp))


def _seconds(timestamp: str | float | None) -> float | None:
    if isinstance(timestamp, str):
        try:
            return time_us(timestamp) / 1e6
        except ValueError:
            return None
    return timestamp


def _paced(
    found: Iterator[Record], pace: Pace, batch: int, before_wait: Callable[[float], None]
) -> Iterator[tuple[str, list[bytes]]]:
    """Messages, each when its last record is due."""
    batches, due_s = Batches(batch), pace.due_s()
    began = monotonic()
    for record in found:
        wait_s = due_s(record) - (monotonic() - began)
        if wait_s > SHORTEST_WAIT_S:
            before_wait(wait_s)
            Event().wait(wait_s)
        yield from batches.add(record)
    yield from batches.rest()


def _checked_reader(path: Path, format_: str) -> Reader:
    try:
        reader = reader_for(format_)
        check(path, reader)
    except (FormatError, SourceFileError) as exc:
        raise SettingsError(str(exc)) from exc
    return reader


@contextmanager
def _shown(done: Published, total: int, *, quiet: bool) -> Iterator[Callable[[], None]]:
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.fields[records]} records"),
        BarColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task("publish", total=total, records=0)

        def show() -> None:
            bar.update(task, completed=done.bytes_done, records=done.records)

        yield show


def _summary(done: Published, to: str) -> None:
    console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    console.print(
        f"{masked(to)}: {done.records} records in {done.messages} messages, all confirmed"
    )
    if done.unreadable:
        console.print(f"{done.unreadable} records of the file could not be read, and were left out")
