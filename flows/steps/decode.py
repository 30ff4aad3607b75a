"""Bytes to frames: every record becomes a row of a frame or a dead letter, none disappears."""

from base64 import b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import bytewax.operators as op
from bytewax.dataflow import Stream

from flows.steps.dead_letter import DeadLetterLimit
from schemas.decoding import TelemetryDecoder
from schemas.delivery import Delivery
from schemas.event import TELEMETRY_REJECTED, Event, identity
from schemas.frame import Frame
from schemas.message import Message, Reject
from schemas.topics import DEAD_LETTERS

Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Decoded:
    """``frames``: of at most ``frame_rows`` rows; ``dead_letters``: the records refused."""

    frames: Stream[Frame]
    dead_letters: Stream[Delivery]


def decode(messages: Stream[Message | Reject], frame_rows: int, limit: DeadLetterLimit) -> Decoded:
    """Decode messages into frames; what breaks the contract goes to the dead letters.

    All messages of one engine batch share a frame, so a source that gives one record a message
    still gives columns.
    """
    decoder = TelemetryDecoder()

    def decode_batch(batch: list[Message | Reject]) -> Iterator[Frame | Delivery]:
        decoded = decoder.decode(only(Message, batch))
        refused = only(Reject, batch)
        rows = 0 if decoded.frame is None else len(decoded.frame)
        refused += decoded.rejects
        limit.count(rows, refused)
        yield from map(dead_letter, refused)
        if decoded.frame is not None:
            yield from _cut(decoded.frame, frame_rows)

    decoded = op.flat_map_batch("decode", messages, decode_batch)
    return Decoded(
        op.flat_map_batch("frames", decoded, lambda items: only(Frame, items)),
        op.flat_map_batch("rejects", decoded, lambda items: only(Delivery, items)),
    )


def only(kind: type[Kind], items: Iterable[Any]) -> list[Kind]:
    """The items of one kind, in order."""
    return [item for item in items if isinstance(item, kind)]


def dead_letter(reject: Reject) -> Delivery:
    """The reject as an event; its id is that of the same bytes from the same place, always."""
    event = Event(
        type=TELEMETRY_REJECTED,
        event_id=identity("rejected", reject.origin, reject.raw.hex()),
        vehicle_id="",
        time_us=None,
        data={
            "reason": reject.reason,
            "field": reject.field,
            "raw": b64encode(reject.raw).decode(),
            "raw_text": reject.raw.decode(errors="backslashreplace"),
            "origin": reject.origin,
        },
    )
    return Delivery(DEAD_LETTERS, event)


def _cut(frame: Frame, rows: int) -> Iterable[Frame]:
    if len(frame) <= rows:
        return [frame]
    return [frame.take(slice(i, i + rows)) for i in range(0, len(frame), rows)]
