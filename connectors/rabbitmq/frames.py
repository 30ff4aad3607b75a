"""Deliveries read straight from the bytes of AMQP 0-9-1, where pika makes three objects of each.

A delivery is a method frame (basic.deliver), a header frame with the properties, and as many body
frames as its size asks for (AMQP 0-9-1, sections 2.3.5 and 4.2.6). A frame is a type octet, a
channel of two octets, a size of four, the payload, and an octet 0xCE.
"""

import struct
from collections.abc import Mapping
from struct import Struct
from typing import Any, Final, NamedTuple

import pika
from pika.exceptions import AMQPError

from connectors.tracing import HEADER, TRACING, from_header

FRAME_END: Final = 0xCE
OVERHEAD: Final = 8  # 7 octets before the payload, 1 behind.
METHOD, CONTENT_HEADER, BODY, HEARTBEAT = 1, 2, 3, 8
_DELIVER: Final = b"\x00\x3c\x00\x3c"  # Class 60, method 60.

_frame: Final = Struct(">BHI").unpack_from
_tag: Final = Struct(">Q").unpack_from
_long: Final = Struct(">I").unpack_from
# Of a header: body size and property flags, behind class and weight.
_content: Final = Struct(">QH").unpack_from

# Property flags from the highest bit on, section 4.2.6.1 and class basic.
_TYPE, _ENCODING, _HEADERS, _MODE, _PRIORITY = 0x8000, 0x4000, 0x2000, 0x1000, 0x0800
_CORRELATION, _REPLY, _EXPIRATION, _MESSAGE_ID = 0x0400, 0x0200, 0x0100, 0x0080
_MISREAD: Final = (IndexError, struct.error, TypeError, ValueError, AMQPError)
_OCTETS: Final = _MODE | _PRIORITY


class FrameError(Exception):
    """The bytes are no AMQP frames: the stream is out of step."""


class Delivered(NamedTuple):
    """One delivery: its tag on the channel, what identifies it, and its body.

    ``key``: of a queue the ``message_id`` property, None where absent; of a stream the offset.
    ``deliveries``: how often it was delivered before, as far as a quorum queue says. ``trace``: the
    trace context of its headers, read only while tracing is on.
    """

    tag: int
    key: str | int | None
    body: bytes
    deliveries: int = 0
    trace: str = ""


def frame_end(buffer: bytes, at: int) -> int:
    """Where the frame that begins at ``at`` ends, as far as its first octets say; 0 = they lack.

    The end may lie behind the end of the buffer.
    """
    if len(buffer) - at < OVERHEAD:
        return 0
    return at + OVERHEAD + int(_frame(buffer, at)[2])


def is_deliver(buffer: bytes, at: int) -> bool:
    """Whether the frame that begins at ``at`` begins a delivery."""
    return buffer[at] == METHOD and buffer[at + 7 : at + 11] == _DELIVER


def read_delivery(buffer: bytes, at: int) -> tuple[Delivered, int] | int:
    """The delivery that begins at ``at`` and where it ends; else how long the buffer must be.

    Raises:
        FrameError: what follows is no delivery.
    """
    try:
        return _read_delivery(buffer, at)
    except _MISREAD as exc:
        raise FrameError(f"no delivery ({exc})") from exc


def _read_delivery(buffer: bytes, at: int) -> tuple[Delivered, int] | int:
    size = len(buffer)
    length: int
    header_at = frame_end(buffer, at)
    if size < header_at + OVERHEAD + 14:
        return header_at + OVERHEAD + 14
    kind, _, length = _frame(buffer, header_at)
    if kind != CONTENT_HEADER or buffer[header_at - 1] != FRAME_END:
        raise FrameError("no header behind a delivery")
    body_at = header_at + OVERHEAD + length
    body_size: int
    body_size, flags = _content(buffer, header_at + 11)
    # At least: a body longer than the frame size agreed upon comes in several frames.
    end = body_at + OVERHEAD + body_size if body_size else body_at
    if size < end:
        return end
    tag_at = at + 12 + buffer[at + 11]
    (tag,) = _tag(buffer, tag_at)
    redelivered = buffer[tag_at + 8]
    message_id = _message_id(buffer, header_at + 21, flags) if flags & _MESSAGE_ID else None
    headers: Mapping[str, Any] = {}
    if flags & _HEADERS and (redelivered or TRACING.tracer is not None):
        headers = headers_of(buffer[header_at + 19 : body_at - 1])
    deliveries = int(headers.get("x-delivery-count", 0)) if redelivered else 0
    found = _body(buffer, body_at, body_size)
    if isinstance(found, int):
        return found
    trace = from_header(headers.get(HEADER)) if TRACING.tracer is not None else ""
    return Delivered(tag, message_id, found[0], deliveries, trace), found[1]


def headers_of(properties: bytes) -> Mapping[str, Any]:
    """The headers of a message, by its encoded properties; none where they cannot be read.

    Who publishes writes into them what they like, such as times beyond all dates: that must not
    look like a broken connection, over which the message would come again.
    """
    try:
        return pika.BasicProperties().decode(properties).headers or {}
    except (*_MISREAD, OSError, OverflowError):
        return {}


def _body(buffer: bytes, at: int, body_size: int) -> tuple[bytes, int] | int:
    """The body whose frames begin at ``at`` and where it ends; else how long the buffer must be.

    A heartbeat may come between two frames.
    """
    pieces = []
    while body_size:
        end = frame_end(buffer, at)
        if not end or len(buffer) < end:
            return max(end, at + OVERHEAD + 1)
        kind, _, length = _frame(buffer, at)
        if kind not in {BODY, HEARTBEAT} or buffer[end - 1] != FRAME_END:
            raise FrameError("no body behind a header")
        if kind == BODY:
            pieces.append(buffer[at + 7 : end - 1])
            body_size -= length
        at = end
    return b"".join(pieces) if len(pieces) != 1 else pieces[0], at


def _message_id(buffer: bytes, at: int, flags: int) -> str:
    if flags & _TYPE:
        at += 1 + buffer[at]
    if flags & _ENCODING:
        at += 1 + buffer[at]
    if flags & _HEADERS:
        at += 4 + _long(buffer, at)[0]
    if flags & _OCTETS:
        at += (flags & _MODE) // _MODE + (flags & _PRIORITY) // _PRIORITY
    for flag in (_CORRELATION, _REPLY, _EXPIRATION):
        if flags & flag:
            at += 1 + buffer[at]
    return buffer[at + 1 : at + 1 + buffer[at]].decode(errors="surrogateescape")
