"""The sun as seen from Earth: its season and its sky.

Meeus, "Astronomical Algorithms", 2nd edition (1998), chapters 25 (lower accuracy) and 28, as in the
solar calculator of NOAA's Global Monitoring Laboratory (gml.noaa.gov/grad/solcalc); good to about
0.01 deg and some seconds of true solar time from 1900 to 2100. Universal time stands for dynamical
time: in the minute between them the sun goes less than 0.001 deg of its year.
"""

from typing import Final

import numpy as np

from schemas.ellipsoids import ELLIPSOIDS
from schemas.frame import Floats, Longs
from schemas.sun import Season, Sky

_DAY_S: Final = 86_400.0
_J2000_S: Final = (2451545.0 - 2440587.5) * _DAY_S
"""2000-01-01T12:00, seconds since 1970."""


def season(time_us: Longs) -> Season:
    """The season at UTC times; the solar longitude is the sun's apparent one."""
    t = (time_us / 1e6 - _J2000_S) / (36_525 * _DAY_S)
    mean_deg = 280.46646 + t * (36_000.76983 + 0.0003032 * t)
    mean = np.radians(mean_deg)
    anomaly = np.radians(357.52911 + t * (35_999.05029 - 0.0001537 * t))
    eccentricity = 0.016708634 - t * (0.000042037 + 0.0000001267 * t)
    centre = (1.914602 - t * (0.004817 + 0.000014 * t)) * np.sin(anomaly)
    centre = centre + (0.019993 - 0.000101 * t) * np.sin(2 * anomaly)
    centre = centre + 0.000289 * np.sin(3 * anomaly)
    # Nutation and aberration.
    node = np.radians(125.04 - 1_934.136 * t)
    longitude_deg = mean_deg + centre - 0.00569 - 0.00478 * np.sin(node)
    tilt_s = 21.448 - t * (46.815 + t * (0.00059 - 0.001813 * t))
    tilt = np.radians(23.0 + (26.0 + tilt_s / 60.0) / 60.0 + 0.00256 * np.cos(node))
    y = np.tan(tilt / 2.0) ** 2
    equation = (
        y * np.sin(2 * mean)
        - 2 * eccentricity * np.sin(anomaly)
        + 4 * eccentricity * y * np.sin(anomaly) * np.cos(2 * mean)
        - 0.5 * y * y * np.sin(4 * mean)
        - 1.25 * eccentricity**2 * np.sin(2 * anomaly)
    )
    declination = np.degrees(np.arcsin(np.sin(tilt) * np.sin(np.radians(longitude_deg))))
    return Season(np.mod(longitude_deg, 360.0), np.degrees(equation) / 15.0, declination)


def _mean_time_h(time_us: Longs) -> Floats:
    hours: Floats = time_us % 86_400_000_000 / 3.6e9
    return hours


EARTH: Final = Sky(ELLIPSOIDS["earth"], _DAY_S, -0.833, season, _mean_time_h)
"""The sun rises and sets where its upper limb is seen on the horizon: 34 minutes of arc of
refraction and 16 of its radius."""
