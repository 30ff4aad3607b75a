"""Mission plans as columns."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rules.planning.plans import Plans
from tests.planning import plan

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
