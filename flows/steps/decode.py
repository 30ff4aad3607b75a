"""Bytes to frames: every record becomes a row of a frame or a dead letter, none disappears."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, TypeVar

import bytewax.operators as op
from bytewax.dataflow import Stream

from flows.steps.dead_letter import DeadLetterLimit
from flows.steps.measuring import count_frame, count_input, timed
from flows.steps.tracing import carry, span, traced
from schemas.decoding import TelemetryDecoder
from schemas.delivery import Delivery
from schemas.frame import Frame
from schemas.message import Message, Reject
from schemas.rejected import dead_letter

Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Decoded:
    """``frames``: of at most ``frame_rows`` rows; ``dead_letters``: the records refused."""

    frames: Stream[Frame]
    dead_letters: Stream[Delivery]


def decode(
    messages: Stream[Message | Reject],
    frame_rows: int,
    limit: DeadLetterLimit,
    decoder: TelemetryDecoder,
) -> Decoded:
    """Decode messages into frames; what breaks the contract goes to the dead letters.

    All messages of one engine batch share a frame, so a source that gives one record a message
    still gives columns; those of another part of the source, which come in batches of their own,
    have frames of their own.
    """

    def decode_batch(batch: list[Message | Reject]) -> Iterator[Frame | Delivery]:
        refused, frames = only(Reject, batch), []
        for part, of_part in groupby(only(Message, batch), _part):
            decoded = decoder.decode(list(of_part))
            refused += decoded.rejects
            if decoded.frame is not None:
                frames.append(replace(decoded.frame, part=part))
        rows = sum(map(len, frames))
        limit.count(rows, refused)
        count_input(rows, refused)
        yield from map(dead_letter, refused)
        for whole in frames:
            for frame in _cut(whole, frame_rows):
                count_frame(frame)
                yield frame

    def traced_batch(batch: list[Message | Reject]) -> list[Frame | Delivery]:
        with span("decode", (item.trace for item in batch if isinstance(item, Message))) as trace:
            out = list(decode_batch(batch))
        for item in out:
            carry(item, trace)
        return traced(out, trace)

    timed_batch = timed("decode", traced_batch)
    decoded = op.flat_map_batch("decode", messages, timed_batch)
    return Decoded(
        op.flat_map_batch("frames", decoded, lambda items: only(Frame, items)),
        op.flat_map_batch("rejects", decoded, lambda items: only(Delivery, items)),
    )


def only(kind: type[Kind], items: Iterable[Any]) -> list[Kind]:
    """The items of one kind, in order."""
    return [item for item in items if isinstance(item, kind)]


def _part(message: Message) -> str:
    return message.part


def _cut(frame: Frame, rows: int) -> Iterable[Frame]:
    if len(frame) <= rows:
        return [frame]
    return [frame.take(slice(i, i + rows)) for i in range(0, len(frame), rows)]
