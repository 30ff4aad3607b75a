"""Edges of zones on the body: straight in longitude and latitude, so curved on the ground.

An edge is a row of ``Edges.lonlat``; it runs the way it is written, never round the other way.
"""

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import ArrayLike

from schemas.ellipsoids import Ellipsoid
from schemas.frame import Bools, Floats, Longs, Rows


@dataclass(frozen=True, slots=True)
class Edges:
    """Edges on one body.

    ``lonlat``: (4, m) longitude and latitude where each begins, then where it ends; deg.
    """

    lonlat: Floats

    def __len__(self) -> int:
        return len(self.lonlat[0])

    def take(self, which: Rows | Bools) -> "Edges":
        """The edges at the given places."""
        return Edges(self.lonlat[:, which])

    def _turns(self) -> tuple[Floats, Floats, Floats]:
        """|difference| of longitude and of latitude, and latitude nearest a pole: (m,) rad each."""
        lon0, lat0, lon1, lat1 = np.radians(self.lonlat)
        return np.abs(lon1 - lon0), np.abs(lat1 - lat0), np.maximum(np.abs(lat0), np.abs(lat1))

    def lengths_m(self, figure: Ellipsoid) -> Floats:
        """(m,) no less than the length of each on the ground, m; near it for short ones."""
        east, north, poleward = self._turns()
        equatorward = np.maximum(poleward - north, 0.0)
        # The largest radius of curvature there is: that of the meridian at the poles.
        largest_m = figure.equatorial_m**2 / figure.polar_m
        # 2 % for the angle between planetocentric latitudes and those of the normal.
        lengths: Floats = 1.02 * largest_m * np.hypot(north, east * np.cos(equatorward))
        return lengths

    def sags_m(self, figure: Ellipsoid, reach: float) -> Floats:
        """(m,) no less than how far each strays from the straight line between its ends, m.

        Straight in an azimuthal equidistant projection centred up to ``reach`` (rad, at most 1.5)
        away. Second order terms: a parallel bends with sin(p) cos(p), a slanted edge as meridians
        draw together; the ellipsoid adds 3f; a geodesic at the angle r from the centre bends with
        (r - sin(r) cos(r)) / sin(r)^2, which is less than r.
        """
        east, north, poleward = self._turns()
        # On its way an edge may have a larger cos(p) than where it is nearest the pole.
        cos_lowest = np.cos(np.maximum(poleward - north, 0.0))
        sin_poleward = np.sin(poleward)
        bent = east * sin_poleward * (east * cos_lowest + 2.0 * north)
        square = north**2 + (east * cos_lowest) ** 2
        stretch = reach / np.sin(reach)
        total = stretch * (bent + 4.0 * figure.flattening * square) + reach * square
        sags: Floats = figure.equatorial_m / 8.0 * total
        return sags

    def split(self, pieces: Longs) -> tuple["Edges", Rows]:
        """The edges cut into that many equal parts (m,), in order, and the edge of each part."""
        of = np.repeat(np.arange(len(pieces)), pieces)
        begin = np.cumsum(pieces) - pieces
        k = np.arange(len(of)) - begin[of]
        lon0, lat0, lon1, lat1 = self.lonlat[:, of]
        count = pieces[of]
        # The ends of an edge keep their exact values.
        cuts = [
            (lon0, lat0, lon1, lat1, k),
            (lon0, lat0, lon1, lat1, k + 1),
        ]
        ends = [_between(*cut, count) for cut in cuts]
        return Edges(np.concatenate(ends)), of


def _between(
    lon0: Floats, lat0: Floats, lon1: Floats, lat1: Floats, k: Longs, count: Longs
) -> Floats:
    """(2, n) positions ``k`` parts of ``count`` along edges."""
    s = k / count
    last = k == count
    lon = np.where(last, lon1, lon0 + s * (lon1 - lon0))
    lat = np.where(last, lat1, lat0 + s * (lat1 - lat0))
    return np.stack((lon, lat))


def edges_of(shapes: ArrayLike) -> tuple[Edges, Rows]:
    """All edges of all rings of shapes, ring by ring, and the number of each one's ring."""
    rings = shapely.get_rings(shapely.get_parts(shapes))
    lonlat, ring = shapely.get_coordinates(rings, return_index=True)
    same = ring[1:] == ring[:-1]
    lon, lat = lonlat.T
    ends = (lon[:-1][same], lat[:-1][same], lon[1:][same], lat[1:][same])
    return Edges(np.stack(ends)), ring[1:][same]
