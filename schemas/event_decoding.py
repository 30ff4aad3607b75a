"""Events in: CloudEvents of the topics between flows, from bytes."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from schemas.event import Event
from schemas.message import Message, Reject
from schemas.timestamps import time_us


class _Envelope(msgspec.Struct):
    id: str
    type: str
    data: dict[str, Any]
    subject: str = ""
    time: str | None = None


_decoder = msgspec.json.Decoder(_Envelope)


def decode_events(messages: Sequence[Message], wanted: Sequence[str]) -> Iterator[Event | Reject]:
    """The events of the lines, in order; an event of a type not ``wanted`` is a reject."""
    for message in messages:
        lines = message.body.splitlines()
        for number, line in enumerate(lines, message.first_line or 1):
            if line.strip():
                yield _decode(line, f"{message.origin}:{number}", wanted)


def _decode(line: bytes, origin: str, wanted: Sequence[str]) -> Event | Reject:
    try:
        envelope = _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        return Reject(f"no CloudEvent: {exc}", "", line, origin)
    if envelope.type not in wanted:
        reason = f"type: {envelope.type} is not read here; expected {' or '.join(wanted)}"
        return Reject(reason, "type", line, origin)
    try:
        return _event(envelope)
    except (KeyError, TypeError, ValueError) as exc:
        return Reject(f"data: {type(exc).__name__} {exc}", "data", line, origin)


def _event(envelope: _Envelope) -> Event:
    data = dict(envelope.data)
    return Event(
        type=envelope.type,
        event_id=data.pop("event_id"),
        version=data.pop("version"),
        retracted=data.pop("retracted"),
        vehicle_id=data.pop("vehicle_id"),
        time_us=None if envelope.time is None else time_us(envelope.time),
        data=data,
    )
