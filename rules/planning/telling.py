"""Telling: what differs from what was told of a vehicle's plan requests, and what is over."""

from collections.abc import Sequence
from dataclasses import replace

from rules.planning.move import Move
from rules.planning.receiving import refuse
from rules.planning.requests import Request, Said, final_us, folded, news, told_of
from rules.planning.state import PlanningState
from schemas.event import Event
from schemas.plan_result import PlanResult


def tell(move: Move) -> None:
    """Tell what there is of vehicles touched and of those of which a deadline has passed."""
    state = move.state
    names = _passed(move) | (move.touched & (state.fires.keys() | state.said.keys()))
    if names:
        said = dict(state.said)
        for name in sorted(names):
            requests = folded(name, state.fires.get(name, ()), move.policy.fold_us)
            known = state.results.get(name, ())
            told = told_of(requests, known, move.groups.clock_of(name))
            said[name], deliveries = news(said.get(name, {}), told)
            move.deliveries += deliveries
        move.state = replace(state, said=said)
    if move.state.results:
        _refuse_unclaimed(move)


def forget(move: Move) -> None:
    """Let go the requests of which nothing more can come, and what was told of them."""
    state = move.state
    settled = dict(zip(state.roster.ids, state.settled_us.tolist(), strict=True))
    fires, said, results = dict(state.fires), dict(state.said), dict(state.results)
    for name, events in state.said.items():
        if not move.moves(name) or _holds_all(move, name, events):
            continue
        known = results.get(name, ())
        requests = folded(name, fires.get(name, ()), move.policy.fold_us)
        over = [r for r in requests if _is_over(move, r, known, settled[name])]
        fires[name] = tuple(f for r in requests if r not in over for f in r.fires)
        gone = {request.request_id for request in over}
        results[name] = tuple(r for r in known if r.request_id not in gone)
        said[name] = {
            event_id: (topic, event)
            for event_id, (topic, event) in events.items()
            if _request_of(event) not in gone
            and not (event.retracted and event.happened_us <= settled[name])
        }
    move.state = replace(
        state,
        fires={name: one for name, one in fires.items() if one},
        said={name: one for name, one in said.items() if one},
        results={name: one for name, one in results.items() if one},
    )


def _request_of(event: Event) -> str:
    """The request that an event is about, an alarm too."""
    of: str = event.data.get("request_id") or event.data["decision"]["inputs"]["request_id"]
    return of


def _passed(move: Move) -> set[str]:
    """The vehicles of which a deadline has passed with this move."""
    before, now = move.before, move.groups
    return {
        name
        for name, fires in move.state.fires.items()
        if before.clock_of(name) < (clock_us := now.clock_of(name))
        and any(before.clock_of(name) < fire.deadline_us <= clock_us for fire in fires)
    }


def _holds_all(move: Move, name: str, events: Said) -> bool:
    """Whether none of a vehicle's requests, or of what was told of them, can be let go."""
    fires = move.state.fires.get(name, ())
    first_us = min((fire.deadline_us for fire in fires), default=None)
    return (
        first_us is not None
        and move.groups.clock_of(name) <= first_us + move.policy.lateness_us
        and not any(event.retracted for _, event in events.values())
    )


def _is_over(move: Move, request: Request, results: Sequence[PlanResult], settled_us: int) -> bool:
    """Whether neither a late record nor a late answer can change a request any more."""
    over_us = final_us(request, results) + move.policy.lateness_us
    folded_us = request.fires[0].time_us + move.policy.fold_us
    return move.groups.clock_of(request.vehicle_id) > over_us and folded_us < settled_us


def _refuse_unclaimed(move: Move) -> None:
    """Results of requests that were never made are dead letters, once none can come any more."""
    state, results = move.state, dict(move.state.results)
    for name, known in state.results.items():
        if not move.moves(name):
            continue
        # A vehicle's triggers may fire at any time from its settled records on.
        slot = int(state.roster.find((name,))[0])
        oldest_us = move.groups.clock_of(name) - move.policy.lateness_us
        oldest_us = oldest_us if slot < 0 else int(state.settled_us[slot])
        asked = _asked(state, name, move.policy.fold_us)
        lost = [r for r in known if r.request_id not in asked and r.time_us < oldest_us]
        for result in lost:
            reason = f"request_id: `{name}` has no open request `{result.request_id}`"
            move.deliveries.append(refuse(result, reason, "request_id"))
        results[name] = tuple(r for r in known if r not in lost)
    if results != state.results:
        move.state = replace(state, results={n: one for n, one in results.items() if one})


def _asked(state: PlanningState, name: str, fold_us: int) -> set[str]:
    requests = folded(name, state.fires.get(name, ()), fold_us)
    return {request.request_id for request in requests}
