"""The sun over the places of a body: where it stands, solar time, when it rises and sets next.

Columns are (n,); longitudes deg east, latitudes deg as used on the body, times UTC microseconds
since 1970, hours are 24 a mean solar day of the body. Refraction raises nothing; ``horizon_deg``
minds it where the sun rises and sets.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from schemas.ellipsoids import Ellipsoid
from schemas.frame import Floats, Longs

_LOOKS: Final = 4
_DAYS: Final = np.array([-1.0, 0.0, 1.0, 2.0])[:, None]


@dataclass(frozen=True, slots=True)
class Season:
    """``solar_longitude_deg``: in [0, 360), 0 = northern spring equinox.

    ``equation_of_time_h``: true less mean solar time. ``declination_deg``: of the sun, to the
    equator.
    """

    solar_longitude_deg: Floats
    equation_of_time_h: Floats
    declination_deg: Floats


@dataclass(frozen=True, slots=True)
class SunPosition:
    """``azimuth_deg``: clockwise from north, in [0, 360); ``elevation_deg`` above the horizon."""

    azimuth_deg: Floats
    elevation_deg: Floats


@dataclass(frozen=True)
class Sky:
    """How the sun goes over a body.

    ``day_s``: a mean solar day. ``horizon_deg``: elevation of the middle of the sun's disc where it
    rises and sets. ``season``: of times. ``mean_time_h``: mean solar time at longitude 0, in any
    range, at times.
    """

    ellipsoid: Ellipsoid
    day_s: float
    horizon_deg: float
    season: Callable[[Longs], Season]
    mean_time_h: Callable[[Longs], Floats]

    def mean_solar_time_h(self, time_us: Longs, longitude: Floats) -> Floats:
        """Local mean solar time in [0, 24)."""
        hours: Floats = np.mod(self.mean_time_h(time_us) + longitude / 15.0, 24.0)
        return hours

    def true_solar_time_h(self, time_us: Longs, longitude: Floats) -> Floats:
        """Local true solar time in [0, 24): 12 when the sun is due north or south."""
        mean = self.mean_solar_time_h(time_us, longitude)
        hours: Floats = np.mod(mean + self.season(time_us).equation_of_time_h, 24.0)
        return hours

    def position(self, time_us: Longs, longitude: Floats, latitude: Floats) -> SunPosition:
        """Where the sun stands; NaN where a coordinate is."""
        now = self.season(time_us)
        hours = self.mean_solar_time_h(time_us, longitude) + now.equation_of_time_h
        hour_angle = np.radians((hours - 12.0) * 15.0)
        # The horizon is that of the surface's normal.
        phi = np.radians(self.ellipsoid.of_normal(latitude))
        delta = np.radians(now.declination_deg)
        up = np.sin(delta) * np.sin(phi) + np.cos(delta) * np.cos(phi) * np.cos(hour_angle)
        east = -np.cos(delta) * np.sin(hour_angle)
        north = np.sin(delta) * np.cos(phi) - np.cos(delta) * np.sin(phi) * np.cos(hour_angle)
        azimuth = np.mod(np.degrees(np.arctan2(east, north)), 360.0)
        return SunPosition(
            np.where(azimuth >= 360.0, 0.0, azimuth), np.degrees(np.arcsin(np.clip(up, -1.0, 1.0)))
        )

    def rises_in_s(self, time_us: Longs, longitude: Floats, latitude: Floats) -> Floats:
        """Time until the next sunrise; ``inf`` = none within two days, NaN without a place."""
        return self._next_in_s(time_us, longitude, latitude, -1.0)

    def sets_in_s(self, time_us: Longs, longitude: Floats, latitude: Floats) -> Floats:
        """Time until the next sunset; ``inf`` = none within two days, NaN without a place."""
        return self._next_in_s(time_us, longitude, latitude, 1.0)

    def _next_in_s(
        self, time_us: Longs, longitude: Floats, latitude: Floats, side: float
    ) -> Floats:
        """``side``: -1 = before noon, 1 = after it."""
        day_us = self.day_s * 1e6
        to_noon_h = 12.0 - self.mean_solar_time_h(time_us, np.nan_to_num(longitude))
        # (4, n) the mean noons around each time, and from them toward where the sun crosses.
        noon_us = time_us + to_noon_h / 24.0 * day_us + _DAYS * day_us
        at_us = crossed_us = noon_us
        for _ in range(_LOOKS):
            now = self.season(np.rint(at_us).astype(np.int64))
            off_h = side * self._half_day_h(now, latitude) - now.equation_of_time_h
            crossed_us = noon_us + off_h / 24.0 * day_us
            at_us = np.where(np.isnan(crossed_us), noon_us, crossed_us)
        ahead_s = (crossed_us - time_us) / 1e6
        reached = (ahead_s > 0.0) & (ahead_s <= 2.0 * self.day_s)
        nearest: Floats = np.where(reached, ahead_s, np.inf).min(axis=0)
        return np.where(np.isnan(longitude) | np.isnan(latitude), np.nan, nearest)

    def _half_day_h(self, now: Season, latitude: Floats) -> Floats:
        """From true noon to where the sun crosses the horizon, NaN = it does not."""
        phi = np.radians(self.ellipsoid.of_normal(latitude))
        delta = np.radians(now.declination_deg)
        cosine = (np.sin(np.radians(self.horizon_deg)) - np.sin(delta) * np.sin(phi)) / (
            np.cos(delta) * np.cos(phi)
        )
        half = np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))) / 15.0
        return np.where(np.abs(cosine) <= 1.0, half, np.nan)
