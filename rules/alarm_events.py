"""Alarm events: what is said when a condition begins to count and when it ends, and why.

Each carries its decision record: what the rule read, its limit and margin, the rule's and the
zone's version, and the records it rests on.
"""

from typing import Any, Final

import numpy as np

from rules.conditions import Conditions, StayVerdicts
from rules.expressions import Columns, explain_each
from rules.rulebook import NO_ZONE, RuleBook
from rules.tracks import Tracks
from schemas.event import ALARM_CLEARED, ALARM_RAISED, ALARM_UPDATED, Event, identity
from schemas.frame import KINDS, Rows, rfc3339, where

LATER: Final = int(np.iinfo(np.intp).max)
"""A row that is not among these: the alarm is not due yet."""


def raise_alarms(book: RuleBook, now: Conditions, tracks: Tracks, due: Rows) -> list[Event]:
    """Raise the alarms that are due and not raised yet; gives them their id in ``now``."""
    which = where((now.alarm_id == "") & (due < LATER))
    if not len(which):
        return []
    lookup = _Lookup(book, tracks, due[which], now.zone[which], now.rule[which])
    events = []
    for place, i in enumerate(which.tolist()):
        now.alarm_id[i] = _alarm_id(book, now, i, lookup.vehicle_id(place))
        event = _event(ALARM_RAISED, now, i, lookup, place)
        event.data["state"] = "unacknowledged"
        event.data["message"] = lookup.message(now.rule[i], place)
        events.append(event)
    return events


def clear_alarms(
    book: RuleBook, now: Conditions, tracks: Tracks, after: Rows, on_stays: StayVerdicts
) -> list[Event]:
    """Clear the alarms whose span has ended, at the row ``after`` it."""
    which = where((after >= 0) & (now.alarm_id != ""))
    if not len(which):
        return []
    zones, row = len(book.fences.zones), after[which]
    still_in = np.isin(row * zones + now.zone[which], on_stays.row * zones + on_stays.zone)
    lookup = _Lookup(book, tracks, row, now.zone[which], now.rule[which])
    events = []
    for place, i in enumerate(which.tolist()):
        left = now.zone[i] != NO_ZONE and not still_in[place]
        event = _event(ALARM_CLEARED, now, i, lookup, place)
        event.data.update(
            state="returned-unacknowledged",
            message=f"{book.rules[now.rule[i]].rule.id} no longer holds",
            reason=_end(book, int(now.zone[i]), event)
            if left
            else book.why_over(int(now.rule[i]), event.happened_us),
            duration_s=(event.happened_us - int(now.since_us[i])) / 1e6,
        )
        events.append(event)
    return events


def update_alarm(
    book: RuleBook, now: Conditions, tracks: Tracks, of: tuple[int, int], before: int
) -> Event:
    """An alarm goes on under another version of its rule.

    ``of``: its place in ``now`` and the row; ``before``: the place of the version it was raised by.
    """
    i, row = of
    here = slice(i, i + 1)
    lookup = _Lookup(book, tracks, np.array([row]), now.zone[here], now.rule[here])
    event = _event(ALARM_UPDATED, now, i, lookup, 0)
    event.data.update(
        state="unacknowledged",
        message=lookup.message(now.rule[i], 0),
        reason="rule_changed",
        replaces_rule_version=book.rules[now.rule[before]].rule.version,
    )
    return event


def _end(book: RuleBook, zone: int, event: Event) -> str:
    """Why a stay ended: rules on zones to keep in are about stays outside."""
    if not book.fences.keep_in[zone]:
        return "zone_exited"
    place, at_us = np.array([zone]), np.array([event.happened_us])
    return "zone_entered" if book.fences.in_force(place, at_us)[0] else "zone_changed"


def _alarm_id(book: RuleBook, now: Conditions, i: int, vehicle_id: str) -> str:
    zone_id = book.zone_id(int(now.zone[i]))
    occasion = now.visit_id[i] or now.moment[i]
    return identity("alarm", book.rules[now.rule[i]].rule.id, vehicle_id, zone_id, occasion)


class _Lookup:
    """What the rules saw at the rows where something is said.

    ``row``, ``zone``, ``rule``: (places,) the record, the zone it is about, and the rule.
    ``decisions``: of each place what its rule read.
    """

    def __init__(self, book: RuleBook, tracks: Tracks, row: Rows, zone: Rows, rule: Rows) -> None:
        self.book, self.tracks, self.row = book, tracks, row
        self.records = book.on_records(tracks.frame, tracks.past)
        on_zone = where(zone != NO_ZONE)
        self.place = {p: k for k, p in enumerate(on_zone.tolist())}
        self.stays = book.on_stays(tracks.frame, row[on_zone], zone[on_zone], tracks.past)
        asked = [(book.rules[r].condition, *self.at(k)) for k, r in enumerate(rule.tolist())]
        self.decisions: list[dict[str, Any]] = [
            {"inputs": why.inputs, "limit": why.limit, "margin": why.margin}
            for why in explain_each(asked)
        ]

    def at(self, place: int) -> tuple[Columns, int]:
        if place in self.place:
            return self.stays, self.place[place]
        return self.records, int(self.row[place])

    def vehicle_id(self, place: int) -> str:
        """The vehicle at a row."""
        frame = self.tracks.frame
        return frame.vehicle_ids[int(frame.vehicle[self.row[place]])]

    def message(self, rule: int, place: int) -> str:
        """The rule's message at a row."""
        return self.book.rules[rule].render(*self.at(place))


def _event(kind: str, now: Conditions, i: int, lookup: _Lookup, place: int) -> Event:
    rule = lookup.book.rules[now.rule[i]].rule
    zone = None if now.zone[i] == NO_ZONE else lookup.book.fences.zones[now.zone[i]]
    row, frame = int(lookup.row[place]), lookup.tracks.frame
    time_us, fix = int(frame.time_us[row]), frame.fix_name(row)
    decision = lookup.decisions[place]
    decision["zone_version"] = zone.version if zone else None
    decision["since"] = rfc3339(int(now.since_us[i]))
    decision["fixes"] = list(dict.fromkeys([now.since_fix[i], fix]))
    return Event(
        type=kind,
        event_id=identity(kind, now.alarm_id[i], now.moment[i]),
        vehicle_id=lookup.vehicle_id(place),
        time_us=time_us,
        data={
            "alarm_id": now.alarm_id[i],
            "rule_id": rule.id,
            "rule_version": rule.version,
            "severity": rule.severity,
            "mode": rule.mode,
            "time": rfc3339(time_us),
            "zone_id": zone.id if zone else None,
            "visit_id": now.visit_id[i] or None,
            "decision": decision,
            "kind": KINDS[frame.kind[row]],
            "mission_id": frame.text_at("mission_id", row),
            **rule.handled(),
        },
    )
