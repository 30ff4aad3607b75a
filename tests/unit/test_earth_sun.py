"""Season and sun on Earth, against published examples, and where nobody sees it."""

from datetime import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.earth_sun import EARTH, season


def at(text):
    return np.array([round(datetime.fromisoformat(text).timestamp() * 1e6)])


def test_the_worked_examples_of_meeus():
    # Astronomical Algorithms, 2nd edition, examples 25.a and 28.b.
    found = season(at("1992-10-13T00:00:00Z"))
    assert found.solar_longitude_deg[0] == pytest.approx(199.90895, abs=1e-4)
    assert found.declination_deg[0] == pytest.approx(-7.78507, abs=1e-4)
    assert found.equation_of_time_h[0] * 60 == pytest.approx(13 + 42.7 / 60, abs=0.02)


def test_the_example_of_the_solar_position_algorithm():
    # Reda & Andreas, Solar Position Algorithm, NREL/TP-560-34302 (2008), table A5.1, Golden.
    now, place = at("2003-10-17T12:30:30-07:00"), (np.array([-105.1786]), np.array([39.742476]))
    found = EARTH.position(now, *place)
    # Its zenith angle of 50.11162 is refracted, by 0.019 deg there.
    assert found.elevation_deg[0] == pytest.approx(90 - 50.11162 - 0.019, abs=0.01)
    assert found.azimuth_deg[0] == pytest.approx(194.34024, abs=0.01)
    # Its sunset, at 17:20:19 local time, and sunrise, at 06:12:43, are those of the day of UT.
    midnight = at("2003-10-17T00:00:00Z")
    rises_s, sets_s = EARTH.rises_in_s(midnight, *place), EARTH.sets_in_s(midnight, *place)
    assert rises_s[0] == pytest.approx(13 * 3600 + 12 * 60 + 43, abs=15)
    assert sets_s[0] == pytest.approx(20 * 60 + 19, abs=15)


@given(st.integers(0, 2_000_000_000), st.floats(-180, 180), st.floats(-64, 64))
def test_the_sun_rises_and_sets_where_its_upper_limb_is_seen_on_the_horizon(seconds, lon, lat):
    now, place = np.array([seconds * 1_000_000]), (np.array([lon]), np.array([lat]))
    for ahead_s in (EARTH.rises_in_s(now, *place), EARTH.sets_in_s(now, *place)):
        assert 0 < ahead_s[0] < 86_400 * 1.02
        there = EARTH.position(now + np.rint(ahead_s * 1e6).astype(np.int64), *place)
        assert there.elevation_deg[0] == pytest.approx(-0.833, abs=1e-3)


def test_it_neither_rises_nor_sets_in_polar_summer_and_is_unknown_without_a_place():
    place = np.array([0.0, 0.0, np.nan]), np.array([80.0, -80.0, 0.0])
    now = np.repeat(at("2026-06-21T00:00:00Z"), 3)
    for found in (EARTH.rises_in_s(now, *place), EARTH.sets_in_s(now, *place)):
        np.testing.assert_array_equal(found, [np.inf, np.inf, np.nan])
    assert EARTH.position(now, *place).elevation_deg[:2].round(1).tolist() == [13.4, -33.4]


def test_solar_time_goes_by_longitude_and_the_equation_of_time():
    now, lon = np.repeat(at("2026-11-03T12:00:00Z"), 3), np.array([0.0, 90.0, -170.0])
    np.testing.assert_allclose(EARTH.mean_solar_time_h(now, lon), [12, 18, 12 - 34 / 3])
    # The sun is some 16.4 minutes ahead at the beginning of November.
    ahead_h = EARTH.true_solar_time_h(now, lon) - EARTH.mean_solar_time_h(now, lon)
    np.testing.assert_allclose(ahead_h * 60, 16.4, atol=0.1)
