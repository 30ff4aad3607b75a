"""The stages of the watch as steps of their own, for flows that run apart with queues between.

Same decisions, same events: only the hand-over differs. What the geofence knows of a frame
travels to compliance as ``schemas.enriched``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from rules import alarms, compliance
from rules.assessment import Assessment
from rules.conditions import Conditions, judge_stays
from rules.geofence import Presence, Stays, Visits
from rules.group import Fenced, FenceState, fence
from rules.late import late_events
from rules.registry import Registry
from rules.tracks import Roster, Tracks, runs_of
from schemas.delivery import Delivery
from schemas.enriched import Enriched, LateZone, Stay, enriched_event
from schemas.event import Event
from schemas.frame import Rows
from schemas.topics import (
    COMPLIANCE_VIOLATIONS,
    ENRICHED_TELEMETRY,
    GEOFENCING_EVENTS,
    LATE_TELEMETRY,
)


@dataclass(frozen=True, slots=True)
class ComplianceState:
    """What compliance remembers of a key group when it runs apart."""

    roster: Roster = field(default_factory=Roster)
    conditions: Conditions = field(default_factory=Conditions)


def geofence(
    registry: Registry, state: FenceState, seen: Assessment
) -> tuple[FenceState, list[Delivery]]:
    """Geofencing: zone events and the enriched frame."""
    moved, fenced, events = fence(registry, state, seen)
    deliveries = [Delivery(GEOFENCING_EVENTS, event) for event in events]
    enriched = enriched_event(_enriched(registry, seen, fenced))
    return moved, [*deliveries, Delivery(ENRICHED_TELEMETRY, enriched)]


def comply(
    registry: Registry, state: ComplianceState, enriched: Enriched
) -> tuple[ComplianceState, list[Delivery]]:
    """Compliance: violations, and what late records say. ValueError for zones not known here."""
    zones = _ZoneNumbers(registry)
    start = runs_of(enriched.frame)
    run_vehicle = enriched.frame.vehicle[start[:-1]].tolist()
    roster, slot = state.roster.admit(tuple(enriched.frame.vehicle_ids[c] for c in run_vehicle))
    run = np.repeat(np.arange(len(slot)), np.diff(start))
    tracks = Tracks(enriched.frame, slot, start, run, np.array(enriched.ties, np.int64))
    stays = _stays(zones, tracks, enriched.stays)
    conditions, events = compliance.follow(
        registry.book,
        state.conditions,
        tracks,
        registry.book.judge_records(enriched.frame),
        stays,
        judge_stays(registry.book, tracks, stays),
    )
    late = late_events(
        registry,
        enriched.late,
        np.array(enriched.newest_us, np.int64),
        _presence(zones, enriched.late_zones),
    )
    deliveries = [Delivery(COMPLIANCE_VIOLATIONS, event) for event in events]
    deliveries += [Delivery(LATE_TELEMETRY, event) for event in late]
    return ComplianceState(roster, conditions), deliveries


def alert(
    batch_us: int, pending: alarms.Pending, event: Event
) -> tuple[alarms.Pending, list[Delivery]]:
    """Alerting: one alarm event to its topics."""
    return alarms.route(pending, [event], event.happened_us, batch_us)


def _enriched(registry: Registry, seen: Assessment, fenced: Fenced) -> Enriched:
    zones, stays, intake = registry.fences.zones, fenced.stays, fenced.intake
    late = seen.presence.among(intake.late)
    return Enriched(
        group=seen.key,
        frame=intake.tracks.frame,
        ties=intake.tracks.tie.tolist(),
        stays=[
            Stay(zones[z].id, zones[z].version, visit_id, entered_us, start, stop)
            for z, visit_id, entered_us, start, stop in zip(
                stays.visits.zone.tolist(),
                stays.visits.visit_id.tolist(),
                stays.visits.entered_us.tolist(),
                stays.start.tolist(),
                stays.stop.tolist(),
                strict=True,
            )
        ],
        late=seen.frame.take(intake.late),
        newest_us=intake.newest_us.tolist(),
        late_zones=[
            LateZone(row, zones[z].id, zones[z].version, certain)
            for row, z, certain in zip(
                late.row.tolist(), late.zone.tolist(), late.certain.tolist(), strict=True
            )
        ],
    )


class _ZoneNumbers:
    """The place of each zone version in this registry."""

    def __init__(self, registry: Registry) -> None:
        self._of = {(zone.id, zone.version): i for i, zone in enumerate(registry.fences.zones)}

    def column(self, zones: Sequence[Stay] | Sequence[LateZone]) -> Rows:
        try:
            return np.array([self._of[z.zone_id, z.zone_version] for z in zones], np.intp)
        except KeyError as exc:
            raise ValueError(
                f"zone {exc}: not in this flow's zones; give all flows the same"
            ) from exc


def _stays(zones: _ZoneNumbers, tracks: Tracks, stays: Sequence[Stay]) -> Stays:
    start = np.array([stay.start for stay in stays], np.intp)
    # A stay that ends at its first row here has none: its vehicle is that of the row it ends at.
    run = tracks.run[np.minimum(start, len(tracks.run) - 1)] if len(stays) else start
    visits = Visits(
        slot=tracks.slot[run],
        zone=zones.column(stays),
        entered_us=np.array([stay.entered_us for stay in stays], np.int64),
        visit_id=np.array([stay.visit_id for stay in stays], object),
    )
    return Stays(visits, start, np.array([stay.stop for stay in stays], np.intp))


def _presence(zones: _ZoneNumbers, late: Sequence[LateZone]) -> Presence:
    return Presence(
        row=np.array([zone.row for zone in late], np.intp),
        zone=zones.column(late),
        certain=np.array([zone.certain for zone in late], np.bool_),
    )
