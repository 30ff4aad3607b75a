"""Memory: what the stages of the watch remember of the vehicles of a key group."""

from dataclasses import dataclass, field, replace

import numpy as np

from rules.approach import Approaches
from rules.conditions import Conditions
from rules.outings import Outings
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

    def only(self, slots: Rows) -> "Memory":
        """What is remembered of the vehicles in ``slots``; the roster stays whole."""
        return self._where(_mask(self.roster, slots))

    def put(self, slots: Rows, other: "Memory") -> "Memory":
        """This memory, but of the vehicles in ``slots`` what ``other`` remembers.

        Both rosters know the same vehicles.
        """
        chosen = _mask(self.roster, slots)
        kept, given = self._where(~chosen), other._where(chosen)  # noqa: SLF001 (own class)
        return Memory(
            self.roster.put(slots, other.roster),
            kept.visits.plus(given.visits),
            kept.approaches.plus(given.approaches),
            kept.outings.plus(given.outings),
            kept.conditions.plus(given.conditions),
        )

    def seen_as(self, newer: Roster) -> "Memory":
        """This older memory with a roster that knows all vehicles of ``newer``."""
        return replace(self, roster=self.roster.seen_as(newer))

    def nameless(self) -> "Memory":
        """This memory without the vehicles' ids, which ``seen_as`` gives back."""
        return replace(self, roster=self.roster.nameless())

    def _where(self, chosen: Bools) -> "Memory":
        return replace(
            self,
            visits=self.visits.take(where(chosen[self.visits.slot])),
            approaches=self.approaches.take(where(chosen[self.approaches.slot])),
            outings=self.outings.take(where(chosen[self.outings.slot])),
            conditions=self.conditions.take(where(chosen[self.conditions.slot])),
        )


def _mask(roster: Roster, slots: Rows) -> Bools:
    chosen = np.zeros(len(roster), np.bool_)
    chosen[slots] = True
    return chosen
