"""Key groups that advance together say what each says alone, on any workers, after restarts."""

import pickle
from collections import Counter
from functools import partial
from itertools import pairwise

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from flows.steps.together import Cohort, Together
from rules import cohort, group
from rules.assessment import Assessor, KeyGroups
from rules.legs import Limits
from rules.registry import Registry
from rules.rulesets import load_rules
from rules.share import Share
from schemas.event import payload
from schemas.zone_file import load_zones
from tests.frames import frame_of
from tests.property.test_revision import POLICY, RULES, ZONES, cuts, streams, timed

REMEMBERING = b"""
- {id: again, when: speed_mps < 1.0, count: 2, within: 4s, keep_firing_for: 2s, severity: warning}
- {id: sunk, when: depth_m > previous.depth_m + 50.0, severity: critical}
- {id: fast, when: rate(depth_m) > 20.0, severity: critical}
- {id: silent, when: speed_mps > 1.0, absent_for: 5s, severity: warning}
- {id: sank, when: speed_mps < 1.0, then: depth_m > 200.0, within: 9s, severity: info}
"""
REGISTRY = Registry.of(load_zones(ZONES, "zones"), load_rules(RULES + REMEMBERING, "rules").rules)

GROUPS = 5
# Shrinking so long a story takes minutes; what is found is printed as it is.
NO_SHRINK = (Phase.explicit, Phase.reuse, Phase.generate)
ADVANCE = partial(group.advance, POLICY, REGISTRY)
workers = st.lists(st.integers(0, 1), min_size=GROUPS, max_size=GROUPS)


def wholes(records, at):
    assessor = Assessor(REGISTRY, Limits(), KeyGroups(GROUPS))
    for a, b in pairwise([0, *sorted(c for c in at if c < len(records)), len(records)]):
        if a < b:
            yield assessor.whole(frame_of(records[a:b]))


def alone(records, at):
    states, told = {}, []
    for whole in wholes(records, at):
        for key in whole.keys:
            state = states.get(key, group.GroupState())
            states[key], deliveries = ADVANCE(state, whole.part(key))
            told += deliveries
    return states, told


class Workers:
    """Two workers, to which key groups belong by ``owner``; the first reads all records."""

    def __init__(self, owner, kept):
        groups = KeyGroups(GROUPS)
        together = Together(
            lambda states, _: cohort.join(REGISTRY, POLICY, states), cohort.Split(groups)
        )
        self.owner = {groups.key(g): worker for g, worker in enumerate(owner)}
        self.cohorts = [Cohort(together, ADVANCE, group.GroupState()) for _ in range(2)]
        self.kept, self.entered = kept, set()

    def take_in(self, whole):
        told = []
        for key in whole.keys:
            share = Share(key, whole)
            if self.owner[key]:
                share = pickle.loads(pickle.dumps(share))
            cohort = self.cohorts[self.owner[key]]
            if key not in self.entered:
                self.entered.add(key)
                cohort.enter(key, self.kept.get(key))
            told += cohort.advance(share)
        return told

    def states(self):
        """The states as a recovery store would give them back."""
        now = {key: self.cohorts[self.owner[key]].part(key) for key in self.entered}
        return self.kept | {key: pickle.loads(pickle.dumps(state)) for key, state in now.items()}


def together(records, at, owners):
    """The records through workers that restart, with other owners, after every second frame."""
    states, told = {}, []
    for i, whole in enumerate(wholes(records, at)):
        if i % 2 == 0:
            workers = Workers(owners[i % len(owners)], states)
        told += workers.take_in(whole)
        states = workers.states()
    return states, told


def counted(states):
    """The tallies of the groups that had records."""
    tallies = {key: state.tallies.get(key, {}) for key, state in states.items()}
    return {key: counts for key, counts in tallies.items() if counts.get("records")}


def said(told):
    return Counter((d.topic, d.event.type, repr(payload(d.event))) for d in told)


@settings(max_examples=80, deadline=None, phases=NO_SHRINK)
@given(streams, cuts, st.lists(workers, min_size=1, max_size=4))
def test_groups_say_together_what_each_says_alone(records, at, owners):
    _, arrival = timed(records)
    states, told = together(arrival, at, owners)
    states_alone, told_alone = alone(arrival, at)
    assert said(told) == said(told_alone)
    assert counted(states) == counted(states_alone)


@settings(max_examples=50, deadline=None)
@given(streams, cuts)
def test_a_group_is_kept_as_if_it_had_been_alone(records, at):
    in_order, _ = timed(records)
    states, _ = together(in_order, at, [[0] * GROUPS])
    states_alone, _ = alone(in_order, at)
    for key, state in states.items():
        kept, known = state.memory, states_alone[key].memory
        assert kept.roster.ids == known.roster.ids
        assert kept.roster.last_us.tolist() == known.roster.last_us.tolist()
        for part in ("visits", "outings", "conditions", "approaches"):
            assert len(getattr(kept, part).slot) == len(getattr(known, part).slot)
