"""What sampling an elevation model costs, in bulk: under fixes, and along corridors of 100 m."""

import numpy as np
import pytest

from rules.terrain.ground import Ground, GroundLimits
from tests.slopes import MadeRaster

FIXES = 20_000


@pytest.fixture(scope="module")
def ground():
    """Hills of one-metre cells, 2 km by 2 km: 64 tiles."""
    return Ground(MadeRaster(lambda x, y: np.sin(x / 30) * 20 + np.cos(y / 50) * 30, (2048, 2048)))


def fixes():
    """Tracks of 100 vehicles over the model, all in reach of its edge by a corridor's length."""
    rng = np.random.default_rng(4)
    walk = np.cumsum(rng.normal(0, 1, (FIXES // 100, 100, 2)), axis=0)
    place_m = rng.uniform(-700, 700, (1, 100, 2)) + walk
    degrees = np.degrees(place_m / 6_378_137.0).reshape(-1, 2)
    return degrees[:, 0].copy(), degrees[:, 1].copy(), rng.uniform(0, 360, FIXES)


def test_under_fixes(benchmark, ground):
    longitude, latitude, _ = fixes()
    found = benchmark.pedantic(ground.under, (longitude, latitude), rounds=3, warmup_rounds=1)
    assert not np.isnan(found.slope_deg).any()
    benchmark.extra_info["samples"] = FIXES


def test_corridors_of_a_hundred_metres(benchmark, ground):
    longitude, latitude, bearing = fixes()
    limits = GroundLimits(slope_deg=42.0)

    def ahead():
        return ground.ahead(longitude, latitude, bearing, 100.0, limits)

    found = benchmark.pedantic(ahead, rounds=3, warmup_rounds=1)
    np.testing.assert_allclose(found.known_m, 100.0)
    # The fix and a place a metre.
    benchmark.extra_info["samples"] = 101 * FIXES
