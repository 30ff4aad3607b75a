"""Records wait for the hazard scores that are told of them, in whichever order both come."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.steps.together import Cohort, Together
from rules.assessment import KeyGroups
from rules.planning.context import Hazards
from rules.planning.group import advance
from rules.planning.intake import Intake
from rules.planning.move import Judges, Policy
from rules.planning.part import Part, Scores, Whole, scores_in
from rules.planning.state import PlanningState
from rules.planning.waiting import Waiting
from rules.share import Share
from tests.frames import frame_of
from tests.planning import book_of

HOUR_US = 3_600_000_000
KEYS = ("group-0000",)


def of(time_us, *scores, vehicle="a", number=7):
    """Scores of one vehicle; NaN = retracted. ``number``: of several at a time, which they are."""
    time_us = np.atleast_1d(np.array(time_us, np.int64))
    values = np.array([scores, scores, scores, [number] * len(scores)], float)
    return Scores((vehicle,) * len(scores), time_us, values)


def scores_at(known, time_us, *vehicles):
    """What counts at a time, of each vehicle."""
    places = np.arange(len(vehicles), dtype=np.int32)
    return known.at(vehicles, places, np.full(len(vehicles), time_us))[0].tolist()


def scored(stamp, vehicles, scores=None):
    return Part(KEYS, scores=scores or scores_in(()), stamp=stamp, vehicles=(vehicles,))


def records(stamp, vehicles):
    return Part(
        KEYS, frame_of([{"vehicle_id": "a", "time_s": stamp}]), stamp=stamp, vehicles=(vehicles,)
    )


def test_records_go_on_with_all_scores_of_their_vehicles():
    waiting = Waiting()
    frame = frame_of([{"vehicle_id": name, "time_s": 1} for name in ("a", "b")])
    assert not list(waiting.take(Part(KEYS, frame, stamp=1, vehicles=(3,))))
    assert not list(waiting.take(scored(1, 2, of(1, 0.5))))
    assert waiting.held == 2
    [part] = waiting.take(scored(1, 1, of(2, 0.25, vehicle="b")))
    assert part.frame is frame
    assert part.scores.vehicle_ids == ("a", "b")
    assert part.scores.values[0].tolist() == [0.5, 0.25]
    assert waiting.held == 0


def test_scores_of_vehicles_that_no_trigger_is_about_are_left_out():
    waiting = Waiting()
    list(waiting.take(records(1, vehicles=2)))
    list(waiting.take(scored(1, 1, of(1, 0.5, vehicle="other"))))
    [part] = waiting.take(scored(1, 1, of(1, 0.25)))
    assert part.scores.vehicle_ids == ("a",)
    list(waiting.take(Part(KEYS, stamp=2, vehicles=(1,))))
    [part] = waiting.take(scored(2, 1, of(1, 0.5, vehicle="other")))
    assert part.scores is None


def test_records_that_no_profile_is_for_wait_for_those_before_alone():
    waiting = Waiting()
    first, second = records(1, vehicles=1), records(2, vehicles=0)
    assert not list(waiting.take(first))
    assert not list(waiting.take(second))
    assert [part.stamp for part in waiting.take(scored(1, 1))] == [1, 2]
    assert waiting.held == 0


def test_what_is_of_no_frame_does_not_wait():
    waiting = Waiting()
    list(waiting.take(records(1, vehicles=1)))
    answer = Part(KEYS)
    assert list(waiting.take(answer)) == [answer]


@pytest.mark.parametrize("seed", range(20))
def test_parts_go_on_in_their_order_whenever_scores_come(seed):
    chance = random.Random(seed)
    counts = [chance.randint(0, 3) for _ in range(12)]
    streams = [[records(n, count) for n, count in enumerate(counts, start=1)]]
    streams += [
        [scored(n, 1) for n, count in enumerate(counts, start=1) if count > k] for k in range(3)
    ]
    waiting, found = Waiting(), []
    while any(streams):
        stream = chance.choice([one for one in streams if one])
        found += waiting.take(stream.pop(0))
    assert [part.stamp for part in found] == list(range(1, 13))
    assert waiting.held == 0


def test_groups_seen_for_the_first_time_wait_for_scores_of_their_own():
    waiting = Waiting()
    frame = frame_of([{"vehicle_id": "b", "time_s": 1}])
    assert not list(waiting.take(records(1, vehicles=1)))
    later = Part(("group-0001",), scores=of(1, 0.5, vehicle="b"), stamp=1, vehicles=(1,))
    assert not list(waiting.take(later))
    [first] = waiting.take(scored(1, 1, of(1, 0.25)))
    assert first.scores.vehicle_ids == ("a",)
    [second] = waiting.take(Part(("group-0001",), frame, stamp=1, vehicles=(1,)))
    assert second.scores.vehicle_ids == ("b",)
    assert waiting.held == 0


def test_a_state_is_not_stored_while_something_waits():
    groups = KeyGroups(1)
    together = Together(lambda states, _: (states[0], []), lambda s, _: {}, waiting=Waiting)
    cohort = Cohort(together, lambda state, _: (state, []), PlanningState())
    cohort.enter(*KEYS, None)
    cohort.advance(Share(*KEYS, Whole(records(1, vehicles=1), groups)))
    with pytest.raises(RuntimeError, match="1 items still wait at the end of their epoch"):
        cohort.part(*KEYS)
    with pytest.raises(RuntimeError, match="still wait"):
        cohort.move_on(lambda state: (state, []))
    cohort.advance(Share(*KEYS, Whole(scored(1, 1), groups)))
    cohort.move_on(lambda state: (state, []))


def test_a_frame_tells_each_group_how_many_of_its_vehicles_are_scored():
    book = book_of("- {id: low, when: battery_pct < 9.0, deadline: 1m}")
    groups = KeyGroups(4)
    ids = [f"auv-{n}" for n in range(9)]
    frame = frame_of([{"vehicle_id": name, "time_s": 1} for name in ids])
    # Nobody judges these vehicles, which are of no kind that triggers are about.
    intake = Intake(60_000_000, groups, book.sensors, kinds=[])
    intake.whole(frame)
    profiles = np.array([n % 3 for n in range(9)], np.int32)
    part = intake.whole(frame, profiles, stamp=7).part
    wanted = dict.fromkeys(map(groups.key, range(4)), 0)
    for name, count in zip(frame.vehicle_ids, profiles.tolist(), strict=True):
        wanted[groups.key(groups.of(name))] += count
    found = dict(zip(part.keys, part.vehicles, strict=True))
    assert found == {k: n for k, n in wanted.items() if n}
    assert (part.stamp, part.frame) == (7, None)


def test_a_score_that_is_retracted_lets_the_one_before_count_again():
    known = Hazards().plus(of([0, 60], 0.1, 0.9)).plus(of(60, np.nan))
    assert scores_at(known, 90, "a") == [0.1]
    assert scores_at(known.plus(of(60, 0.4)), 90, "a") == [0.4]


@given(st.permutations(range(4)))
def test_of_scores_of_one_time_the_highest_counts_in_whichever_order_they_come(order):
    both = [of(60, 0.3, number=1), of(60, 0.6, number=2), of(60, 0.5, number=3)]
    told = [*both, of(30, 0.9)]
    known = Hazards()
    for place in order:
        known = known.plus(told[place])
    assert scores_at(known, 90, "a") == [0.6]
    # The highest is corrected, then taken back: each time the highest of the rest counts.
    known = known.plus(of(60, 0.4, number=2))
    assert scores_at(known, 90, "a") == [0.5]
    assert scores_at(known.plus(of(60, np.nan, number=3)), 90, "a") == [0.4]


def test_scores_kept_by_an_earlier_version_give_way_to_those_of_their_time():
    old = Hazards().plus(of([30, 60], 0.2, 0.9))
    old = Hazards(old.owners, old.timeline, old.values[:3])
    assert scores_at(old, 90, "a") == [0.9]
    assert scores_at(old.plus(of(60, 0.4)), 90, "a") == [0.4]
    assert scores_at(old.plus(of(60, np.nan)), 90, "a") == [0.2]


def test_scores_are_let_go_vehicle_by_vehicle():
    times = [HOUR_US * n for n in range(4)]
    known = Hazards()
    for name in ("a", "b", "c"):
        known = known.plus(of(times, *[0.1] * 4, vehicle=name))
    kept = known.since({"a": times[2], "b": times[0]})
    count = np.diff(kept.timeline.start).tolist()
    assert dict(zip(kept.owners, count, strict=True)) == {"a": 2, "b": 4, "c": 4}
    assert scores_at(kept, times[2], "a", "b") == [0.1, 0.1]


def test_scores_do_not_grow_without_end_where_nothing_is_judged():
    book = book_of('- {id: high, when: "hazard.score > 0.9", deadline: 1m}')
    judges, state = Judges(book, Policy()), PlanningState()
    day = 24
    for hour in range(10 * day):
        at_us = HOUR_US * hour
        part = Part(KEYS, clock_us=at_us, scores=of([at_us, at_us + 1], 0.1, 0.2, vehicle="other"))
        state, _ = advance(judges, state, part)
    assert 2 * day <= len(state.hazards.timeline.time_us) <= 2 * (day + 1)
