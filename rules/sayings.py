"""Sayings: what must be kept of things said, so that they can be corrected under the same id."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from msgspec import structs

from rules.memory import Memory
from rules.tracks import Roster
from schemas.event import Event
from schemas.frame import Longs


class Name(NamedTuple):
    """What a visit or condition is called, and what it would be called afresh.

    ``scope``: what it is of (vehicle and zone, or rule): names of one scope are all different.
    ``slot``: the vehicle's roster slot. ``from_us``: when it began, event time.
    """

    told: str
    fresh: str
    scope: tuple[str | int, ...]
    slot: int
    from_us: int


class Saying(NamedTuple):
    """The latest version of an event, its vehicle's slot, its time, the visit or alarm it is of."""

    version: int
    slot: int
    time_us: int
    of: str


@dataclass(frozen=True, slots=True)
class Sayings:
    """Names by what would be given now, and the versions of events that were corrected, by id."""

    given: Mapping[str, Name] = field(default_factory=dict)
    versions: Mapping[str, Saying] = field(default_factory=dict)

    @property
    def names(self) -> dict[str, str]:
        """The names told, by those that would be given now."""
        return {fresh: name.told for fresh, name in self.given.items()}

    def named(self, names: Sequence[Name], key: Callable[[Name], str]) -> "Sayings":
        """These sayings with further names; ``key``: what a name is looked up by.

        Whoever was to have a name that is given away takes that of the one it is given to, so
        that no two of a scope are ever called the same.
        """
        given = dict(self.given)
        for name in names:
            others = [n for n in given.values() if n.scope == name.scope]
            owner = next((n.fresh for n in others if n.told == name.told), name.told)
            was = next((n.told for n in others if n.fresh == name.fresh), name.fresh)
            for one in (name, name._replace(fresh=owner, told=was)):
                given[key(one)] = one
        return replace(self, given=given)

    def corrected(
        self, old: Sequence[Event], new: Sequence[Event], roster: Roster
    ) -> tuple["Sayings", list[Event]]:
        """What to tell where ``old`` was told and ``new`` should have been."""
        before = {event.event_id: event for event in old}
        after = {event.event_id for event in new}
        changed = [e for e in new if e.event_id not in before or before[e.event_id] != e]
        gone = [structs.replace(e, retracted=True) for e in old if e.event_id not in after]
        versions = dict(self.versions)
        told = []
        for event in [*gone, *changed]:
            was = self._version(event, before)
            if was:
                versions[event.event_id] = _saying(event, was + 1, roster)
            told.append(structs.replace(event, version=was + 1))
        return replace(self, versions=versions), told

    def told(self, events: list[Event], roster: Roster) -> tuple["Sayings", list[Event]]:
        """Events as they are told now: one that had been retracted comes back in a new version."""
        known = self.versions
        if not known or not any(event.event_id in known for event in events):
            return self, events
        versions = dict(known)
        told = []
        for event in events:
            if event.event_id in known:
                version = known[event.event_id].version + 1
                versions[event.event_id] = _saying(event, version, roster)
                told.append(structs.replace(event, version=version))
            else:
                told.append(event)
        return replace(self, versions=versions), told

    def forget(self, memory: Memory, oldest_us: Longs, standing: Collection[str] = ()) -> "Sayings":
        """Without what no correction can concern any more.

        ``oldest_us``: (vehicles,) event time up to which each vehicle's answers are final;
        ``standing``: alarms that what comes may still concern.
        """
        if not self.given and not self.versions:
            return self
        going_on = {*memory.visits.visit_id.tolist(), *memory.conditions.alarm_id.tolist()}
        going_on.update(memory.timers.alarm_id.tolist(), standing)
        return Sayings(
            {k: name for k, name in self.given.items() if name.from_us >= oldest_us[name.slot]},
            {
                k: said
                for k, said in self.versions.items()
                if said.time_us >= oldest_us[said.slot] or (said.of and said.of in going_on)
            },
        )

    def seated(self, slot: Mapping[int, int]) -> "Sayings":
        """What concerns the vehicles whose new slot is given, by the one they had."""
        return Sayings(
            {
                key: name._replace(slot=slot[name.slot], scope=(slot[name.slot], *name.scope[1:]))
                for key, name in self.given.items()
                if name.slot in slot
            },
            {
                key: said._replace(slot=slot[said.slot])
                for key, said in self.versions.items()
                if said.slot in slot
            },
        )

    def _version(self, event: Event, before: Mapping[str, Event]) -> int:
        """The latest version told of an event, 0 = none."""
        known = self.versions.get(event.event_id)
        return known.version if known else int(event.event_id in before)


def _saying(event: Event, version: int, roster: Roster) -> Saying:
    [slot] = roster.find((event.vehicle_id,))
    of = event.data.get("visit_id") or event.data.get("alarm_id") or ""
    return Saying(version, int(slot), event.happened_us, of)
