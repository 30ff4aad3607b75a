"""A move: the state of key groups on its way from one item to the next, and what decides."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from rules.assessment import KeyGroups
from rules.planning.groups import Groups
from rules.planning.intake import Given
from rules.planning.plans import Plans, in_order
from rules.planning.state import PlanningState
from rules.planning.triggers import TriggerBook
from schemas.delivery import Delivery
from schemas.frame import Bools, Longs


@dataclass(frozen=True, slots=True)
class Policy:
    """How plans are asked for.

    ``every_us``: slice of event time of which one record of a vehicle is judged. ``lateness_us``:
    how late a record may come and still revise. ``fold_us``: how long after the first reason of a
    request others are folded into it. ``tell_late``: tell what came later than that.
    """

    every_us: int = 60_000_000
    lateness_us: int = 120_000_000
    fold_us: int = 300_000_000
    tell_late: bool = False


@dataclass(frozen=True, slots=True)
class Judges:
    """What decides: triggers, how they are judged, and what is known from the start.

    ``groups``: all key groups there are.
    """

    book: TriggerBook
    policy: Policy
    given: Given = field(default_factory=Given)
    groups: KeyGroups = field(default_factory=lambda: KeyGroups(1))


class Move:
    """One move of the state, by what there is for the groups of ``keys``; others stay as they are.

    All that is kept of a group changes when it has a share in what came, so that it is kept then:
    what is told of it after a restart was not told before. ``dirty``: (slots,) vehicles to be
    followed again. ``touched``: ids of vehicles of which there may be something to tell.
    ``fresh``: keys of records not judged yet. ``before``: the groups as they were.
    """

    def __init__(self, judges: Judges, state: PlanningState, keys: Iterable[str]) -> None:
        self.book, self.policy, self.given = judges.book, judges.policy, judges.given
        self.state = state.in_groups(judges.groups)
        self.before = self.groups
        # (groups,) those that move.
        self.moved = self.groups.among(keys)
        self.deliveries: list[Delivery] = []
        self.touched: set[str] = set()
        self.fresh = np.empty(0, np.int64)
        self.under_book()
        self.dirty = np.zeros(len(self.state.roster), np.bool_)

    @property
    def groups(self) -> Groups:
        """The key groups of the state."""
        return self.state.groups

    @property
    def mine(self) -> Bools:
        """(slots,) the vehicles of groups that move."""
        mine: Bools = self.moved[self.groups.of_slot]
        return mine

    def moves(self, vehicle_id: str) -> bool:
        """Whether a vehicle, known or not, is of a group that moves."""
        return bool(self.moved[self.groups.key_groups.of(vehicle_id)])

    @property
    def plans(self) -> Plans:
        """The plans of the vehicles."""
        return self.state.plans or Plans()

    def under_book(self) -> None:
        """Bring the state into the columns of the triggers, and make what is not kept of it."""
        state, book = self.state, self.book
        if state.keys != book.keys:
            known = {key: place for place, key in enumerate(state.keys)}
            places = np.array([known.get(key, -1) for key in book.keys], np.intp)
            fresh = np.zeros((len(state.pending), 1), np.int8)
            symbol = np.concatenate([state.pending.symbol, fresh], axis=1)[:, places]
            state = replace(
                state,
                keys=book.keys,
                settled=state.settled.with_triggers(places),
                newest=state.newest.with_triggers(places),
                pending=replace(state.pending, symbol=symbol),
            )
        if state.samples.series != book.series:
            state = replace(state, samples=state.samples.of_series(book.series))
        self.state = state
        if state.plans is None:
            self.plan_again()

    def plan_again(self, changed: Iterable[str] = ()) -> None:
        """Make the plans of what is given and what has been heard.

        ``changed``: the vehicles of which there is something else than before, none = of all.
        """
        every, heard = self.given.planned, self.state.planned
        known, names = self.plans, dict.fromkeys(changed)
        if not names or 2 * known.replaced > len(known.plans):
            known = Plans()
            names = dict.fromkeys([*(n for n in self.state.roster.ids if n in every), *heard])
        planned = {n: in_order((*every.get(n, ()), *heard.get(n, ()))) for n in names}
        self.state = replace(self.state, plans=known.with_plans(planned))

    def follow_again(self, vehicle_ids: tuple[str, ...], time_us: Longs) -> None:
        """Note vehicles of which something changed at a time up to which they were followed.

        ``time_us``: when, of each of ``vehicle_ids``.
        """
        slot = self.state.roster.find(vehicle_ids)
        known = slot >= 0
        slot, time_us = slot[known], time_us[known]
        self.dirty[slot[time_us <= self.state.looked_us[slot]]] = True
