"""The mission's clocks against readings that NASA published with raw images."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.readers.mars_clock import (
    sclk_at_time_us,
    sol_at_time_us,
    time_us_at_sclk,
    time_us_at_sol,
)
from schemas.mars_time import SOL_S

# (sol, local mean solar time, UTC, spacecraft clock) of raw images of sols 100, 1484 and 1646.
PUBLISHED = [
    (100, "15:26:09.623", "2021-06-01T14:14:37.984", 675828717.752),
    (1484, "16:41:15.133", "2025-04-23T16:40:44.575", 798697310.734),
    (1646, "15:18:15.000", "2025-10-07T02:08:38.000", 813073669.716),
]


def utc_us(text: str) -> int:
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def part_of_a_day(text: str) -> float:
    hours, minutes, seconds = text.split(":")
    return (int(hours) * 3600 + int(minutes) * 60 + float(seconds)) / 86400


@pytest.mark.parametrize(("sol", "solar_time", "utc", "sclk_s"), PUBLISHED)
def test_solar_time_is_within_1_5_s_of_what_was_published(
    sol: int, solar_time: str, utc: str, sclk_s: float
) -> None:
    assert abs(time_us_at_sol(sol + part_of_a_day(solar_time)) - utc_us(utc)) < 1_500_000


@pytest.mark.parametrize(("sol", "solar_time", "utc", "sclk_s"), PUBLISHED)
def test_the_spacecraft_clock_is_within_0_6_s_of_what_was_published(
    sol: int, solar_time: str, utc: str, sclk_s: float
) -> None:
    assert abs(time_us_at_sclk(sclk_s) - utc_us(utc)) < 600_000


def test_the_landing_was_in_the_afternoon_of_sol_0() -> None:
    # Touchdown 2021-02-18T20:43:49 UTC (spacecraft event time), 15:53 local mean solar time.
    landing = sol_at_time_us(utc_us("2021-02-18T20:43:49"))
    assert landing == pytest.approx(part_of_a_day("15:53:00"), abs=60 / 86400)


def test_a_sol_lasts_24_h_39_min_35_s() -> None:
    assert time_us_at_sol(101) - time_us_at_sol(100) == pytest.approx(SOL_S * 1e6, abs=2)
    assert timedelta(hours=24, minutes=39, seconds=35).total_seconds() == pytest.approx(
        SOL_S, abs=0.3
    )


@given(st.floats(0, 5000))
def test_sols_and_utc_are_each_other_s_inverse(sol: float) -> None:
    assert sol_at_time_us(time_us_at_sol(sol)) == pytest.approx(sol, abs=1e-9)


@given(st.integers(600_000_000, 1_000_000_000))
def test_spacecraft_clock_and_utc_are_each_other_s_inverse(sclk_s: int) -> None:
    assert sclk_at_time_us(time_us_at_sclk(sclk_s)) == pytest.approx(sclk_s, abs=1e-5)
