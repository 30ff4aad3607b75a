"""Receiving: what comes in takes its place, and who has to be followed again is noted."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import msgspec
import numpy as np

from rules.late import late_event
from rules.planning.context import Hazards
from rules.planning.move import Move
from rules.planning.part import Part, Scores
from rules.planning.pending import Pending
from rules.planning.plans import in_order
from rules.planning.samples import SLICES
from rules.tracks import NEVER
from schemas.delivery import Delivery
from schemas.frame import Frame, Longs, Rows
from schemas.message import Reject
from schemas.mission_plan import Planned
from schemas.plan_result import Answer, PlanResult, Rearm
from schemas.rejected import dead_letter
from schemas.topics import LATE_TELEMETRY

SCORES_EACH: Final = 4
"""So many scores of a vehicle are not worth looking through."""
UNHEARD_US: Final = 86_400_000_000
"""For so long behind event time the scores of a vehicle that was not heard of are kept."""


def receive(move: Move, part: Part) -> None:
    """Put everything in its place."""
    clock_us = max(move.state.clock_us, part.clock_us)
    told = move.groups.told(part.keys, part.clock_us)
    move.state = replace(move.state, clock_us=clock_us, groups=told)
    if part.frame is not None:
        _admit(move, part.frame.vehicle_ids)
    if part.planned:
        _take_plans(move, part.planned)
    if part.scores is not None:
        move.state = replace(move.state, hazards=_with_scores(move, part.scores))
        move.follow_again(part.scores.vehicle_ids, part.scores.time_us)
    for answer in part.answers:
        _take_answer(move, answer)
    if part.frame is not None:
        _take_records(move, part.frame, part.until_us)


def _with_scores(move: Move, scores: Scores) -> Hazards:
    """The scores with further ones, without those that no record can be judged by any more.

    Nobody knows what a vehicle still has to tell that was not heard of: its scores stay for a day.
    """
    state, hazards = move.state, move.state.hazards.plus(scores)
    many = tuple(n for n in dict.fromkeys(scores.vehicle_ids) if hazards.count(n) > SCORES_EACH)
    if not many:
        return hazards
    waited_us = max(move.policy.lateness_us, UNHEARD_US)
    unheard_us = [max(move.groups.clock_of(name) - waited_us, NEVER) for name in many]
    slot = state.roster.find(many)
    settled_us = np.append(state.settled_us, NEVER)[slot]
    oldest_us = np.where(slot >= 0, settled_us, unheard_us).tolist()
    return hazards.since(dict(zip(many, oldest_us, strict=True)))


def refuse(answer: Answer, reason: str, field: str) -> Delivery:
    """The dead letter of a result or command that nothing can be done with."""
    raw = msgspec.json.encode(answer.model_dump(mode="json"), order="sorted")
    return dead_letter(Reject(reason, field, raw, f"planning:{answer.vehicle_id}"))


def _admit(move: Move, vehicle_ids: tuple[str, ...]) -> None:
    known = len(move.state.roster)
    move.state = move.state.grown(vehicle_ids)
    new = move.state.roster.ids[known:]
    if not new:
        return
    move.dirty = np.append(move.dirty, np.zeros(len(new), np.bool_))
    if planned := [name for name in new if name in move.given.planned]:
        move.plan_again(planned)
    for name in new:
        for answer in move.given.answers.get(name, ()):
            _take_answer(move, answer)


def _take_plans(move: Move, planned: Sequence[Planned]) -> None:
    by_vehicle = dict(move.state.planned)
    for one in planned:
        by_vehicle[one.vehicle_id] = in_order((*by_vehicle.get(one.vehicle_id, ()), one))
    move.state = replace(move.state, planned=by_vehicle)
    move.plan_again(one.vehicle_id for one in planned)
    ids, times_us = (one.vehicle_id for one in planned), [one.time_us for one in planned]
    move.follow_again(tuple(ids), np.array(times_us, np.int64))


def _take_answer(move: Move, answer: Answer) -> None:
    if isinstance(answer, PlanResult):
        known = move.state.results.get(answer.vehicle_id, ())
        if answer not in known:
            results = {**move.state.results, answer.vehicle_id: (*known, answer)}
            move.state = replace(move.state, results=results)
            move.touched.add(answer.vehicle_id)
    elif not _is_known(move, answer):
        reason = f"trigger_id: no trigger `{answer.trigger_id}`; give one that is, or none for all"
        move.deliveries.append(refuse(answer, reason, "trigger_id"))
    elif answer not in move.state.rearms:
        move.state = replace(move.state, rearms=(*move.state.rearms, answer))
        move.follow_again((answer.vehicle_id,), np.array([answer.time_us], np.int64))


def _is_known(move: Move, command: Rearm) -> bool:
    return not command.trigger_id or any(name == command.trigger_id for name, _ in move.book.keys)


def _take_records(move: Move, frame: Frame, until_us: Longs) -> None:
    state = move.state
    slot = state.roster.find(frame.vehicle_ids)[frame.vehicle]
    key = slot * SLICES + frame.time_us // move.policy.every_us
    order = np.argsort(key, kind="stable")
    key, slot, until_us = key[order], slot[order], until_us[order]
    frame = replace(frame.take(order), vehicle=slot.astype(np.int32), vehicle_ids=state.roster.ids)
    before_us = state.until_us[slot]
    oldest_us = np.where(before_us == NEVER, NEVER, before_us - move.policy.lateness_us)
    # Settled lies further back than the lateness: what is in time comes after it.
    too_late = (frame.time_us < oldest_us) | (frame.time_us < state.settled_us[slot])
    if too_late.any():
        _tell_late(move, frame, np.flatnonzero(too_late), before_us)
        kept = np.flatnonzero(~too_late)
        key, slot, until_us, frame = key[kept], slot[kept], until_us[kept], frame.take(kept)
    place, there = state.pending.find(key)
    pending = _hear(move, place[there], slot[there], until_us[there])
    earlier = np.zeros(len(key), np.bool_)
    earlier[there] = frame.time_us[there] < pending.frame.time_us[place[there]]
    put = np.flatnonzero(~there | earlier)
    move.dirty[slot[put][frame.time_us[put] <= state.looked_us[slot[put]]]] = True
    heard_us = until_us.copy()
    heard_us[there] = pending.until_us[place[there]]
    if len(put):
        pending = pending.put(key[put], frame.take(put), heard_us[put])
    move.state = replace(state, pending=pending)
    move.fresh = key[put]


def _hear(move: Move, rows: Rows, slot: Rows, until_us: Longs) -> Pending:
    """Vehicles heard of in slices of which a record is judged already."""
    pending = move.state.pending
    later = until_us > pending.until_us[rows]
    # Somebody has looked since: the silence was none.
    looked = later & (move.state.looked_us[slot] > pending.frame.time_us[rows])
    move.dirty[slot[looked]] = True
    return pending.heard(rows[later], until_us[later])


def _tell_late(move: Move, frame: Frame, rows: Rows, before_us: Longs) -> None:
    if not move.policy.tell_late:
        return
    nothing: dict[str, list[str]] = {"zones": [], "rules": []}
    for row in rows.tolist():
        event = late_event(frame, row, int(before_us[row]), nothing, "late for planning")
        move.deliveries.append(Delivery(LATE_TELEMETRY, event))
