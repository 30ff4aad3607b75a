"""Violations and commands for tests of alarms, and what a consumer keeps of what is told."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from rules.alarms import AlarmState, Alerting, Handling, News, advance, release
from schemas.command import Command
from schemas.delivery import Delivery
from schemas.event import ALARM_CLEARED, ALARM_RAISED, Event, identity
from schemas.frame import rfc3339

S = 1_000_000
T0 = 1_767_225_600 * S


def alarm_id(rule: str = "deep", visit: object = 0, vehicle: str = "auv-1") -> str:
    return identity("alarm", rule, vehicle, visit)


def violation(
    kind: str,
    at_s: float,
    rule: str = "deep",
    *,
    visit: object = 0,
    vehicle: str = "auv-1",
    severity: str = "critical",
    mode: str = "active",
    zone: str | None = None,
    version: int = 1,
    retracted: bool = False,
    moment: object = None,
    **more: Any,
) -> Event:
    time_us = T0 + round(at_s * S)
    cleared = {"reason": "condition_false", "duration_s": 1.0} if kind == ALARM_CLEARED else {}
    name = alarm_id(rule, visit, vehicle)
    return Event(
        type=kind,
        event_id=identity(kind, name, at_s if moment is None else moment),
        vehicle_id=vehicle,
        time_us=time_us,
        version=version,
        retracted=retracted,
        data={
            "alarm_id": name,
            "rule_id": rule,
            "rule_version": 1,
            "severity": severity,
            "mode": mode,
            "time": rfc3339(time_us),
            "zone_id": zone,
            "visit_id": None,
            "decision": {
                "inputs": {"depth_m": 1.0},
                "limit": 0.5,
                "margin": 0.5,
                "zone_version": None,
                "since": rfc3339(time_us),
                "fixes": [],
            },
            "state": "unacknowledged" if kind == ALARM_RAISED else "returned-unacknowledged",
            "message": rule,
            **cleared,
            **more,
        },
    )


def raised(at_s: float, rule: str = "deep", **more: Any) -> Event:
    return violation(ALARM_RAISED, at_s, rule, **more)


def cleared(at_s: float, rule: str = "deep", **more: Any) -> Event:
    return violation(ALARM_CLEARED, at_s, rule, **more)


def command(
    action: str,
    at_s: float,
    rule: str = "deep",
    *,
    visit: object = 0,
    vehicle: str = "auv-1",
    until_s: float | None = None,
    name: str = "",
) -> Command:
    return Command(
        id=name or f"{action} {rule} {visit} {at_s}",
        action=action,  # type: ignore[arg-type]
        alarm_id=alarm_id(rule, visit, vehicle),
        vehicle_id=vehicle,
        time=rfc3339(T0 + round(at_s * S)),
        who="ana",
        reason="seen",
        until=None if until_s is None else rfc3339(T0 + round(until_s * S)),
    )


FOLLOWING = Alerting(follow=True, lateness_us=10 * S, handling=Handling(patience_us=10 * S))

FLAPPING = replace(FOLLOWING, handling=Handling(patience_us=10 * S, flaps=4, flaps_us=60 * S))


class Stage:
    """An alarm stage that is told one thing after the other."""

    def __init__(self, by: Alerting = FOLLOWING) -> None:
        self.by, self.state = by, AlarmState()
        self.told: list[Delivery] = []

    def tell(self, *what: Event | Command, now_s: float | None = None) -> list[Delivery]:
        news = News(
            violations=tuple(w for w in what if isinstance(w, Event)),
            newest_us=0 if now_s is None else T0 + round(now_s * S),
            commands=tuple(w for w in what if isinstance(w, Command)),
        )
        self.state, told = advance(self.by, self.state, news)
        self.told += told
        return told

    def end(self) -> list[Delivery]:
        self.state, told = release(self.by, self.state)
        self.told += told
        return told


def final(told: Iterable[Delivery], topic: str = "alert_notifications") -> dict[str, Event]:
    """The last version of each event of a topic that is not retracted; versions must ascend."""
    newest: dict[str, Event] = {}
    for delivery in told:
        if delivery.topic == topic:
            event, known = delivery.event, newest.get(delivery.event.event_id)
            assert event.version == (1 if known is None else known.version + 1)
            newest[event.event_id] = event
    return {name: event for name, event in newest.items() if not event.retracted}


def brief(told: Iterable[Delivery], topic: str = "alert_notifications") -> list[tuple[Any, ...]]:
    """Time, type and state of the final events of a topic, in order of time."""
    return sorted(
        (
            (event.happened_us - T0) / S,
            event.type.split(".")[-2],
            event.data["state"],
            event.data.get("reason"),
        )
        for event in final(told, topic).values()
    )
