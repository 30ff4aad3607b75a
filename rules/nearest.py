"""How far positions are from a shape: geodesic, to the nearest point, not the nearest vertex."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import shapely

from rules.edges import Edges, edges_of
from schemas.ellipsoids import ELLIPSOIDS, Ellipsoid
from schemas.frame import BODIES, Bools, Floats, Longs, Rows, where

# What the answer may be off by: a length (m) and a share of the distance.
TOLERANCE_M: Final = 1e-3
TOLERANCE: Final = 1e-6
# An azimuthal projection says where an edge runs up to this angle from its centre (rad).
_NEAR: Final = 1.5
# Beyond that, what the answer may be off by as a share of the distance.
_FAR_TOLERANCE: Final = 1e-4
_PARTS: Final = 8
# Angles at the centre times the mean radius are off by less than this share, and by rounding.
_ROUGH: Final = 1.02
_ROUGH_M: Final = 1.0
# Edges are cut to pieces of this length at the most pieces, for tight bounds.
_PIECE_M: Final = 50_000.0
_MOST_PIECES: Final = 64
# Edges, and groups of them, in one group.
_GROUP: Final = 16
# Pairs of a position and a group looked at together.
_PAIRS: Final = 1_000_000


def distance_to_shape_m(
    body: int, shape: shapely.Geometry, longitude: Floats, latitude: Floats
) -> Floats:
    """``Nearest.distance_m`` of a shape that is asked about once."""
    return Nearest(body, shape).distance_m(longitude, latitude)


class Nearest:
    """A zone's shape, to be asked how far positions are from it.

    ``body``: code of ``BODIES``; ``shape``: of ``zone_shapes``, its edges straight in longitude
    and latitude. Edges are grouped in a tree, so that each position is held against few of them,
    however many there are.
    """

    def __init__(self, body: int, shape: shapely.Geometry) -> None:
        self._figure = ELLIPSOIDS[BODIES[body]]
        self._shape = shape
        edges, _ = edges_of(shape)
        pieces = np.ceil(edges.lengths_m(self._figure) / _PIECE_M).astype(np.int64)
        self._edges, _ = edges.split(np.clip(pieces, 1, _MOST_PIECES))
        # From the edges up to groups few enough to be looked at one by one.
        self._levels = [_Level.of_edges(self._figure, self._edges)]
        while len(self._levels[-1]) > 2 * _GROUP:
            self._levels.append(self._levels[-1].grouped(self._figure))
        shapely.prepare(shape)

    def distance_m(
        self, longitude: Floats, latitude: Floats, *, exact_below_m: float = np.inf
    ) -> Floats:
        """Geodesic distance (n,) m to the nearest point of the shape; 0 inside.

        ``longitude`` in [-180, 180], ``latitude``: (n,) deg. NaN where a coordinate is. Off by at
        most ``TOLERANCE_M`` + ``TOLERANCE`` of the distance (0.01 % beyond 1.5 rad). What is
        farther than ``exact_below_m`` may come out as any less far that still is: that costs some
        2 us a position, to be exact some 0.2 ms.
        """
        distance = np.where(np.isnan(longitude) | np.isnan(latitude), np.nan, 0.0)
        outside = where((distance == 0.0) & ~_holds(self._shape, longitude, latitude))
        stretch = max(_PAIRS // len(self._levels[-1]), 1)
        for first in range(0, len(outside), stretch):
            rows = outside[first : first + stretch]
            distance[rows] = self._to_edges(longitude[rows], latitude[rows], exact_below_m)
        return distance

    def _to_edges(self, longitude: Floats, latitude: Floats, exact_below_m: float) -> Floats:
        here = _Positions(longitude, latitude, _directions(longitude, latitude))
        n, top = len(longitude), len(self._levels[-1])
        # Pairs of a position and a member of a level, by position.
        row, member = np.repeat(np.arange(n), top), np.tile(np.arange(top), n)
        found = np.full(n, np.nan)
        for level in reversed(self._levels):
            row, member, least = level.nearest(self._figure, here, row, member)
            beyond = least > exact_below_m
            found[beyond & np.isnan(found)] = least[beyond & np.isnan(found)]
            wanted = np.isnan(found)[row]
            row, member = row[wanted], member[wanted]
            if level.first is not None:
                row, member = _members(level.first, row, member)
        edges = self._edges.take(member)
        while len(row):
            row, edges = self._closer(here, row, edges, found)
        return found

    def _closer(
        self, here: "_Positions", row: Rows, edges: Edges, found: Floats
    ) -> tuple[Rows, Edges]:
        """Put the answers near enough into ``found``; the pairs that are to be looked at closer."""
        n = len(found)
        answer, least, most = _measured(
            self._figure, edges, here.longitude[row], here.latitude[row]
        )
        best = _least(n, row, most)
        kept = least <= best[row]
        near = best < _NEAR * self._figure.polar_m
        allowed = TOLERANCE_M + np.where(near, TOLERANCE, _FAR_TOLERANCE) * best
        off = np.zeros(n)
        np.maximum.at(off, row[kept], (answer - least)[kept])
        done = off <= allowed
        settled = kept & done[row]
        answers = _least(n, row[settled], answer[settled])
        found[np.isfinite(answers)] = answers[np.isfinite(answers)]
        left = kept & ~done[row]
        pieces, of = edges.take(left).split(np.full(int(left.sum()), _PARTS))
        return row[left][of], pieces


@dataclass(frozen=True, slots=True)
class _Positions:
    """n positions, deg, and their directions from the centre: (n, 3)."""

    longitude: Floats
    latitude: Floats
    direction: Floats


@dataclass(frozen=True, slots=True)
class _Level:
    """Edges, or groups of them; m of them, each within ``radius_m`` of a point that is on an edge.

    ``longitude``, ``latitude``: (m,) that point, deg; ``direction``: (m, 3) of it. ``first``:
    (m + 1,) where the members of each group begin in the level below; None for edges.
    """

    longitude: Floats
    latitude: Floats
    direction: Floats
    radius_m: Floats
    first: Rows | None

    def __len__(self) -> int:
        return len(self.longitude)

    @classmethod
    def of_edges(cls, figure: Ellipsoid, edges: Edges) -> "_Level":
        lon0, lat0, lon1, lat1 = edges.lonlat
        lon, lat = (lon0 + lon1) / 2, (lat0 + lat1) / 2
        radius_m = edges.lengths_m(figure) / 2
        return cls(lon, lat, _directions(lon, lat), radius_m, None)

    def grouped(self, figure: Ellipsoid) -> "_Level":
        """The level above: groups of neighbours."""
        first = np.append(np.arange(0, len(self), _GROUP), len(self))
        of = np.repeat(np.arange(len(first) - 1), np.diff(first))
        middle = (first[:-1] + first[1:]) // 2
        lon, lat = self.longitude[middle], self.latitude[middle]
        away, _ = figure.inverse(lon[of], lat[of], self.longitude, self.latitude)
        radius_m = np.maximum.reduceat(away + self.radius_m, first[:-1])
        return _Level(lon, lat, self.direction[middle], radius_m, first)

    def nearest(
        self, figure: Ellipsoid, here: _Positions, row: Rows, member: Rows
    ) -> tuple[Rows, Rows, Floats]:
        """The pairs of which the member may be the nearest; (n,) what each position is at least.

        First by rough distances, then those left by geodesics.
        """
        n = len(here.longitude)
        cosine = np.einsum("ij,ij->i", here.direction[row], self.direction[member])
        chord = np.sqrt(np.maximum(2.0 - 2.0 * cosine, 0.0))
        rough = 2.0 * figure.mean_radius_m * np.arcsin(np.minimum(chord / 2.0, 1.0))
        low = rough / _ROUGH - _ROUGH_M - self.radius_m[member]
        least = _least(n, row, low)
        kept = low <= _least(n, row, rough * _ROUGH + _ROUGH_M)[row]
        row, member = row[kept], member[kept]
        if np.bincount(row, minlength=1).max(initial=0) > _GROUP:
            away, _ = figure.inverse(
                here.longitude[row],
                here.latitude[row],
                self.longitude[member],
                self.latitude[member],
            )
            low = away - self.radius_m[member]
            least = np.maximum(least, _least(n, row, low))
            kept = low <= _least(n, row, away)[row]
            row, member = row[kept], member[kept]
        return row, member, np.where(np.isfinite(least), least, -np.inf)


def _least(n: int, row: Rows, value: Floats) -> Floats:
    """(n,) the least value of each row, infinite where it has none."""
    least = np.full(n, np.inf)
    np.minimum.at(least, row, value)
    return least


def _members(first: Rows, row: Rows, group: Rows) -> tuple[Rows, Rows]:
    """Pairs of a position and a group as pairs of the position and each of its members."""
    count: Longs = first[group + 1] - first[group]
    begin = np.repeat(first[group] - (np.cumsum(count) - count), count)
    return np.repeat(row, count), begin + np.arange(len(begin))


def _directions(longitude: Floats, latitude: Floats) -> Floats:
    """(n, 3) unit vectors; the kind of latitude is within what rough distances allow."""
    lam, phi = np.radians(longitude), np.radians(latitude)
    return np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], axis=1)


def _holds(shape: shapely.Geometry, longitude: Floats, latitude: Floats) -> Bools:
    held: Bools = shapely.intersects_xy(shape, longitude, latitude)
    # The meridian 180 has two longitudes, a pole has all.
    seam = np.abs(longitude) == 180.0
    held |= seam & shapely.intersects_xy(shape, -longitude, latitude)
    _, south, _, north = shapely.bounds(shape)
    held |= (latitude == south) & (south == -90.0)
    held |= (latitude == north) & (north == 90.0)
    return held


def _measured(
    figure: Ellipsoid, edges: Edges, longitude: Floats, latitude: Floats
) -> tuple[Floats, Floats, Floats]:
    """Distances of edges from positions, and the least and the most they may be; (m,) each, m.

    ``longitude``, ``latitude``: (m,) the position each edge is held against. Two bounds, the better
    one counts: the ends and the straight line between them in the azimuthal equidistant projection
    centred at the position; the ends and the length.
    """
    lon0, lat0, lon1, lat1 = edges.lonlat
    begin, bearing0 = figure.inverse(longitude, latitude, lon0, lat0)
    end, bearing1 = figure.inverse(longitude, latitude, lon1, lat1)
    length = edges.lengths_m(figure)
    nearer = np.minimum(begin, end)
    by_length = np.maximum((begin + end - length) / 2.0, 0.0)
    angle = np.radians(np.stack((bearing0, bearing1)))
    x, y = np.stack((begin, end)) * np.stack((np.sin(angle), np.cos(angle)))
    foot = _to_line(x, y)
    sag = edges.sags_m(figure, _NEAR)
    by_line = (nearer + length < _NEAR * figure.polar_m) & (sag < nearer - by_length)
    return (
        np.where(by_line, foot, nearer),
        np.where(by_line, foot - sag, by_length),
        np.where(by_line, foot + sag, nearer),
    )


def _to_line(x: Floats, y: Floats) -> Floats:
    """Distance from the origin to straight lines between points; ``x``, ``y``: (2, m)."""
    dx, dy = x[1] - x[0], y[1] - y[0]
    square = np.maximum(dx * dx + dy * dy, 1e-300)
    s = np.clip(-(x[0] * dx + y[0] * dy) / square, 0.0, 1.0)
    distance: Floats = np.hypot(x[0] + s * dx, y[0] + s * dy)
    return distance
