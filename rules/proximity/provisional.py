"""Provisional events: told at the end of the input, corrected when it goes on after all.

At its end everything is judged that can be, as if no record could come any more. The state stays as
it is: when more records come, the same is judged again, and only what differs is told.
"""

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from schemas.event import Event

Told = Mapping[str, Event]
"""Events told before their time, retracted ones too, by id."""


def at_end(told: Told, events: Iterable[Event]) -> tuple[Told, list[Event]]:
    """What to tell of all ``events`` that hold if the input ends here."""
    after, now = dict(told), []
    holding = set()
    for event in events:
        holding.add(event.event_id)
        if news := _news(told, event):
            now.append(news)
            after[event.event_id] = news
    for event_id in told.keys() - holding:
        if gone := _retracted(told[event_id]):
            now.append(gone)
            after[event_id] = gone
    return after, now


def for_good(told: Told, events: Iterable[Event], final_us: int) -> tuple[Told, list[Event]]:
    """What to tell where ``events`` are final; others that happened before ``final_us`` did not."""
    if not told:
        return told, list(events)
    after, now = dict(told), []
    for event in events:
        if news := _news(told, event):
            now.append(news)
        after.pop(event.event_id, None)
    for event_id, event in list(after.items()):
        if event.happened_us < final_us:
            del after[event_id]
            if gone := _retracted(event):
                now.append(gone)
    return after, now


def _news(told: Told, event: Event) -> Event | None:
    """The event as it is to be told, None where it was told so."""
    was = told.get(event.event_id)
    if was is None:
        return event
    if not was.retracted and was.data == event.data:
        return None
    return replace(event, version=was.version + 1)


def _retracted(event: Event) -> Event | None:
    return None if event.retracted else replace(event, version=event.version + 1, retracted=True)
