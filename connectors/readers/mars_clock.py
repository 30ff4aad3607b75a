"""Perseverance's clocks: sols and spacecraft clock counts to UTC, and back.

Two clocks name an instant of the mission. *Local mean solar time*: a sol count (sol 0 holds the
landing) whose fraction is the time of day at the landing site, 0.5 = mean noon. *Spacecraft
clock* (SCLK): seconds counted by the rover, nominally from 2000-01-01T11:58:55.816 UTC.

Solar time is that of ``schemas.mars_time``. The mission's clock does not follow the rover: it
stands at 77.43 E, the longitude with which the three readings that NASA published (below) come out
within 1.5 s; with that of the landing, 77.45 E, they would be 6 s off.

The spacecraft clock is not a clock of SI seconds: it runs slow by 7.9 parts in a million, so the
nominal epoch alone is 4 minutes wrong on sol 100 and 20 minutes on sol 1484. It is taken as the
straight line through two readings in NASA's raw image feed (mars.nasa.gov/rss/api,
``category=mars2020``: ``extended.sclk`` against ``date_taken_utc``), which meets a third, of
sol 1646, within 0.6 s. Accuracy: about 1 s on sols 100 to 1646; outside them nothing checks it.
For pointing or timing work use the NAIF kernels (``m2020_168_sclkscet``, ``m2020_lmst``) instead.
"""

from datetime import datetime
from typing import Final

import numpy as np

from schemas.mars_time import sol_date, time_us_at_sol_date

_CLOCK_LONGITUDE_DEG: Final = 77.43
_SOL_0_DATE: Final = 52304 - _CLOCK_LONGITUDE_DEG / 360

# Image NLF_0100_0675828717_276ECM_N0040218NCAM00503_01_295J (sol 100).
_FIRST_SCLK_S: Final = 675828717.752
_FIRST_S: Final = datetime.fromisoformat("2021-06-01T14:14:37.984Z").timestamp()
# Image ZL6_1484_0798697293_098ECM_N0730000ZCAM01022_034080J (sol 1484).
_SECOND_SCLK_S: Final = 798697310.734
_SECOND_S: Final = datetime.fromisoformat("2025-04-23T16:40:44.575Z").timestamp()

_SECONDS_PER_COUNT: Final = (_SECOND_S - _FIRST_S) / (_SECOND_SCLK_S - _FIRST_SCLK_S)


def time_us_at_sol(sol: float) -> int:
    """UTC (microseconds since 1970) of a sol count with its fraction of local mean solar time."""
    return int(time_us_at_sol_date(np.array([sol + _SOL_0_DATE]))[0])


def sol_at_time_us(time_us: int) -> float:
    """The sol count, with its fraction of local mean solar time, at a UTC time in microseconds."""
    return float(sol_date(np.array([time_us]))[0]) - _SOL_0_DATE


def time_us_at_sclk(sclk_s: float) -> int:
    """UTC (microseconds since 1970) of a count of the spacecraft clock, in counted seconds."""
    return round((_FIRST_S + (sclk_s - _FIRST_SCLK_S) * _SECONDS_PER_COUNT) * 1e6)


def sclk_at_time_us(time_us: int) -> float:
    """The spacecraft clock's count, in counted seconds, at a UTC time in microseconds."""
    return _FIRST_SCLK_S + (time_us / 1e6 - _FIRST_S) / _SECONDS_PER_COUNT
