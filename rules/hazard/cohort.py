"""Cohorts: the states of key groups of one worker as one, and taken apart again to be kept.

A pass over a frame has its price whatever the frame's size, so that one pass for all groups of a
worker costs a fraction of one for each (``rules.cohort``).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rules.assessment import KeyGroups
from rules.hazard.group import HazardState
from rules.hazard.part import Part, Scored
from rules.hazard.past import Chunk, Mark, Past, Piece, joined
from rules.hazard.signals import Followed
from rules.memory import Parting
from rules.tracks import Roster
from schemas.delivery import Delivery
from schemas.frame import Rows


def joining(states: Sequence[HazardState], _: Part) -> tuple[HazardState, list[Delivery | Scored]]:
    """As ``join``; there is nothing to tell for it."""
    return join(states), []


def join(states: Sequence[HazardState]) -> HazardState:
    """One state of the groups of several, of which no two have a vehicle in common.

    Every vehicle runs again from the base of its own.
    """
    states = [state for state in states if len(state.roster)]
    if len(states) < 2:
        return states[0] if states else HazardState()
    numbered = max(state.past.numbered for state in states)
    roster = Roster()
    pieces: list[Piece] = []
    versions = {}
    for state in states:
        before = len(roster)
        roster, _slots = roster.admit(state.roster.ids)
        known = state.past.of(np.arange(len(state.roster)))
        if known is not None:
            pieces.append(replace(known, slot=known.slot + before))
        for event_id, version in state.versions.items():
            versions[event_id] = version._replace(slot=version.slot + before)
    chunks = (joined(numbered, 0, pieces),) if pieces else ()
    zeros = np.zeros(len(roster), np.int64)
    past = Past(
        chunks,
        Followed.joined([state.past.base for state in states]),
        zeros,
        zeros,
        numbered=numbered + 1,
        rows=sum(map(len, pieces)),
    )
    return HazardState(roster, Followed.joined([s.now for s in states]), past, versions)


class Split:
    """Takes a cohort's state apart, to be pickled group by group."""

    def __init__(self, groups: KeyGroups) -> None:
        self._groups = groups
        self._ids: tuple[str, ...] = ()
        self._parting = Parting.of(np.empty(0, np.intp), groups.count)

    def __call__(self, state: HazardState, keys: Iterable[str]) -> dict[str, HazardState]:
        """The state of each of the cohort's groups, by key."""
        ids = state.roster.ids
        if ids is not self._ids:
            self._ids = ids
            self._parting = Parting.of(self._groups.of_ids(ids).astype(np.intp), self._groups.count)
        slots = {
            self._groups.key(g): self._parting.order[stretch]
            for g, stretch in enumerate(self._parting.stretches)
        }
        return {key: _alone(state, slots[key]) for key in keys}


def _alone(state: HazardState, slots: Rows) -> HazardState:
    past = state.past
    place: Mapping[int, int] = {slot: i for i, slot in enumerate(slots.tolist())}
    chunks: tuple[Any, ...] = tuple(Cut(chunk, slots) for chunk in past.chunks if len(slots))
    return HazardState(
        Roster().admit(tuple(map(state.roster.ids.__getitem__, slots.tolist())))[0],
        state.now.take(slots),
        replace(
            past,
            chunks=chunks,
            base=past.base.take(slots),
            base_order=past.base_order[slots],
            sound=past.sound[slots],
        ),
        {
            event_id: version._replace(slot=place[version.slot])
            for event_id, version in state.versions.items()
            if version.slot in place
        },
    )


class Cut:
    """A chunk of the vehicles in ``slots`` (ascending) alone, cut out only when it is pickled.

    So what is written once is cut once. It reads back as a chunk of its own, with the same number.
    """

    def __init__(self, chunk: Chunk, slots: Rows) -> None:
        self.number, self._chunk, self._slots = chunk.number, chunk, slots

    def __reduce__(self) -> tuple[Any, ...]:
        chunk, slots = self._chunk, self._slots
        if isinstance(chunk, Mark):
            known = slots[: np.searchsorted(slots, len(chunk.followed))]
            return Mark, (chunk.number, chunk.order, chunk.followed.take(known), chunk.at_us)
        place = np.searchsorted(slots, chunk.slot)
        rows = np.flatnonzero(slots[np.minimum(place, len(slots) - 1)] == chunk.slot)
        cut = chunk.take(rows)
        return Piece, (
            *(cut.number, cut.order, place[rows], cut.time_us, cut.body),
            np.ascontiguousarray(cut.columns),
        )
