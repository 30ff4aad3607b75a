"""Events of another flow as input; what is none goes to the dead letters."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import bytewax.operators as op
import msgspec
from bytewax.dataflow import Dataflow, Stream

from flows.steps.decode import only
from flows.steps.measuring import count_input, timed
from flows.steps.source import messages_in
from flows.steps.tracing import carry, span, traced
from flows.wiring import Wiring
from schemas.delivery import Delivery
from schemas.event import Event
from schemas.event_decoding import decode_events
from schemas.message import Message, Reject
from schemas.rejected import dead_letter

Item = TypeVar("Item")


@dataclass(frozen=True)
class Received(Generic[Item]):
    """``items``: what the events hold; ``dead_letters``: what could not be read."""

    items: Stream[Item]
    dead_letters: Stream[Delivery]


@dataclass(frozen=True, slots=True)
class _Held(Generic[Item]):
    item: Item


def events_in(
    flow: Dataflow, wiring: Wiring, types: Sequence[str], read: Callable[[Event], Item]
) -> Received[Item]:
    """The events of the given types, each as what ``read`` makes of it."""
    messages, limit = messages_in(flow, wiring)

    def received(batch: list[Message | Reject]) -> Iterator[_Held[Item] | Delivery]:
        refused = only(Reject, batch)
        good = 0
        for event in decode_events(only(Message, batch), types):
            found = event if isinstance(event, Reject) else _read(event, read)
            if isinstance(found, Reject):
                refused.append(found)
            else:
                good += 1
                yield found
        limit.count(good, refused)
        count_input(good, refused)
        yield from map(dead_letter, refused)

    def traced_batch(batch: list[Message | Reject]) -> list[_Held[Item] | Delivery]:
        with span("events", (item.trace for item in batch if isinstance(item, Message))) as trace:
            out = list(received(batch))
        for held in only(_Held, out):
            carry(held.item, trace)
        return traced(out, trace)

    timed_batch = timed("events", traced_batch)
    stream = op.flat_map_batch("events", messages, timed_batch)
    return Received(
        op.flat_map_batch("items", stream, lambda batch: [h.item for h in only(_Held, batch)]),
        op.flat_map_batch("rejects", stream, lambda batch: only(Delivery, batch)),
    )


def _read(event: Event, read: Callable[[Event], Item]) -> _Held[Item] | Reject:
    try:
        return _Held(read(event))
    except (KeyError, TypeError, ValueError, msgspec.ValidationError) as exc:
        raw = msgspec.json.encode(event.data)
        return Reject(f"data: {type(exc).__name__} {exc}", "data", raw, event.message_id)
