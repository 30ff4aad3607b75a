"""One event bound for one topic: what flows hand to sinks."""

from dataclasses import dataclass

from schemas.event import Event


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event bound for one topic.

    ``extensions`` are CloudEvents extension attributes of this delivery alone (the batch it
    belongs to); they are no part of the event's identity. ``trace`` is the trace context it goes
    out with, beside the event, as ``traceparent``, "" = none.
    """

    topic: str
    event: Event
    extensions: dict[str, str] | None = None
    trace: str = ""
