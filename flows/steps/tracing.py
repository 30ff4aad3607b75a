"""Spans of frames and of alerts, one after the other along a record's way; nothing while off."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.trace import Link, NonRecordingSpan, Tracer

from connectors.tracing import TRACING, from_text, to_text
from schemas.delivery import Delivery
from schemas.topics import ALERT_NOTIFICATIONS, CRITICAL_ALERTS, WARNING_ALERTS

ALERT_TOPICS: Final = frozenset({CRITICAL_ALERTS, WARNING_ALERTS, ALERT_NOTIFICATIONS})
MOST_LINKS: Final = 128
"""Messages of a frame that its span links to."""
MOST_REMEMBERED: Final = 1024
_TOLD_OF: Final = ("alarm_id", "rule_id", "severity", "zone_id")


class _Carried:
    """The contexts of items on their way from one step to the next of the same process.

    Frames and events have no place for one: they are kept, and compared, without.
    """

    def __init__(self) -> None:
        # By the item's identity, which is its own as long as it is held here.
        self._of: OrderedDict[int, tuple[object, str]] = OrderedDict()

    def put(self, item: object, text: str) -> None:
        self._of[id(item)] = (item, text)
        while len(self._of) > MOST_REMEMBERED:
            self._of.popitem(last=False)

    def get(self, item: object) -> str:
        held = self._of.get(id(item))
        return held[1] if held is not None and held[0] is item else ""


_carried: Final = _Carried()


def carry(item: object, text: str) -> None:
    """Let ``carried`` find the context of an item in a later step of this process."""
    if text:
        _carried.put(item, text)


def carried(item: object) -> str:
    """The context of an item as ``traceparent``, "" where it has none."""
    return getattr(item, "trace", "") or _carried.get(item)


@contextmanager
def span(name: str, parents: Iterable[str], **attributes: str | int) -> Iterator[str]:
    """A span, its context as ``traceparent``; "" while tracing is off.

    One parent is the span's; of several, each is linked to, and the span begins a trace.
    """
    tracer = TRACING.tracer
    if tracer is None:
        yield ""
        return
    found = list(dict.fromkeys(text for text in parents if text))
    with _started(tracer, name, found, attributes) as text:
        yield text


@contextmanager
def _started(
    tracer: Tracer, name: str, parents: Sequence[str], attributes: dict[str, Any]
) -> Iterator[str]:
    contexts = [context for text in parents if (context := from_text(text))]
    parent = (
        trace.set_span_in_context(NonRecordingSpan(contexts[0])) if len(contexts) == 1 else None
    )
    links = [Link(context) for context in contexts[:MOST_LINKS]] if len(contexts) > 1 else None
    with tracer.start_as_current_span(
        name, context=parent, links=links, attributes=attributes
    ) as started:
        yield to_text(started.get_span_context())


def traced(deliveries: list[Any], text: str) -> list[Any]:
    """The deliveries with the context they go out with: alerts have a span of their own."""
    if not text:
        return deliveries
    told: dict[str, str] = {}
    out = []
    for delivery in deliveries:
        context = text
        if isinstance(delivery, Delivery) and delivery.topic in ALERT_TOPICS:
            message_id = delivery.event.message_id
            if message_id not in told:
                told[message_id] = _alert(delivery, text)
            context = told[message_id]
        out.append(replace(delivery, trace=context) if isinstance(delivery, Delivery) else delivery)
    return out


def _alert(delivery: Delivery, text: str) -> str:
    event = delivery.event
    about = {name: str(event.data[name]) for name in _TOLD_OF if event.data.get(name)}
    about |= {"event_id": event.message_id, "vehicle_id": event.vehicle_id, "type": event.type}
    with span("alert", [text], **about) as own:
        return own
