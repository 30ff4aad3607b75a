"""One alarm and its states by ISA-18.2: what an event or a command makes of it.

    normal ──raised──▶ unacknowledged ──acknowledged──▶ acknowledged
      ▲                  │ ▲                              │
      │           cleared│ │raised, or the                │cleared
      │                  ▼ │acknowledgement expired       ▼
      └─acknowledged── returned-unacknowledged          normal

A latched alarm stays (``latched-unacknowledged``, ``latched-acknowledged``) until somebody clears
it. ``shelved`` and ``suppressed`` hide any of these (``rules.alarms.course``).
"""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any, Final, NamedTuple

NORMAL: Final = "normal"
UNACKNOWLEDGED: Final = "unacknowledged"
ACKNOWLEDGED: Final = "acknowledged"
RETURNED: Final = "returned-unacknowledged"
LATCHED_UNACKNOWLEDGED: Final = "latched-unacknowledged"
LATCHED_ACKNOWLEDGED: Final = "latched-acknowledged"
SHELVED: Final = "shelved"
SUPPRESSED: Final = "suppressed"

SEVERITIES: Final = ("info", "warning", "critical", "emergency")


class Point(NamedTuple):
    """What alarms are shelved, folded and superseded by: a rule, and a zone or none."""

    rule_id: str
    zone_id: str | None


class Alarm(NamedTuple):
    """An alarm of a vehicle; ``data``: the payload of its latest violation.

    ``active``: its condition holds. ``latched``: it is held though the condition is over.
    ``expires_us``, ``expires``: when the acknowledgement expires, and the event that gave it.
    """

    alarm_id: str
    point: Point
    since_us: int
    severity: str
    data: Mapping[str, Any]
    active: bool
    acknowledged: bool = False
    latched: bool = False
    expires_us: int | None = None
    expires: str = ""

    @property
    def state(self) -> str:
        """The state of ISA-18.2, but for shelving and suppression."""
        if self.active:
            return ACKNOWLEDGED if self.acknowledged else UNACKNOWLEDGED
        if self.latched:
            return LATCHED_ACKNOWLEDGED if self.acknowledged else LATCHED_UNACKNOWLEDGED
        return NORMAL if self.acknowledged else RETURNED

    @property
    def handling(self) -> Mapping[str, Any]:
        """How its rule wants it handled."""
        found: Mapping[str, Any] = self.data.get("handling") or {}
        return found

    def inhibits(self, other: "Alarm") -> bool:
        """Whether the other alarm of its vehicle is suppressed while this one holds."""
        wanted = self.handling.get("inhibits")
        if not wanted or not self.active or other.point.rule_id == self.point.rule_id:
            return False
        if any(fnmatchcase(other.point.rule_id, each) for each in wanted.get("rules", ())):
            return True
        labels, asked = other.data.get("labels") or {}, wanted.get("labels")
        return bool(asked) and all(labels.get(k) == v for k, v in asked.items())


def raised(before: Alarm | None, alarm_id: str, time_us: int, data: Mapping[str, Any]) -> Alarm:
    """The alarm after its condition began to count; severity never goes down before it is normal.

    An alarm that is raised again while it holds stays acknowledged unless its severity went up.
    """
    severity = data["severity"]
    if before is None:
        point = Point(data["rule_id"], data["zone_id"])
        return Alarm(alarm_id, point, time_us, severity, data, active=True)
    higher = SEVERITIES.index(severity) > SEVERITIES.index(before.severity)
    kept = before.active and before.acknowledged and not higher
    moved = before._replace(
        data=data,
        severity=severity if higher else before.severity,
        active=True,
        acknowledged=kept,
        latched=False,
    )
    return moved if kept else moved._replace(expires_us=None, expires="")


def cleared(before: Alarm | None, alarm_id: str, time_us: int, data: Mapping[str, Any]) -> Alarm:
    """The alarm after its condition ended."""
    alarm = before or raised(None, alarm_id, time_us, data)
    latches = bool(alarm.handling.get("latched"))
    return alarm._replace(active=False, latched=latches, data=data, expires_us=None, expires="")


def acknowledged(alarm: Alarm, time_us: int, by: str) -> Alarm | str:
    """The alarm acknowledged at a time by the command ``by``, or why it cannot be."""
    if alarm.acknowledged:
        return f"is {alarm.state} already"
    lasts_s = alarm.handling.get("acknowledged_for") if alarm.active else None
    expires_us = None if lasts_s is None else time_us + round(lasts_s * 1e6)
    return alarm._replace(acknowledged=True, expires_us=expires_us, expires=by)


def reset(alarm: Alarm) -> Alarm | str:
    """The alarm without its latch, or why it cannot be cleared."""
    if alarm.active:
        return "its condition still holds; it clears when that ends"
    if not alarm.latched:
        return "is not latched; acknowledge it instead"
    return alarm._replace(latched=False)
