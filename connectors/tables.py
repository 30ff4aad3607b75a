"""The tables that results are kept in, the same in every SQL database, and how events fill them.

Column types are named by what they hold; each database maps them to its own.
"""

from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from math import isnan
from typing import Any, Final

import msgspec

from schemas.delivery import Delivery
from schemas.event import Event, payload
from schemas.frame import EPOCH
from schemas.live import VehicleState
from schemas.topics import (
    ALERT_NOTIFICATIONS,
    ANALYTICS_DATA,
    BETWEEN_TOPICS,
    COMMAND_OUTCOMES,
    COMPLIANCE_VIOLATIONS,
    CRITICAL_ALERTS,
    DEAD_LETTERS,
    GEOFENCING_EVENTS,
    HAZARD_SCORES,
    LATE_TELEMETRY,
    NOTIFICATIONS,
    PLAN_REQUESTS,
    PROXIMITY_EVENTS,
    SHADOW_PLAN_REQUESTS,
    WARNING_ALERTS,
)


class Column(Enum):
    """What a column holds."""

    TEXT = auto()
    WHOLE = auto()
    NUMBER = auto()
    TRUTH = auto()
    TIME = auto()
    """UTC, microseconds; as text it is RFC 3339, which sorts as time does."""
    JSON = auto()
    BYTES = auto()


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its columns in order, those that identify a row, those searched by.

    ``unique``: further columns of which no two rows have the same values, unless these are NULL.
    ``order``: a further column, first and filled by the database: it grows in order of arrival.
    ``newest``: a row takes the place of the one with its key unless its value there is less; None:
    what is there stays.
    """

    name: str
    columns: Mapping[str, Column]
    key: tuple[str, ...] = ()
    index: tuple[str, ...] = ()
    order: str | None = None
    newest: str | None = None
    unique: tuple[str, ...] = ()


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
PROXIMITY: Final = _events(
    "proximity_events",
    {
        "other_vehicle_id": Column.TEXT,
        "encounter_id": Column.TEXT,
        "reason": Column.TEXT,
        "separation_m": Column.NUMBER,
        "horizontal_m": Column.NUMBER,
        "vertical_m": Column.NUMBER,
        "longitude": Column.NUMBER,
        "latitude": Column.NUMBER,
        "depth_m": Column.NUMBER,
        "duration_s": Column.NUMBER,
        "closest_m": Column.NUMBER,
    }
    | _DATA,
)
VIOLATIONS: Final = _events("violations", _ALARM | _DATA)
ALERTS: Final = _events("alerts", _ALARM | _DATA)
HAZARDS: Final = _events("hazards", {"score": Column.NUMBER, "class": Column.TEXT} | _DATA)
PLANS_ASKED: Final = _events(
    "plan_requests",
    {
        "trigger_id": Column.TEXT,
        "trigger_version": Column.WHOLE,
        "request_id": Column.TEXT,
        "state": Column.TEXT,
        "mode": Column.TEXT,
        "priority": Column.WHOLE,
        "plan_id": Column.TEXT,
    }
    | _DATA,
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
        "who": Column.TEXT,
        "reason": Column.TEXT,
        # Of commands on alarms, which are told as events: what makes each an entry once.
        "message_id": Column.TEXT,
    },
    order="entry",
    unique=("message_id",),
)

STATES: Final = Table(
    "vehicle_states",
    {
        "kind": Column.TEXT,
        "vehicle_id": Column.TEXT,
        "body": Column.TEXT,
        "time": Column.TIME,
        "longitude": Column.NUMBER,
        "latitude": Column.NUMBER,
        "depth_m": Column.NUMBER,
        "altitude_m": Column.NUMBER,
        "status": Column.TEXT,
        "zones": Column.JSON,
        "unknown": Column.JSON,
        "record": Column.JSON,
    },
    key=("kind", "vehicle_id"),
    newest="time",
)

TABLES: Final = {
    table.name: table
    for table in (
        ZONES,
        RULES,
        ZONE_EVENTS,
        PROXIMITY,
        VIOLATIONS,
        ALERTS,
        HAZARDS,
        PLANS_ASKED,
        LATE,
        REJECTED,
        INTERNAL,
        AUDIT_LOG,
        STATES,
    )
}

# One alert is told on several topics; it is one row.
_TABLE_OF_TOPIC: Final = {
    GEOFENCING_EVENTS: ZONE_EVENTS,
    PROXIMITY_EVENTS: PROXIMITY,
    COMPLIANCE_VIOLATIONS: VIOLATIONS,
    CRITICAL_ALERTS: ALERTS,
    WARNING_ALERTS: ALERTS,
    ALERT_NOTIFICATIONS: ALERTS,
    COMMAND_OUTCOMES: AUDIT_LOG,
    PLAN_REQUESTS: PLANS_ASKED,
    SHADOW_PLAN_REQUESTS: PLANS_ASKED,
    HAZARD_SCORES: HAZARDS,
    LATE_TELEMETRY: LATE,
    DEAD_LETTERS: REJECTED,
}
UNKEPT: Final = frozenset({ANALYTICS_DATA, NOTIFICATIONS, *BETWEEN_TOPICS})
"""What no table keeps: frames on their way between flows, notifications, whose alarms are kept, and
windows: a row a vehicle and minute, which is what a store of time series is for."""


def table_of(topic: str) -> Table | None:
    """The table that keeps the events of ``topic``; None for those of ``UNKEPT``.

    Raises:
        KeyError: no such topic.
    """
    if topic in UNKEPT:
        return None
    return INTERNAL if topic.startswith("_") else _TABLE_OF_TOPIC[topic]


def row(table: Table, delivery: Delivery, time: Callable[[int], object]) -> tuple[object, ...]:
    """The delivery as a row of ``table``, in the order of its columns.

    ``time`` turns microseconds since 1970 UTC into what the database takes. Every value is of its
    column's type: what is not is kept in the payload alone. Text is valid Unicode.
    """
    event = delivery.event
    data = payload(event)
    try:
        text = _json.encode(data).decode()
    except UnicodeEncodeError:
        data = _encodable(data)
        text = _json.encode(data).decode()
    fields = data | {
        "type": event.type,
        "topic": delivery.topic,
        "time": None if event.time_us is None else time(event.time_us),
    }
    if table is AUDIT_LOG:
        fields |= _audited(event)
    elif table is REJECTED:
        fields["raw"] = b64decode(event.data["raw"])
    else:
        fields["data"] = text
    return tuple([_FIT[column](fields.get(name)) for name, column in table.columns.items()])


def _audited(event: Event) -> dict[str, Any]:
    """The outcome of a command as an entry of the audit log."""
    data = event.data
    outcome = "outcome taken back" if event.retracted else data.get("outcome")
    return {
        "action": f"alarm {data.get('action')} {outcome}",
        "subject": data.get("alarm_id"),
        "version": None,
        "reason": data.get("refused") or data.get("reason"),
        "message_id": event.message_id,
    }


def state_row(state: VehicleState, time: Callable[[int], object]) -> tuple[object, ...]:
    """The state as a row of ``STATES``; ``time`` as for ``row``."""
    fields = state.record | {
        "time": time((datetime.fromisoformat(state.time) - EPOCH) // _MICROSECOND),
        "zones": _json.encode(state.zones).decode(),
        "unknown": _json.encode(state.unknown).decode(),
        "record": _json.encode(state.record).decode(),
    }
    return tuple([_FIT[column](fields.get(name)) for name, column in STATES.columns.items()])


def state_of(found: Mapping[str, Any]) -> VehicleState:
    """The state that a row of ``STATES`` holds, its JSON parsed and its time RFC 3339 text."""
    return VehicleState(
        kind=found["kind"],
        vehicle_id=found["vehicle_id"],
        time=found["time"],
        record=found["record"],
        zones=found["zones"],
        unknown=tuple(found["unknown"]),
    )


def _text(value: object) -> object:
    return value if value is None or type(value) is str else _json.encode(value).decode()


def _whole(value: object) -> object:
    return value if type(value) is int and -_WHOLE_END <= value < _WHOLE_END else None


def _number(value: object) -> object:
    # JSON has no NaN, and a database may have none either.
    if type(value) is float:
        return None if isnan(value) else value
    return None if _whole(value) is None else float(value)  # type: ignore[arg-type]


def _truth(value: object) -> object:
    return value if type(value) is bool else None


def _as_given(value: object) -> object:
    return value


_MICROSECOND: Final = timedelta(microseconds=1)
_WHOLE_END: Final = 2**63
_FIT: Final[Mapping[Column, Callable[[object], object]]] = {
    Column.TEXT: _text,
    Column.WHOLE: _whole,
    Column.NUMBER: _number,
    Column.TRUTH: _truth,
    Column.TIME: _as_given,
    Column.JSON: _as_given,
    Column.BYTES: _as_given,
}


def _encodable(value: Any) -> Any:
    """The value with ``?`` for what no encoding has: halves of surrogate pairs."""
    if isinstance(value, dict):
        return {_encodable(key): _encodable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_encodable(each) for each in value]
    return value.encode(errors="replace").decode() if isinstance(value, str) else value


_json: Final = msgspec.json.Encoder()
