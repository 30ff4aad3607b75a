"""What a cohort keeps of its history from commit to commit: each chunk once, none for longer."""

import gc
import pickle
import weakref
from dataclasses import fields, replace

import numpy as np
import pytest

from rules.assessment import KeyGroups
from rules.cohort import Split
from rules.editions import Keys
from rules.group import GroupState
from rules.history import History
from rules.memory import Memory
from rules.tracks import Roster
from schemas.frame import Frame

VEHICLES = ("a", "b", "c", "d")
GROUPS = KeyGroups(2)
KEYS = [GROUPS.key(group) for group in range(2)]


def frame(rows: int) -> Frame:
    return Frame(
        vehicle_ids=VEHICLES,
        vehicle=(np.arange(rows) % 4).astype(np.int32),
        time_us=np.arange(rows),
        kind=np.zeros(rows, np.int8),
        body=np.zeros(rows, np.int8),
    )


@pytest.fixture
def state():
    roster, _ = Roster().admit(VEHICLES)
    assert {GROUPS.of(vehicle) for vehicle in VEHICLES} == {0, 1}
    return GroupState(Memory(roster), History().checkpoint(Memory(), Keys(), 0))


@pytest.mark.parametrize("parts", [0, 3, 7], ids=lambda n: f"{n}-parts")
def test_a_memory_is_read_whether_parts_are_left_out_or_none(parts):
    roster, _ = Roster().admit(VEHICLES)
    read = Memory.__new__(Memory)
    read.__setstate__([roster, *[None] * parts])
    read = pickle.loads(pickle.dumps(read))
    for column in fields(Memory)[1:]:
        assert len(getattr(read, column.name).slot) == 0
    assert read.roster.ids == VEHICLES


def heard(state: GroupState) -> GroupState:
    return replace(state, history=state.history.add(frame(400), np.arange(400) % 4, late=False))


def test_a_chunk_is_cut_by_groups_once(state):
    split = Split(GROUPS)
    first = heard(state)
    before, after = split(first, KEYS), split(heard(first), KEYS)
    for key in KEYS:
        assert len(after[key].chunks) == len(before[key].chunks) + 1
        assert all(a is b for a, b in zip(before[key].chunks, after[key].chunks, strict=False))


def test_what_the_history_forgets_is_free_at_once(state):
    split, first = Split(GROUPS), heard(state)
    split(first, KEYS)
    gone = weakref.ref(first.chunks[-1].slot)
    gc.collect()
    gc.disable()
    try:
        del first
        split(heard(state), KEYS)
        assert gone() is None
    finally:
        gc.enable()
