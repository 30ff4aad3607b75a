"""The bodies' figures: ellipsoids, and what a latitude on each means.

Earth is WGS 84 with geodetic latitudes. Mars and Moon are those of the IAU working group on
cartographic coordinates (Archinal et al. 2018, Celest. Mech. Dyn. Astron. 130:22, tables 4 and 5:
Mars 3396.19 km and 3376.20 km, the mean of north and south; Moon a sphere of 1737.4 km). Telemetry
and zones there have *planetocentric* latitudes: the angle at the body's centre, not that of the
surface's normal, which geodesics are computed with; on Mars the two differ by up to 0.34 deg (20
km). On a sphere they are the same.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from pyproj import Geod

from schemas.frame import Floats


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid of revolution, semi-axes in m, and the kind of latitude used on it."""

    equatorial_m: float
    polar_m: float
    planetocentric: bool

    @property
    def flattening(self) -> float:
        """(a - b) / a, without unit."""
        return 1.0 - self.polar_m / self.equatorial_m

    @cached_property
    def geod(self) -> Geod:
        """Geodesics on the ellipsoid; its latitudes are those of the normal."""
        return Geod(a=self.equatorial_m, b=self.polar_m)

    @property
    def mean_radius_m(self) -> float:
        """(2 a + b) / 3."""
        return (2.0 * self.equatorial_m + self.polar_m) / 3.0

    def surface_m(self, longitude: Floats, latitude: Floats) -> Floats:
        """(3, n) points of the surface, m from the centre; no seam, and no pole is special."""
        lam, phi = np.radians(longitude), np.radians(self.of_normal(latitude))
        sin, cos = np.sin(phi), np.cos(phi)
        squash = (self.polar_m / self.equatorial_m) ** 2
        normal = self.equatorial_m / np.sqrt(cos * cos + squash * sin * sin)
        out = normal * cos
        return np.stack([out * np.cos(lam), out * np.sin(lam), normal * squash * sin])

    def of_normal(self, latitude: Floats) -> Floats:
        """Latitudes as used on the body to latitudes of the normal; (n,) deg."""
        return self._scaled(latitude, (self.equatorial_m / self.polar_m) ** 2)

    def as_used(self, latitude: Floats) -> Floats:
        """Latitudes of the normal to latitudes as used on the body; (n,) deg."""
        return self._scaled(latitude, (self.polar_m / self.equatorial_m) ** 2)

    def _scaled(self, latitude: Floats, factor: float) -> Floats:
        if not self.planetocentric or factor == 1.0:
            return latitude
        angle = np.radians(latitude)
        scaled: Floats = np.degrees(np.arctan2(factor * np.sin(angle), np.cos(angle)))
        # cos(90 deg) is not 0 in floating point: the poles would move.
        return np.where(np.abs(latitude) == 90.0, latitude, scaled)

    def inverse(
        self, longitude0: Floats, latitude0: Floats, longitude1: Floats, latitude1: Floats
    ) -> tuple[Floats, Floats]:
        """Geodesic distance (m) and bearing at the first position (deg in [0, 360)); (n,) each.

        NaN where a coordinate is; longitudes may be any number of turns.
        """
        # Each column a copy of its own: pyproj writes its answers into what it is given.
        lon0, lat0, lon1, lat1 = np.broadcast_arrays(longitude0, latitude0, longitude1, latitude1)
        bearing, _, distance = self.geod.inv(
            np.array(lon0, np.float64),
            np.array(self.of_normal(lat0), np.float64),
            np.array(lon1, np.float64),
            np.array(self.of_normal(lat1), np.float64),
            inplace=True,
        )
        unknown = np.isnan(lon0) | np.isnan(lat0) | np.isnan(lon1) | np.isnan(lat1)
        bearing = np.where(bearing < 0.0, bearing + 360.0, bearing)
        # -1e-16 + 360 is 360.
        bearing = np.where(bearing >= 360.0, 0.0, bearing)
        return np.where(unknown, np.nan, distance), np.where(unknown, np.nan, bearing)

    def direct(
        self, longitude: Floats, latitude: Floats, bearing_deg: Floats, distance_m: Floats
    ) -> tuple[Floats, Floats]:
        """Where the geodesic leads: longitude in [-180, 180] and latitude, deg, (n,) each."""
        lon, lat, bearing, distance = np.broadcast_arrays(
            longitude, latitude, bearing_deg, distance_m
        )
        to_lon, to_lat, _ = self.geod.fwd(
            np.array(lon, np.float64),
            np.array(self.of_normal(lat), np.float64),
            np.array(bearing, np.float64),
            np.array(distance, np.float64),
            inplace=True,
        )
        unknown = np.isnan(lon) | np.isnan(lat) | np.isnan(bearing) | np.isnan(distance)
        return np.where(unknown, np.nan, to_lon), np.where(unknown, np.nan, self.as_used(to_lat))


ELLIPSOIDS: Final = {
    "earth": Ellipsoid(
        6_378_137.0, 6_378_137.0 * (1.0 - 1.0 / 298.257223563), planetocentric=False
    ),
    "mars": Ellipsoid(3_396_190.0, 3_376_200.0, planetocentric=True),
    "moon": Ellipsoid(1_737_400.0, 1_737_400.0, planetocentric=True),
}
"""Body -> its figure; the bodies are those of ``schemas.frame.BODIES``."""
