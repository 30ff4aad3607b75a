"""What planning remembers of key groups: immutable, columns by vehicle."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

import numpy as np

from rules.assessment import KeyGroups
from rules.planning.arming import Arming
from rules.planning.context import Hazards
from rules.planning.fires import Fire
from rules.planning.groups import Groups
from rules.planning.pending import Pending
from rules.planning.plans import Plans
from rules.planning.requests import Said
from rules.planning.samples import Samples
from rules.tracks import NEVER, Roster
from schemas.frame import Longs
from schemas.mission_plan import Planned
from schemas.plan_result import PlanResult, Rearm


def _none() -> Longs:
    return np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class PlanningState:
    """What is remembered; a vehicle is its slot of ``roster``, whose times and fixes are not used.

    ``keys``: id and version of the triggers, the columns of ``settled`` and ``newest``: what they
    remember after the settled records and after all. ``clock_us``: the newest event time of the
    source. ``settled_us``, ``looked_us``: (slots,) up to which a vehicle's records are settled, and
    triggers were followed. ``planned``, ``results``: by vehicle id. ``rearms``: commands not yet
    settled. ``fires``, ``said``: by vehicle id, those that may still change. ``plans``: made of
    ``planned`` and what is given; not kept.
    """

    keys: tuple[tuple[str, int], ...] = ()
    roster: Roster = field(default_factory=Roster)
    clock_us: int = NEVER
    settled: Arming = field(default_factory=lambda: Arming.fresh(0, 0))
    newest: Arming = field(default_factory=lambda: Arming.fresh(0, 0))
    settled_us: Longs = field(default_factory=_none)
    looked_us: Longs = field(default_factory=_none)
    pending: Pending = field(default_factory=Pending)
    samples: Samples = field(default_factory=Samples)
    planned: Mapping[str, tuple[Planned, ...]] = field(default_factory=dict)
    hazards: Hazards = field(default_factory=Hazards)
    rearms: tuple[Rearm, ...] = ()
    results: Mapping[str, tuple[PlanResult, ...]] = field(default_factory=dict)
    fires: Mapping[str, tuple[Fire, ...]] = field(default_factory=dict)
    said: Mapping[str, Said] = field(default_factory=dict)
    plans: Plans | None = field(default=None, compare=False)

    def __reduce__(self) -> tuple[Any, ...]:
        kept = [getattr(self, name) for name in PlanningState.__slots__[:-1]]
        return PlanningState, tuple(kept)

    @property
    def until_us(self) -> Longs:
        """(slots,) the newest time each vehicle was heard of, ``NEVER`` = it was not."""
        until_us = np.full(len(self.roster), NEVER)
        np.maximum.at(until_us, self.pending.slot, self.pending.until_us)
        return until_us

    def grown(self, vehicle_ids: tuple[str, ...]) -> Self:
        """The state that knows these vehicles, too."""
        roster, _ = self.roster.admit(vehicle_ids)
        count = len(roster)
        if count == len(self.settled_us):
            return self
        new = np.full(count - len(self.settled_us), NEVER)
        return replace(
            self,
            roster=roster,
            settled=self.settled.grown(count),
            newest=self.newest.grown(count),
            settled_us=np.append(self.settled_us, new),
            looked_us=np.append(self.looked_us, new),
            pending=self.pending.known_as(roster.ids),
        )

    def in_groups(self, key_groups: KeyGroups) -> "Grouped":
        """The state of one group, whichever that is, as one that knows of groups."""
        groups = Groups.alike(key_groups, self.roster.ids, self.clock_us)
        return Grouped(*(getattr(self, each.name) for each in fields(self)), groups=groups)


@dataclass(frozen=True, slots=True)
class Grouped(PlanningState):
    """What is remembered of key groups that advance together; it is kept group by group.

    ``groups``: whose each vehicle is, and how far each group's time is.
    """

    groups: Groups = field(kw_only=True, compare=False)

    def grown(self, vehicle_ids: tuple[str, ...]) -> Self:
        """The state that knows these vehicles, too."""
        state = PlanningState.grown(self, vehicle_ids)
        return replace(state, groups=state.groups.grown(state.roster.ids))

    def in_groups(self, key_groups: KeyGroups) -> "Grouped":
        """The state itself."""
        return self
