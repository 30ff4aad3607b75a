"""Cohorts: what is remembered of key groups as one, and taken apart again to be kept.

A pass over a frame has its price whatever the frame's size, so that one pass for all groups of a
worker costs a fraction of one for each (``rules.cohort``).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from rules.assessment import KeyGroups
from rules.planning.arming import Arming
from rules.planning.context import Hazards
from rules.planning.groups import Groups
from rules.planning.move import Judges, Move
from rules.planning.part import Part
from rules.planning.pending import Pending
from rules.planning.samples import SLICES, Samples, slot_of
from rules.planning.state import Grouped, PlanningState
from rules.planning.timelines import Timeline
from rules.tracks import Roster
from schemas.decoding.columns import tidy
from schemas.delivery import Delivery
from schemas.frame import Longs, Rows, concat

T = TypeVar("T")


def joining(
    judges: Callable[[], Judges],
) -> Callable[[Sequence[PlanningState], Part], tuple[PlanningState, list[Delivery]]]:
    """Joins states under the triggers that are judged by; there is nothing to tell for it."""

    def join_and_tell(
        states: Sequence[PlanningState], _: Part
    ) -> tuple[PlanningState, list[Delivery]]:
        by = judges()
        return join([Move(by, state, ()).state for state in states], by.groups), []

    return join_and_tell


def entering(key_groups: KeyGroups) -> Callable[[str, PlanningState], PlanningState]:
    """Makes the state of a key, as it was kept, one that joins others."""

    def enter(key: str, state: PlanningState) -> PlanningState:
        grouped = state.in_groups(key_groups)
        return replace(grouped, groups=grouped.groups.only(key_groups.group(key)))

    return enter


def join(states: Sequence[Grouped], key_groups: KeyGroups) -> Grouped:
    """One state of the groups of several, of which no two have one in common.

    All have the same triggers and series of samples.
    """
    if len(states) == 1:
        return states[0]
    ids = tuple(name for state in states for name in state.roster.ids)
    before = np.cumsum([0, *(len(state.roster) for state in states)]).tolist()
    clocks_us = np.max([state.groups.clock_us for state in states], axis=0)
    first = states[0]
    return Grouped(
        first.keys,
        Roster().admit(ids)[0],
        max(state.clock_us for state in states),
        Arming.joined([state.settled for state in states]),
        Arming.joined([state.newest for state in states]),
        np.concatenate([state.settled_us for state in states]),
        np.concatenate([state.looked_us for state in states]),
        _pending([state.pending for state in states], before, ids),
        _samples([state.samples for state in states], before),
        _merged([state.planned for state in states]),
        _hazards([state.hazards for state in states]),
        tuple(rearm for state in states for rearm in state.rearms),
        _merged([state.results for state in states]),
        _merged([state.fires for state in states]),
        _merged([state.said for state in states]),
        groups=Groups(key_groups, key_groups.of_ids(ids), clocks_us),
    )


def _merged(mappings: Iterable[Mapping[str, T]]) -> dict[str, T]:
    return {name: value for mapping in mappings for name, value in mapping.items()}


def _pending(parts: Sequence[Pending], before: Sequence[int], ids: tuple[str, ...]) -> Pending:
    """The records of all, whose vehicles have slots after those ``before`` theirs."""
    full = [(part, first) for part, first in zip(parts, before, strict=False) if len(part)]
    if not full:
        return replace(parts[0], frame=replace(parts[0].frame, vehicle_ids=ids))
    frame = concat([part.frame for part, _ in full])
    key = np.concatenate([part.key + first * SLICES for part, first in full])
    return Pending(
        key,
        replace(frame, vehicle_ids=ids, vehicle=slot_of(key).astype(np.int32)),
        np.concatenate([part.until_us for part, _ in full]),
        np.concatenate([part.symbol for part, _ in full]),
    )


def _samples(parts: Sequence[Samples], before: Sequence[int]) -> Samples:
    return Samples(
        parts[0].series,
        np.concatenate([s.key + first * SLICES for s, first in zip(parts, before, strict=False)]),
        np.concatenate([samples.time_us for samples in parts]),
        np.concatenate([samples.values for samples in parts], axis=1),
    )


def _hazards(parts: Sequence[Hazards]) -> Hazards:
    owners: dict[str, int] = {}
    timeline = Timeline.none()
    for part in parts:
        owners |= {name: len(owners) + owner for name, owner in part.owners.items()}
        timeline = timeline.plus(part.timeline)
    values = [part.numbered() for part in parts]
    return Hazards(owners, timeline, np.concatenate(values, axis=1))


class Split:
    """Takes a cohort's state apart, to be pickled group by group."""

    def __init__(self, groups: KeyGroups) -> None:
        self._groups = groups

    def __call__(self, state: PlanningState, keys: Iterable[str]) -> dict[str, PlanningState]:
        """The state of each of the cohort's groups, by key."""
        grouped = state.in_groups(self._groups)
        return {key: _alone(grouped, self._groups.group(key)) for key in keys}


def _alone(state: Grouped, group: int) -> PlanningState:
    groups = state.groups
    slots = np.flatnonzero(groups.of_slot == group)
    place = np.full(len(state.roster), -1, np.intp)
    place[slots] = np.arange(len(slots))
    ids = tuple(map(state.roster.ids.__getitem__, slots.tolist()))
    of = groups.key_groups.of

    def mine(mapping: Mapping[str, T]) -> dict[str, T]:
        return {name: value for name, value in mapping.items() if of(name) == group}

    return PlanningState(
        state.keys,
        Roster().admit(ids)[0],
        int(groups.clock_us[group]),
        state.settled.take(slots),
        state.newest.take(slots),
        state.settled_us[slots],
        state.looked_us[slots],
        _pending_of(state.pending, place, ids),
        _samples_of(state.samples, place),
        mine(state.planned),
        state.hazards.of(mine(state.hazards.owners)),
        tuple(rearm for rearm in state.rearms if of(rearm.vehicle_id) == group),
        mine(state.results),
        mine(state.fires),
        mine(state.said),
    )


def _pending_of(pending: Pending, place: Rows, ids: tuple[str, ...]) -> Pending:
    """The records of some vehicles; ``place``: (slots,) their new slots, -1 = not one of them."""
    slot = place[pending.slot]
    rows = np.flatnonzero(slot >= 0)
    found = pending.take(rows)
    vehicle = slot[rows].astype(np.int32)
    # Columns that these vehicles do not have came from others that joined.
    frame = tidy(replace(found.frame, vehicle_ids=ids, vehicle=vehicle))
    texts = {name: text.compact() for name, text in frame.texts.items()}
    return replace(found, key=_moved(found.key, slot[rows]), frame=replace(frame, texts=texts))


def _samples_of(samples: Samples, place: Rows) -> Samples:
    slot = place[slot_of(samples.key)]
    rows = np.flatnonzero(slot >= 0)
    key = _moved(samples.key[rows], slot[rows])
    return Samples(samples.series, key, samples.time_us[rows], samples.values[:, rows])


def _moved(key: Longs, slot: Rows) -> Longs:
    """The keys of the same slices of other slots, which keep the order of vehicles."""
    moved: Longs = slot * SLICES + key % SLICES
    return moved
