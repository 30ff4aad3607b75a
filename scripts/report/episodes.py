"""What the events tell together: alarms from raised to cleared, visits from entered to exited."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from schemas.event import ALARM_CLEARED, ALARM_RAISED, ZONE_ENTERED, ZONE_EXITED
from scripts.report.data import Json
from scripts.report.times import parsed_us

SEVERITIES: Final = ("emergency", "critical", "warning", "info")
_ALARM_PREFIX: Final = ALARM_RAISED.removesuffix("raised.v1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One alarm; ``cleared_us`` is None while it is open. ``number`` counts from 1 by urgency.

    ``shadow``: its rule is on trial, so it was recorded and nobody was told.
    """

    number: int
    alarm_id: str
    vehicle_id: str
    rule: str
    severity: str
    state: str
    raised_us: int
    cleared_us: int | None
    message: str
    zone_id: str
    decision: Json
    shadow: bool

    @property
    def urgency(self) -> tuple[int, int, str, str]:
        """What alarms are sorted by: severity, then time, then vehicle and id."""
        return (
            SEVERITIES.index(self.severity),
            self.raised_us,
            self.vehicle_id,
            self.alarm_id,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """A vehicle came into a zone or left it; NaN where the event names no position."""

    vehicle_id: str
    zone_id: str
    visit_id: str
    entered: bool
    time_us: int
    longitude: float
    latitude: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A stay in a zone; an end that no event tells is None."""

    vehicle_id: str
    zone_id: str
    entered_us: int | None
    exited_us: int | None


def in_force(events: Iterable[Json]) -> list[Json]:
    """Of each event the highest version, without the retracted ones, in event-time order.

    What begins and ends in one instant begins first.
    """
    latest: dict[str, Json] = {}
    for event in events:
        data = event["data"]
        held = latest.get(data["event_id"])
        if held is None or data["version"] >= held["data"]["version"]:
            latest[data["event_id"]] = event
    kept = [event for event in latest.values() if not event["data"]["retracted"]]
    return sorted(kept, key=_order)


def _order(event: Json) -> tuple[int, bool, str]:
    ends = event["type"] in (ALARM_CLEARED, ZONE_EXITED)
    return parsed_us(event["time"]), ends, event["data"]["event_id"]


def alarms(events: Sequence[Json]) -> list[Alarm]:
    """The alarms of events in force, most urgent first.

    An alarm lasts from ``raised`` to the next ``cleared`` of the same alarm id; what comes in
    between (updated, acknowledged, shelved) changes its state, severity and message.
    """
    running: dict[str, Alarm] = {}
    done: list[Alarm] = []
    for event in events:
        if not event["type"].startswith(_ALARM_PREFIX):
            continue
        alarm_id = str(event["data"]["alarm_id"])
        if event["type"] == ALARM_CLEARED:
            if alarm_id in running:
                cleared_us = parsed_us(event["time"])
                done.append(replace(running.pop(alarm_id), state="cleared", cleared_us=cleared_us))
        elif alarm_id in running:
            running[alarm_id] = _changed(running[alarm_id], event["data"])
        else:
            running[alarm_id] = _raised(event)
    found = sorted([*done, *running.values()], key=lambda alarm: alarm.urgency)
    return [replace(alarm, number=number) for number, alarm in enumerate(found, start=1)]


def crossings(events: Iterable[Json]) -> list[Crossing]:
    """The zone events in force, in time order."""
    return [
        Crossing(
            vehicle_id=str(event["data"]["vehicle_id"]),
            zone_id=str(event["data"]["zone_id"]),
            visit_id=str(event["data"].get("visit_id") or ""),
            entered=event["type"] == ZONE_ENTERED,
            time_us=parsed_us(event["time"]),
            longitude=_float(event["data"].get("longitude")),
            latitude=_float(event["data"].get("latitude")),
            reason=str(event["data"].get("reason") or ""),
        )
        for event in events
        if event["type"] in {ZONE_ENTERED, ZONE_EXITED}
    ]


def visits(found: Iterable[Crossing]) -> list[Visit]:
    """The visits that the crossings make up, by vehicle, then time."""
    by_visit: dict[tuple[str, str, str], Visit] = {}
    for crossing in found:
        key = (crossing.vehicle_id, crossing.zone_id, crossing.visit_id)
        visit = by_visit.get(key) or Visit(
            vehicle_id=key[0], zone_id=key[1], entered_us=None, exited_us=None
        )
        by_visit[key] = (
            replace(visit, entered_us=crossing.time_us)
            if crossing.entered
            else replace(visit, exited_us=crossing.time_us)
        )
    return sorted(by_visit.values(), key=lambda visit: (visit.vehicle_id, *_ends(visit)))


def _ends(visit: Visit) -> tuple[int, str]:
    start = visit.entered_us if visit.entered_us is not None else visit.exited_us
    return (start or 0, visit.zone_id)


def _raised(event: Json) -> Alarm:
    data = event["data"]
    version = data.get("rule_version")
    severity = str(data.get("severity"))
    return Alarm(
        number=0,
        alarm_id=str(data["alarm_id"]),
        vehicle_id=str(data["vehicle_id"]),
        rule=f"{data['rule_id']}" + (f" v{version}" if version is not None else ""),
        severity=severity if severity in SEVERITIES else "info",
        state=str(data.get("state") or "raised"),
        raised_us=parsed_us(event["time"]),
        cleared_us=None,
        message=str(data.get("message") or ""),
        zone_id=str(data.get("zone_id") or ""),
        decision=data.get("decision") or {},
        shadow=data.get("mode") == "shadow",
    )


def _changed(alarm: Alarm, data: dict[str, Any]) -> Alarm:
    severity = str(data.get("severity"))
    return replace(
        alarm,
        severity=severity if severity in SEVERITIES else alarm.severity,
        state=str(data.get("state") or alarm.state),
        message=str(data.get("message") or alarm.message),
    )


def _float(value: Any) -> float:
    return float("nan") if value is None else float(value)
