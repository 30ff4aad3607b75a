"""A key group's watch: one frame goes in, the state moves on, what there is to tell comes out.

All stages share one step and one immutable state. Records in order run once; late ones inside the
allowed lateness are put in their place by running their vehicles' latest records again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from rules import alarms
from rules.assessment import Assessment, assess_part
from rules.editions import Keys, carried_over, keys_of
from rules.expressions import ERROR
from rules.history import Chunk, History
from rules.late import late_events
from rules.legs import Limits
from rules.memory import Memory
from rules.registry import Registry
from rules.revision import Judged, Revised, rejudge, revise
from rules.sayings import Sayings
from rules.stages import Judges, Outcome, run
from rules.tracks import FOREVER, NEVER, runs_of
from schemas.delivery import Delivery
from schemas.event import Event, identity
from schemas.frame import Frame, Longs, Rows, where
from schemas.topics import COMPLIANCE_VIOLATIONS, GEOFENCING_EVENTS, LATE_TELEMETRY

TALLIES: Final = "_tallies"
TALLIED: Final = "farwatch.pipeline.tallied.v1"


@dataclass(frozen=True, slots=True)
class GroupState:
    """What the watch remembers of a key group; ``tallies`` counts since the beginning.

    ``registry``: the one whose places the memory has; None after a restart, when ``keys`` tells
    what they mean.
    """

    memory: Memory = field(default_factory=Memory)
    history: History = field(default_factory=History)
    sayings: Sayings = field(default_factory=Sayings)
    pending: alarms.Pending = field(default_factory=alarms.Pending)
    tallies: Mapping[str, int] = field(default_factory=dict)
    registry: Registry | None = field(default=None, compare=False)
    keys: Keys = field(default_factory=Keys, compare=False)

    def __reduce__(self) -> tuple[Any, ...]:
        keys = self.keys if self.registry is None else keys_of(self.registry, self.memory)
        parts = (self.memory, self.history, self.sayings, self.pending, self.tallies)
        return GroupState, (*parts, None, keys)

    @property
    def chunks(self) -> tuple[Chunk, ...]:
        """The history, each chunk of which needs to be persisted but once."""
        return self.history.chunks

    def with_chunks(self, chunks: tuple[Chunk, ...]) -> "GroupState":
        """This state with another history."""
        return replace(self, history=replace(self.history, chunks=chunks))


@dataclass(frozen=True, slots=True)
class Policy:
    """How records are judged and results told.

    ``limits``: what vehicles may do between two fixes. ``lateness_us``: how far behind its
    vehicle's newest record one may come and still revise what was said. ``warning_batch_us``:
    length of a batch of warnings, event time. ``tally``: tell the counts of the group after each
    frame, on the internal topic ``TALLIES``.
    """

    limits: Limits = field(default_factory=Limits)
    lateness_us: int = 120_000_000
    warning_batch_us: int = 300_000_000
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
    """Take in one assessed frame: the state after it and what there is to tell, in order."""
    state, zone_events, alarm_events = _under(registry, policy, state, seen.key)
    if seen.edition != registry.fingerprint:
        seen = assess_part(registry, seen.key, seen.frame)
    judges = Judges(registry, policy.limits, state.sayings.names)
    # Late rows take their place in what was before; then the others run.
    late = _late_rows(policy, state, seen)
    state, of_late = _revised(judges, state, seen, late)
    zone_events, alarm_events = zone_events + of_late[0], alarm_events + of_late[1]
    in_order = seen if late is None else seen.without(np.union1d(late.revising, late.too_late))
    outcome = run(replace(judges, names=state.sayings.names), state.memory, in_order)
    sayings, now_zone = state.sayings.told(outcome.zone_events, outcome.memory.roster)
    sayings, now_alarm = sayings.told(outcome.alarm_events, outcome.memory.roster)
    zone_events, alarm_events = zone_events + now_zone, alarm_events + now_alarm
    pending, alerts = alarms.route(
        state.pending, alarm_events, newest_us(seen.frame), policy.warning_batch_us
    )
    deliveries = [Delivery(GEOFENCING_EVENTS, event) for event in zone_events]
    deliveries += [Delivery(COMPLIANCE_VIOLATIONS, event) for event in alarm_events]
    deliveries += alerts
    deliveries += [Delivery(LATE_TELEMETRY, event) for event in _late(registry, seen, late)]
    moved = GroupState(
        outcome.memory,
        state.history,
        sayings,
        pending,
        _count(state.tallies, seen, late),
        registry,
    )
    moved = _recorded(registry, policy, state.memory, moved, outcome)
    return moved, deliveries + (_tallies(moved) if policy.tally else [])


def release(policy: Policy, state: GroupState) -> tuple[GroupState, list[Delivery]]:
    """Tell the warnings that wait for the end of their batch now."""
    pending, told = alarms.release(state.pending, policy.warning_batch_us)
    return replace(state, pending=pending), told


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


_Corrections = tuple[list[Event], list[Event]]
"""Zone events, alarm events."""


def _revised(
    judges: Judges, state: GroupState, seen: Assessment, late: _Late | None
) -> tuple[GroupState, _Corrections]:
    if late is None or not len(late.revising):
        return state, ([], [])
    frame = seen.frame.take(late.revising)
    before = Revised(state.memory, state.sayings, [], [])
    part = replace(seen, frame=frame)
    revised = revise(judges, before, state.history, part, late.slot, late.base)
    history = state.history.add(frame, late.slot, late=True)
    moved = replace(state, memory=revised.memory, sayings=revised.sayings, history=history)
    return moved, (revised.zone_events, revised.alarm_events)


def _under(
    registry: Registry, policy: Policy, state: GroupState, key: str
) -> tuple[GroupState, list[Event], list[Event]]:
    """The state in the places of a registry, and what is to be corrected for it.

    Where the registry says something else of the past than the one before it, the records of the
    history are judged again.
    """
    old = state.registry
    if old is registry:
        return state, [], []
    keys = state.keys if old is None else keys_of(old, state.memory)
    memory = carried_over(state.memory, keys, registry)
    history = state.history.carried_over(registry)
    moved = replace(state, memory=memory, history=history, registry=registry)
    if old is None or registry.changed_us(old) > state.pending.high_water_us:
        return moved, [], []
    told_by = Judged(Judges(old, policy.limits), state.history)
    judged_by = Judged(Judges(registry, policy.limits), history)
    before = Revised(memory, state.sayings, [], [])
    revised = rejudge(key, before, told_by, judged_by)
    moved = replace(
        moved, memory=revised.memory, sayings=revised.sayings, history=history.from_first()
    )
    return moved, revised.zone_events, revised.alarm_events


def _recorded(
    registry: Registry, policy: Policy, before: Memory, moved: GroupState, outcome: Outcome
) -> GroupState:
    """The state with the rows in order behind its history."""
    tracks = outcome.intake.tracks
    if not policy.lateness_us or not len(tracks.frame):
        return moved
    history, sayings, roster = moved.history, moved.sayings, moved.memory.roster
    at_us = moved.pending.high_water_us
    if history.wants_checkpoint(at_us, policy.lateness_us):
        keys = keys_of(registry, before)
        history = history.checkpoint(before, keys, at_us).forget(roster, policy.lateness_us)
        sayings = sayings.forget(moved.memory, history.final_us(len(roster)))
    history = history.add(tracks.frame, tracks.slot[tracks.run], late=False)
    return replace(moved, history=history, sayings=sayings)


def _late(registry: Registry, seen: Assessment, late: _Late | None) -> list[Event]:
    if late is None or not len(late.too_late):
        return []
    rows = late.too_late
    return late_events(registry, seen.frame.take(rows), late.newest_us, seen.presence.among(rows))


def _tallies(state: GroupState) -> list[Delivery]:
    # The first vehicle a group ever had names the group; the count of records, the version.
    first = state.memory.roster.ids[0]
    event = Event(
        type=TALLIED,
        event_id=identity(TALLIED, first),
        version=state.tallies["records"],
        vehicle_id=first,
        time_us=state.pending.high_water_us,
        data=dict(state.tallies),
    )
    return [Delivery(TALLIES, event)]


def _count(before: Mapping[str, int], seen: Assessment, late: _Late | None) -> dict[str, int]:
    found = {
        "records": len(seen.frame),
        "late": 0 if late is None else len(late.too_late),
        "revising": 0 if late is None else len(late.revising),
        "no_position": int(np.count_nonzero(np.isnan(seen.frame.number("longitude")))),
        "unknown_depth": seen.presence.rows_unknown(),
        "rule_errors": int(np.count_nonzero(seen.on_records.code == ERROR)),
    }
    return {name: before.get(name, 0) + count for name, count in found.items()}
