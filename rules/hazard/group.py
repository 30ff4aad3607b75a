"""The hazard of key groups: a part of a frame goes in, scores come out; late records revise."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from rules.hazard.events import scored_events
from rules.hazard.part import Part
from rules.hazard.past import Chunk, Past, Piece
from rules.hazard.signals import Followed
from rules.hazard.stage import Judge, run
from rules.late import late_event
from rules.tracks import Roster
from schemas.delivery import Delivery
from schemas.event import Event
from schemas.frame import Frame, Rows
from schemas.topics import HAZARD_SCORES, LATE_TELEMETRY


class Version(NamedTuple):
    """The latest version told of an event, its vehicle's slot and its time."""

    version: int
    slot: int
    time_us: int


@dataclass(frozen=True, slots=True)
class HazardState:
    """What hazard remembers of key groups, by one profile; a vehicle is its slot of ``roster``.

    ``versions``: of the events that were corrected, by id.
    """

    roster: Roster = field(default_factory=Roster)
    now: Followed = field(default_factory=lambda: Followed.none(0))
    past: Past = field(default_factory=Past)
    versions: Mapping[str, Version] = field(default_factory=dict)

    @property
    def chunks(self) -> tuple[Chunk, ...]:
        """The history, each chunk of which needs to be persisted but once."""
        return self.past.chunks

    def with_chunks(self, chunks: tuple[Any, ...]) -> "HazardState":
        """This state with another history."""
        return replace(self, past=replace(self.past, chunks=chunks))


@dataclass(frozen=True, slots=True)
class Policy:
    """``judge``: what decides. ``lateness_us``: how late a record may come and still revise.

    ``tell_late``: tell on ``late_telemetry`` what comes later still.
    """

    judge: Judge
    lateness_us: int
    tell_late: bool = False


def advance(policy: Policy, state: HazardState, part: Part) -> tuple[HazardState, list[Delivery]]:
    """Take in a part: the state after it and what there is to tell, in order."""
    judge = policy.judge
    signals = len(judge.plan.order)
    roster, slot = state.roster.admit(part.vehicle_ids)
    now = state.now if len(state.now.values) else Followed.none(signals)
    state = replace(
        state,
        roster=roster,
        now=now.grown(len(roster)),
        past=state.past.grown(len(roster), signals),
    )
    known_us = state.now.last_us[slot][part.vehicle]
    late, newest_us = part.time_us < known_us, np.maximum(known_us, part.newest_us)
    # Too late is what was so when it came, wherever frames end.
    too_late = newest_us - part.time_us > policy.lateness_us
    if not (late | too_late).any():
        return _in_order(policy, judge, state, part, slot)
    told: list[Delivery] = []
    if policy.tell_late and too_late.any():
        told += _too_late(judge, part, np.flatnonzero(too_late), newest_us)
    revising = np.flatnonzero(late & ~too_late)
    if len(revising):
        state, corrections = _revised(judge, state, part.take(revising))
        told += corrections
    rest = np.flatnonzero(~late & ~too_late)
    if len(rest):
        kept = part.take(rest)
        state, scored = _in_order(policy, judge, state, kept, roster.find(kept.vehicle_ids))
        told += scored
    return state, told


def _in_order(
    policy: Policy, judge: Judge, state: HazardState, part: Part, slot: Rows
) -> tuple[HazardState, list[Delivery]]:
    now, told = run(judge, state.now, part, slot)
    events = scored_events(judge.plan, told, state.roster.ids)
    deliveries = [Delivery(HAZARD_SCORES, event) for event in events]
    if not policy.lateness_us:
        return replace(state, now=now), deliveries
    at_us = int(state.now.last_us.max())
    # The mark is of what was remembered before this part's records.
    before = state.past.marked(state.now, at_us, policy.lateness_us)
    past = before.add(part, slot, late=False)
    versions = state.versions
    if versions and before is not state.past:
        oldest_us = past.base.last_us
        versions = {k: v for k, v in versions.items() if v.time_us >= oldest_us[v.slot]}
    return replace(state, now=now, past=past, versions=versions), deliveries


def _revised(judge: Judge, state: HazardState, late: Part) -> tuple[HazardState, list[Delivery]]:
    """Put late records in their place: their vehicles run again from their bases."""
    slot = state.roster.find(late.vehicle_ids)
    slots = np.sort(slot)
    known = state.past.of(slots)
    past = state.past.add(late, slot, late=True)
    both = past.of(slots)
    old: list[Event] = []
    if known is not None:
        old = _again(judge, state, known)[1]
    if both is None:
        return state, []
    now, new = _again(judge, state, both)
    versions, told = _corrected(state, old, new)
    moved = replace(state, now=state.now.put(slots, now), past=past, versions=versions)
    return moved, [Delivery(HAZARD_SCORES, event) for event in told]


def _again(judge: Judge, state: HazardState, piece: Piece) -> tuple[Followed, list[Event]]:
    """Judge the records of a piece from the bases of their vehicles."""
    # Stable: of records of the same time what came first stays first.
    order = np.lexsort((piece.time_us, piece.slot))
    slots, vehicle = np.unique(piece.slot[order], return_inverse=True)
    part = Part(
        (),
        np.zeros(1, np.intp),
        tuple(state.roster.ids[one] for one in slots.tolist()),
        vehicle.astype(np.int32),
        piece.time_us[order],
        piece.body[order],
        piece.columns[:, order],
        piece.time_us[order],
    )
    after, told = run(judge, state.past.base, part, slots)
    return after, scored_events(judge.plan, told, state.roster.ids)


def _corrected(
    state: HazardState, old: list[Event], new: list[Event]
) -> tuple[dict[str, Version], list[Event]]:
    """What to tell where ``old`` was told and ``new`` should have been."""
    before = {event.event_id: event for event in old}
    after = {event.event_id for event in new}
    versions = dict(state.versions)
    told = []
    gone = [(event, True) for event in old if event.event_id not in after]
    changed = [(event, False) for event in new if before.get(event.event_id) != event]
    for event, retracted in [*gone, *changed]:
        known = versions.get(event.event_id)
        was = known.version if known else int(event.event_id in before)
        if was:
            [slot] = state.roster.find((event.vehicle_id,)).tolist()
            versions[event.event_id] = Version(was + 1, slot, event.happened_us)
        told.append(
            Event(
                type=event.type,
                event_id=event.event_id,
                vehicle_id=event.vehicle_id,
                time_us=event.time_us,
                data=event.data,
                version=was + 1,
                retracted=retracted,
            )
        )
    return versions, told


def _too_late(
    judge: Judge, part: Part, rows: Rows, newest_us: np.typing.NDArray[np.int64]
) -> list[Delivery]:
    """What came too late, with as much of each record as the profile reads."""
    frame = _frame(judge, part.take(rows))
    return [
        Delivery(
            LATE_TELEMETRY, late_event(frame, row, newest, {"zones": [], "rules": []}, "hazard")
        )
        for row, newest in enumerate(newest_us[rows].tolist())
    ]


def _frame(judge: Judge, part: Part) -> Frame:
    kind = np.zeros(len(part), np.int8)
    columns = dict(zip(judge.plan.readings, part.columns, strict=True))
    return Frame(
        vehicle_ids=part.vehicle_ids,
        vehicle=part.vehicle,
        time_us=part.time_us,
        kind=kind,
        body=part.body,
        numbers={},
        sensors=columns,
    )
