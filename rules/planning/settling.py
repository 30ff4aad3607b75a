"""Settling: what no late record can come before any more is followed for good, and let go."""

from dataclasses import replace
from typing import Final

import numpy as np

from rules.planning.following import entries_of, symbols_of_looks
from rules.planning.looks import at_records, newest_by_slot
from rules.planning.move import Move
from rules.planning.receiving import refuse
from rules.tracks import NEVER
from schemas.frame import Bools
from schemas.mission_plan import MissionPlan, Planned

AT_ONCE: Final = 64
"""Fewer records are not worth a pass of their own."""


def settle(move: Move) -> bool:
    """Settle what lies further back than the lateness; whether there was enough of it.

    Of each group by itself: when it settles hangs on no other.
    """
    state = move.state
    slot, time_us = state.pending.slot, state.pending.frame.time_us
    until_us = state.until_us
    oldest_us = np.where(until_us == NEVER, NEVER, until_us - move.policy.lateness_us)
    due = move.mine[slot] & (time_us > state.settled_us[slot]) & (time_us < oldest_us[slot])
    # The last record stays: in its slice one may still come, and silence counts from it.
    last = state.pending.last_of(len(until_us))
    due[last[last >= 0]] = False
    group, count = move.groups.of_slot[slot], len(move.moved)
    enough = np.bincount(group[due], minlength=count) >= np.maximum(
        AT_ONCE, np.bincount(group, minlength=count) // 2
    )
    rows = np.flatnonzero(due & enough[group])
    if not len(rows):
        return False
    entries = entries_of(move, rows, state.settled_us, np.zeros(len(until_us), np.bool_))
    symbol = symbols_of_looks(move, entries)
    settled, _ = move.book.arms.follow(state.settled, entries.slot, entries.time_us, symbol)
    newest_us = newest_by_slot(at_records(state.pending, rows), len(until_us))
    settled_us = np.maximum(state.settled_us, newest_us)
    # Of the settled records each vehicle's last is kept: silence counts from it.
    kept = np.flatnonzero(time_us >= settled_us[slot])
    move.state = replace(
        state,
        settled=settled,
        settled_us=settled_us,
        pending=state.pending.take(kept),
        samples=state.samples.pruned(move.book.forecasts.values(), settled_us),
    )
    _forget(move, enough)
    return True


def _forget(move: Move, settled_groups: Bools) -> None:
    """Let go plans and commands that no record can be judged by any more.

    ``settled_groups``: (groups,) of whose vehicles.
    """
    state, group_of = move.state, move.groups.key_groups.of
    settled = dict(zip(state.roster.ids, state.settled_us.tolist(), strict=True))
    planned = {
        name: _since(p, settled.get(name, NEVER)) if settled_groups[group_of(name)] else p
        for name, p in state.planned.items()
    }
    rearms = []
    for command in state.rearms:
        if not settled_groups[group_of(command.vehicle_id)]:
            rearms.append(command)
        elif command.time_us > settled.get(command.vehicle_id, NEVER):
            waited_us = move.groups.clock_of(command.vehicle_id) - command.time_us
            if command.vehicle_id in settled or waited_us <= move.policy.lateness_us:
                rearms.append(command)
            else:
                reason = f"vehicle_id: nobody has heard of `{command.vehicle_id}`"
                move.deliveries.append(refuse(command, reason, "vehicle_id"))
    changed = [name for name, p in state.planned.items() if len(planned[name]) != len(p)]
    move.state = replace(state, planned=planned, rearms=tuple(rearms))
    if changed:
        move.plan_again(changed)


def _since(planned: tuple[Planned, ...], oldest_us: int) -> tuple[Planned, ...]:
    """Plans and reports from the plan in force at a time on."""
    first = 0
    for place, one in enumerate(planned):
        if one.time_us <= oldest_us and isinstance(one, MissionPlan):
            first = place
    return planned[first:]
