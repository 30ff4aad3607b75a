"""The course of a vehicle's alarms: what violations, commands and time make of them, in order.

A pure fold over entries sorted by event time: the same entries give the same alarms and the same
things said, whenever they came. So what comes late is put in its place by folding again.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from rules.alarms import alarm as isa
from rules.alarms.alarm import SHELVED, SUPPRESSED, Alarm, Point
from rules.alarms.batches import Said
from rules.alarms.entries import Alarms, Entry, Flap, Handling, Shelf
from schemas.command import Command
from schemas.event import (
    ALARM_ACKNOWLEDGED,
    ALARM_CLEARED,
    ALARM_RAISED,
    ALARM_SHELVED,
    ALARM_UPDATED,
    COMMAND_JUDGED,
    Event,
    identity,
)
from schemas.frame import rfc3339


class _Due(NamedTuple):
    time_us: int
    order: int
    name: str
    what: Alarm | tuple[Point, Shelf] | tuple[Point, Flap] | Command


class Course:
    """A vehicle's alarms on their way; ``said`` collects what is said."""

    def __init__(self, handling: Handling, vehicle_id: str, before: Alarms) -> None:
        self._handling, self._vehicle_id = handling, vehicle_id
        self._now_us = before.time_us
        self._alarms, self._shelves = dict(before.alarms), dict(before.shelves)
        self._flaps, self._waiting = dict(before.flaps), list(before.waiting)
        self.said: list[Said] = []

    def now(self) -> Alarms:
        """The alarms as they are."""
        waiting = tuple(self._waiting)
        return Alarms(self._now_us, self._alarms, self._shelves, self._flaps, waiting)

    def due_us(self) -> int | None:
        """When time alone changes something next."""
        return min((due.time_us for due in self._due()), default=None)

    def run_to(self, time_us: int) -> None:
        """Let time pass: shelves and acknowledgements expire, alarms become steady."""
        while due := min((d for d in self._due() if d.time_us <= time_us), default=None, key=_when):
            self._now_us = max(self._now_us, due.time_us)
            self._pass(due)
        self._now_us = max(self._now_us, time_us)

    def take(self, entry: Entry) -> None:
        """Take the next entry."""
        self.run_to(entry.time_us)
        what = entry.what
        if what is None:
            return
        if isinstance(what, Command):
            if what.alarm_id in self._alarms:
                self._obey(what)
            else:
                self._waiting.append(what)
        elif what.retracted:
            self._withdraw(what)
        elif what.type == ALARM_CLEARED:
            self._cleared(what)
        else:
            self._raised(what)

    def refuse(self, command: Command) -> Said:
        """What is said of a command whose alarm nobody knows."""
        at_us = command.time_us + self._handling.patience_us
        return self._judged(command, "no such alarm is known, or it is normal already", at_us)

    # Violations

    def _raised(self, event: Event) -> None:
        alarm_id, inhibited = event.data["alarm_id"], self._inhibited()
        before = self._alarms.get(alarm_id)
        alarm = isa.raised(before, alarm_id, event.happened_us, event.data)
        for other in [a for a in self._alarms.values() if a.point == alarm.point]:
            # The alarm that a point has now takes the place of what was left unacknowledged.
            if other.alarm_id != alarm_id and other.state == isa.RETURNED:
                del self._alarms[other.alarm_id]
        self._alarms[alarm_id] = alarm
        if before is None or not before.active or before.severity != alarm.severity:
            self._annunciate(event, alarm)
        self._tell_inhibited(event, inhibited)
        for command in [c for c in self._waiting if c.alarm_id == alarm_id]:
            self._waiting.remove(command)
            if alarm_id in self._alarms:
                self._obey(command)
            else:
                self._waiting.append(command)

    def _cleared(self, event: Event) -> None:
        alarm_id, inhibited = event.data["alarm_id"], self._inhibited()
        before = self._alarms.get(alarm_id)
        alarm = isa.cleared(before, alarm_id, event.happened_us, event.data)
        self._alarms[alarm_id] = alarm
        self._annunciate(event, alarm)
        self._drop_normal(alarm)
        self._tell_inhibited(event, inhibited)

    def _withdraw(self, event: Event) -> None:
        # What it was said with is final already: the alarm itself is taken back.
        alarm = self._alarms.get(event.data["alarm_id"])
        if alarm is not None and event.type != ALARM_CLEARED:
            withdrawn = alarm._replace(active=False, latched=False, acknowledged=True)
            self._update(withdrawn, "retracted", event.event_id)
            del self._alarms[alarm.alarm_id]

    def _annunciate(self, event: Event, alarm: Alarm) -> None:
        """Say that an alarm was raised or cleared, unless it is folded into a notice."""
        if self._flaps_on(event, alarm):
            return
        loud = not self._hidden(alarm)
        said = Event(
            type=ALARM_RAISED if event.type == ALARM_UPDATED else event.type,
            event_id=identity("alert", event.event_id, _tone(alarm, loud=loud)),
            vehicle_id=self._vehicle_id,
            time_us=event.time_us,
            data={
                **_raised_anew(event),
                "severity": alarm.severity,
                "state": self._shown(alarm),
                "violation_id": event.event_id,
            },
        )
        self.said.append(Said(said, loud))

    def _flaps_on(self, event: Event, alarm: Alarm) -> bool:
        """Count a transition of the alarm's point; whether the alarm is folded into a notice."""
        asked = alarm.handling.get("flapping")
        count = asked["count"] if asked else self._handling.flaps
        within_us = round(asked["within"] * 1e6) if asked else self._handling.flaps_us
        if not count:
            return False
        point, now_us = alarm.point, self._now_us
        known = self._flaps.get(point) or Flap((), within_us, alarm)
        # Of the last transitions as many as tell whether the next one makes it flap.
        times = tuple(t for t in known.times_us if t > now_us - within_us)[-count + 1 :]
        flap = Flap((*times, now_us), within_us, alarm, known.notice)
        self._flaps[point] = flap
        if flap.notice:
            return True
        if len(flap.times_us) < count:
            return False
        notice = self._update(alarm, "flapping", event.event_id, transitions=count, loud=True)
        self._flaps[point] = flap._replace(notice=notice)
        return True

    # Commands

    def _obey(self, command: Command) -> None:
        alarm = self._alarms[command.alarm_id]
        refused = _ACTIONS[command.action](self, alarm, command)
        self.said.append(self._judged(command, refused, self._now_us))
        self._drop_normal(self._alarms[command.alarm_id])

    def _acknowledge(self, alarm: Alarm, command: Command) -> str:
        moved = isa.acknowledged(alarm, self._now_us, command.id)
        if isinstance(moved, str):
            return moved
        self._alarms[alarm.alarm_id] = moved
        self._update(moved, "acknowledged", command.id, ALARM_ACKNOWLEDGED, **_by(command))
        return ""

    def _shelve(self, alarm: Alarm, command: Command) -> str:
        until_us = command.until_us or 0
        if until_us <= self._now_us:
            return "`until` is over already"
        self._shelves[alarm.point] = Shelf(until_us, command.id)
        given = _by(command) | {"until": rfc3339(until_us)}
        self._update(alarm, "shelved", command.id, ALARM_SHELVED, **given)
        return ""

    def _unshelve(self, alarm: Alarm, command: Command) -> str:
        if self._shelves.pop(alarm.point, None) is None:
            return "is not shelved"
        self._return(alarm, "unshelved", command.id, **_by(command))
        return ""

    def _clear(self, alarm: Alarm, command: Command) -> str:
        moved = isa.reset(alarm)
        if isinstance(moved, str):
            return moved
        self._alarms[alarm.alarm_id] = moved
        self._update(moved, "reset", command.id, **_by(command))
        return ""

    def _judged(self, command: Command, refused: str, at_us: int) -> Said:
        """What becomes of a command at a time; ``refused``: why not, "" = it is obeyed."""
        return Said(judged(command, refused, at_us), loud=False)

    # Time

    def _due(self) -> Iterator[_Due]:
        for point, shelf in self._shelves.items():
            yield _Due(shelf.until_us, 0, shelf.by, (point, shelf))
        for alarm in self._alarms.values():
            if alarm.expires_us is not None:
                yield _Due(alarm.expires_us, 1, alarm.alarm_id, alarm)
        for point, flap in self._flaps.items():
            yield _Due(flap.times_us[-1] + flap.within_us, 2, flap.alarm.alarm_id, (point, flap))
        for command in self._waiting:
            yield _Due(command.time_us + self._handling.patience_us, 3, command.id, command)

    def _pass(self, due: _Due) -> None:
        match due.what:
            case Alarm() as alarm:
                by = alarm.expires
                moved = alarm._replace(acknowledged=False, expires_us=None, expires="")
                self._alarms[alarm.alarm_id] = moved
                self._return(moved, "acknowledgement_expired", by)
            case Command() as command:
                self._waiting.remove(command)
                self.said.append(self.refuse(command))
            case (point, Shelf() as shelf):
                del self._shelves[point]
                for alarm in [a for a in self._alarms.values() if a.point == point]:
                    self._return(alarm, "shelf_expired", shelf.by)
            case (point, Flap() as flap):
                del self._flaps[point]
                if flap.notice:
                    settled = self._alarms.get(flap.alarm.alarm_id, flap.alarm)
                    self._return(settled, "steady", flap.notice)

    # Inhibition

    def _inhibited(self) -> dict[str, str]:
        """Alarm -> the alarm that suppresses it: the one that held first."""
        sources = [a for a in self._alarms.values() if a.active and a.handling.get("inhibits")]
        found: dict[str, str] = {}
        for source in sorted(sources, key=lambda a: (a.since_us, a.alarm_id)):
            for other in self._alarms.values():
                if source.inhibits(other):
                    found.setdefault(other.alarm_id, source.alarm_id)
        return found

    def _tell_inhibited(self, event: Event, before: Mapping[str, str]) -> None:
        """Say which alarms are suppressed since the event, and which no longer are."""
        if not before and not (event.data.get("handling") or {}).get("inhibits"):
            return
        now, subject = self._inhibited(), event.data["alarm_id"]
        for alarm in [a for a in self._alarms.values() if a.alarm_id != subject]:
            if alarm.alarm_id in now and alarm.alarm_id not in before:
                source = now[alarm.alarm_id]
                self._update(alarm, "inhibited", event.event_id, inhibited_by=source)
            elif alarm.alarm_id in before and alarm.alarm_id not in now:
                self._return(alarm, "released", event.event_id)

    # What is said

    def _shown(self, alarm: Alarm) -> str:
        """The state that is shown: shelved before suppressed before that of the alarm."""
        if alarm.state == isa.NORMAL or not self._hidden(alarm):
            return alarm.state
        return SHELVED if alarm.point in self._shelves else SUPPRESSED

    def _hidden(self, alarm: Alarm) -> bool:
        return alarm.point in self._shelves or alarm.alarm_id in self._inhibited()

    def _return(self, alarm: Alarm, reason: str, by: str, **more: Any) -> None:
        """Say that an alarm is back in sight: an alert again where nobody has acknowledged it."""
        flap = self._flaps.get(alarm.point)
        told = not self._hidden(alarm) and not (flap and flap.notice)
        loud = told and alarm.state == isa.UNACKNOWLEDGED
        self._update(alarm, reason, by, loud=loud, **more)

    def _update(
        self,
        alarm: Alarm,
        reason: str,
        by: str,
        event_type: str = ALARM_UPDATED,
        *,
        loud: bool = False,
        **more: Any,
    ) -> str:
        """Say a change of an alarm that is no violation; returns the event's id."""
        kept = {k: v for k, v in alarm.data.items() if k not in _OF_CLEARED}
        event = Event(
            type=event_type,
            event_id=identity("alarm", reason, alarm.alarm_id, by, _tone(alarm, loud=loud)),
            vehicle_id=self._vehicle_id,
            time_us=self._now_us,
            data={
                **kept,
                "severity": alarm.severity,
                "state": self._shown(alarm),
                "time": rfc3339(self._now_us),
                "reason": reason,
                **more,
            },
        )
        self.said.append(Said(event, loud))
        return event.event_id

    def _drop_normal(self, alarm: Alarm) -> None:
        if alarm.state == isa.NORMAL:
            del self._alarms[alarm.alarm_id]


_ACTIONS: Final = {
    "acknowledge": Course._acknowledge,  # noqa: SLF001 (own class)
    "shelve": Course._shelve,  # noqa: SLF001
    "unshelve": Course._unshelve,  # noqa: SLF001
    "clear": Course._clear,  # noqa: SLF001
}
_OF_CLEARED: Final = frozenset({"reason", "duration_s", "violation_id"})


def judged(command: Command, refused: str, at_us: int, by: str = "command") -> Event:
    """What becomes of a command at a time; ``refused``: why not, "" = it is obeyed.

    ``by``: what names the judgement, and with the command its event.
    """
    return Event(
        type=COMMAND_JUDGED,
        event_id=identity(by, command.id),
        vehicle_id=command.vehicle_id,
        time_us=at_us,
        data={
            "command_id": command.id,
            "action": command.action,
            "alarm_id": command.alarm_id,
            "time": rfc3339(at_us),
            "given": rfc3339(command.time_us),
            "who": command.who,
            "reason": command.reason,
            "outcome": "refused" if refused else "obeyed",
            "refused": refused or None,
        },
    )


def _by(command: Command) -> dict[str, Any]:
    return {"command_id": command.id, "who": command.who, "why": command.reason}


def _tone(alarm: Alarm, *, loud: bool) -> str:
    """What decides on the topics: part of what an event is, so that a correction reaches all."""
    return alarm.severity if loud else "quiet"


def _when(due: _Due) -> tuple[int, int, str]:
    return due.time_us, due.order, due.name


def _raised_anew(event: Event) -> Mapping[str, Any]:
    """What is told of a violation; one that is updated is told as raised, which has no reason."""
    if event.type != ALARM_UPDATED:
        return event.data
    return {k: v for k, v in event.data.items() if k not in ("reason", "replaces_rule_version")}
