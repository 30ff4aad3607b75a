"""Key groups' states that go through the recovery store while zones and rules change."""

import pickle
from collections.abc import Iterable, Sequence

from rules import group
from rules.group import GroupState
from rules.registry import Registry
from schemas.delivery import Delivery


def restarted(state: GroupState, *registries: Registry) -> GroupState:
    """The state as a run takes it up that has noted these registries."""
    stored: GroupState = pickle.loads(pickle.dumps(state))
    if not stored.edition:
        return stored
    (judged_by,) = (r for r in registries if r.fingerprint == stored.edition)
    return group.placed(judged_by, stored)


def versions_skipped(told: Iterable[Delivery]) -> Sequence[tuple[str, list[int]]]:
    """The events whose versions, each told at least once, are not 1, 2, 3 and so on."""
    versions: dict[str, set[int]] = {}
    for delivery in told:
        versions.setdefault(delivery.event.event_id, set()).add(delivery.event.version)
    found = ((event_id, sorted(of)) for event_id, of in versions.items())
    return [(event_id, of) for event_id, of in found if of != list(range(1, len(of) + 1))]
