"""What sinks that show the present are told beside events: telemetry, vehicle states, counts.

These deliveries stay inside farwatch: their data holds arrays, no JSON, and no topic shows them.
"""

from dataclasses import dataclass, field
from typing import Any, Final

from schemas.delivery import Delivery
from schemas.event import Event
from schemas.frame import Frame

TELEMETRY: Final = "_telemetry"
"""``data["frame"]``: a ``Frame``, the records of one key group, late ones too."""
VEHICLE_STATES: Final = "_vehicle_states"
"""``data["states"]``: a ``VehicleStates``."""
PIPELINE: Final = "_pipeline"
"""``data``: ``group`` and what was counted in it since the beginning, by name."""
PROGRESS: Final = "_progress"
"""The event's time: how far the records of a key group have come; behind all told of them."""
LIVE_TOPICS: Final = frozenset({TELEMETRY, VEHICLE_STATES, PIPELINE, PROGRESS})


@dataclass(frozen=True, slots=True)
class VehicleStates:
    """Each vehicle's newest record and the zones it is in.

    ``frame``: one row a vehicle. ``row``: the row each stay belongs to; ``zone_id``,
    ``entered_us``: its zone and the event time of the entry, microseconds since 1970 UTC.
    ``unknown``: (row, zone id) where nobody knows whether the vehicle is in the zone.
    """

    frame: Frame
    row: list[int]
    zone_id: list[str]
    entered_us: list[int]
    unknown: list[tuple[int, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class VehicleState:
    """Where a vehicle is: its newest record, the zones it is in since when, and where nobody knows.

    ``record``: as in telemetry. ``zones``: zone id -> event time of the entry, RFC 3339, in order
    of the ids. ``unknown``: ids of the zones of which nobody knows whether it is in them; a zone
    that it entered before that is in both.
    """

    kind: str
    vehicle_id: str
    time: str
    record: dict[str, Any]
    zones: dict[str, str]
    unknown: tuple[str, ...] = ()


def telemetry_delivery(group: str, frame: Frame) -> Delivery:
    """The records of a key group for ``TELEMETRY``."""
    return _delivery(TELEMETRY, group, None, frame=frame)


def states_delivery(group: str, states: VehicleStates) -> Delivery:
    """The states of vehicles of a key group for ``VEHICLE_STATES``."""
    return _delivery(VEHICLE_STATES, group, None, states=states)


def pipeline_delivery(group: str, time_us: int, counts: dict[str, int]) -> Delivery:
    """The counts of a key group up to event time ``time_us`` for ``PIPELINE``."""
    return _delivery(PIPELINE, group, time_us, group=group, **counts)


def progress_delivery(time_us: int) -> Delivery:
    """How far records have come, event time, for ``PROGRESS``."""
    return _delivery(PROGRESS, "", time_us)


def _delivery(topic: str, key: str, time_us: int | None, **data: object) -> Delivery:
    # Nobody tells these twice or corrects them: the id need not tell one from another.
    return Delivery(
        topic, Event(type=topic, event_id=key, vehicle_id="", time_us=time_us, data=data)
    )
