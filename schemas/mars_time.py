"""Solar time on Mars: the Mars sol date of a UTC instant, and back.

Allison & McEwen, "A post-Pathfinder evaluation of areocentric solar coordinates with improved
timing recipes for Mars seasonal/diurnal climate studies", Planet. Space Sci. 48 (2000) 215-235,
equation 32 with the constants of the Mars24 algorithm page, step C-2
(giss.nasa.gov/tools/mars24/help/algorithm.html). The fraction of the sol date is the mean solar
time at longitude 0; the local one is longitude / 360 ahead (0.5 = mean noon).
"""

from datetime import UTC, datetime
from typing import Final

import numpy as np

from schemas.frame import Floats, Longs

SOL_S: Final = 86_400 * 1.0274912517
"""A Mars mean solar day in SI seconds."""

# Mars sol date = (JD(TT) - 2451549.5) / 1.0274912517 + 44796.0 - 0.0009626; that Julian date is
# 2000-01-06, here as seconds since 1970 counted in TT.
_REFERENCE_S: Final = (2451549.5 - 2440587.5) * 86_400
_REFERENCE_SOL: Final = 44796.0 - 0.0009626
_J2000_S: Final = (2451545.0 - 2440587.5) * 86_400

# IERS Bulletin C: from when on TAI - UTC is one second more, beginning with 10 s in 1972, which
# stand for the fractions of a second before that, too.
# (year, how many months of it have gone).
_LEAPS: Final = (
    *((1972, 6), (1973, 0), (1974, 0), (1975, 0), (1976, 0), (1977, 0), (1978, 0), (1979, 0)),
    *((1980, 0), (1981, 6), (1982, 6), (1983, 6), (1985, 6), (1988, 0), (1990, 0), (1991, 0)),
    *((1992, 6), (1993, 6), (1994, 6), (1996, 0), (1997, 6), (1999, 0), (2006, 0), (2009, 0)),
    *((2012, 6), (2015, 6), (2017, 0)),
)
_LEAP_S: Final = np.array(
    [datetime(year, months + 1, 1, tzinfo=UTC).timestamp() for year, months in _LEAPS]
)
_TT_MINUS_UTC_S: Final[Floats] = 32.184 + np.arange(10.0, 10.0 + len(_LEAPS) + 1)


MISSIONS: Final = {"mars2020": (52304, 77.43), "msl": (49269, 137.42)}
"""Mission -> the number of its sol 0 at its clock's longitude (``local_sol``), and that, deg east.

Of Mars 2020: ``connectors.readers.mars_clock``. Of MSL: its clock stands at 137.42 E, that of the
landing site; sol 0 is that of the landing, 2012-08-06T05:17:57Z, at 15:00 local mean time.
"""


def sol_date(time_us: Longs) -> Floats:
    """The Mars sol date at UTC times, microseconds since 1970; (n,) each, right to 10 us."""
    date: Floats = (_tt_s(time_us) - _REFERENCE_S) / SOL_S + _REFERENCE_SOL
    return date


def days_since_2000(time_us: Longs) -> Floats:
    """Days of terrestrial time since 2000-01-01T12:00 TT (J2000.0), at UTC times; (n,) each."""
    days: Floats = (_tt_s(time_us) - _J2000_S) / 86_400
    return days


def local_sol(time_us: Longs, longitude: Floats | float) -> Floats:
    """Sols since the Mars sol date 0, by the mean time of a longitude (deg east); (n,).

    The fraction is local mean solar time, 0.5 = mean noon.
    """
    sol: Floats = sol_date(time_us) + longitude / 360.0
    return sol


def mission_sol(time_us: Longs, mission: str) -> Floats:
    """The sol of a mission with its fraction, as its clock counts; ``mission`` of ``MISSIONS``."""
    first, longitude = MISSIONS[mission]
    return local_sol(time_us, longitude) - first


def _tt_s(time_us: Longs) -> Floats:
    """Seconds of terrestrial time since 1970."""
    utc_s = time_us / 1e6
    tt_s: Floats = utc_s + _TT_MINUS_UTC_S[np.searchsorted(_LEAP_S, utc_s, side="right")]
    return tt_s


def time_us_at_sol_date(date: Floats) -> Longs:
    """The UTC time, microseconds since 1970, at Mars sol dates; (n,) each."""
    tt_s = (date - _REFERENCE_SOL) * SOL_S + _REFERENCE_S
    leap = np.searchsorted(_LEAP_S + _TT_MINUS_UTC_S[1:], tt_s, side="right")
    return np.rint((tt_s - _TT_MINUS_UTC_S[leap]) * 1e6).astype(np.int64)
