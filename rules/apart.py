"""The stages of the watch as steps of their own, for flows that run apart with queues between.

Same decisions, same events: what is left out is only told elsewhere. A late record revises what a
flow has said by running its vehicle's records again, so each flow follows the records themselves:
compliance does so on the frames that geofencing passes on.
"""

from collections.abc import Sequence
from typing import Final

from rules import group
from rules.assessment import Assessment
from rules.clocks import Mark
from rules.group import GroupState, Policy
from rules.registry import Registry
from schemas.delivery import Delivery
from schemas.enriched import Enriched, HeldIn, enriched_event
from schemas.topics import (
    COMPLIANCE_VIOLATIONS,
    ENRICHED_TELEMETRY,
    GEOFENCING_EVENTS,
    LATE_TELEMETRY,
)

_OF_COMPLIANCE: Final = (COMPLIANCE_VIOLATIONS, LATE_TELEMETRY)


def geofence(
    policy: Policy, registry: Registry, state: GroupState, seen: Assessment
) -> tuple[GroupState, list[Delivery]]:
    """Geofencing: zone events and the enriched frame."""
    moved, told = group.advance(policy, registry, state, seen)
    deliveries = [delivery for delivery in told if delivery.topic == GEOFENCING_EVENTS]
    enriched = enriched_event(_enriched(registry, seen))
    return moved, [*deliveries, Delivery(ENRICHED_TELEMETRY, enriched)]


def comply(
    policy: Policy, registry: Registry, state: GroupState, seen: Assessment
) -> tuple[GroupState, list[Delivery]]:
    """Compliance: violations, and what late records say."""
    moved, told = group.advance(policy, registry, state, seen)
    return moved, [delivery for delivery in told if delivery.topic in _OF_COMPLIANCE]


def go_on(
    policy: Policy, registry: Registry, state: GroupState, marks: Sequence[Mark]
) -> tuple[GroupState, list[Delivery]]:
    """Compliance while time goes on without records."""
    moved, told = group.go_on(policy, registry, state, marks)
    return moved, [delivery for delivery in told if delivery.topic in _OF_COMPLIANCE]


def finish(
    policy: Policy, registry: Registry, state: GroupState
) -> tuple[GroupState, list[Delivery]]:
    """Compliance at the end of the input."""
    moved, told = group.finish(policy, registry, state)
    return moved, [delivery for delivery in told if delivery.topic in _OF_COMPLIANCE]


def _enriched(registry: Registry, seen: Assessment) -> Enriched:
    zones, presence = registry.fences.zones, seen.presence
    held = presence.held()
    return Enriched(
        group=seen.key,
        frame=seen.frame,
        zones=[
            HeldIn(row, zones[zone].id, zones[zone].version, certain)
            for row, zone, certain in zip(
                presence.row[held].tolist(),
                presence.zone[held].tolist(),
                presence.certain(held).tolist(),
                strict=True,
            )
        ],
    )
