"""Records through the watch's stages as key groups take them, for tests of what is told."""

import pickle
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from rules import group
from rules.assessment import Assessor, KeyGroups
from rules.group import GroupState, Policy
from rules.legs import Limits
from rules.registry import Registry
from schemas.delivery import Delivery
from tests.frames import frame_of


def judged(
    registry: Registry,
    policy: Policy,
    records: Sequence[dict[str, Any]],
    cuts: Iterable[int],
    *,
    pickled: bool = False,
) -> tuple[dict[str, GroupState], list[Delivery]]:
    """States of two key groups and what is told, of records in frames that end at ``cuts``.

    ``pickled``: each state goes through the recovery store between two frames.
    """
    states: dict[str, GroupState] = {}
    told: list[Delivery] = []
    assessor = Assessor(registry, Limits(), KeyGroups(2))
    for a, b in pairwise([0, *sorted(c for c in cuts if c < len(records)), len(records)]):
        if a == b:
            continue
        for seen in assessor.assess(frame_of(records[a:b])):
            state = states.get(seen.key, GroupState())
            if pickled:
                state = pickle.loads(pickle.dumps(state))
            states[seen.key], deliveries = group.advance(policy, registry, state, seen)
            told += deliveries
    return states, told
