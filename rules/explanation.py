"""Explanation: what was told of an alarm beside what the same records give when judged again."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np

from rules.assessment import Assessor, KeyGroups
from rules.clocks import Mark
from rules.group import GroupState, Policy, advance, finish, go_on
from rules.legs import Limits
from rules.registry import Registry
from schemas.delivery import Delivery
from schemas.event import Event, payload
from schemas.frame import Frame
from schemas.topics import COMPLIANCE_VIOLATIONS

CHUNK_ROWS: Final = 20_000
ANSWERS: Final = ("time", "rule_version", "severity", "zone_id", "reason", "duration_s", "message")
"""Of an event of an alarm, what the same records give again."""
REASONS: Final = ("inputs", "limit", "margin", "zone_version", "since", "fixes")
"""Of its decision record."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One thing told of an alarm and the same recomputed: payloads, None = there is none.

    ``differences``: name -> (told, recomputed) where they are not the same.
    """

    type: str
    told: Mapping[str, Any] | None
    again: Mapping[str, Any] | None

    @property
    def differences(self) -> dict[str, tuple[Any, Any]]:
        """Name -> (told, recomputed) of what is not the same."""
        if self.told is None or self.again is None:
            return {"event": (_there(self.told), _there(self.again))}
        both = [(name, self.told.get(name), self.again.get(name)) for name in ANSWERS]
        old, new = self.told["decision"], self.again["decision"]
        both += [(name, old.get(name), new.get(name)) for name in REASONS]
        return {name: (a, b) for name, a, b in both if a != b}


def judge_again(
    registry: Registry, limits: Limits, frame: Frame, until: Mark | None = None
) -> list[Event]:
    """The violations that the records of ``frame`` give, in order of their times.

    ``until``: how far the records of all vehicles have come, which tells who is silent.
    """
    frame = frame.take(np.argsort(frame.time_us, kind="stable"))
    policy, state = Policy(limits=limits, lateness_us=0), GroupState()
    assessor, violations = Assessor(registry, limits, KeyGroups(1)), []
    for first in range(0, len(frame), CHUNK_ROWS):
        for seen in assessor.assess(frame.take(slice(first, first + CHUNK_ROWS))):
            state, told = advance(policy, registry, state, seen)
            violations += _violations(told)
    state, told = go_on(policy, registry, state, [] if until is None else [until])
    violations += _violations(told)
    return violations + _violations(finish(policy, registry, state)[1])


def _violations(told: Iterable[Delivery]) -> list[Event]:
    return [d.event for d in told if d.topic == COMPLIANCE_VIOLATIONS]


def beside(
    told: Iterable[tuple[str, Mapping[str, Any]]], again: Iterable[Event]
) -> Sequence[Answer]:
    """What was told of an alarm (type and payload of each event) beside what is told again.

    An event keeps its id where its alarm was not revised; else the same alarm is the one of its
    rule, vehicle and zone at the same time.
    """
    newest = {event.event_id: event for event in again}
    recomputed = [(e.type, _plain(e)) for e in newest.values() if not e.retracted]
    answers = []
    for kind, data in told:
        same = [d for k, d in recomputed if k == kind and _is_of(d, data)]
        exact = [d for d in same if d["event_id"] == data["event_id"]]
        at_once = [d for d in same if d["time"] == data["time"]]
        answers.append(Answer(kind, data, next(iter(exact + at_once), None)))
    found = {answer.again["event_id"] for answer in answers if answer.again is not None}
    alarms = {answer.again["alarm_id"] for answer in answers if answer.again is not None}
    answers += [
        Answer(kind, None, data)
        for kind, data in recomputed
        if data["alarm_id"] in alarms and data["event_id"] not in found
    ]
    return answers


def _is_of(again: Mapping[str, Any], told: Mapping[str, Any]) -> bool:
    return all(again[name] == told[name] for name in ("vehicle_id", "rule_id", "zone_id"))


def _plain(event: Event) -> dict[str, Any]:
    """The payload as it comes back from a store: what JSON makes of it."""
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(payload(event)))
    return found


def _there(data: Mapping[str, Any] | None) -> str:
    return "none" if data is None else "there"
