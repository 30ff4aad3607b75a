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


class Stay(msgspec.Struct, frozen=True):
    """A visit as a stretch of rows: the vehicle is in the zone in rows ``start`` to ``stop``."""

    zone_id: str
    zone_version: int
    visit_id: str
    entered_us: int
    start: int
    stop: int


class LateZone(msgspec.Struct, frozen=True):
    """A zone that holds (``certain``) or may hold the late record ``row``."""

    row: int
    zone_id: str
    zone_version: int
    certain: bool


@dataclass(frozen=True, slots=True)
class Enriched:
    """The records of one key group with the stays they make, the late ones apart.

    ``frame``: rows in order of vehicle, then event time; ``late``: records that came late,
    ``newest_us``: what each one's vehicle had. ``ties``: of each row, how many records of its
    vehicle at the very same time came before.
    """

    group: str
    frame: Frame
    ties: list[int]
    stays: list[Stay]
    late: Frame
    newest_us: list[int]
    late_zones: list[LateZone]


class _Data(msgspec.Struct):
    group: str
    columns: Columns
    ties: list[int]
    stays: list[Stay]
    late_columns: Columns
    newest_us: list[int]
    late_zones: list[LateZone]


def checked_event(frame: Frame) -> Event:
    """The frame as an event between flows."""
    return _event(TELEMETRY_CHECKED, {"columns": to_columns(frame)})


def enriched_event(enriched: Enriched) -> Event:
    """The enriched frame as an event between flows."""
    data = _Data(
        enriched.group,
        to_columns(enriched.frame),
        enriched.ties,
        enriched.stays,
        to_columns(enriched.late),
        enriched.newest_us,
        enriched.late_zones,
    )
    return _event(TELEMETRY_ENRICHED, msgspec.structs.asdict(data))


def read_checked(data: dict[str, Any]) -> Frame:
    """The frame of a checked event's data; raises KeyError, TypeError, ValueError on other data."""
    return from_columns(data["columns"])


def read_enriched(data: dict[str, Any]) -> Enriched:
    """The enriched frame of an event's data; raises as ``read_checked``."""
    known = {name: data[name] for name in _Data.__struct_fields__}
    found = msgspec.convert(known, _Data)
    return Enriched(
        found.group,
        from_columns(found.columns),
        found.ties,
        found.stays,
        from_columns(found.late_columns),
        found.newest_us,
        found.late_zones,
    )


def _event(event_type: str, data: dict[str, Any]) -> Event:
    content = msgspec.json.encode(data).decode()
    return Event(
        type=event_type,
        event_id=identity(event_type, content),
        vehicle_id="",
        time_us=None,
        data=data,
    )
