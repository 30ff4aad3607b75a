"""Key groups that plan together ask for what each asks for alone, through restarts and moves."""

import pickle
from dataclasses import fields, is_dataclass
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.steps.together import Cohort, Together
from rules.assessment import KeyGroups
from rules.planning import group
from rules.planning.cohort import Split, joining
from rules.planning.intake import Intake
from rules.planning.move import Judges
from rules.planning.part import Part, Whole
from rules.planning.state import PlanningState
from rules.planning.waiting import Waiting
from rules.share import shares
from tests.frames import frame_of
from tests.planning import answers
from tests.planning import given as known_from
from tests.property.test_planning import BOOK, POLICY, cuts, fleets, judge

GROUPS = KeyGroups(4)
KEYS = tuple(map(GROUPS.key, range(GROUPS.count)))


def flat(value):
    """What is kept, to be compared: columns as lists."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if is_dataclass(value):
        kept = [f.name for f in fields(value) if f.compare]
        return [flat(getattr(value, name)) for name in kept]
    if isinstance(value, dict):
        return {key: flat(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [flat(each) for each in value]
    return value


class Workers:
    """Two workers, one of another process, with the key groups that each owns."""

    def __init__(self, judges, owner, kept):
        advance = lambda state, part: group.advance(judges, state, part)  # noqa: E731
        together = Together(joining(lambda: judges), Split(GROUPS), waiting=Waiting)
        self.cohorts = [Cohort(together, advance, PlanningState()) for _ in range(2)]
        self.owner = dict(zip(KEYS, owner, strict=True))
        self.judges, self.kept, self.entered = judges, kept, set()

    def take_in(self, wholes):
        """What is told of some wholes, whose shares come in any order of their keys."""
        told = []
        for whole in wholes:
            before = {key: flat(self.part(key)) for key in self.entered - set(whole.keys)}
            for key, share in shares(whole):
                if key not in self.entered:
                    self.entered.add(key)
                    self.cohorts[self.owner[key]].enter(key, self.kept.get(key))
                sent = pickle.loads(pickle.dumps(share)) if self.owner[key] else share
                told += self.cohorts[self.owner[key]].advance(sent)
            if not whole.part.stamp:
                # Those that have no share are not stored now: nothing of theirs may have changed.
                assert before == {key: flat(self.part(key)) for key in before}
        return told

    def part(self, key):
        return self.cohorts[self.owner[key]].part(key)

    def states(self):
        """The states as a recovery store would give them back."""
        now = {key: pickle.loads(pickle.dumps(self.part(key))) for key in self.entered}
        return self.kept | now

    def finish(self):
        told = []
        for cohort in self.cohorts:
            told += cohort.move_on(lambda state: group.finish(self.judges, state))
        return told


def heard(plans, commands):
    """What is said on topics, each for the group of one vehicle."""
    for one in plans:
        yield Whole(Part((GROUPS.key(GROUPS.of(one.vehicle_id)),), planned=(one,)), GROUPS)
    for one in commands:
        yield Whole(Part((GROUPS.key(GROUPS.of(one.vehicle_id)),), answers=(one,)), GROUPS)


def frames(book, records, places):
    intake = Intake(POLICY.every_us, GROUPS, book.sensors, book.kinds)
    bounds = [0, *sorted({p for p in places if 0 < p < len(records)}), len(records)]
    for a, b in pairwise(bounds):
        if whole := intake.whole(frame_of(records[a:b])):
            yield whole


owners = st.lists(st.tuples(*[st.integers(0, 1)] * 4), min_size=1, max_size=4)


@settings(max_examples=12, deadline=None)
@given(fleets(), cuts, owners)
def test_groups_ask_together_for_what_each_asks_for_alone(fleet, places, owners):
    records, plans, commands = fleet
    judges = Judges(BOOK, POLICY, known_from(plans), GROUPS)
    states, told, workers = {}, [], None
    wholes = [[whole] for whole in frames(BOOK, records, places)]
    # Commands come somewhere between the frames.
    for at, whole in enumerate(heard((), commands)):
        wholes.insert(at % (len(wholes) + 1), [whole])
    for at, some in enumerate(wholes):
        if workers is None or at % 2 == 0:
            workers = Workers(judges, owners[at % len(owners)], states)
        told += workers.take_in(some)
        states = workers.states()
    told += workers.finish()
    for key in set(states) - workers.entered:
        told += group.finish(judges, states[key])[1]
    assert answers(told) == answers(judge(fleet, places))
