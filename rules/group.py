"""A key group's watch: one frame goes in, the state moves on, what there is to tell comes out.

All stages share one step and one immutable state, so a copy of the state is a reference and the
same records run again from an earlier state give the same answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from rules import alarms, compliance, geofence
from rules.assessment import Assessment
from rules.conditions import Conditions, Judged, StayVerdicts, judge_stays
from rules.expressions import ERROR
from rules.geofence import Stays, Visits
from rules.late import late_events
from rules.registry import Registry
from rules.rulebook import Verdicts
from rules.tracks import Intake, Roster, take_in
from schemas.delivery import Delivery
from schemas.event import Event, identity
from schemas.frame import Frame
from schemas.topics import COMPLIANCE_VIOLATIONS, GEOFENCING_EVENTS, LATE_TELEMETRY

TALLIES: Final = "_tallies"
TALLIED: Final = "farwatch.pipeline.tallied.v1"


@dataclass(frozen=True, slots=True)
class FenceState:
    """What geofencing remembers of a key group."""

    roster: Roster = field(default_factory=Roster)
    visits: Visits = field(default_factory=Visits)


@dataclass(frozen=True, slots=True)
class GroupState:
    """What the watch remembers of a key group; ``tallies`` counts since the beginning."""

    fence: FenceState = field(default_factory=FenceState)
    conditions: Conditions = field(default_factory=Conditions)
    pending: alarms.Pending = field(default_factory=alarms.Pending)
    tallies: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fenced:
    """A frame after geofencing: the intake and, for the rows in order, the stays in zones."""

    intake: Intake
    stays: Stays


@dataclass(frozen=True, slots=True)
class Policy:
    """How results are told.

    ``warning_batch_us``: length of a batch of warnings, event time. ``tally``: tell the counts of
    the group after each frame, on the internal topic ``TALLIES``.
    """

    warning_batch_us: int = 300_000_000
    tally: bool = False


def advance(
    registry: Registry, policy: Policy, state: GroupState, seen: Assessment
) -> tuple[GroupState, list[Delivery]]:
    """Take in one assessed frame: the state after it and what there is to tell, in order."""
    fences, fenced, zone_events = fence(registry, state.fence, seen)
    on_records, on_stays = _verdicts(registry, seen, fenced)
    conditions, alarm_events = compliance.follow(
        registry.book,
        state.conditions,
        fenced.intake.tracks,
        on_records,
        fenced.stays,
        on_stays,
    )
    pending, alerts = alarms.route(
        state.pending, alarm_events, newest_us(seen.frame), policy.warning_batch_us
    )
    deliveries = [Delivery(GEOFENCING_EVENTS, event) for event in zone_events]
    deliveries += [Delivery(COMPLIANCE_VIOLATIONS, event) for event in alarm_events]
    deliveries += alerts
    deliveries += [Delivery(LATE_TELEMETRY, event) for event in _late(registry, seen, fenced)]
    moved = GroupState(fences, conditions, pending, _count(state.tallies, seen, fenced))
    return moved, deliveries + (_tallies(moved) if policy.tally else [])


def release(policy: Policy, state: GroupState) -> tuple[GroupState, list[Delivery]]:
    """Tell the warnings that wait for the end of their batch now."""
    pending, told = alarms.release(state.pending, policy.warning_batch_us)
    return replace(state, pending=pending), told


def fence(
    registry: Registry, state: FenceState, seen: Assessment
) -> tuple[FenceState, Fenced, list[Event]]:
    """Geofencing: put late rows apart and follow the others through the zones."""
    roster, intake = take_in(state.roster, seen.frame)
    presence = seen.presence.among(intake.kept) if len(intake.late) else seen.presence
    visits, stays, events = geofence.follow(
        registry.fences, state.visits, state.roster, intake.tracks, presence
    )
    return FenceState(roster, visits), Fenced(intake, stays), events


def _late(registry: Registry, seen: Assessment, fenced: Fenced) -> list[Event]:
    rows = fenced.intake.late
    if not len(rows):
        return []
    return late_events(
        registry,
        seen.frame.take(rows),
        fenced.intake.newest_us,
        seen.presence.among(rows),
    )


def newest_us(frame: Frame) -> int:
    """The newest event time of the frame, 0 where it has no rows."""
    return int(frame.time_us.max(initial=0))


def _verdicts(
    registry: Registry, seen: Assessment, fenced: Fenced
) -> tuple[Verdicts, StayVerdicts]:
    """The verdicts on the rows in order and on their stays."""
    intake, stays = fenced.intake, fenced.stays
    if len(intake.late):
        on_stays = judge_stays(registry.book, intake.tracks, stays)
        return seen.on_records.take(intake.kept), on_stays
    judged = Judged(seen.presence.row, seen.presence.zone, seen.on_presence)
    return seen.on_records, judge_stays(registry.book, intake.tracks, stays, judged)


def _tallies(state: GroupState) -> list[Delivery]:
    # The first vehicle a group ever had names the group; the count of records, the version.
    first = state.fence.roster.ids[0]
    event = Event(
        type=TALLIED,
        event_id=identity(TALLIED, first),
        version=state.tallies["records"],
        vehicle_id=first,
        time_us=state.pending.high_water_us,
        data=dict(state.tallies),
    )
    return [Delivery(TALLIES, event)]


def _count(before: Mapping[str, int], seen: Assessment, fenced: Fenced) -> dict[str, int]:
    found = {
        "records": len(seen.frame),
        "late": len(fenced.intake.late),
        "no_position": int(np.count_nonzero(np.isnan(seen.frame.number("longitude")))),
        "unknown_depth": seen.presence.rows_unknown(),
        "rule_errors": int(np.count_nonzero(seen.on_records.code == ERROR)),
    }
    return {name: before.get(name, 0) + count for name, count in found.items()}
