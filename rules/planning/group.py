"""The planning of key groups: records, plans and answers go in, plan requests come out.

Records in order move the triggers on at once. What comes late, inside the allowed lateness, changes
what came after it: so the triggers of its vehicle are followed again from its last settled record,
and what comes of that is held against what was told (``rules.planning.requests``). Settled is what
lies further back than the lateness: it is followed once more, for good, now and then.
"""

from rules.planning.following import follow
from rules.planning.move import Judges, Move
from rules.planning.part import Part
from rules.planning.receiving import receive
from rules.planning.settling import settle
from rules.planning.state import PlanningState
from rules.planning.telling import forget, tell
from schemas.delivery import Delivery


def advance(
    judges: Judges, state: PlanningState, part: Part
) -> tuple[PlanningState, list[Delivery]]:
    """Take in a part: the state after it and what there is to tell."""
    move = Move(judges, state, part.keys)
    receive(move, part)
    follow(move, heard=True)
    tell(move)
    if settle(move):
        forget(move)
    return move.state, move.deliveries


def finish(judges: Judges, state: PlanningState) -> tuple[PlanningState, list[Delivery]]:
    """The end of the input: vehicles heard of just now, too, are silent from then on."""
    move = Move(judges, state, map(judges.groups.key, range(judges.groups.count)))
    follow(move, heard=False)
    tell(move)
    return move.state, move.deliveries
