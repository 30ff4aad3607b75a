"""The tables that results are kept in, the same in every SQL database, and how events fill them.

Column types are named by what they hold; each database maps them to its own.
"""

from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

import msgspec

from schemas.delivery import Delivery
from schemas.event import payload
from schemas.frame import rfc3339
from schemas.topics import (
    ALERT_NOTIFICATIONS,
    BETWEEN_TOPICS,
    COMPLIANCE_VIOLATIONS,
    CRITICAL_ALERTS,
    DEAD_LETTERS,
    GEOFENCING_EVENTS,
    LATE_TELEMETRY,
    WARNING_ALERTS,
)


class Column(Enum):
    """What a column holds."""

    TEXT = auto()
    WHOLE = auto()
    NUMBER = auto()
    TRUTH = auto()
    TIME = auto()
    """RFC 3339 text, UTC, microseconds: sorts as time does."""
    JSON = auto()
    BYTES = auto()


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its columns in order, those that identify a row, those searched by.

    ``order``: a further column, first and filled by the database: 1, 2, ... in order of arrival.
    """

    name: str
    columns: Mapping[str, Column]
    key: tuple[str, ...] = ()
    index: tuple[str, ...] = ()
    order: str | None = None


_EVENT: Final = {
    "event_id": Column.TEXT,
    "version": Column.WHOLE,
    "retracted": Column.TRUTH,
    "type": Column.TEXT,
    "vehicle_id": Column.TEXT,
    "time": Column.TIME,
}
_ALARM: Final = {
    "alarm_id": Column.TEXT,
    "rule_id": Column.TEXT,
    "rule_version": Column.WHOLE,
    "severity": Column.TEXT,
    "state": Column.TEXT,
    "zone_id": Column.TEXT,
    "visit_id": Column.TEXT,
    "message": Column.TEXT,
}
# The whole payload, including what has a column of its own.
_DATA: Final = {"data": Column.JSON}


def _events(name: str, columns: dict[str, Column]) -> Table:
    key = ("event_id", "version")
    return Table(name, _EVENT | columns, key, index=("vehicle_id", "time"))


def _definitions(name: str) -> Table:
    columns = {
        "id": Column.TEXT,
        "version": Column.WHOLE,
        "effective_from": Column.TIME,
        "effective_to": Column.TIME,
        "definition": Column.JSON,
    }
    return Table(name, columns, key=("id", "version"))


ZONES: Final = _definitions("zones")
RULES: Final = _definitions("rules")
ZONE_EVENTS: Final = _events(
    "zone_events",
    {
        "zone_id": Column.TEXT,
        "zone_version": Column.WHOLE,
        "visit_id": Column.TEXT,
        "reason": Column.TEXT,
        "longitude": Column.NUMBER,
        "latitude": Column.NUMBER,
        "depth_m": Column.NUMBER,
        "uncertainty_s": Column.NUMBER,
        "duration_s": Column.NUMBER,
    }
    | _DATA,
)
VIOLATIONS: Final = _events("violations", _ALARM | _DATA)
ALERTS: Final = _events("alerts", _ALARM | _DATA)
HAZARDS: Final = _events("hazards", {"score": Column.NUMBER, "class": Column.TEXT} | _DATA)
PLAN_REQUESTS: Final = _events(
    "plan_requests", {"trigger_id": Column.TEXT, "trigger_version": Column.WHOLE} | _DATA
)
LATE: Final = _events("late_telemetry", _DATA)
REJECTED: Final = Table(
    "dead_letters",
    _EVENT
    | {
        "reason": Column.TEXT,
        "field": Column.TEXT,
        "raw": Column.BYTES,
        "origin": Column.TEXT,
    },
    key=("event_id", "version"),
    order="received",
)
INTERNAL: Final = Table(
    "internal",
    {
        "event_id": Column.TEXT,
        "version": Column.WHOLE,
        "topic": Column.TEXT,
        "vehicle_id": Column.TEXT,
        "time": Column.TIME,
        "data": Column.JSON,
    },
    key=("event_id", "version"),
)
AUDIT_LOG: Final = Table(
    "audit_log",
    {
        "time": Column.TIME,
        "action": Column.TEXT,
        "subject": Column.TEXT,
        "version": Column.WHOLE,
    },
    order="entry",
)

TABLES: Final = {
    table.name: table
    for table in (
        ZONES,
        RULES,
        ZONE_EVENTS,
        VIOLATIONS,
        ALERTS,
        HAZARDS,
        PLAN_REQUESTS,
        LATE,
        REJECTED,
        INTERNAL,
        AUDIT_LOG,
    )
}

# One alert is told on several topics; it is one row.
_TABLE_OF_TOPIC: Final = {
    GEOFENCING_EVENTS: ZONE_EVENTS,
    COMPLIANCE_VIOLATIONS: VIOLATIONS,
    CRITICAL_ALERTS: ALERTS,
    WARNING_ALERTS: ALERTS,
    ALERT_NOTIFICATIONS: ALERTS,
    "hazard_scores": HAZARDS,
    "plan_requests": PLAN_REQUESTS,
    LATE_TELEMETRY: LATE,
    DEAD_LETTERS: REJECTED,
}


def table_of(topic: str) -> Table | None:
    """The table that keeps the events of ``topic``; None for frames on their way between flows.

    Raises:
        KeyError: no such topic.
    """
    if topic in BETWEEN_TOPICS:
        return None
    return INTERNAL if topic.startswith("_") else _TABLE_OF_TOPIC[topic]


def row(table: Table, delivery: Delivery) -> tuple[object, ...]:
    """The delivery as a row of ``table``, in the order of its columns."""
    event = delivery.event
    data = payload(event)
    fields = data | {
        "type": event.type,
        "topic": delivery.topic,
        "time": None if event.time_us is None else rfc3339(event.time_us),
    }
    if table is REJECTED:
        fields["raw"] = b64decode(event.data["raw"])
    else:
        fields["data"] = _json.encode(data).decode()
    return tuple([fields.get(name) for name in table.columns])


def create(table: Table, types: Mapping[Column, str], order_type: str) -> Iterator[str]:
    """The statements that make ``table`` in a database with these names for the column types."""
    columns = [f'"{name}" {types[column]}' for name, column in table.columns.items()]
    if table.order is not None:
        columns.insert(0, f'"{table.order}" {order_type}')
    if table.key:
        key = "UNIQUE" if table.order is not None else "PRIMARY KEY"
        columns.append(f"{key} ({_names(table.key)})")
    yield f'CREATE TABLE "{table.name}" ({", ".join(columns)})'
    if table.index:
        name = f"{table.name}_by_{'_'.join(table.index)}"
        yield f'CREATE INDEX "{name}" ON "{table.name}" ({_names(table.index)})'


def insert(table: Table, placeholder: str) -> str:
    """The statement that adds a row unless one with its key is there."""
    values = ", ".join([placeholder] * len(table.columns))
    # Table and column names are constants of this module; values are bound.
    return (
        f'INSERT INTO "{table.name}" ({_names(table.columns)}) VALUES ({values}) '  # noqa: S608
        "ON CONFLICT DO NOTHING"
    )


def _names(columns: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in columns)


_json: Final = msgspec.json.Encoder()
