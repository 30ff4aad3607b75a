"""A body's proximity: records of all its vehicles go in, what there is to tell comes out.

Answers are functions of the records alone. A moment of event time is judged once every record that
may still come is newer, ``lateness_us`` behind the newest record of the body, and once it is known
where each vehicle was: so nothing is judged twice, and the order of arrival does not matter.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from rules.late import late_event
from rules.proximity.encounters import Encounters
from rules.proximity.limits import Limits
from rules.proximity.provisional import at_end, for_good
from rules.proximity.samples import Samples, sample
from rules.proximity.seen import window
from rules.proximity.window import judge
from rules.tracks import NEVER, Fixes, Roster, joined
from schemas.delivery import Delivery
from schemas.event import Event
from schemas.frame import BODIES, Frame, Rows, where
from schemas.topics import LATE_TELEMETRY, PROXIMITY_EVENTS

_TICKS_A_WINDOW = 32


@dataclass(frozen=True, slots=True)
class BodyState:
    """What is remembered of a body: immutable.

    ``body``: its name, once it is known. ``roster``: its vehicles, each with its newest settled
    fix. ``newest_us``: event time of the newest record. ``settled_us``: all records before it are
    settled, what comes later is late. ``waiting``: (slots, fixes) of the others, as they came.
    ``judged``: the last tick that was judged; ``samples``: those from it on. ``told``: events told
    before their time.
    """

    body: str = ""
    roster: Roster = field(default_factory=Roster)
    newest_us: int = NEVER
    settled_us: int = NEVER
    waiting: tuple[tuple[Rows, Fixes], ...] = ()
    samples: Samples = field(default_factory=Samples)
    judged: int = NEVER
    encounters: Encounters = field(default_factory=Encounters)
    told: Mapping[str, Event] = field(default_factory=dict)


def by_body(frame: Frame) -> list[tuple[str, Frame]]:
    """The records that have a position, by body."""
    located = ~np.isnan(frame.number("longitude"))
    codes = np.unique(frame.body[located]).tolist()
    return [(BODIES[code], frame.take(where(located & (frame.body == code)))) for code in codes]


def advance(limits: Limits, state: BodyState, frame: Frame) -> tuple[BodyState, list[Delivery]]:
    """Take in records of one body that have a position: the state after it and what to tell."""
    late = where(frame.time_us < state.settled_us)
    told = [Delivery(LATE_TELEMETRY, _late(frame, row, state.newest_us)) for row in late.tolist()]
    state = _taken_in(state, frame.take(where(frame.time_us >= state.settled_us)))
    if state.newest_us == NEVER:
        return state, told
    until = (state.newest_us - limits.lateness_us) // limits.every_us
    if until * limits.every_us <= state.settled_us:
        return state, told
    state = _settled(limits, state, until * limits.every_us)
    state, events = _judged(limits, state)
    events.sort(key=_order)
    provisional, events = for_good(state.told, events, state.judged * limits.every_us)
    told += [Delivery(PROXIMITY_EVENTS, event) for event in events]
    return replace(state, told=provisional), told


def finish(limits: Limits, state: BodyState) -> tuple[BodyState, list[Delivery]]:
    """The end of the input: tell what holds if no record comes any more."""
    if state.newest_us == NEVER:
        return state, []
    _, events = _judged(limits, _settled(limits, state, state.newest_us + 1))
    provisional, events = at_end(state.told, sorted(events, key=_order))
    return replace(state, told=provisional), [Delivery(PROXIMITY_EVENTS, e) for e in events]


def _order(event: Event) -> tuple[int, str, str]:
    # Of a pair at one moment in the order they are made.
    return event.happened_us, event.vehicle_id, event.data["other_vehicle_id"]


def _taken_in(state: BodyState, frame: Frame) -> BodyState:
    if not len(frame):
        return state
    present, place = np.unique(frame.vehicle, return_inverse=True)
    ids = tuple(map(frame.vehicle_ids.__getitem__, present.tolist()))
    roster, slot = state.roster.admit(ids)
    every = np.arange(len(frame))
    piece = slot[place], Fixes.of(frame, every, np.full(len(frame), -1, np.int32))
    newest_us = max(state.newest_us, int(frame.time_us.max()))
    return replace(
        state,
        body=BODIES[frame.body[0]],
        roster=roster,
        newest_us=newest_us,
        waiting=(*state.waiting, piece),
    )


def _settled(limits: Limits, state: BodyState, until_us: int) -> BodyState:
    """The state with all records before ``until_us`` settled."""
    slots, pieces = zip(*state.waiting, strict=True)
    slot, fixes = np.concatenate(slots), joined(pieces)
    now, later = where(fixes.time_us < until_us), where(fixes.time_us >= until_us)
    roster, samples = sample(limits, state.roster, slot[now], fixes.take(now))
    return replace(
        state,
        roster=roster,
        settled_us=until_us,
        waiting=((slot[later], fixes.take(later)),),
        samples=state.samples.plus(samples),
    )


def _judged(limits: Limits, state: BodyState) -> tuple[BodyState, list[Event]]:
    """The state with all ticks judged that can be, and what happened until then, pair by pair."""
    samples, judged, encounters = state.samples, state.judged, state.encounters
    horizon, told = _horizon(limits, state), []
    if judged == NEVER:
        if not (samples.tick <= horizon).any():
            return state, []
        judged = int(samples.tick.min()) - 1
    while judged < horizon:
        ahead = samples.tick[samples.tick > judged]
        coming = min(int(ahead.min(initial=horizon + 1)), horizon + 1)
        alone = coming > judged + 1
        last = judged + 1 if alone else min(judged + _TICKS_A_WINDOW, horizon)
        seen = window(limits, state.body, state.roster.ids, samples, (judged, last))
        encounters, events = judge(seen, encounters)
        told += events
        # One tick at which nobody is known has lost all pairs: there is no more to lose.
        judged = coming - 1 if alone else last
    kept = samples.take(samples.tick >= judged)
    return replace(state, samples=kept, judged=judged, encounters=encounters), told


def _horizon(limits: Limits, state: BodyState) -> int:
    """The newest tick at which each vehicle is known, or known to be unknown.

    A vehicle's next fix may make it known from its newest one on, as long as that is not too old.
    """
    newest_us = state.roster.fixes.time_us
    followed = newest_us[newest_us >= state.settled_us - limits.max_age_us]
    last_us = int(followed.min(initial=state.settled_us - 1))
    return last_us // limits.every_us


def _late(frame: Frame, row: int, newest_us: int) -> Event:
    """A record that came too late to be judged here; the watch may say more of it."""
    nothing: dict[str, list[str]] = {"zones": [], "rules": []}
    return late_event(frame, row, newest_us, nothing, "late for proximity")
