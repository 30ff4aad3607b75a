"""Approach: told once, when the way ahead comes to a zone within its ``approach_s``."""

import json

import pytest

from rules.assessment import Assessor, KeyGroups
from rules.legs import Limits
from rules.memory import Memory
from rules.registry import Registry
from rules.stages import Judges, run
from schemas.event import ZONE_APPROACHING
from schemas.zone_file import load_zones
from tests.frames import frame_of


def registry(**properties):
    feature = {
        "type": "Feature",
        "id": "z",
        "properties": {"approach_s": 600, **properties},
        "geometry": {
            "type": "Polygon",
            "coordinates": [[[0, 0], [0.1, 0], [0.1, 0.1], [0, 0.1], [0, 0]]],
        },
    }
    document = {"type": "FeatureCollection", "features": [feature]}
    return Registry.of(load_zones(json.dumps(document).encode(), "zones"), ())


def approaches(registry, records, size=1000):
    """(time, distance, eta) of each approach told, the records cut into frames of a size."""
    assessor, memory, told = Assessor(registry, Limits(), KeyGroups(1)), Memory(), []
    for first in range(0, len(records), size):
        for seen in assessor.assess(frame_of(records[first : first + size])):
            outcome = run(Judges(registry), memory, seen)
            memory = outcome.memory
            told += [e for e in outcome.zone_events if e.type == ZONE_APPROACHING]
    return [(e.time_us / 1e6, e.data["distance_m"], e.data["eta_s"]) for e in told]


def eastward(count=160, **fields):
    """Fixes a minute apart, 0.001 deg of longitude each, through the zone and on."""
    return [
        {"vehicle_id": "a", "time_s": i * 60.0, "longitude": -0.05 + i * 0.001, "latitude": 0.05}
        | fields
        for i in range(count)
    ]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_an_approach_is_told_once_with_distance_and_time_however_frames_are_cut(size):
    [(time, distance_m, eta_s)] = approaches(registry(), eastward(), size)
    assert time == 2460
    assert eta_s == pytest.approx(540, abs=0.1)
    # 0.009 deg of the equator.
    assert distance_m == pytest.approx(0.009 * 111_319.49, abs=0.5)


def test_the_vehicles_own_course_and_speed_count_before_those_of_its_track():
    first = eastward(1, heading_deg=90.0, speed_mps=10.0)
    [(time, distance_m, eta_s)] = approaches(registry(), first)
    assert (time, distance_m) == (0, pytest.approx(0.05 * 111_319.49, abs=1))
    assert eta_s == pytest.approx(distance_m / 10, abs=0.1)
    assert approaches(registry(), eastward(1, heading_deg=270.0, speed_mps=10.0)) == []
    assert approaches(registry(), eastward(1, heading_deg=90.0, speed_mps=0.0)) == []


def test_an_approach_is_told_again_after_the_zone_and_after_a_pause():
    there_and_back = eastward(200)
    back = [
        r | {"time_s": 12_000 + i * 60.0, "longitude": 0.149 - i * 0.001}
        for i, r in enumerate(eastward(200))
    ]
    assert len(approaches(registry(), there_and_back + back)) == 2
    waiting = [r | {"time_s": 2_500.0 + 100 * i, "longitude": -0.0005} for i, r in
               enumerate(eastward(9))]  # fmt: skip
    later = [r | {"time_s": r["time_s"] + 3_000} for r in eastward()[35:]]
    assert len(approaches(registry(), eastward(42) + waiting + later)) == 2


def test_a_band_that_the_vehicle_will_not_reach_is_no_approach_and_an_unknown_depth_may_be_one():
    deep = registry(min_depth_m=100)
    assert approaches(deep, eastward(depth_m=20.0)) == []
    assert len(approaches(deep, eastward(depth_m=120.0))) == 1
    assert len(approaches(deep, eastward())) == 1
    diving = [r | {"depth_m": 20.0 + 2 * i} for i, r in enumerate(eastward())]
    assert len(approaches(deep, diving)) == 1


def test_a_zone_without_approach_s_tells_none():
    assert approaches(registry(approach_s=None), eastward()) == []


def test_each_vehicle_is_told_once_though_frames_hold_one_of_them_alone():
    two = [record | {"vehicle_id": name} for record in eastward() for name in ("a", "b")]
    [one, other] = approaches(registry(), two, size=1)
    assert one == other
    [alone] = approaches(registry(), eastward(), size=1)
    assert one == alone
