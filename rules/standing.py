"""Standing alarms of absence in a key group: what has been told of them, what is to be told now."""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from itertools import chain

from rules import absence
from rules.absence import Absence
from rules.clocks import Clocks, Mark
from rules.memory import Memory
from rules.rulebook import RuleBook
from rules.sayings import Sayings
from rules.timers import Sightings
from schemas.event import Event
from schemas.frame import Rows, where

Key = tuple[str, int, Absence, bool]
"""Rule id and version, the absence without the rule's place, whether the rule's time has ended."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far time has come, and the events that have been told of alarms that stand."""

    clocks: Clocks = field(default_factory=Clocks)
    told: Mapping[Key, tuple[Event, ...]] = field(default_factory=dict)

    def heard(self, mark: Mark | None, slots: Rows, count: int) -> "Standing":
        """After records of ``slots`` (none: time alone) and the watermark that came with them."""
        if mark is None:
            return self
        if not len(slots):
            return replace(self, clocks=self.clocks.told(mark))
        return replace(self, clocks=self.clocks.moved(mark, slots, count))

    def alone(self, slots: Rows, vehicle_ids: Set[str]) -> "Standing":
        """What concerns the vehicles in ``slots``, whose ids these are, alone."""
        told = {
            key: events for key, events in self.told.items() if key[2].vehicle_id in vehicle_ids
        }
        return Standing(self.clocks.alone(slots), told)

    def plus(self, count: int, other: "Standing") -> "Standing":
        """What concerns these ``count`` vehicles, and the other ones after them."""
        return Standing(self.clocks.plus(count, other.clocks), {**self.told, **other.told})

    @property
    def events(self) -> list[Event]:
        """What has been told."""
        return list(chain.from_iterable(self.told.values()))


def settle(
    book: RuleBook,
    memory: Memory,
    before: tuple[Standing, Sayings],
    ended: tuple[Sequence[Event], Sequence[Event]],
) -> tuple[Standing, Sayings, list[Event]]:
    """What to tell of absences now.

    ``before``: what stands and what has been said. ``ended``: the events of absences that have
    ended, as they had been told and as they are now.
    """
    standing, sayings = before
    said, now = ended
    if not (book.absence.any() or standing.told or said or now):
        return standing, sayings, []
    wanted = _wanted(book, memory, standing)
    if wanted.keys() == standing.told.keys() and not said and not now:
        return standing, sayings, []
    old, new = [*standing.events, *said], [*chain.from_iterable(wanted.values()), *now]
    sayings, told = sayings.corrected(old, new, memory.roster)
    return replace(standing, told=wanted), sayings, told


def _wanted(book: RuleBook, memory: Memory, standing: Standing) -> dict[Key, tuple[Event, ...]]:
    waiting = of_absence(book, memory.sightings)
    clock_us = standing.clocks.of(memory.roster.last_us)
    wanted: dict[Key, tuple[Event, ...]] = {}
    for one, over in absence.standing(book, waiting, memory.roster.ids, clock_us):
        rule = book.rules[one.rule].rule
        key = (rule.id, rule.version, one._replace(rule=0), over)
        wanted[key] = standing.told.get(key) or tuple(_events(book, one, over))
    return wanted


def _events(book: RuleBook, one: Absence, over: bool) -> Iterable[Event]:  # noqa: FBT001
    raised = absence.raised(book, one)
    yield raised
    if over:
        decision = {name: raised.data["decision"][name] for name in ("inputs", "limit", "margin")}
        end_us = int(book.to_us[one.rule])
        yield absence.cleared(book, one, end_us, "rule_changed", (decision, ""))


def of_absence(book: RuleBook, sightings: Sightings) -> Sightings:
    """The sightings that absence rules wait for."""
    return sightings.take(where(book.absence[sightings.rule]))
