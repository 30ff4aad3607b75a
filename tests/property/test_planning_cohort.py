"""Key groups that plan together ask for what each asks for alone, through restarts and moves."""

import pickle
from collections import Counter
from dataclasses import fields, is_dataclass
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.steps.together import Cohort, Together
from rules.assessment import KeyGroups
from rules.planning import group
from rules.planning.cohort import Split, entering, joining
from rules.planning.intake import Intake
from rules.planning.move import Judges
from rules.planning.part import Part, Scores, Whole
from rules.planning.state import PlanningState
from rules.planning.waiting import Waiting
from rules.share import shares
from tests.frames import frame_of
from tests.planning import answers, book_of
from tests.planning import given as known_from
from tests.property.test_planning import BOOK, POLICY, TRIGGERS, cuts, fleets, judge

GROUPS = KeyGroups(4)
KEYS = tuple(map(GROUPS.key, range(GROUPS.count)))


def flat(value):
    """What is kept, to be compared: all in words, as NaN is not what it is."""
    if isinstance(value, np.ndarray):
        return repr(value.tolist())
    if is_dataclass(value):
        kept = [f.name for f in fields(value) if f.compare]
        return repr([flat(getattr(value, name)) for name in kept])
    if isinstance(value, dict):
        return repr({key: flat(each) for key, each in value.items()})
    if isinstance(value, list | tuple):
        return repr([flat(each) for each in value])
    return repr(value)


class Workers:
    """Two workers, one of another process, with the key groups that each owns."""

    def __init__(self, judges, owner, kept):
        advance = lambda state, part: group.advance(judges, state, part)  # noqa: E731
        together = Together(
            joining(lambda: judges), Split(GROUPS), waiting=Waiting, enter=entering(GROUPS)
        )
        self.cohorts = [Cohort(together, advance, PlanningState()) for _ in range(2)]
        self.owner = dict(zip(KEYS, owner, strict=True))
        self.judges, self.kept, self.entered = judges, kept, set()

    def take_in(self, wholes):
        """What is told of some wholes, whose shares come in any order of their keys."""
        told = []
        for whole in wholes:
            # What waits for scores goes on with them: there is no state to look at before.
            others = set() if whole.part.stamp else self.entered - set(whole.keys)
            before = {key: flat(self.part(key)) for key in others}
            for key, share in shares(whole):
                if key not in self.entered:
                    self.entered.add(key)
                    self.cohorts[self.owner[key]].enter(key, self.kept.get(key))
                sent = pickle.loads(pickle.dumps(share)) if self.owner[key] else share
                told += self.cohorts[self.owner[key]].advance(sent)
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


def through(judges, wholes, owners, restart_every):
    """All that is told of wholes, taken in by workers that restart with other owners."""
    states, told, workers = {}, [], None
    for at, whole in enumerate(wholes):
        if workers is None or at % restart_every == 0:
            workers = Workers(judges, owners[at % len(owners)], states)
        told += workers.take_in([whole])
        if (at + 1) % restart_every == 0:
            states = workers.states()
    told += workers.finish()
    for key in set(states) - workers.entered:
        told += group.finish(judges, states[key])[1]
    return answers(told)


owners = st.lists(st.tuples(*[st.integers(0, 1)] * 4), min_size=1, max_size=4)


@settings(max_examples=12, deadline=None)
@given(fleets(), cuts, owners)
def test_groups_ask_together_for_what_each_asks_for_alone(fleet, places, owners):
    records, plans, commands = fleet
    judges = Judges(BOOK, POLICY, known_from(plans), GROUPS)
    wholes = list(frames(BOOK, records, places))
    # Commands come somewhere between the frames.
    for at, whole in enumerate(heard((), commands)):
        wholes.insert(at % (len(wholes) + 1), whole)
    assert through(judges, wholes, owners, 2) == answers(judge(fleet, places))


DANGER = book_of(
    TRIGGERS + '- {id: danger, when: "hazard.score > 0.6", consecutive: 2, deadline: 3m}'
)


def scored(records, rng, stamp=0):
    """Scores of some of the records, on a topic or of a frame."""
    of = [r for r in records if rng.random() < 0.6]
    ids = tuple(r["vehicle_id"] for r in of)
    values = np.stack([rng.uniform(0, 1, len(of)) for _ in range(4)])
    # What tells scores of a vehicle and time apart: told twice, one is in the place of the other.
    values[3] = 0.0
    scores = Scores(ids, np.array([round(r["time_s"] * 1e6) for r in of], np.int64), values)
    vehicles = Counter(GROUPS.key(GROUPS.of(r["vehicle_id"])) for r in (records if stamp else of))
    counts = dict.fromkeys(vehicles, 1) if stamp else {}
    return Whole(
        Part(tuple(vehicles), scores=scores, stamp=stamp, vehicles=tuple(counts.values())), GROUPS
    )


@settings(max_examples=12, deadline=None)
@given(fleets(), cuts, owners, st.integers(0, 2**32 - 1))
def test_so_they_do_with_scores_that_they_wait_for_or_hear_of(fleet, places, owners, seed):
    records, plans, _ = fleet
    rng = np.random.default_rng(seed)
    judges = Judges(DANGER, POLICY, known_from(plans), GROUPS)
    intake = Intake(POLICY.every_us, GROUPS, DANGER.sensors, DANGER.kinds)
    bounds = [0, *sorted({p for p in places if 0 < p < len(records)}), len(records)]
    wholes = []
    for stamp, (a, b) in enumerate(pairwise(bounds), start=1):
        frame = frame_of(records[a:b])
        # One vehicle of each group that is there is scored by a profile.
        first = {GROUPS.of(name): name for name in reversed(frame.vehicle_ids)}
        profiles = np.array([first[GROUPS.of(n)] == n for n in frame.vehicle_ids], np.int32)
        wholes.append(intake.whole(frame, profiles, stamp))
        wholes.append(scored(records[a:b], rng, stamp))
        wholes.append(scored(records[a:b], rng))
    # Workers restart where epochs end: with all that came of a frame.
    assert through(judges, wholes, owners, 3) == through(judges, wholes, [(0, 0, 0, 0)], 10**6)


def test_a_group_that_has_heard_of_no_vehicle_yet_keeps_its_time_through_a_restart():
    book = book_of("- {id: gone, absent_for: 25s, deadline: 10m}")
    judges = Judges(book, POLICY, groups=GROUPS)
    first, second = (next(f"v{n}" for n in range(99) if GROUPS.of(f"v{n}") == g) for g in (0, 1))
    records = [{"vehicle_id": first, "time_s": 1000.0}, {"vehicle_id": second, "time_s": 500.0}]
    wholes = list(frames(book, records, [1]))
    found = through(judges, wholes, [(0, 0, 0, 0)], 1)
    assert found == through(judges, wholes, [(0, 0, 0, 0)], 10)
    assert [key for key, _ in found].count("plan_requests") >= 1


def test_what_a_group_is_scored_by_hangs_on_no_other_group():
    """Scores of one vehicle are let go by its own number and clock, whoever else is scored."""
    day_s = 86_400
    book = book_of('- {id: danger, when: "hazard.score > 0.4", deadline: 10m}')
    judges = Judges(book, POLICY, groups=GROUPS)
    first, second = (next(f"v{n}" for n in range(99) if GROUPS.of(f"v{n}") == g) for g in (0, 1))

    def told(vehicle_id, times_s):
        values = np.full((4, len(times_s)), 0.9)
        values[3] = range(len(times_s))
        times_us = np.array(times_s, np.int64) * 1_000_000
        scores = Scores((vehicle_id,) * len(times_s), times_us, values)
        return Whole(Part((GROUPS.key(GROUPS.of(vehicle_id)),), scores=scores), GROUPS)

    late = {"vehicle_id": second, "time_s": 1003.0}
    ahead, behind = frames(book, [{"vehicle_id": first, "time_s": 10.0 * day_s}, late], [1])
    wholes = [
        Whole(ahead.of({GROUPS.key(0)}), GROUPS),
        told(second, [1000, 1001, 1002, 5003]),
        told(first, range(10 * day_s - 9, 10 * day_s)),
        behind,
    ]
    together = through(judges, wholes, [(0, 0, 0, 0)], 10)
    assert together == through(judges, wholes, [(0, 1, 0, 0)], 10)
    assert ("plan_requests", second) in {
        (topic, event[1].get("vehicle_id", second)) for (topic, _), event in together.items()
    }
