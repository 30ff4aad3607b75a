"""A raster of boxes misses none that meets, and is of use where none does."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rules.coverage import CELLS, Coverage

degrees = st.floats(-360, 360)
boxes = st.lists(st.tuples(degrees, degrees, degrees, degrees), min_size=1, max_size=8)


def corners(found):
    ends = np.array(found, float).reshape(-1, 2, 2)
    return ends.min(axis=1), ends.max(axis=1)


@given(boxes, boxes)
def test_what_meets_a_box_is_never_left_out(there, asked):
    low, high = corners(there)
    low_asked, high_asked = corners(asked)
    meets = (low_asked[:, None] <= high).all(axis=2) & (low <= high_asked[:, None]).all(axis=2)
    may = Coverage(low, high).may_meet(low_asked, high_asked)
    assert (may | ~meets.any(axis=1)).all()


@given(st.floats(1e-9, 1e3), st.integers(1, CELLS - 1))
def test_what_touches_no_covered_cell_is_left_out(side, cell):
    # Two cells of the raster are covered: its first and its last.
    low = np.array([[0.0, 0.0], [side, side]])
    coverage = Coverage(low, low.copy())
    place = np.array([[0.0, (cell + 0.5) / CELLS * side]])
    assert coverage.may_meet(place, place).tolist() == [False]
    assert coverage.may_meet(low[:1], place).tolist() == [True]
    assert coverage.may_meet(low, low).all()
