"""Trace context on its way through a process: out of messages, into messages; off unless asked for.

A context travels as the W3C ``traceparent`` text, in a header of that name of AMQP and Kafka. It is
no part of any event: what is told is the same with and without.
"""

import re
from dataclasses import dataclass
from typing import Final

from opentelemetry.trace import SpanContext, TraceFlags, Tracer

HEADER: Final = "traceparent"
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


@dataclass(slots=True)
class Tracing:
    """``tracer``: who makes spans in this process; None = tracing is off."""

    tracer: Tracer | None = None


TRACING: Final = Tracing()
"""That of this process."""


def from_header(value: object) -> str:
    """The ``traceparent`` in a header, "" where it is none: senders may write what they like."""
    if isinstance(value, bytes):
        value = value.decode("ascii", errors="replace")
    return value if isinstance(value, str) and _TRACEPARENT.fullmatch(value) else ""


def to_text(context: SpanContext) -> str:
    """The context as ``traceparent``."""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def from_text(text: str) -> SpanContext | None:
    """The context that a ``traceparent`` names, None where it names none."""
    found = _TRACEPARENT.fullmatch(text)
    if found is None:
        return None
    trace_id, span_id, flags = (int(part, 16) for part in found.groups()[:3])
    context = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags))
    return context if context.is_valid else None
