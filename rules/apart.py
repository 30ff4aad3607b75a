"""The stages of the watch as steps of their own, for flows that run apart with queues between.

Same decisions, same events: what is left out is only told elsewhere. A late record revises what a
flow has said by running its vehicle's records again, so each flow follows the records themselves:
compliance does so on the frames that geofencing passes on.
"""

from rules import alarms, group
from rules.assessment import Assessment
from rules.group import GroupState, Policy
from rules.registry import Registry
from schemas.delivery import Delivery
from schemas.enriched import Enriched, HeldIn, enriched_event
from schemas.event import Event
from schemas.topics import (
    COMPLIANCE_VIOLATIONS,
    ENRICHED_TELEMETRY,
    GEOFENCING_EVENTS,
    LATE_TELEMETRY,
)


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
    wanted = (COMPLIANCE_VIOLATIONS, LATE_TELEMETRY)
    return moved, [delivery for delivery in told if delivery.topic in wanted]


def alert(
    batch_us: int, pending: alarms.Pending, event: Event
) -> tuple[alarms.Pending, list[Delivery]]:
    """Alerting: one alarm event to its topics."""
    return alarms.route(pending, [event], event.happened_us, batch_us)


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
