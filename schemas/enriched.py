"""Frames between flows that run apart: telemetry that passed the contract, and the same with zones.

Each is the ``data`` of one CloudEvent for the records of one frame (checked) or of one key group
of a frame (enriched).
"""

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from schemas.columns import Columns, from_columns, to_columns
from schemas.event import Event, identity
from schemas.frame import Frame

TELEMETRY_CHECKED: Final = "farwatch.telemetry.checked.v1"
TELEMETRY_ENRICHED: Final = "farwatch.telemetry.enriched.v1"


class HeldIn(msgspec.Struct, frozen=True):
    """A zone that holds (``certain``) or may hold the record ``row``."""

    row: int
    zone_id: str
    zone_version: int
    certain: bool


@dataclass(frozen=True, slots=True)
class Enriched:
    """The records of one key group, by vehicle, then event time, with the zones that hold each."""

    group: str
    frame: Frame
    zones: list[HeldIn]


class _Data(msgspec.Struct):
    group: str
    columns: Columns
    zones: list[HeldIn]


def checked_event(frame: Frame) -> Event:
    """The frame as an event between flows."""
    return _event(TELEMETRY_CHECKED, {"columns": to_columns(frame)})


def enriched_event(enriched: Enriched) -> Event:
    """The enriched frame as an event between flows."""
    data = _Data(enriched.group, to_columns(enriched.frame), enriched.zones)
    return _event(TELEMETRY_ENRICHED, msgspec.structs.asdict(data))


def read_checked(data: dict[str, Any]) -> Frame:
    """The frame of a checked event's data; raises KeyError, TypeError, ValueError on other data."""
    return from_columns(data["columns"])


def read_enriched(data: dict[str, Any]) -> Enriched:
    """The enriched frame of an event's data; raises as ``read_checked``."""
    known = {name: data[name] for name in _Data.__struct_fields__}
    found = msgspec.convert(known, _Data)
    return Enriched(found.group, from_columns(found.columns), found.zones)


def _event(event_type: str, data: dict[str, Any]) -> Event:
    content = msgspec.json.encode(data).decode()
    return Event(
        type=event_type,
        event_id=identity(event_type, content),
        vehicle_id="",
        time_us=None,
        data=data,
    )
