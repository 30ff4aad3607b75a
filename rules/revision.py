"""Revision: late records run through the stages in their place; what was said is corrected.

The vehicles concerned run again from the newest checkpoint before what came late, once without it
(what was said) and once with it (what should have been said). The difference is told: the same
``event_id`` with a higher ``version``, or retracted. An event keeps its id as long as the visit or
condition it tells of overlaps the one it was first said of.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from rules.assessment import Assessment, assess_part
from rules.compliance import condition_key
from rules.history import History
from rules.memory import Memory
from rules.sayings import Name, Sayings
from rules.stages import Judges, Outcome, run
from rules.tracks import FOREVER, Roster
from rules.zone_events import visit_identity
from schemas.event import ZONE_ENTERED, ZONE_EXITED, Event
from schemas.frame import Frame, Rows, concat, where


@dataclass(frozen=True, slots=True)
class Revised:
    """What revision made: the memory, what has been said, and the corrections to tell.

    ``absences_said``, ``absences``: alarm events of absences that had ended, as told before and as
    they are now; what stands decides with them what to tell (``rules.group``).
    """

    memory: Memory
    sayings: Sayings
    zone_events: list[Event]
    alarm_events: list[Event]
    absences_said: list[Event] = field(default_factory=list)
    absences: list[Event] = field(default_factory=list)


def revise(
    judges: Judges, before: Revised, history: History, late: Assessment, slot: Rows, base: Rows
) -> Revised:
    """Put late records in their place.

    ``before``: the memory and what has been said. ``late``: n records of known vehicles, which
    the history does not hold yet; ``slot``, ``base``: (n,) the vehicle of each and the place of
    the checkpoint it runs again from (``History.bases``).
    """
    revised = before
    judged = Judged(judges, history)
    for place in np.unique(base).tolist():
        rows = where(base == place)
        records = late.frame.take(rows), slot[rows]
        slots = np.unique(records[1])
        revised = _Rerun(late.key, place, slots, records).revise(revised, judged, judged)
    return revised


def rejudge(key: str, before: Revised, old: "Judged", new: "Judged") -> Revised:
    """Judge all records of the history by other zones and rules.

    ``before``: the memory as the new ones' places have it; ``old``, ``new``: what decided, and what
    decides now, each with the history in its places.
    """
    slots = new.history.vehicles()
    if not len(slots):
        return before
    return _Rerun(key, 0, slots, None).revise(before, old, new)


@dataclass(frozen=True, slots=True)
class Judged:
    """What decides, and the history with its places."""

    judges: Judges
    history: History


class _Rerun:
    """Vehicles that run again from the same checkpoint."""

    def __init__(self, key: str, place: int, slots: Rows, late: tuple[Frame, Rows] | None) -> None:
        self.key, self.place, self.slots, self.late = key, place, slots, late

    def revise(self, before: Revised, told_by: Judged, judged_by: Judged) -> Revised:
        roster, sayings = before.memory.roster, before.sayings
        chosen = np.zeros(len(roster), np.bool_)
        chosen[self.slots] = True
        known = judged_by.history.records(self.place, chosen)
        records = [part for part in (known, self.late) if part is not None]
        old = None if known is None else self._run(told_by, sayings, roster, [known])
        new = self._run(judged_by, sayings, roster, records)
        if old is not None:
            renamed = _renamed((told_by.judges, old), (judged_by.judges, new), sayings, roster)
            if renamed is not sayings:
                sayings = renamed
                new = self._run(judged_by, sayings, roster, records)
        sayings, zone_events = sayings.corrected(
            old.zone_events if old else [], new.zone_events, roster
        )
        sayings, alarm_events = sayings.corrected(
            old.alarm_events if old else [], new.alarm_events, roster
        )
        return Revised(
            before.memory.put(self.slots, new.memory),
            sayings,
            before.zone_events + zone_events,
            before.alarm_events + alarm_events,
            *_net(before, old.absences if old else [], new.absences),
        )

    def _run(
        self,
        by: Judged,
        sayings: Sayings,
        roster: Roster,
        records: Sequence[tuple[Frame, Rows]],
    ) -> Outcome:
        base = by.history.memory_at(self.place, roster).only(self.slots)
        frame = concat([frame for frame, _ in records])
        slot = np.concatenate([slot for _, slot in records])
        # Stable: of records of the same time what came first stays first.
        frame = frame.take(np.lexsort((frame.time_us, slot)))
        judges = replace(by.judges, names=sayings.names)
        whole = np.array([0, len(frame)])
        return run(judges, base, assess_part(judges.registry, frame, (self.key,), whole))


def _net(
    before: Revised, old: Sequence[Event], new: Sequence[Event]
) -> tuple[list[Event], list[Event]]:
    """Absences as they had been told and as they are, of revisions one after the other.

    What an earlier one made of them is not told yet, so that a later one takes its place.
    """
    undone, made = {e.event_id for e in old}, {e.event_id for e in before.absences}
    said = before.absences_said + [e for e in old if e.event_id not in made]
    return said, [*(e for e in before.absences if e.event_id not in undone), *new]


@dataclass(frozen=True, slots=True)
class _Episode:
    """A visit or a condition, and until when it lasted."""

    name: Name
    until_us: int

    def overlap_us(self, other: "_Episode") -> int:
        return min(self.until_us, other.until_us) - max(self.name.from_us, other.name.from_us)


def _renamed(
    before: tuple[Judges, Outcome], after: tuple[Judges, Outcome], sayings: Sayings, roster: Roster
) -> Sayings:
    """The sayings with names for what is told as new, although it overlaps what was told before."""

    def of_condition(name: Name) -> str:
        _, rule_id, zone_id = name.scope
        return condition_key(roster.ids[name.slot], str(rule_id), str(zone_id), name.fresh)

    visits = _matched(*(list(_visits(roster, *part)) for part in (before, after)))
    conditions = _matched(*(list(_conditions(*part)) for part in (before, after)))
    if not visits and not conditions:
        return sayings
    return sayings.named(visits, lambda name: name.fresh).named(conditions, of_condition)


def _matched(before: Sequence[_Episode], after: Sequence[_Episode]) -> list[Name]:
    kept = {(one.name.scope, one.name.told) for one in after}
    free = [one for one in before if (one.name.scope, one.name.told) not in kept]
    known = {(one.name.scope, one.name.told) for one in before}
    names = []
    for episode in sorted(after, key=lambda one: one.name.from_us):
        name = episode.name
        if (name.scope, name.told) in known:
            continue
        same = [one for one in free if one.name.scope == name.scope]
        same = [one for one in same if one.overlap_us(episode) >= 0]
        if same:
            best = max(same, key=lambda one: (one.overlap_us(episode), -one.name.from_us))
            free.remove(best)
            names.append(name._replace(told=best.name.told))
    return names


def _visits(roster: Roster, judges: Judges, outcome: Outcome) -> Iterator[_Episode]:
    fences = judges.registry.fences
    until = {
        event.data["visit_id"]: event.happened_us
        for event in outcome.zone_events
        if event.type == ZONE_EXITED
    }
    began: Counter[tuple[int, str, int]] = Counter()
    for event in outcome.zone_events:
        if event.type == ZONE_ENTERED:
            key = event.data["zone_id"], event.data["zone_version"]
            zone = fences.zones[fences.place_of[key]]
            visit_id, from_us = event.data["visit_id"], event.happened_us
            slot = int(roster.find((event.vehicle_id,))[0])
            again = began[slot, zone.id, from_us]
            began[slot, zone.id, from_us] += 1
            fresh = visit_identity(zone, event.vehicle_id, from_us, again)
            scope = (slot, zone.id)
            name = Name(visit_id, fresh, scope, slot, from_us)
            yield _Episode(name, until.get(visit_id, FOREVER))


def _conditions(judges: Judges, outcome: Outcome) -> Iterator[_Episode]:
    held, book = outcome.held.conditions, judges.registry.book
    for i in where(held.alarm_id != "").tolist():
        slot, rule, zone = int(held.slot[i]), int(held.rule[i]), int(held.zone[i])
        moment, fresh = held.moment[i], outcome.held.fresh[i]
        scope = (slot, book.rules[rule].rule.id, book.zone_id(zone))
        name = Name(moment, fresh, scope, slot, int(held.since_us[i]))
        yield _Episode(name, int(outcome.held.until_us[i]))
