"""Ways ahead along planned paths."""

from dataclasses import fields
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rules.planning.paths import Ways, ways_on_paths
from rules.planning.plans import Plans
from tests.planning import plan

points = st.tuples(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5))
fleets = st.lists(
    st.tuples(st.lists(points, min_size=1, max_size=8, unique=True), points, st.floats(0.0, 2e5)),
    min_size=1,
    max_size=6,
)


def ways(fleet):
    """By row: its ways, in the order they are gone, and whether it is past its path's end."""
    planned = {
        f"v{n}": (plan(f"v{n}", path=[{"longitude": x, "latitude": y} for x, y in path]),)
        for n, (path, *_) in enumerate(fleet)
    }
    at = np.array([here for _, here, _ in fleet]).T
    reach_m = np.array([reach for *_, reach in fleet])
    count = len(fleet)
    found, past = ways_on_paths(
        np.zeros(count, np.int8), at, Plans.of(planned), np.arange(count), reach_m
    )
    columns = np.stack([getattr(found, f.name) for f in fields(Ways)[1:]])
    by_row = [columns[:, found.row == row].T.tolist() for row in range(count)]
    return [(sorted(of, key=lambda way: way[4]), row in past) for row, of in enumerate(by_row)]


@given(fleets)
def test_a_way_is_the_same_to_the_bit_whatever_others_come_with_it(fleet):
    assert ways(fleet) == [way for one in fleet for way in ways([one])]


@given(fleets)
def test_ways_follow_one_another_as_far_as_they_are_looked_at(fleet):
    for (path, here, reach_m), (found, past) in zip(fleet, ways(fleet), strict=True):
        if past:
            assert not found
            continue
        assert found[0][:2] == list(here)
        assert found[0][4] == 0.0
        ends = [list(point) for point in path]
        # On to the next points of the path, each from where the one before ends.
        first = ends.index(found[0][2:4])
        assert [way[2:4] for way in found] == ends[first : first + len(found)]
        for before, way in pairwise(found):
            assert way[:2] == before[2:4]
            assert way[4] == before[4] + before[5]
            assert way[4] < reach_m
        last = found[-1]
        assert first + len(found) == len(path) or last[4] + last[5] >= reach_m
