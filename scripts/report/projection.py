"""The window of a map: equirectangular, true to scale at its middle latitude, on any body."""

from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Final

import numpy as np
from pyproj import Geod

from schemas.frame import Floats

# WGS 84; Mars as the sphere of its published maps and of planetocentric waypoints (IAU 2000,
# equatorial radius); the Moon's mean radius (IAU 2015).
GEODS: Final = {
    "earth": Geod(ellps="WGS84"),
    "mars": Geod(a=3_396_190.0, b=3_396_190.0),
    "moon": Geod(a=1_737_400.0, b=1_737_400.0),
}

WIDTH: Final = 680.0
_LOWEST: Final = 0.42
_HIGHEST: Final = 0.78
_MARGIN: Final = 1.25
_SMALLEST_M: Final = 200.0
_STANDARD_LIMIT: Final = 75.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """A box in degrees; ``west`` < ``east``, either may lie beyond +-180."""

    west: float
    south: float
    east: float
    north: float

    @property
    def middle(self) -> tuple[float, float]:
        """Longitude and latitude of the middle."""
        return (self.west + self.east) / 2, (self.south + self.north) / 2

    def meets(self, other: "Bounds") -> bool:
        """Whether the boxes share a point, each turn of the longitude counted as the same."""
        turned = (self.west - other.east) / 360
        shift = ceil(turned) * 360
        return other.west + shift <= self.east and (
            other.south <= self.north and self.south <= other.north
        )

    def widened(self, factor: float) -> "Bounds":
        """The box so many times as wide and high, about the same middle."""
        longitude, latitude = self.middle
        half_width = (self.east - self.west) / 2 * factor
        half_height = (self.north - self.south) / 2 * factor
        return Bounds(
            west=longitude - half_width,
            east=longitude + half_width,
            south=max(latitude - half_height, -90.0),
            north=min(latitude + half_height, 90.0),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A map window: ``bounds`` drawn on ``WIDTH`` by ``height`` units.

    ``x_scale``, ``y_scale``: units a degree of longitude and of latitude.
    """

    body: str
    bounds: Bounds
    height: float
    x_scale: float
    y_scale: float

    def unwrapped(self, longitude: Floats) -> Floats:
        """The longitudes (any shape, deg) in the turn about the middle of the window."""
        west = self.bounds.middle[0] - 180.0
        return west + np.mod(longitude - west, 360.0)

    def project(self, longitude: Floats, latitude: Floats) -> Floats:
        """(n,) unwrapped longitudes and latitudes, deg -> (n, 2) x to the right and y down."""
        return np.stack(
            [
                (longitude - self.bounds.west) * self.x_scale,
                (self.bounds.north - latitude) * self.y_scale,
            ],
            axis=-1,
        )

    def scale_bar(self) -> tuple[float, float]:
        """A round length of at most a quarter of the window: (metres, units of the drawing).

        True along the parallel through the middle of the window.
        """
        longitude, latitude = self.bounds.middle
        metres = _round_down(WIDTH / 4 / self.x_scale * metres_per_degree(self.body, latitude)[0])
        east, _, _ = GEODS[self.body].fwd(longitude, latitude, 90.0, metres)
        return metres, ((east - longitude + 540.0) % 360.0 - 180.0) * self.x_scale


def bounds_of(longitude: Floats, latitude: Floats) -> Bounds:
    """The smallest box about the positions (n > 0; deg, no NaN), over 180 deg if that is shorter.

    The circle of longitudes is cut in the middle of its widest empty arc.
    """
    sorted_lon = np.unique(np.mod(longitude, 360.0))
    empty = np.diff(sorted_lon, append=sorted_lon[0] + 360.0)
    widest = int(np.argmax(empty))
    west = float(sorted_lon[(widest + 1) % len(sorted_lon)])
    width = 360.0 - float(empty[widest])
    west -= 360.0 * round((west + width / 2) / 360.0)
    return Bounds(
        west=west,
        east=west + width,
        south=float(np.min(latitude)),
        north=float(np.max(latitude)),
    )


def view_of(body: str, bounds: Bounds) -> View:
    """The window that shows ``bounds`` with a margin, never smaller than 200 m."""
    longitude, latitude = bounds.middle
    standard = min(max(latitude, -_STANDARD_LIMIT), _STANDARD_LIMIT)
    east_m, north_m = metres_per_degree(body, standard)
    width_m = max((bounds.east - bounds.west) * east_m * _MARGIN, _SMALLEST_M)
    height_m = max((bounds.north - bounds.south) * north_m * _MARGIN, _SMALLEST_M)
    # The shape of the window follows what it shows, within what a page can hold; the whole turn
    # of longitude and both poles are the most there is to see.
    height = WIDTH * min(max(height_m / width_m, _LOWEST), _HIGHEST)
    unit_m = min(max(width_m / WIDTH, height_m / height), 360.0 * east_m / WIDTH)
    height = min(max(height, height_m / _MARGIN / unit_m), 180.0 * north_m / unit_m)
    half_width = WIDTH * unit_m / east_m / 2
    half_height = height * unit_m / north_m / 2
    latitude = min(max(latitude, half_height - 90.0), 90.0 - half_height)
    return View(
        body=body,
        bounds=Bounds(
            west=longitude - half_width,
            east=longitude + half_width,
            south=latitude - half_height,
            north=latitude + half_height,
        ),
        height=height,
        x_scale=east_m / unit_m,
        y_scale=north_m / unit_m,
    )


def metres_per_degree(body: str, latitude: float) -> tuple[float, float]:
    """Metres for a degree of longitude and of latitude there, on the body's ellipsoid."""
    step = 1e-3
    geod = GEODS[body]
    toward_equator = latitude - step if latitude > 0 else latitude + step
    _, _, east = geod.inv(0.0, latitude, step, latitude)
    _, _, north = geod.inv(0.0, latitude, 0.0, toward_equator)
    return east / step, north / step


def graticule_step(span: float, at_most: int) -> float:
    """The round number of degrees that cuts ``span`` degrees into at most so many parts."""
    wanted = span / at_most
    if wanted > 20.0:
        return next((step for step in (30.0, 45.0, 60.0) if step >= wanted), 90.0)
    power = 10.0 ** floor(log10(wanted))
    return next(step * power for step in (1.0, 2.0, 5.0, 10.0) if step * power >= wanted)


def multiples(step: float, low: float, high: float) -> list[float]:
    """The multiples of ``step`` from ``low`` to ``high``."""
    return [step * n for n in range(ceil(low / step), floor(high / step) + 1)]


def longitude_label(longitude: float, step: float) -> str:
    """A meridian's name, with as many decimals as ``step`` needs."""
    turned = (longitude + 180.0) % 360.0 - 180.0
    return _degrees(abs(turned), step) + ("" if _at(turned, (0.0, -180.0), step) else _ew(turned))


def latitude_label(latitude: float, step: float) -> str:
    """A parallel's name, with as many decimals as ``step`` needs."""
    hemisphere = "" if _at(latitude, (0.0,), step) else "N" if latitude > 0 else "S"
    return _degrees(abs(latitude), step) + hemisphere


def length_label(metres: float) -> str:
    """A length in the unit that suits it."""
    return f"{metres / 1000:,g} km" if metres >= 1000 else f"{metres:g} m"


def _round_down(value: float) -> float:
    power = 10.0 ** floor(log10(value))
    return float(max(step * power for step in (1, 2, 5) if step * power <= value))


def _degrees(value: float, step: float) -> str:
    return f"{value:.{max(0, -floor(log10(step) + 1e-9))}f}°"


def _at(value: float, places: tuple[float, ...], step: float) -> bool:
    return any(abs(value - place) < step / 100 for place in places)


def _ew(longitude: float) -> str:
    return "E" if longitude > 0 else "W"
