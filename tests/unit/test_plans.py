"""Mission plans as columns."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rules.planning.move import Judges, Move, Policy
from rules.planning.part import Part
from rules.planning.plans import Plans
from rules.planning.receiving import receive
from rules.planning.state import PlanningState
from schemas.frame import rfc3339
from tests.planning import book_of, plan

KEYS = ("group-0000",)

longitudes = st.lists(st.floats(-180, 180), max_size=6)


@given(st.lists(longitudes, min_size=1, max_size=5))
def test_paths_go_on_beyond_180_degrees_each_by_itself(paths):
    points = [[{"longitude": lon, "latitude": 1.0} for lon in path] for path in paths]
    found = Plans.of({f"v{n}": (plan(f"v{n}", path=path),) for n, path in enumerate(points)})
    assert found.path.shape == (2, sum(map(len, paths)))
    for begin, end, path in zip(found.path_start, found.path_start[1:], paths, strict=False):
        along = found.path[0, begin:end]
        # Never more than half a turn from one point to the next, and each is where it was.
        assert (np.abs(np.diff(along)) <= 180.0 + 1e-9).all()
        turns = (along - path) / 360.0
        assert np.allclose(turns, np.rint(turns))
        assert end - begin == len(path)


def planned(vehicle_id, seconds, turn):
    """Plans of a vehicle that come into force one after the other, all different."""
    return tuple(
        plan(
            vehicle_id,
            rfc3339(second * 1_000_000),
            plan_id=f"{turn}-{second}",
            reserve_pct=float(turn),
            next_charge=rfc3339((second + 5) * 1_000_000),
            path=[{"longitude": float(turn + step), "latitude": 1.0} for step in range(turn % 3)],
            windows=[{"opens": rfc3339(at * 10**6), "closes": rfc3339((at + 1) * 10**6)}]
            if (at := second + turn) % 2
            else [],
        )
        for second in seconds
    )


def said(plans, names):
    """What plans say of each vehicle at each second."""
    found = {}
    for name in names:
        for second in range(-1, 12):
            at_us = np.array([second * 1_000_000])
            place = plans.in_force([name], np.zeros(1, np.int32), at_us)
            [here] = place.tolist()
            if here < 0:
                found[name, second] = None
                continue
            window = plans.next_window(place, at_us)
            path = plans.path[:, plans.path_start[here] : plans.path_start[here + 1]]
            found[name, second] = (
                plans.plans[here].plan_id,
                plans.numbers["reserve_pct"][here],
                plans.times["charge_us"][here],
                path.tolist(),
                plans.opens_us[window].tolist() if window[0] >= 0 else None,
                plans.closes.time_us[window].tolist() if window[0] >= 0 else None,
            )
    return found


NAMES = ("a", "b", "c")
changes = st.dictionaries(
    st.sampled_from(NAMES), st.lists(st.integers(0, 10), max_size=3, unique=True).map(sorted)
)


@given(st.lists(changes, min_size=1, max_size=5))
def test_plans_of_which_some_are_replaced_say_what_all_made_anew_say(changes):
    known, every = Plans(), {}
    for turn, changed in enumerate(changes):
        new = {name: planned(name, seconds, turn) for name, seconds in changed.items()}
        every |= new
        known = known.with_plans(new)
        assert said(known, NAMES) == said(Plans.of(every), NAMES)
        assert len(known.plans) - known.replaced == sum(map(len, every.values()))


def test_plans_that_change_often_do_not_pile_up():
    book = book_of('- {id: low, when: "battery_pct < plan.reserve_pct", deadline: 1m}')
    move = Move(Judges(book, Policy()), PlanningState(), KEYS)
    for turn in range(1, 50):
        receive(move, Part(KEYS, planned=planned("a", [turn], turn)))
        receive(move, Part(KEYS, planned=planned("b", [turn], turn)))
        live = len(move.plans.plans) - move.plans.replaced
        assert live == 2 * turn
        assert len(move.plans.plans) <= 3 * live + 2
