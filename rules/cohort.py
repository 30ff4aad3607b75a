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
from rules.memory import Memory, Parting, joined
from rules.registry import Registry
from rules.sayings import Sayings
from rules.tracks import NEVER
from schemas.delivery import Delivery
from schemas.frame import Rows


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
        self._parting = Parting.of(np.empty(0, np.intp), groups.count)
        # By number, of the last state: a chunk by parts, and its cut of each group.
        self._known: dict[int, tuple[_Parted, list[Cut]]] = {}

    def __call__(self, state: GroupState, keys: Iterable[str]) -> dict[str, GroupState]:
        """The state of each of the cohort's groups, by key."""
        ids = state.memory.roster.ids
        if ids is not self._ids:
            self._ids = ids
            self._parting = Parting.of(self._groups.of_ids(ids).astype(np.intp), self._groups.count)
            self._known = {}
        memories = state.memory.parted(self._parting)
        self._known = {chunk.number: self._cut(chunk) for chunk in state.chunks}
        cuts = [of_groups for _, of_groups in self._known.values()]
        group_of = {self._groups.key(g): g for g in range(self._groups.count)}
        return {
            key: self._alone(state, key, group_of[key], memories[group_of[key]], cuts)
            for key in keys
        }

    def _cut(self, chunk: Chunk) -> "tuple[_Parted, list[Cut]]":
        known = self._known.get(chunk.number)
        if known is None or known[0].chunk is not chunk:
            parted = _Parted(chunk, self._parting)
            return parted, [Cut(parted, group) for group in range(self._groups.count)]
        known[0].parts = None  # Written by now.
        return known

    def _alone(
        self, state: GroupState, key: str, group: int, memory: Memory, cuts: list[list["Cut"]]
    ) -> GroupState:
        slots = self._parting.order[self._parting.stretches[group]]
        history = History(numbered=state.history.numbered)
        if len(slots):
            chunks: tuple[Any, ...] = tuple([of_groups[group] for of_groups in cuts])
            history = replace(state.history, chunks=chunks)
        return GroupState(
            memory,
            history,
            _sayings_alone(state.sayings, slots),
            state.high_water_us,
            {key: state.tallies[key]} if key in state.tallies else {},
            state.registry,
            standing=state.standing.alone(slots, set(memory.roster.ids)),
        )


class _Parted:
    """A chunk by parts, cut when the first of them is asked for.

    ``parts``: what makes a chunk of each part, None = not cut.
    """

    def __init__(self, chunk: Chunk, parting: Parting) -> None:
        self.chunk, self._parting = chunk, parting
        self.parts: list[tuple[Any, ...]] | None = None

    def part(self, group: int) -> tuple[Any, ...]:
        """What makes a chunk of one part."""
        if self.parts is None:
            self.parts = self._made()
        return self.parts[group]

    def _made(self) -> list[tuple[Any, ...]]:
        chunk = self.chunk
        if isinstance(chunk, Checkpoint):
            known = self._parting.first(len(chunk.memory.roster))
            memories = chunk.memory.parted(known)
            return [(chunk.number, memory, chunk.keys, chunk.at_us) for memory in memories]
        order, stretches, slot = self._parting.rows(chunk.slot)
        frame = chunk.frame.take(order)
        return [
            (chunk.number, frame.take(rows).compact(), slot[rows], chunk.late) for rows in stretches
        ]


class Cut:
    """A chunk of one group's vehicles alone, cut out only when it is pickled.

    So what is written once is cut once. It reads back as a chunk of its own, with the same number.
    """

    def __init__(self, parted: _Parted, group: int) -> None:
        self.number, self._parted, self._group = parted.chunk.number, parted, group

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self._parted.chunk), self._parted.part(self._group)


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
