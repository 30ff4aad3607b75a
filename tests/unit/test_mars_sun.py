"""Season, solar time and sun on Mars, against published examples and the missions' own words."""

import csv
import json
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.mars_sun import MARS, season
from schemas.mars_time import MISSIONS, SOL_S, mission_sol, time_us_at_sol_date


def at(text):
    return np.array([round(datetime.fromisoformat(text).timestamp() * 1e6)])


def test_the_first_worked_example_of_mars24():
    # giss.nasa.gov/tools/mars24/help/algorithm.html, 2000-01-06 00:00:00 UTC at 0, 0.
    now, zero = at("2000-01-06T00:00:00Z"), np.zeros(1)
    found = season(now)
    assert found.solar_longitude_deg[0] == pytest.approx(277.18758, abs=1e-4)
    assert found.equation_of_time_h[0] * 15 == pytest.approx(-5.18774, abs=1e-4)
    assert MARS.mean_solar_time_h(now, zero)[0] == pytest.approx(23.99425, abs=1e-4)
    assert MARS.true_solar_time_h(now, zero)[0] == pytest.approx(23.64840, abs=1e-4)
    assert found.declination_deg[0] == pytest.approx(-25.228, abs=1e-2)


def test_the_second_worked_example_of_mars24():
    # The landing of Spirit.
    now = at("2004-01-03T13:46:31Z")
    found = season(now)
    assert found.solar_longitude_deg[0] == pytest.approx(327.32416, abs=1e-4)
    assert found.equation_of_time_h[0] * 15 == pytest.approx(-12.77557, abs=2e-4)
    assert MARS.mean_solar_time_h(now, np.zeros(1))[0] == pytest.approx(13.16537, abs=2e-4)


@given(st.integers(0, 2_000_000_000), st.floats(-180, 180), st.floats(-85, 85))
def test_the_sun_is_highest_at_true_noon_and_due_north_or_south_then(seconds, longitude, latitude):
    lon, lat = np.array([longitude]), np.array([latitude])
    now = np.array([seconds * 1_000_000])
    # To the next true noon, in sols of 24 hours, then what the equation of time has changed by.
    ahead_h = (12.0 - MARS.true_solar_time_h(now, lon)) % 24.0
    noon = now + (ahead_h / 24.0 * SOL_S * 1e6).astype(np.int64)
    off_h = 12.0 - MARS.true_solar_time_h(noon, lon)
    noon += (off_h / 24.0 * SOL_S * 1e6).astype(np.int64)
    at_noon = MARS.position(noon, lon, lat)
    for minutes in (-30, 30):
        other = MARS.position(noon + minutes * 60_000_000, lon, lat)
        assert other.elevation_deg[0] <= at_noon.elevation_deg[0] + 1e-6
    if at_noon.elevation_deg[0] < 89:
        off_meridian = abs((at_noon.azimuth_deg[0] + 90) % 180 - 90)
        assert off_meridian < 0.05


@given(st.integers(0, 2_000_000_000), st.floats(-180, 180), st.floats(-60, 60))
def test_at_sunrise_and_sunset_the_sun_is_on_the_horizon(seconds, longitude, latitude):
    now, at = np.array([seconds * 1_000_000]), (np.array([longitude]), np.array([latitude]))
    rises_s, sets_s = MARS.rises_in_s(now, *at), MARS.sets_in_s(now, *at)
    for ahead_s, side in ((rises_s, -1), (sets_s, 1)):
        assert 0 < ahead_s[0] < 1.01 * SOL_S
        there = MARS.position(now + np.rint(ahead_s * 1e6).astype(np.int64), *at)
        assert there.elevation_deg[0] == pytest.approx(0, abs=1e-3)
        assert side * (there.azimuth_deg[0] - 180) > 0
    # What comes first tells whether it is day.
    up = MARS.position(now, *at).elevation_deg[0]
    assert abs(up) < 1e-3 or (sets_s < rises_s)[0] == (up > 0)


def test_beyond_the_polar_circles_the_sun_may_neither_rise_nor_set():
    sols = np.arange(50_000.0, 50_669.0)
    summer = sols[np.abs(season(time_us_at_sol_date(sols)).solar_longitude_deg - 90).argmin()]
    at = time_us_at_sol_date(np.full(3, summer)), np.zeros(3), np.array([85.0, -85.0, np.nan])
    for found in (MARS.rises_in_s(*at), MARS.sets_in_s(*at)):
        np.testing.assert_array_equal(found, [np.inf, np.inf, np.nan])
    assert (MARS.position(*at).elevation_deg[:2] > 0).tolist() == [True, False]


def test_meda_tells_the_same_season_sunrise_and_sunset(outside_data):
    path = outside_data / "mars-weather" / "meda_m20_sol1127-1133.json"
    first, longitude = MISSIONS["mars2020"]
    at = np.array([longitude]), np.array([18.49])
    for told in json.loads(path.read_text())["sols"]:
        sol = np.array([float(int(told["sol"]) + first)])
        midnight = time_us_at_sol_date(sol - longitude / 360)
        assert season(midnight).solar_longitude_deg[0] == pytest.approx(float(told["ls"]), abs=0.01)
        rises_s, sets_s = MARS.rises_in_s(midnight, *at), MARS.sets_in_s(midnight, *at)
        for name, ahead_s in (("sunrise", rises_s), ("sunset", sets_s)):
            hours, minutes, seconds = map(int, told[name].split(":"))
            # Local mean solar time goes by sols of 86,400 seconds of its own.
            own_s = ahead_s[0] / SOL_S * 86_400
            assert own_s == pytest.approx(hours * 3600 + minutes * 60 + seconds, abs=40)


def test_rems_tells_the_same_season_and_dates(outside_data):
    path = outside_data / "mars-weather" / "rems_mars-weather_sol0001-1200.csv"
    with path.open() as file:
        rows = list(csv.DictReader(file))
    first, longitude = MISSIONS["msl"]
    sol = np.array([float(row["sol"]) for row in rows]) + first
    midnight = time_us_at_sol_date(sol - longitude / 360)
    off = season(midnight).solar_longitude_deg - np.array([float(row["ls"]) for row in rows])
    # The file has whole degrees, cut off.
    assert ((off >= 0) & (off < 1)).all()
    noon = time_us_at_sol_date(sol + 0.5 - longitude / 360)
    dates = [datetime.fromtimestamp(one / 1e6, UTC).date().isoformat() for one in noon.tolist()]
    assert dates == [row["terrestrial_date"] for row in rows]
    np.testing.assert_allclose(mission_sol(midnight, "msl"), sol - first, atol=1e-6)


def test_perseverances_sols_are_those_of_its_clock(outside_data):
    from connectors.readers.mars_clock import time_us_at_sclk  # noqa: PLC0415

    path = outside_data / "mars2020-traverse" / "M20_traverse_sol0014-0999.json.gz"
    import gzip  # noqa: PLC0415

    drives = [f["properties"] for f in json.loads(gzip.decompress(path.read_bytes()))["features"]]
    told = [(d["sol"], d["SCLK_END"]) for d in drives if d.get("SCLK_END")]
    times = np.array([time_us_at_sclk(end) for _, end in told])
    off = np.floor(mission_sol(times, "mars2020")) - [sol for sol, _ in told]
    # A drive may end past midnight, in the sol after the one it is told of.
    assert np.mean(off == 0) > 0.9
    assert np.abs(off).max() <= 1
    # Curiosity landed at three in the afternoon of its sol 0.
    assert mission_sol(at("2012-08-06T05:17:57Z"), "msl")[0] == pytest.approx(0.627, abs=0.002)
