"""Memory: what the stages of the watch remember of the vehicles of key groups."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import zip_longest
from typing import Any, Final

import numpy as np

from rules.approach import Approaches
from rules.conditions import Conditions
from rules.last_records import LastRecords
from rules.outings import Outings
from rules.timers import Sightings, Timers
from rules.tracks import Roster
from rules.visits import Visits
from schemas.frame import Bools, Rows, where


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered after some records: immutable, so a copy is a reference.

    Everything in it belongs to one vehicle or another, named by its roster slot.
    """

    roster: Roster = field(default_factory=Roster)
    visits: Visits = field(default_factory=Visits)
    approaches: Approaches = field(default_factory=Approaches)
    outings: Outings = field(default_factory=Outings)
    conditions: Conditions = field(default_factory=Conditions)
    timers: Timers = field(default_factory=Timers)
    sightings: Sightings = field(default_factory=Sightings)
    last: LastRecords = field(default_factory=LastRecords)

    def __getstate__(self) -> list[Any]:
        # Most groups remember nothing of most kinds, and each column has its price.
        parts = (part for _, part in self._parts())
        return [self.roster, *(part if len(part.slot) else _Nothing(part) for part in parts)]

    def __setstate__(self, state: list[Any]) -> None:
        # A memory pickled before a part was added lacks it, and one of a few versions has None
        # for a part without a row: nothing is remembered of that.
        for column, value in zip_longest(fields(self), state):
            made = column.default_factory() if value is None else value  # type: ignore[operator]
            object.__setattr__(self, column.name, made)

    def only(self, slots: Rows) -> "Memory":
        """What is remembered of the vehicles in ``slots``; the roster stays whole."""
        return self._where(_mask(self.roster, slots))

    def put(self, slots: Rows, other: "Memory") -> "Memory":
        """This memory, but of the vehicles in ``slots`` what ``other`` remembers.

        Both rosters know the same vehicles.
        """
        chosen = _mask(self.roster, slots)
        kept, given = self._where(~chosen), other._where(chosen)  # noqa: SLF001 (own class)
        return kept._plus(self.roster.put(slots, other.roster), given)  # noqa: SLF001 (own class)

    def parted(self, parting: "Parting") -> list["Memory"]:
        """The memory of each part's vehicles alone, slots counted among these.

        Every column is put in order of the parts once and cut by slices: a part by itself would
        have to look at all rows of all.
        """
        roster = self.roster.take(parting.order)
        columns = {name: _cut(part, parting) for name, part in self._parts()}
        return [
            Memory(roster.take(stretch), **{name: cut[p] for name, cut in columns.items()})
            for p, stretch in enumerate(parting.stretches)
        ]

    def seen_as(self, newer: Roster) -> "Memory":
        """This older memory with a roster that knows all vehicles of ``newer``."""
        return replace(self, roster=self.roster.seen_as(newer))

    def nameless(self) -> "Memory":
        """This memory without the vehicles' ids, which ``seen_as`` gives back."""
        return replace(self, roster=self.roster.nameless())

    def _where(self, chosen: Bools) -> "Memory":
        return replace(
            self, **{name: part.take(where(chosen[part.slot])) for name, part in self._parts()}
        )

    def _plus(self, roster: Roster, other: "Memory") -> "Memory":
        """What both remember, of the vehicles of ``roster``."""
        pairs = zip(self._parts(), other._parts(), strict=True)  # noqa: SLF001 (own class)
        return Memory(roster, **{name: part.plus(given) for (name, part), (_, given) in pairs})

    def _seated(self, roster: Roster, slot: Rows) -> "Memory":
        """The memory with other slots: ``slot``: (slots,) the new one of each, in ``roster``."""
        parts = {name: replace(part, slot=slot[part.slot]) for name, part in self._parts()}
        return Memory(roster, **parts)

    def _parts(self) -> list[tuple[str, Any]]:
        """What is remembered, by name: columns with ``slot``, ``take`` and ``plus``."""
        return [(name, getattr(self, name)) for name in _PARTS]


class _Nothing:
    """A part without a row: pickled as the call that makes it, and read back as that part."""

    def __init__(self, part: object) -> None:
        self._kind = type(part)

    def __reduce__(self) -> tuple[Any, ...]:
        return self._kind, ()


_PARTS: Final = tuple(one.name for one in fields(Memory) if one.name != "roster")


@dataclass(frozen=True, slots=True)
class Parting:
    """Vehicles by the part they are kept in.

    ``part``: (slots,) of each. ``order``: (slots,) part by part, ascending in each; ``stretches``:
    where each part is in it. ``place``: (slots,) of each within its part.
    """

    part: Rows
    order: Rows
    stretches: tuple[slice, ...]
    place: Rows

    @classmethod
    def of(cls, part: Rows, count: int) -> "Parting":
        """The parts 0 to ``count`` of slots, by the part of each."""
        order, stretches = _by_part(part, count)
        place = np.empty(len(part), np.intp)
        for stretch in stretches:
            place[order[stretch]] = np.arange(stretch.stop - stretch.start)
        return cls(part, order, stretches, place)

    def rows(self, slot: Rows) -> tuple[Rows, tuple[slice, ...], Rows]:
        """(n,) rows of vehicles ``slot`` part by part, where each part is, and their new slots."""
        order, stretches = _by_part(self.part[slot], len(self.stretches))
        return order, stretches, self.place[slot[order]]

    def first(self, slots: int) -> "Parting":
        """The same of the first slots alone."""
        if slots == len(self.part):
            return self
        return Parting.of(self.part[:slots], len(self.stretches))


def _by_part(part: Rows, count: int) -> tuple[Rows, tuple[slice, ...]]:
    """(n,) rows by the part of each, in their order, and where each part is among them."""
    order = np.argsort(part, kind="stable")
    start = np.searchsorted(part[order], np.arange(count + 1)).tolist()
    return order, tuple(map(slice, start[:-1], start[1:]))


def _cut(column: Any, parting: Parting) -> list[Any]:
    """What is remembered of the vehicles of each part; ``column``: as of ``Memory._parts``."""
    if not len(column.slot):
        return [column] * len(parting.stretches)
    order, stretches, slot = parting.rows(column.slot)
    ordered = replace(column.take(order), slot=slot)
    return [ordered.take(stretch) for stretch in stretches]


def joined(memories: Sequence[Memory]) -> Memory:
    """One memory of the vehicles of several, whose slots follow one another; no vehicle is twice.

    Either all have the vehicles' ids or none.
    """
    whole = Memory()
    for memory in memories:
        slot = np.arange(len(memory.roster)) + len(whole.roster)
        roster = whole.roster.plus(memory.roster)
        whole = whole._plus(roster, memory._seated(roster, slot))  # noqa: SLF001 (own class)
    return whole


def _mask(roster: Roster, slots: Rows) -> Bools:
    chosen = np.zeros(len(roster), np.bool_)
    chosen[slots] = True
    return chosen
