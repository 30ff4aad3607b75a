"""Site frames: positions in metres east and north of a point of a body, as rover teams count them.

A position is as far from the origin along the geodesic, and on the bearing, as its metres say
(azimuthal equidistant). To 10 km that is within 2 cm of a plane touching the body there; lengths
across come out right to a part in ten thousand over the whole ``REACH_M``.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from schemas.ellipsoids import ELLIPSOIDS
from schemas.frame import Floats

REACH_M: Final = 100_000.0
"""How far from its origin a frame goes, east or north."""

_SAG_M: Final = 0.01
# At a pole an edge would be cut without end.
_STEEPEST_DEG: Final = 89.9


@dataclass(frozen=True)
class SiteFrame:
    """A frame of ``body`` with its origin at ``longitude``, ``latitude`` (deg, as used there)."""

    body: str
    longitude: float
    latitude: float

    def lonlat(self, east_m: Floats, north_m: Floats) -> tuple[Floats, Floats]:
        """Longitude in [-180, 180] and latitude (deg) of positions in the frame; (n,) each."""
        bearing_deg = np.degrees(np.arctan2(east_m, north_m))
        origin = np.array([self.longitude]), np.array([self.latitude])
        return ELLIPSOIDS[self.body].direct(*origin, bearing_deg, np.hypot(east_m, north_m))

    def position(self, east_m: float, north_m: float) -> tuple[float, float]:
        """``lonlat`` of one position, a tenth of the time it takes for a column of one."""
        figure = ELLIPSOIDS[self.body]
        longitude, latitude, _ = figure.geod.fwd(
            self.longitude,
            self._normal_latitude,
            math.degrees(math.atan2(east_m, north_m)),
            math.hypot(east_m, north_m),
        )
        return longitude, float(figure.as_used(latitude))

    @cached_property
    def _normal_latitude(self) -> float:
        return float(ELLIPSOIDS[self.body].of_normal(np.array(self.latitude)))

    @property
    def step_m(self) -> float:
        """How long an edge may be to run within 1 cm of one straight in longitude and latitude.

        Everywhere in the frame, but for what lies within 0.1 deg of a pole.
        """
        radius_m = ELLIPSOIDS[self.body].polar_m
        steepest = abs(self.latitude) + np.degrees(REACH_M / radius_m)
        # It bends by its length squared times tan(latitude) over 8 radii.
        bend = np.tan(np.radians(min(steepest, _STEEPEST_DEG)))
        return float(np.sqrt(8 * radius_m * _SAG_M / bend))
