"""The stages of the watch on records in order: geofence, then rules; pure, so they can run again.

The same records from the same memory give the same events, however they are cut into frames:
what revision rests on (``rules.revision``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from rules import approach, compliance, geofence
from rules import outings as outing
from rules.approach import headings
from rules.assessment import Assessment
from rules.compliance import Held, Seen
from rules.conditions import Judged, judge_stays
from rules.legs import Limits, legs
from rules.memory import Memory
from rules.registry import Registry
from rules.tracks import Intake, take_in
from rules.ways import between_fixes
from schemas.event import Event


@dataclass(frozen=True, slots=True)
class Judges:
    """What decides: zones and rules, what vehicles may do, names given to visits and conditions."""

    registry: Registry
    limits: Limits = field(default_factory=Limits)
    names: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the stages made of some records: the memory after them, the events, what held."""

    memory: Memory
    intake: Intake
    zone_events: list[Event]
    alarm_events: list[Event]
    held: Held


def run(judges: Judges, memory: Memory, seen: Assessment) -> Outcome:
    """Take the records of an assessed frame that are in order through all stages."""
    fences, book = judges.registry.fences, judges.registry.book
    roster, intake = take_in(memory.roster, seen.frame)
    tracks, late = intake.tracks, bool(len(intake.late))
    presence = seen.presence.among(intake.kept) if late else seen.presence
    before = roster.fixes.take(tracks.slot)
    ways = legs(judges.limits, before, tracks.frame, tracks.run, presence.cell)
    if seen.ahead and not late and seen.ahead.holds(before):
        between, ahead = seen.ahead.marks, seen.ahead.headings
    else:
        between, ahead = (
            between_fixes(fences, ways, presence),
            headings(fences, ways, tracks.frame),
        )
    visits, stays, zone_events = geofence.follow(
        fences, judges.names, memory.visits, geofence.Moves(tracks, ways, presence, between)
    )
    approaches, approaching = approach.follow(
        fences, memory.approaches, tracks, ways, (ahead, presence, stays)
    )
    zone_events += approaching
    judged = None
    if not late:
        held_pairs = presence.held()
        judged = Judged(presence.row[held_pairs], presence.zone[held_pairs], seen.on_presence)
    on_records = seen.on_records.take(intake.kept) if late else seen.on_records
    outings, stays = outing.follow(fences, memory.outings, tracks, ways, (presence, stays))
    on_stays = judge_stays(book, tracks, stays, judged)
    conditions, held, alarm_events = compliance.follow(
        book, judges.names, memory.conditions, Seen(tracks, on_records, stays, on_stays)
    )
    moved = Memory(roster.moved_on(tracks, presence.cell), visits, approaches, outings, conditions)
    return Outcome(moved, intake, zone_events, alarm_events, held)
