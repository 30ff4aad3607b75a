"""Cohorts: key groups of one worker that advance together, and are kept each by itself.

A pass over a frame has its price whatever the frame's size, so that one pass for all groups of a
worker costs a fraction of one for each. What is kept stays by group: after a rescale the groups of
a worker are others, and join to another cohort.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rules import group
from rules.assessment import KeyGroups
from rules.editions import Keys, Version
from rules.group import GroupState, Policy
from rules.history import Checkpoint, Chunk, History, Piece
from rules.memory import Memory, joined
from rules.registry import Registry
from rules.sayings import Sayings
from rules.tracks import NEVER
from schemas.delivery import Delivery
from schemas.frame import Ints, Rows, where


def join(
    registry: Registry, policy: Policy, states: Sequence[GroupState]
) -> tuple[GroupState, list[Delivery]]:
    """One state of the groups of several, and what there is to tell of those just taken up.

    No two have a vehicle in common.

    Raises:
        GoneError: see ``carried_over``.
    """
    taken_up = [group.taken_up(registry, policy, state) for state in states]
    if len(states) == 1:
        return taken_up[0]
    told = [delivery for _, deliveries in taken_up for delivery in deliveries]
    states = [_rebased(policy, state) for state, _ in taken_up]
    standing, count = states[0].standing, len(states[0].memory.roster)
    for state in states[1:]:
        standing = standing.plus(count, state.standing)
        count += len(state.memory.roster)
    joined_state = GroupState(
        joined([state.memory for state in states]),
        _history(states),
        _sayings(states),
        max(state.high_water_us for state in states),
        {key: counts for state in states for key, counts in state.tallies.items()},
        registry,
        standing=standing,
    )
    return joined_state, told


class Split:
    """Takes a cohort's state apart, to be pickled group by group."""

    def __init__(self, groups: KeyGroups) -> None:
        self._groups = groups
        self._ids: tuple[str, ...] = ()
        self._group = np.empty(0, np.int32)

    def __call__(self, state: GroupState, keys: Iterable[str]) -> dict[str, GroupState]:
        """The state of each of the cohort's groups, by key."""
        of_slot = self._of(state.memory.roster.ids)
        # Slots of a group are ascending: new vehicles come behind those known.
        slots = {self._groups.key(g): where(of_slot == g) for g in range(self._groups.count)}
        return {key: self._alone(state, key, slots[key]) for key in keys}

    def _of(self, ids: tuple[str, ...]) -> Ints:
        """(slots,) the group of each vehicle."""
        if ids is not self._ids:
            self._ids, self._group = ids, self._groups.of_ids(ids)
        return self._group

    def _alone(self, state: GroupState, key: str, slots: Rows) -> GroupState:
        history = History(numbered=state.history.numbered)
        if len(slots):
            chunks: tuple[Any, ...] = tuple(Cut(chunk, slots) for chunk in state.chunks)
            history = replace(state.history, chunks=chunks)
        mine = set(map(state.memory.roster.ids.__getitem__, slots.tolist()))
        return GroupState(
            state.memory.alone(slots),
            history,
            _sayings_alone(state.sayings, slots),
            state.high_water_us,
            {key: state.tallies[key]} if key in state.tallies else {},
            state.registry,
            standing=state.standing.alone(slots, mine),
        )


class Cut:
    """A chunk of the vehicles in ``slots`` (ascending) alone, cut out only when it is pickled.

    So what is written once is cut once. It reads back as a chunk of its own, with the same number.
    """

    def __init__(self, chunk: Chunk, slots: Rows) -> None:
        self.number, self._chunk, self._slots = chunk.number, chunk, slots

    def __reduce__(self) -> tuple[Any, ...]:
        chunk, slots = self._chunk, self._slots
        if isinstance(chunk, Checkpoint):
            known = slots[: np.searchsorted(slots, len(chunk.memory.roster))]
            return Checkpoint, (chunk.number, chunk.memory.alone(known), chunk.keys, chunk.at_us)
        place = np.searchsorted(slots, chunk.slot)
        rows = where(slots[np.minimum(place, len(slots) - 1)] == chunk.slot)
        return Piece, (chunk.number, chunk.frame.take(rows).compact(), place[rows], chunk.late)


def _rebased(policy: Policy, state: GroupState) -> GroupState:
    history = state.history.rebased(state.memory.roster, policy.lateness_us)
    return replace(state, history=history)


def _history(states: Sequence[GroupState]) -> History:
    """One history of several that have one checkpoint each."""
    numbered = max(state.history.numbered for state in states)
    if not any(state.chunks for state in states):
        return History(numbered=numbered)
    firsts: list[Memory] = []
    pieces: list[Piece] = []
    zones: dict[int, Version] = {}
    rules: dict[int, Version] = {}
    at_us, before = NEVER, 0
    for state in states:
        history, roster = state.history, state.memory.roster
        first = history.memory_at(0, roster) if history.chunks else Memory(roster)
        firsts.append(first.nameless())
        keys = history.keys(0) if history.chunks else Keys()
        zones.update(keys.zones)
        rules.update(keys.rules)
        at_us = max(at_us, NEVER if history.mark_us is None else history.mark_us)
        for piece in history.pieces():
            number = numbered + 1 + len(pieces)
            pieces.append(replace(piece, number=number, slot=piece.slot + before))
        before += len(roster)
    mark = Checkpoint(numbered, joined(firsts), Keys(zones, rules), at_us)
    rows = sum(len(piece.slot) for piece in pieces)
    return History((mark, *pieces), numbered + 1 + len(pieces), at_us, rows)


def _sayings(states: Sequence[GroupState]) -> Sayings:
    whole, before = Sayings(), 0
    for state in states:
        count = len(state.memory.roster)
        moved = state.sayings.seated({slot: slot + before for slot in range(count)})
        whole = Sayings({**whole.given, **moved.given}, {**whole.versions, **moved.versions})
        before += count
    return whole


def _sayings_alone(sayings: Sayings, slots: Rows) -> Sayings:
    if not sayings.given and not sayings.versions:
        return sayings
    place: Mapping[int, int] = {slot: i for i, slot in enumerate(slots.tolist())}
    return sayings.seated(place)
