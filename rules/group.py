"""The watch of key groups: one frame goes in, the state moves on, what there is to tell comes out.

Groups of one worker advance together (``rules.cohort``), for a pass has its price whatever its
size; each is kept by itself. All stages share one step and one immutable state. Records in order
run once; late ones inside the allowed lateness are put in their place by running their vehicles'
latest records again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from rules import tallies
from rules.assessment import Assessment, assess_part
from rules.clocks import Mark
from rules.editions import Keys, carried_over, keys_of
from rules.history import Chunk, History
from rules.late import late_events
from rules.legs import Limits
from rules.memory import Memory
from rules.registry import Registry
from rules.revision import Judged, Revised, rejudge, revise
from rules.sayings import Sayings
from rules.stages import Judges, Outcome, run
from rules.standing import Standing, settle
from rules.tallies import Tallies
from rules.tracks import FOREVER, NEVER, runs_of
from schemas.delivery import Delivery
from schemas.event import Event
from schemas.frame import Frame, Longs, Rows, where
from schemas.topics import COMPLIANCE_VIOLATIONS, GEOFENCING_EVENTS, LATE_TELEMETRY


@dataclass(frozen=True, slots=True)
class GroupState:
    """What the watch remembers of a key group, or of some together.

    ``high_water_us``: the newest event time of the groups' records. ``tallies``: counts since the
    beginning, by the group's key, then by name. ``standing``: how far time has come, and the alarms
    of absence that stand. ``registry``: the one whose places the memory has; None in a new state,
    and after a restart, when ``keys`` tells what they mean and ``edition`` which registry that was.
    """

    memory: Memory = field(default_factory=Memory)
    history: History = field(default_factory=History)
    sayings: Sayings = field(default_factory=Sayings)
    high_water_us: int = 0
    tallies: Tallies = field(default_factory=dict)
    registry: Registry | None = field(default=None, compare=False)
    keys: Keys = field(default_factory=Keys, compare=False)
    standing: Standing = field(default_factory=Standing)
    edition: str = field(default="", compare=False)

    def __reduce__(self) -> tuple[Any, ...]:
        keys, edition = self.keys, self.edition
        if self.registry is not None:
            keys, edition = keys_of(self.registry, self.memory), self.registry.fingerprint
        parts = (self.memory, self.history, self.sayings, self.high_water_us, self.tallies)
        return GroupState, (*parts, None, keys, self.standing, edition)

    @property
    def chunks(self) -> tuple[Chunk, ...]:
        """The history, each chunk of which needs to be persisted but once."""
        return self.history.chunks

    def gathered(self) -> "GroupState":
        """This state with a history of fewer chunks."""
        return replace(self, history=self.history.gathered())

    def with_chunks(self, chunks: tuple[Chunk, ...]) -> "GroupState":
        """This state with another history."""
        return replace(self, history=replace(self.history, chunks=chunks))


@dataclass(frozen=True, slots=True)
class Policy:
    """How records are judged and results told.

    ``limits``: what vehicles may do between two fixes. ``lateness_us``: how far behind its
    vehicle's newest record one may come and still revise what was said. ``tally``: tell the counts
    of the group after each frame, on an internal topic.
    """

    limits: Limits = field(default_factory=Limits)
    lateness_us: int = 120_000_000
    tally: bool = False


@dataclass(frozen=True, slots=True)
class _Late:
    """Late rows of a frame.

    ``revising``: those that revise, with their vehicles' slots and the places of the checkpoints
    these run again from (``base``). ``too_late``: the others, with what their vehicles had.
    """

    revising: Rows
    slot: Rows
    base: Rows
    too_late: Rows
    newest_us: Longs


def advance(
    policy: Policy, registry: Registry, state: GroupState, seen: Assessment
) -> tuple[GroupState, list[Delivery]]:
    """Take in one assessed frame: the state after it and what there is to tell, in order.

    A frame without records tells how far time has come.
    """
    state, before = under(registry, policy, state, seen.key)
    if not len(seen.frame):
        standing = state.standing.heard(seen.mark, np.empty(0, np.intp), 0)
        return _settled(registry, replace(state, standing=standing), before)
    if seen.edition != registry.fingerprint:
        again = assess_part(registry, seen.frame, seen.keys, seen.start)
        seen = replace(again, mark=seen.mark, trace=seen.trace)
    judges = Judges(registry, policy.limits, state.sayings.names)
    # Late rows take their place in what was before; then the others run.
    late = _late_rows(policy, state, seen)
    state, revised = _revised(judges, state, seen, late, before)
    zone_events, alarm_events = revised.zone_events, revised.alarm_events
    in_order = seen if late is None else seen.without(np.union1d(late.revising, late.too_late))
    outcome = run(replace(judges, names=state.sayings.names), state.memory, in_order)
    sayings, now_zone = state.sayings.told(outcome.zone_events, outcome.memory.roster)
    sayings, now_alarm = sayings.told(outcome.alarm_events, outcome.memory.roster)
    moved_on, count = outcome.intake.tracks.slot, len(outcome.memory.roster)
    standing, sayings, absences = settle(
        registry.book,
        outcome.memory,
        (state.standing.heard(seen.mark, moved_on, count), sayings),
        (revised.absences_said, revised.absences + outcome.absences),
    )
    zone_events, alarm_events = zone_events + now_zone, alarm_events + now_alarm + absences
    deliveries = [Delivery(GEOFENCING_EVENTS, event) for event in zone_events]
    deliveries += [Delivery(COMPLIANCE_VIOLATIONS, event) for event in alarm_events]
    deliveries += [Delivery(LATE_TELEMETRY, event) for event in _late(registry, seen, late)]
    moved = GroupState(
        outcome.memory,
        state.history,
        sayings,
        max(state.high_water_us, newest_us(seen.frame)),
        tallies.counted(
            state.tallies,
            seen,
            _by_count(late),
            tallies.failures(registry.book, seen, in_order, outcome),
        ),
        registry,
        standing=standing,
    )
    moved = _recorded(registry, policy, state.memory, moved, outcome)
    return moved, deliveries + (tallies.told(moved.tallies, seen) if policy.tally else [])


def go_on(
    policy: Policy, registry: Registry, state: GroupState, marks: Sequence[Mark]
) -> tuple[GroupState, list[Delivery]]:
    """Time goes on without records: as far as the watermarks say."""
    if not marks or not registry.book.absence.any():
        return state, []
    state, before = under(registry, policy, state, "")
    standing = state.standing
    for mark in marks:
        standing = standing.heard(mark, np.empty(0, np.intp), 0)
    return _settled(registry, replace(state, standing=standing), before)


def finish(
    policy: Policy, registry: Registry, state: GroupState
) -> tuple[GroupState, list[Delivery]]:
    """At the end of the input all parts of the source have come as far as the farthest."""
    state, before = under(registry, policy, state, "")
    standing = replace(state.standing, clocks=state.standing.clocks.ended())
    return _settled(registry, replace(state, standing=standing), before)


def placed(registry: Registry, state: GroupState) -> GroupState:
    """A state as another run left it, in the places of the registry that it was judged by.

    Raises:
        GoneError: see ``carried_over``.
    """
    memory = carried_over(state.memory, state.keys, registry)
    history = state.history.carried_over(registry)
    return replace(state, memory=memory, history=history, registry=registry)


def taken_up(
    registry: Registry, policy: Policy, state: GroupState
) -> tuple[GroupState, list[Delivery]]:
    """The state in the places of another registry, and what is to be told for that."""
    return _settled(registry, *under(registry, policy, state, ""))


def _settled(
    registry: Registry, state: GroupState, before: Revised
) -> tuple[GroupState, list[Delivery]]:
    """The state after time alone has gone on, and what there is to tell."""
    standing, sayings, absences = settle(
        registry.book,
        state.memory,
        (state.standing, state.sayings),
        (before.absences_said, before.absences),
    )
    alarm_events = before.alarm_events + absences
    deliveries = [Delivery(GEOFENCING_EVENTS, event) for event in before.zone_events]
    deliveries += [Delivery(COMPLIANCE_VIOLATIONS, event) for event in alarm_events]
    return replace(state, standing=standing, sayings=sayings), deliveries


def newest_us(frame: Frame) -> int:
    """The newest event time of the frame, 0 where it has no rows."""
    return int(frame.time_us.max(initial=0))


def _late_rows(policy: Policy, state: GroupState, seen: Assessment) -> _Late | None:
    """The late rows of the frame, None where there is none."""
    frame, start, roster = seen.frame, runs_of(seen.frame), state.memory.roster
    ids = tuple(map(frame.vehicle_ids.__getitem__, frame.vehicle[start[:-1]].tolist()))
    slot = roster.find(ids)
    newest = np.where(slot >= 0, np.append(roster.last_us, NEVER)[slot], NEVER)
    # Rows of a run are in time order: its first row tells whether any is late.
    if not (frame.time_us[start[:-1]] < newest).any():
        return None
    run_of_row = np.repeat(np.arange(len(slot)), np.diff(start))
    late = where(frame.time_us < newest[run_of_row])
    late_slot, newest = slot[run_of_row[late]], newest[run_of_row[late]]
    base = _bases(state, frame.time_us[late], late_slot)
    inside = (newest - frame.time_us[late] <= policy.lateness_us) & (base >= 0)
    # What one record of a vehicle needs, all of it that revise do.
    return _Late(late[inside], late_slot[inside], base[inside], late[~inside], newest[~inside])


def _bases(state: GroupState, time_us: Longs, slot: Rows) -> Rows:
    """The place of the checkpoint that each late record's vehicle runs again from, -1 = none."""
    slots, of_row = np.unique(slot, return_inverse=True)
    oldest_us = np.full(len(slots), FOREVER)
    np.minimum.at(oldest_us, of_row, time_us)
    return state.history.bases(slots, oldest_us, len(state.memory.roster))[of_row]


def _revised(
    judges: Judges, state: GroupState, seen: Assessment, late: _Late | None, before: Revised
) -> tuple[GroupState, Revised]:
    """The state with the late records in their places, and all corrections so far."""
    if late is None or not len(late.revising):
        return state, before
    frame = seen.frame.take(late.revising)
    part = replace(seen, frame=frame)
    revised = revise(judges, before, state.history, part, late.slot, late.base)
    history = state.history.add(frame, late.slot, late=True)
    moved = replace(state, memory=revised.memory, sayings=revised.sayings, history=history)
    return moved, revised


def under(
    registry: Registry, policy: Policy, state: GroupState, key: str
) -> tuple[GroupState, Revised]:
    """The state in the places of a registry, and what is to be corrected for it.

    Where the registry says something else of the past than the one before it, the records of the
    history are judged again; where it has other rules on absence, too, since those who are silent
    are known from there alone.
    """
    old = state.registry
    if old is None:
        state = placed(registry, state)
    if old is None or old is registry:
        return state, Revised(state.memory, state.sayings, [], [])
    memory = carried_over(state.memory, keys_of(old, state.memory), registry)
    unseen = registry.book.waits_for - old.book.waits_for
    past = registry.changed_us(old) <= state.high_water_us
    told_from = state.history
    if past or unseen:
        told_from = told_from.rebased(state.memory.roster, policy.lateness_us)
    history = told_from.carried_over(registry)
    moved = replace(state, memory=memory, history=history, registry=registry)
    before = Revised(memory, state.sayings, [], [])
    if not past and not unseen:
        return moved, before
    judged_by = Judged(Judges(registry, policy.limits), history)
    revised = rejudge(key, before, Judged(Judges(old, policy.limits), told_from), judged_by)
    return replace(moved, memory=revised.memory, sayings=revised.sayings), revised


def _recorded(
    registry: Registry, policy: Policy, before: Memory, moved: GroupState, outcome: Outcome
) -> GroupState:
    """The state with the rows in order behind its history."""
    tracks = outcome.intake.tracks
    if not policy.lateness_us or not len(tracks.frame):
        return moved
    history, sayings, roster = moved.history, moved.sayings, moved.memory.roster
    at_us = moved.high_water_us
    if history.wants_checkpoint(at_us, policy.lateness_us):
        keys = keys_of(registry, before)
        history = history.checkpoint(before, keys, at_us).forget(roster, policy.lateness_us)
        standing = {event.data["alarm_id"] for event in moved.standing.events}
        sayings = sayings.forget(moved.memory, history.final_us(len(roster)), standing)
    history = history.add(tracks.frame, tracks.slot[tracks.run], late=False)
    return replace(moved, history=history, sayings=sayings)


def _by_count(late: _Late | None) -> dict[str, Rows]:
    none = np.empty(0, np.intp)
    return {
        "late": none if late is None else late.too_late,
        "revising": none if late is None else late.revising,
    }


def _late(registry: Registry, seen: Assessment, late: _Late | None) -> list[Event]:
    if late is None or not len(late.too_late):
        return []
    rows = late.too_late
    return late_events(registry, seen.frame.take(rows), late.newest_us, seen.presence.among(rows))
