"""Halos: the area within a zone's ``exit_buffer_m`` of it, in metres on its body.

Edges are straight in longitude and latitude, so they are cut short first. What lies together within
``PIECE_M`` is then laid out in metres round its middle (azimuthal equidistant, by geodesics of the
body's ellipsoid), widened there, and put back: over such distances lengths across come out right to
0.01 %. A wide zone is widened edge by edge.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray

from rules.geodesy import destination, inverse
from rules.rings import Shapes, area_of_rings
from schemas.frame import BODIES, Floats, Rows
from schemas.zone import Zone

PIECE_M: Final = 100_000.0
"""Half the extent of what is laid out together."""
_QUARTER_ARCS: Final = 16
"""Chords a quarter circle of the buffer: 0.12 % of its width at most inside the true circle."""
_SAG: Final = 0.003
"""How far, as a share of the buffer, a short edge may run beside its geodesic."""
_DEG_M: Final = 111_000.0
_SHORTEST_DEG: Final = 1e-4


def halos(zones: Sequence[Zone], shapes: Shapes) -> Shapes:
    """The area of each zone and its exit buffer: (n,) shapes, None for zones without a buffer.

    ``shapes``: (n,) of ``zone_shapes``. Off by less than 1 % of the buffer; the zone itself is
    always covered.
    """
    found = np.full(len(zones), None, object)
    wanted = [i for i, zone in enumerate(zones) if zone.exit_buffer_m]
    if not wanted:
        return found
    pieces: list[shapely.Geometry] = []
    owner: list[int] = []
    for i in wanted:
        for piece in _pieces(shapes[i], float(zones[i].exit_buffer_m or 0.0)):
            pieces.append(piece)
            owner.append(i)
    of = np.array(owner, np.intp)
    width_m = np.array([float(zones[i].exit_buffer_m or 0.0) for i in owner])
    body = np.array([BODIES.index(zones[i].body) for i in owner], np.int8)
    widened = _widened(np.array(pieces, object), body, width_m)
    first = np.searchsorted(of, np.append(wanted, len(zones)))
    for i, begin, end in zip(wanted, first[:-1].tolist(), first[1:].tolist(), strict=True):
        found[i] = _areas(shapely.union_all([shapes[i], *widened[begin:end]]))
    return found


def _pieces(shape: shapely.Geometry, width_m: float) -> list[shapely.Geometry]:
    """The parts of a shape with edges cut short, those that are wide as stretches of edges."""
    # An edge of length l deviates from the geodesic by less than l^2 tan(lat) / 8 R.
    steepest = min(float(np.abs(shapely.bounds(shape)[[1, 3]]).max()), 89.0)
    bend = max(np.tan(np.radians(steepest)), 0.1)
    longest_m = np.sqrt(8 * 6.0e6 * _SAG * width_m / bend)
    longest_deg = max(min(longest_m, PIECE_M / 4) / _DEG_M, _SHORTEST_DEG)
    pieces: list[shapely.Geometry] = []
    for part in shapely.get_parts(shapely.segmentize(shape, longest_deg)):
        west, south, east, north = part.bounds
        if np.hypot(east - west, north - south) * _DEG_M <= 2 * PIECE_M and abs(steepest) < 80:
            pieces.append(part)
        else:
            pieces += _stretches(part, max(int(PIECE_M / (longest_deg * _DEG_M)), 1))
    return pieces


def _stretches(part: shapely.Geometry, edges: int) -> list[shapely.Geometry]:
    """The rings of a part as lines of so many edges."""
    lines = []
    for ring in (part.exterior, *part.interiors):
        lonlat = shapely.get_coordinates(ring)
        lines += [
            shapely.LineString(lonlat[i : i + edges + 1]) for i in range(0, len(lonlat) - 1, edges)
        ]
    return lines


def _widened(pieces: Shapes, body: NDArray[np.int8], width_m: Floats) -> Shapes:
    """Each piece and all within its width of it: (p,) areas in the plane of positions."""
    west, south, east, north = shapely.bounds(pieces).T
    middle = (west + east) / 2, (south + north) / 2
    lonlat, piece = shapely.get_coordinates(pieces, return_index=True)
    distance_m, bearing_deg = inverse(
        body[piece], middle[0][piece], middle[1][piece], lonlat[:, 0], lonlat[:, 1]
    )
    angle = np.radians(bearing_deg)
    east_north = np.stack((distance_m * np.sin(angle), distance_m * np.cos(angle)), axis=1)
    flat = shapely.set_coordinates(pieces.copy(), east_north)
    wide = shapely.orient_polygons(shapely.buffer(flat, width_m, quad_segs=_QUARTER_ARCS))
    x_y, piece = shapely.get_coordinates(wide, return_index=True)
    longitude, latitude = destination(
        body[piece],
        middle[0][piece],
        middle[1][piece],
        np.degrees(np.arctan2(x_y[:, 0], x_y[:, 1])),
        np.hypot(x_y[:, 0], x_y[:, 1]),
    )
    # Beside the middle, also across the antimeridian.
    longitude -= 360.0 * np.round((longitude - middle[0][piece]) / 360.0)
    back = shapely.set_coordinates(wide, np.stack((longitude, latitude), axis=1))
    return _on_the_globe(back, piece, longitude, latitude)


def _on_the_globe(areas: Shapes, area: Rows, longitude: Floats, latitude: Floats) -> Shapes:
    """The areas cut at the antimeridian and closed over a pole, where they reach one."""
    odd = np.zeros(len(areas), np.bool_)
    odd[area[np.abs(longitude) > 180.0]] = True
    # Next to a pole a ring may go round it: its longitudes jump.
    same = area[1:] == area[:-1]
    odd[area[1:][same & (np.abs(np.diff(longitude)) > 180.0)]] = True
    odd |= ~shapely.is_valid(areas)
    for i in np.flatnonzero(odd).tolist():
        areas[i] = area_of_rings(
            tuple(shapely.get_coordinates(r) for r in (areas[i].exterior, *areas[i].interiors))
        )
    return areas


def _areas(shape: shapely.Geometry) -> shapely.Geometry:
    """The shape without lines and points that unions may leave."""
    parts = [part for part in shapely.get_parts(shape) if part.geom_type == "Polygon"]
    return parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)
