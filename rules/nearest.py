"""How far a position is from a shape: geodesic, to the nearest point, not the nearest vertex."""

from typing import Final

import numpy as np
import shapely

from rules.edges import Edges, edges_of
from rules.geodesy import rough_distance_m
from schemas.ellipsoids import ELLIPSOIDS, Ellipsoid
from schemas.frame import BODIES, Bools, Floats

# What the answer may be off by: a length (m) and a share of the distance.
TOLERANCE_M: Final = 1e-3
TOLERANCE: Final = 1e-6
# ``rough_distance_m`` is off by at most 1 %.
_ROUGH: Final = 1.02
# An azimuthal projection says where an edge runs up to this angle from its centre (rad).
_NEAR: Final = 1.5
# Beyond that, what the answer may be off by as a share of the distance.
_FAR_TOLERANCE: Final = 1e-4
_PARTS: Final = 8


def distance_to_shape_m(
    body: int, shape: shapely.Geometry, longitude: Floats, latitude: Floats
) -> Floats:
    """Geodesic distance (n,) m from positions to the nearest point of a zone's shape; 0 inside.

    ``body``: code of ``BODIES``; ``shape``: of ``zone_shapes``, its edges straight in longitude
    and latitude; ``longitude`` in [-180, 180], ``latitude``: (n,) deg. NaN where a coordinate is.
    Off by at most ``TOLERANCE_M`` + ``TOLERANCE`` of the distance (0.01 % beyond 1.5 rad). For few
    positions: some milliseconds for each that is outside.
    """
    figure = ELLIPSOIDS[BODIES[body]]
    distance = np.where(np.isnan(longitude) | np.isnan(latitude), np.nan, 0.0)
    edges, _ = edges_of(shape)
    for row in np.flatnonzero((distance == 0.0) & ~_holds(shape, longitude, latitude)).tolist():
        distance[row] = _to_edges(body, figure, edges, longitude[row], latitude[row])
    return distance


def _holds(shape: shapely.Geometry, longitude: Floats, latitude: Floats) -> Bools:
    held: Bools = shapely.intersects_xy(shape, longitude, latitude)
    # The meridian 180 has two longitudes, a pole has all.
    seam = np.abs(longitude) == 180.0
    held |= seam & shapely.intersects_xy(shape, -longitude, latitude)
    _, south, _, north = shapely.bounds(shape)
    held |= (latitude == south) & (south == -90.0)
    held |= (latitude == north) & (north == 90.0)
    return held


def _to_edges(
    body: int, figure: Ellipsoid, edges: Edges, longitude: float, latitude: float
) -> float:
    """Distance from one position to the nearest of edges, m: branch and bound."""
    edges = _within_reach(body, figure, edges, longitude, latitude)
    best = np.inf
    near_m = _NEAR * figure.polar_m
    while True:
        answer, least, most = _measured(figure, edges, longitude, latitude)
        best = min(best, float(most.min()))
        kept = least <= best
        share = TOLERANCE if best < near_m else _FAR_TOLERANCE
        if (answer - least)[kept].max() <= TOLERANCE_M + share * best:
            return float(answer[kept].min())
        edges, _ = edges.take(kept).split(np.full(int(kept.sum()), _PARTS))


def _within_reach(
    body: int, figure: Ellipsoid, edges: Edges, longitude: float, latitude: float
) -> Edges:
    """The edges that may be the nearest, by rough distances."""
    codes = np.full(len(edges), body, np.int8)
    lon0, lat0, lon1, lat1 = edges.lonlat
    here = (np.full(len(edges), longitude), np.full(len(edges), latitude))
    begin = rough_distance_m(codes, *here, lon0, lat0)
    end = rough_distance_m(codes, *here, lon1, lat1)
    nearest = min(begin.min(), end.min()) * _ROUGH
    least = (begin + end) / _ROUGH / 2.0 - edges.lengths_m(figure) / 2.0
    return edges.take(least <= nearest)


def _measured(
    figure: Ellipsoid, edges: Edges, longitude: float, latitude: float
) -> tuple[Floats, Floats, Floats]:
    """Distances of edges from a position, and the least and the most they may be; (m,) each, m.

    Two bounds, the better one counts: the ends and the straight line between them in the azimuthal
    equidistant projection centred at the position; the ends and the length.
    """
    lon0, lat0, lon1, lat1 = edges.lonlat
    here = (np.full(len(edges), longitude), np.full(len(edges), latitude))
    begin, bearing0 = figure.inverse(*here, lon0, lat0)
    end, bearing1 = figure.inverse(*here, lon1, lat1)
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
