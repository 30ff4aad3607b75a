"""Text files of rows: from raw lines through a row converter to chunks.

Shared by the readers of CSV, AIS and REMUS files. A *row* is one record as the file writes it:
usually a line, in CSV several when a quoted value holds line ends.
"""

import csv
import math
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final, NamedTuple, Protocol

import msgspec

from connectors.readers.contract import Chunk, origin_of
from connectors.readers.stored import StoredFile
from schemas.message import Message, Reject
from schemas.telemetry import shown

BOM: Final = "\ufeff"

_encoder: Final = msgspec.json.Encoder()


class Row(NamedTuple):
    """One row: its values, its raw lines, and why it could not be split into values, if so."""

    values: list[str]
    raw: bytes
    lines: int
    fault: str = ""


class Position(NamedTuple):
    """Where the next row begins, and the header in force there, as the file writes it."""

    offset: int
    line: int
    header: bytes


class RowError(Exception):
    """A row that is no telemetry record; becomes a Reject with the row's raw bytes."""

    def __init__(self, reason: str, field: str = "") -> None:
        super().__init__(reason)
        self.field = field


class RowConverter(Protocol):
    """What a format knows about its rows; ``header`` is the one in force, as the file writes it."""

    header: bytes

    def record(self, row: Row) -> object | None:
        """The row as a telemetry object for msgspec, None for a row that holds no record.

        Raises RowError for a row that should be a record and is not.
        """
        ...


def csv_rows(lines: Iterable[bytes], delimiter: str, encoding: str) -> Iterator[Row]:
    """Rows of RFC 4180 text; a quoted value may hold delimiters and line ends.

    Bytes that are wrong in ``encoding`` are kept as lone surrogates (as in os.fsdecode).
    """
    # What the csv module has pulled for the row it is at: it asks for exactly the lines it needs.
    pulled: list[bytes] = []

    def texts() -> Iterator[str]:
        for line in lines:
            pulled.append(line)
            yield line.decode(encoding, "surrogateescape")

    rows = csv.reader(texts(), delimiter=delimiter, strict=True)
    while True:
        fault = ""
        try:
            values = next(rows)
        except StopIteration:
            return
        except csv.Error as exc:
            values, fault = [], f"cannot be split into values ({exc})"
        yield Row(values, b"".join(pulled), len(pulled), fault)
        pulled.clear()


def number(text: str, column: str) -> float | None:
    """The number in a cell, None for an empty one; RowError when it is none or not finite."""
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        if text.isspace():
            return None
        value = math.nan
    # Python reads 1_000 as a number; no telemetry file means that.
    if not math.isfinite(value) or "_" in text:
        raise RowError(f"{column}: {shown(text)} is not a number", column)
    return value


def chunks(
    file: StoredFile,
    split: Callable[[Iterable[bytes]], Iterator[Row]],
    converter: RowConverter,
    start: Position,
    rows: int,
) -> Iterator[Chunk]:
    """Chunks of ``rows`` rows each from ``start``, where ``file`` already stands."""
    source = split(file.lines())
    origin = origin_of(file.path)
    at = start
    while batch := list(islice(source, rows)):
        body: list[bytes] = []
        rejects: list[Reject] = []
        first_line, offset, line = at.line, at.offset, at.line
        for row in batch:
            try:
                record = _record(row, converter)
            except RowError as exc:
                record = None
                raw = row.raw.rstrip(b"\r\n")
                rejects.append(Reject(str(exc), exc.field, raw, f"{origin}:{line}"))
            body.append(b"" if record is None else _encoder.encode(record))
            # Blank lines keep line numbers of body and file in step.
            body.extend([b""] * (row.lines - 1))
            offset += len(row.raw)
            line += row.lines
        at = Position(offset, line, converter.header)
        text = b"\n".join(body)
        message = Message(text, origin, first_line) if text.strip() else None
        yield Chunk(message, tuple(rejects), tuple(at), file.stored_bytes(offset))


def _record(row: Row, converter: RowConverter) -> object | None:
    if row.fault:
        raise RowError(row.fault)
    return converter.record(row)
