"""Rejects as events: what the dead letters hold."""

from base64 import b64encode

from schemas.delivery import Delivery
from schemas.event import TELEMETRY_REJECTED, Event, identity
from schemas.message import Reject
from schemas.topics import DEAD_LETTERS


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
