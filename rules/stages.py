"""The stages of the watch on records in order: geofence, then rules; pure, so they can run again.

The same records from the same memory give the same events, however they are cut into frames:
what revision rests on (``rules.revision``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from rules import absence, approach, compliance, geofence, timed
from rules import outings as outing
from rules.approach import headings
from rules.assessment import Assessment
from rules.compliance import Held, Seen
from rules.conditions import Judged, judge_stays
from rules.last_records import LastRecords
from rules.legs import Limits, legs
from rules.memory import Memory
from rules.registry import Registry
from rules.rulebook import RuleBook
from rules.tracks import Intake, Tracks, take_in
from rules.verdicts import Verdicts
from rules.ways import between_fixes
from schemas.event import Event
from schemas.frame import Rows, where


@dataclass(frozen=True, slots=True)
class Judges:
    """What decides: zones and rules, what vehicles may do, names given to visits and conditions."""

    registry: Registry
    limits: Limits = field(default_factory=Limits)
    names: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the stages made of some records: the memory after them, the events, what held.

    ``absences``: alarm events of absences that these records ended. ``failures``: by rule id and
    reason, the rows in which rules that look back ended in an error.
    """

    memory: Memory
    intake: Intake
    zone_events: list[Event]
    alarm_events: list[Event]
    held: Held
    absences: list[Event] = field(default_factory=list)
    failures: Mapping[tuple[str, str], Rows] = field(default_factory=dict)


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
    tracks, on_records, last = _looked_back(book, memory.last, tracks, on_records)
    outings, stays = outing.follow(fences, memory.outings, tracks, ways, (presence, stays))
    on_stays = judge_stays(book, tracks, stays, judged)
    followed = Seen(tracks, on_records, stays, on_stays)
    conditions, held, alarm_events = compliance.follow(
        book, judges.names, memory.conditions, followed
    )
    moved = Memory(
        roster.moved_on(tracks, presence.cell),
        visits,
        approaches,
        outings,
        conditions,
        memory.timers,
        memory.sightings,
        last,
    )
    return _with_rules_on_time(
        judges,
        Outcome(
            moved,
            intake,
            zone_events,
            alarm_events,
            held,
            failures=_failures(book, intake, followed),
        ),
        followed,
    )


def _with_rules_on_time(judges: Judges, outcome: Outcome, seen: Seen) -> Outcome:
    """The outcome with what rules on time make of the same records."""
    book, memory = judges.registry.book, outcome.memory
    if not book.timed.any() and not book.absence.any() and not len(memory.timers):
        return outcome
    of_absence = book.absence[memory.sightings.rule]
    waiting = memory.sightings.take(where(of_absence))
    leading = memory.sightings.take(where(~of_absence))
    found = timed.follow(book, judges.names, memory.timers, leading, seen)
    waiting, absences = absence.follow(book, waiting, seen)
    events = outcome.alarm_events + found.events
    events.sort(key=lambda event: (event.vehicle_id, event.happened_us))
    return replace(
        outcome,
        memory=replace(memory, timers=found.timers, sightings=found.sightings.plus(waiting)),
        alarm_events=events,
        held=outcome.held.plus(found.held),
        absences=absences,
    )


def _looked_back(
    book: RuleBook, last: LastRecords, tracks: Tracks, on_records: Verdicts
) -> tuple[Tracks, Verdicts, LastRecords]:
    """The tracks with their past, and with the verdicts of rules that look back."""
    if not book.look_back.asks:
        return tracks, on_records, last
    last, past = book.look_back.follow(last, tracks, book.on_records(tracks.frame))
    tracks = replace(tracks, past=past)
    return tracks, on_records.plus(book.judge_records(tracks.frame, past)), last


def _failures(book: RuleBook, intake: Intake, seen: Seen) -> dict[tuple[str, str], Rows]:
    """The rows in which rules that look back failed; all others show without the past."""
    tracks, on_stays = seen.tracks, seen.on_stays
    if tracks.past is None:
        return {}
    columns = book.on_records(tracks.frame, tracks.past)
    found = book.failures(book.looking_back(seen.on_records), columns)
    columns = book.on_stays(tracks.frame, on_stays.row, on_stays.zone, tracks.past)
    for key, pairs in book.failures(book.looking_back(on_stays.verdicts), columns).items():
        known = found.get(key, np.empty(0, np.intp))
        found[key] = np.concatenate([known, on_stays.row[pairs]])
    return {key: intake.kept[rows] for key, rows in found.items()}
