"""From the bytes of messages to one frame and the records that break the contract.

The fast path decodes with msgspec into the columns of a frame and checks every limit on columns.
It only ever says "surely right"; whatever it refuses, record by record, the pydantic model decides
and explains, so both ways give the same answer.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final

import msgspec
import numpy as np

from schemas.decoding.columns import Bounds, frame_of_rows, tidy
from schemas.decoding.layout import Layout
from schemas.decoding.pieces import WHITESPACE, Pieces, bare
from schemas.decoding.records import frame_of, judge
from schemas.frame import Frame, Rows, concat
from schemas.message import Message, Reject
from schemas.telemetry import MAX_SENSORS, Telemetry

# All that msgspec raises on bytes that do not fit: malformed or not of the type, invalid UTF-8,
# too deeply nested.
_MISFITS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_RAW_OF_REFUSED_MESSAGE: Final = 4096


@dataclass(frozen=True, slots=True)
class Decoded:
    """All good records of all messages in one frame, and the rejected ones; both in order.

    ``frame`` is None where no record is good.
    """

    frame: Frame | None
    rejects: list[Reject]


class TelemetryDecoder:
    """Decodes the messages of one stream; learns which keys its records have.

    What it has learnt changes its speed, never its answer. ``max_message_bytes`` and
    ``max_records`` bound one message (beyond: one reject for it), ``max_nesting`` the open objects
    and arrays of one record, ``max_keys`` what is learnt (records with further keys are slow).
    A frame has a column for each sensor name; so that a sender who invents names cannot exhaust
    the memory, names times records of one call are at most ``max_sensor_cells``, or the names 256.
    """

    def __init__(
        self,
        *,
        max_message_bytes: int = 64 * 2**20,
        max_records: int = 1_000_000,
        max_nesting: int = 64,
        max_keys: int = 512,
        max_sensor_cells: int = 2**25,
    ) -> None:
        self._max_message_bytes = max_message_bytes
        self._max_records = max_records
        self._max_nesting = max_nesting
        self._max_keys = max_keys
        self._max_sensor_cells = max_sensor_cells
        self._layout = Layout()

    def decode(self, messages: Sequence[Message]) -> Decoded:
        """The frame and the rejects of the messages' records; never raises on any bytes."""
        batch = _Batch()
        for too_big, group in groupby(messages, key=self._is_too_big):
            members = list(group)
            if not too_big:
                self._decode(members, batch)
                continue
            for message in members:
                batch.refuse(message, f"message of more than {self._max_message_bytes} bytes")
        return self._assembled(batch)

    def _is_too_big(self, message: Message) -> bool:
        return len(message.body) > self._max_message_bytes

    def _decode(self, messages: list[Message], batch: "_Batch") -> None:
        """Decode messages all at once, else either half so, else one message by its records."""
        rows = self._fast(messages)
        if len(messages) > 1 and (rows is None or len(rows) > self._max_records):
            half = len(messages) // 2
            self._decode(messages[:half], batch)
            self._decode(messages[half:], batch)
            return
        pieces = Pieces(messages, self._max_records)
        records = len(pieces) if rows is None else len(rows)
        if records > self._max_records:
            batch.refuse(messages[0], f"message of more than {self._max_records} records")
        elif rows is None:
            self._decode_pieces(pieces, batch)
        else:
            first = batch.place(pieces, records)
            known_rows, numbers = batch.fast_rows(self._layout)
            known_rows.extend(rows)
            numbers.extend(range(first, first + records))

    def _fast(self, messages: Sequence[Message]) -> list[Any] | None:
        """One row a record, or None if any record of the messages is not surely right."""
        if len(messages) == 1:
            joined = bare(messages[0].body)
        else:
            joined = b"\n".join([message.body.strip(WHITESPACE) for message in messages])
        try:
            if len(messages) == 1 and joined.startswith(b"["):
                return self._layout.array.decode(joined)
            rows = self._layout.record.decode_lines(joined)
        except _MISFITS:
            return None
        one_value = len(rows) == len(messages) == 1
        return rows if one_value or _is_a_record_a_line(joined, len(rows)) else None

    def _decode_pieces(self, pieces: Pieces, batch: "_Batch") -> None:
        layout = self._layout
        rows, numbers = batch.fast_rows(layout)
        first = batch.place(pieces, len(pieces))
        for number, raw in enumerate(pieces, first):
            try:
                rows.append(layout.record.decode(raw))
                numbers.append(number)
            except _MISFITS:
                self._judge(number, batch)
                if self._layout is not layout:
                    layout = self._layout
                    rows, numbers = batch.fast_rows(layout)

    def _judge(self, number: int, batch: "_Batch") -> None:
        pieces, index = batch.piece(number)
        verdict = judge(pieces.raw(index), self._max_nesting)
        if verdict.telemetry is None:
            batch.reject(number, verdict.reason, verdict.field)
        else:
            batch.judged[number] = verdict.telemetry
            self._layout = self._layout.knowing(verdict.keys, self._max_keys)

    def _assembled(self, batch: "_Batch") -> Decoded:
        sensor_names = max(MAX_SENSORS, self._max_sensor_cells // max(batch.count, 1))
        bounds = Bounds(self._max_nesting, sensor_names)
        frames, numbers = [], []
        for layout, (rows, at) in batch.fast.items():
            frame, refused = frame_of_rows(layout, rows, bounds)
            row_numbers = np.array(at, np.intp)
            for number in row_numbers[refused].tolist():
                self._judge(number, batch)
            good = np.flatnonzero(~refused)
            frames.append(frame if len(good) == len(frame) else frame.take(good))
            numbers.append(row_numbers[good])
        if judged := batch.judged_within(bounds.sensor_names):
            frames.append(frame_of(list(judged.values())))
            numbers.append(np.array(list(judged), np.intp))
        return Decoded(_in_order(frames, numbers), batch.rejects_in_order())


def _is_a_record_a_line(joined: bytes, records: int) -> bool:
    """Whether each of the records that ``decode_lines`` found is one line.

    msgspec takes values that follow each other without a line end or that run over lines; cut
    elsewhere they would not be the same records. A line end after ``}`` and before ``{`` can only
    lie between two records, so if all lie so and there is one less than records, none is astray.
    """
    if not (joined.startswith(b"{") and joined.endswith(b"}")):
        return False
    text = np.frombuffer(joined, np.uint8)
    ends = np.flatnonzero(text == ord("\n"))
    if len(ends) != records - 1:
        return False
    before = text[ends - 1]
    if (before == ord("\r")).all():
        before = text[ends - 2]
    return bool((before == ord("}")).all() and (text[ends + 1] == ord("{")).all())


def _in_order(frames: Sequence[Frame], numbers: Sequence[Rows]) -> Frame | None:
    """The rows of all frames sorted by the number of their record."""
    full = [index for index, frame in enumerate(frames) if len(frame)]
    if not full:
        return None
    frame = concat([frames[index] for index in full])
    number = np.concatenate([numbers[index] for index in full])
    if (number[1:] < number[:-1]).any():
        frame = frame.take(np.argsort(number))
    return tidy(frame)


@dataclass(slots=True)
class _Batch:
    """The records of one call, each under a number that counts them in order of arrival."""

    count: int = 0
    # First record number of each run of pieces, and the run.
    starts: list[int] = field(default_factory=list)
    runs: list[Pieces] = field(default_factory=list)
    # Layout: the rows decoded with it and their record numbers.
    fast: dict[Layout, tuple[list[Any], list[int]]] = field(default_factory=dict)
    judged: dict[int, Telemetry] = field(default_factory=dict)
    rejects: dict[int, Reject] = field(default_factory=dict)

    def place(self, pieces: Pieces, records: int) -> int:
        """Give the next numbers to the records of ``pieces``; the first of them."""
        first = self.count
        self.starts.append(first)
        self.runs.append(pieces)
        self.count += records
        return first

    def piece(self, number: int) -> tuple[Pieces, int]:
        """Where record ``number`` lies."""
        run = bisect_right(self.starts, number) - 1
        return self.runs[run], number - self.starts[run]

    def fast_rows(self, layout: Layout) -> tuple[list[Any], list[int]]:
        """The lists of rows decoded with ``layout`` and of their record numbers, to append to."""
        return self.fast.setdefault(layout, ([], []))

    def reject(self, number: int, reason: str, field_name: str) -> None:
        """Reject one record."""
        pieces, index = self.piece(number)
        self.rejects[number] = Reject(
            reason=reason, field=field_name, raw=pieces.raw(index), origin=pieces.origin(index)
        )

    def refuse(self, message: Message, reason: str) -> None:
        """Reject a whole message; it counts as one record."""
        line = "" if message.first_line is None else f":{message.first_line}"
        self.rejects[self.count] = Reject(
            reason=reason,
            field="",
            raw=message.body[:_RAW_OF_REFUSED_MESSAGE],
            origin=f"{message.origin}{line}",
        )
        self.place(Pieces([message], 0), 1)

    def judged_within(self, max_names: int) -> dict[int, Telemetry]:
        """The judged records in order; those that bring one sensor name too many are rejected."""
        names: set[str] = set()
        kept = {}
        for number, telemetry in sorted(self.judged.items()):
            new = telemetry.sensors.keys() - names
            if len(names) + len(new) > max_names:
                reason = f"sensors: more than {max_names} different names in one batch"
                self.reject(number, reason, "sensors")
            else:
                names |= new
                kept[number] = telemetry
        return kept

    def rejects_in_order(self) -> list[Reject]:
        """The rejects in order of arrival."""
        return [reject for _, reject in sorted(self.rejects.items())]
