"""Elevation rasters: a grid of heights and where on which body its pixels lie.

Pixel positions are (column, row) as floating point, the centre of the first pixel being (0, 0),
rows going down the image. Heights are metres above the body's reference surface, down to the sea
floor (negative there); NaN = not known.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final, Protocol

import numpy as np
from pyproj import CRS, Transformer

from schemas.ellipsoids import ELLIPSOIDS, Ellipsoid
from schemas.frame import Floats

# A reference figure may be another model of the body, or a sphere of its mean radius.
_SAME_BODY: Final = 0.02

Affine = tuple[float, float, float, float, float, float]
"""(a, b, c, d, e, f): x = a column + b row + c, y = d column + e row + f, of pixel centres."""


class GeoreferenceError(ValueError):
    """A raster whose place on a body cannot be known; the message says why."""


@dataclass(frozen=True)
class Georeference:
    """Where the pixels of a raster lie: ``crs`` in pyproj's sense, ``affine`` into it."""

    crs: CRS
    affine: Affine

    @cached_property
    def body(self) -> str:
        """The body of ``schemas.frame.BODIES`` whose size the reference ellipsoid has.

        Raises:
            GeoreferenceError: there is none.
        """
        ellipsoid = self.crs.ellipsoid
        if ellipsoid is None:
            raise GeoreferenceError("its coordinate system has no ellipsoid")
        for name, figure in ELLIPSOIDS.items():
            size = ellipsoid.semi_major_metre / figure.equatorial_m
            if abs(size - 1.0) < _SAME_BODY:
                return name
        raise GeoreferenceError(
            f"its coordinate system is of a body of {ellipsoid.semi_major_metre / 1e3:g} km,"
            f" which is none of {', '.join(ELLIPSOIDS)}"
        )

    def pixels(self, longitude: Floats, latitude: Floats) -> tuple[Floats, Floats]:
        """(n,) columns and rows of positions; deg, latitudes as telemetry has them on the body."""
        x, y = self._to_crs.transform(longitude, self._own(latitude))
        a, b, c, d, e, f = self.affine
        det = a * e - b * d
        dx, dy = np.asarray(x) - c, np.asarray(y) - f
        column, row = (e * dx - b * dy) / det, (a * dy - d * dx) / det
        # Positions that the projection does not have become infinite.
        known = np.isfinite(column) & np.isfinite(row)
        return np.where(known, column, np.nan), np.where(known, row, np.nan)

    def positions(self, column: Floats, row: Floats) -> tuple[Floats, Floats]:
        """(n,) longitudes in [-180, 180] and latitudes, deg, of pixel positions."""
        lon, lat = self._lonlat(column, row)
        figure = ELLIPSOIDS[self.body]
        return lon, (figure.as_used(lat) if self._converts else lat)

    def steps_m(self, column: Floats, row: Floats) -> Floats:
        """(4, n) metres east and north of one step along columns, then of one along rows.

        At pixel positions (n,); from the radii of curvature of the body's own ellipsoid there.
        """
        out = np.empty((4, *np.shape(column)))
        figure = ELLIPSOIDS[self.body]
        _, lat = self.positions(column, row)
        east_m, north_m = _metres_per_degree(figure, figure.of_normal(lat))
        for place, (dc, dr) in enumerate(((0.5, 0.0), (0.0, 0.5))):
            lon0, lat0 = self.positions(column - dc, row - dr)
            lon1, lat1 = self.positions(column + dc, row + dr)
            lat0, lat1 = figure.of_normal(lat0), figure.of_normal(lat1)
            out[2 * place] = (np.mod(lon1 - lon0 + 180.0, 360.0) - 180.0) * east_m
            out[2 * place + 1] = (lat1 - lat0) * north_m
        return out

    def _lonlat(self, column: Floats, row: Floats) -> tuple[Floats, Floats]:
        a, b, c, d, e, f = self.affine
        lon, lat = self._from_crs.transform(a * column + b * row + c, d * column + e * row + f)
        return np.asarray(lon), np.asarray(lat)

    @cached_property
    def _converts(self) -> bool:
        # Planetocentric latitudes are those of the normal on a sphere, not on an ellipsoid.
        ellipsoid = self.crs.ellipsoid
        flat = ellipsoid is not None and ellipsoid.semi_minor_metre < ellipsoid.semi_major_metre
        return ELLIPSOIDS[self.body].planetocentric and flat

    def _own(self, latitude: Floats) -> Floats:
        return ELLIPSOIDS[self.body].of_normal(latitude) if self._converts else latitude

    @cached_property
    def _degrees(self) -> CRS:
        if self.body == "earth" and self.crs.to_epsg() is not None:
            return CRS.from_epsg(4326)
        return self.crs.geodetic_crs or self.crs

    @cached_property
    def _to_crs(self) -> Transformer:
        return Transformer.from_crs(self._degrees, self.crs, always_xy=True)

    @cached_property
    def _from_crs(self) -> Transformer:
        return Transformer.from_crs(self.crs, self._degrees, always_xy=True)


def _metres_per_degree(figure: Ellipsoid, latitude: Floats) -> tuple[Floats, Floats]:
    """Metres a degree east and north, at latitudes of the normal."""
    phi = np.radians(latitude)
    e2 = 1.0 - (figure.polar_m / figure.equatorial_m) ** 2
    w2 = 1.0 - e2 * np.sin(phi) ** 2
    across = figure.equatorial_m / np.sqrt(w2)
    along = across * (1.0 - e2) / w2
    return np.radians(across * np.cos(phi)), np.radians(along)


class Raster(Protocol):
    """A raster of heights that is read a window at a time."""

    @property
    def name(self) -> str:
        """What it is called in messages."""
        ...

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        ...

    @property
    def georeference(self) -> Georeference:
        """Where it lies."""
        ...

    def read(self, row: int, column: int, rows: int, columns: int) -> Floats:
        """(rows, columns) heights in m of a window that lies inside, NaN = not known."""
        ...
