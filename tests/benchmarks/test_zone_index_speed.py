"""What finding the zones of positions costs, with vehicles that move as vehicles do."""

import numpy as np
import pytest

from rules.zone_index import ZoneIndex, _BodyZones
from schemas.geojson import Area
from schemas.zone import Zone

VEHICLES = 1_000
ROWS = 200_000
STEP_DEG = 5e-4  # 55 m from fix to fix


def zones(count, vertices, radius_deg, extent_deg):
    rng = np.random.default_rng(1)
    centre = rng.uniform((0, 0), extent_deg, (count, 1, 2))
    angle = np.linspace(0, 2 * np.pi, vertices)
    radius = radius_deg * rng.uniform(0.75, 1.25, (count, vertices, 1))
    radius[:, -1] = radius[:, 0]
    rings = centre + radius * np.stack((np.cos(angle), np.sin(angle)), -1)
    rings[:, -1] = rings[:, 0]
    return [Zone(id=str(i), geometry=Area([[ring]])) for i, ring in enumerate(rings)]


def tracks(extent_deg):
    """(ROWS,) longitudes and latitudes: all vehicles' first fixes, then all second fixes, ..."""
    rng = np.random.default_rng(2)
    turns = rng.normal(0, 0.1, (ROWS // VEHICLES, VEHICLES))
    heading = rng.uniform(0, 2 * np.pi, VEHICLES) + np.cumsum(turns, axis=0)
    step = STEP_DEG * np.stack((np.cos(heading), np.sin(heading)), -1)
    place = rng.uniform((0, 0), extent_deg, (VEHICLES, 2)) + np.cumsum(step, axis=0)
    longitude, latitude = place.reshape(-1, 2).T.copy()
    return longitude, latitude


@pytest.fixture
def tested(monkeypatch):
    """The numbers of positions that went through geometry, one for each time."""
    numbers = []
    test = _BodyZones._test

    def counted(self, longitude, latitude):
        numbers.append(len(longitude))
        return test(self, longitude, latitude)

    monkeypatch.setattr(_BodyZones, "_test", counted)
    return numbers


@pytest.mark.parametrize("rows", [1_000, 10_000])
@pytest.mark.parametrize(
    ("count", "vertices", "radius_deg", "extent_deg", "most_tested"),
    [
        (50, 64, 0.5, (20, 10), 0.02),
        (500, 64, 0.2, (20, 10), 0.08),
        pytest.param(50_000, 16, 0.05, (100, 50), 0.15, marks=pytest.mark.slow),
    ],
)
def test_most_rows_need_no_geometry(
    benchmark, tested, rows, count, vertices, radius_deg, extent_deg, most_tested
):
    index = ZoneIndex(zones(count, vertices, radius_deg, extent_deg))
    longitude, latitude = tracks(extent_deg)
    body = np.zeros(rows, np.int8)

    def locate_all():
        for begin in range(0, ROWS, rows):
            piece = slice(begin, begin + rows)
            index.locate(body, longitude[piece], latitude[piece])

    locate_all()
    assert sum(tested) < most_tested * ROWS
    benchmark.extra_info["tested"] = sum(tested) / ROWS
    benchmark.pedantic(locate_all, rounds=3)
