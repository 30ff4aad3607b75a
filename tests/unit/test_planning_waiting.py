"""Records wait for the hazard scores that are told of them, in whichever order both come."""

import random

import numpy as np
import pytest

from flows.steps.state import Keyed, _Logic
from rules.assessment import KeyGroups
from rules.planning.context import Hazards
from rules.planning.intake import Intake, Part, Scores, scores_in
from rules.planning.state import PlanningState
from rules.planning.waiting import Waiting
from tests.frames import frame_of
from tests.planning import book_of

HOUR_US = 3_600_000_000


def of(time_us, *scores, vehicle="a"):
    """Scores of one vehicle; NaN = retracted."""
    time_us = np.atleast_1d(np.array(time_us, np.int64))
    values = np.array(scores, float)
    return Scores((vehicle,) * len(values), time_us, values, values, values)


def scored(stamp, vehicles, scores=None):
    return Part("g", scores=scores or scores_in(()), stamp=stamp, vehicles=vehicles)


def records(stamp, vehicles):
    return Part(
        "g", frame_of([{"vehicle_id": "a", "time_s": stamp}]), stamp=stamp, vehicles=vehicles
    )


def test_records_go_on_with_all_scores_of_their_vehicles():
    waiting = Waiting()
    assert not list(waiting.take(records(1, vehicles=3)))
    assert not list(waiting.take(scored(1, 2, of(1, 0.5))))
    assert waiting.held == 2
    [part] = waiting.take(scored(1, 1, of(2, 0.25, vehicle="b")))
    assert part.frame is not None
    assert part.scores.vehicle_ids == ("a", "b")
    assert part.scores.score.tolist() == [0.5, 0.25]
    assert waiting.held == 0


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
    answer = Part("g")
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


def test_a_state_is_not_stored_while_something_waits():
    keyed = Keyed(PlanningState(), lambda state, _: (state, []), "f", waiting=Waiting)
    logic = _Logic(keyed, keyed.initial, lambda _key: None)
    logic.on_batch([("g", records(1, vehicles=1))])
    with pytest.raises(RuntimeError, match="1 items still wait at the end of their epoch"):
        logic.snapshot()
    with pytest.raises(RuntimeError, match="still wait"):
        logic.on_eof()
    logic.on_batch([("g", scored(1, 1))])
    logic.snapshot()
    logic.on_eof()


def test_a_frame_tells_each_group_how_many_of_its_vehicles_are_scored():
    book = book_of("- {id: low, when: battery_pct < 9.0, deadline: 1m}")
    groups = KeyGroups(4)
    ids = [f"auv-{n}" for n in range(9)]
    frame = frame_of([{"vehicle_id": name, "time_s": 1} for name in ids])
    # Nobody judges these vehicles, which are of no kind that triggers are about.
    intake = Intake(60_000_000, groups, book.sensors, kinds=[])
    list(intake.parts(frame))
    profiles = np.array([n % 3 for n in range(9)], np.int32)
    parts = list(intake.parts(frame, profiles, stamp=7))
    wanted = dict.fromkeys(map(groups.key, range(4)), 0)
    for name, count in zip(frame.vehicle_ids, profiles.tolist(), strict=True):
        wanted[groups.key(groups.of(name))] += count
    assert {part.key: part.vehicles for part in parts} == {k: n for k, n in wanted.items() if n}
    assert {(part.stamp, part.frame) for part in parts} == {(7, None)}


def test_a_score_that_is_retracted_lets_the_one_before_count_again():
    known = Hazards().plus(of([0, 60], 0.1, 0.9)).plus(of(60, np.nan))
    asked = np.array([90], np.int64)
    assert known.at(("a",), np.zeros(1, np.int32), asked)[0].tolist() == [0.1]
    assert known.plus(of(60, 0.4)).at(("a",), np.zeros(1, np.int32), asked)[0].tolist() == [0.4]


def test_scores_are_let_go_vehicle_by_vehicle():
    times = [HOUR_US * n for n in range(4)]
    known = Hazards()
    for name in ("a", "b", "c"):
        known = known.plus(of(times, *[0.1] * 4, vehicle=name))
    kept = known.since({"a": times[2], "b": times[0]}, else_us=times[1])
    count = np.diff(kept.timeline.start).tolist()
    assert dict(zip(kept.owners, count, strict=True)) == {"a": 2, "b": 4, "c": 3}
    latest = kept.at(("a", "b"), np.array([0, 1], np.int32), np.array([times[2], times[0]]))
    assert latest[0].tolist() == [0.1, 0.1]
