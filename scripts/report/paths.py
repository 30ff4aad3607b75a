"""Lines and areas as SVG path data, with no more vertices than the eye can tell."""

from typing import Final

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from schemas.frame import Floats
from scripts.report.zones import polygons_of

# Path data is in whole tenths of a unit, which elements scale down again.
TENTHS: Final = {"transform": "scale(.1)"}

_PIECE: Final = 256


def thinned(xy: Floats, tolerance: float, at_most: int) -> Floats:
    """The line (n, 2) without the vertices that lie within ``tolerance`` of it (Douglas-Peucker).

    Noise wider than that would keep every vertex, so the tolerance doubles until at most so many
    are left. Vertices that fall on the same tenth of a unit as the one before go first: they are
    most of a vehicle at rest, and cost the least that way.
    """
    grid = np.rint(xy * 10)
    moved = np.flatnonzero(np.any(np.diff(grid, axis=0) != 0, axis=1)) + 1
    kept: Floats = xy[np.concatenate([[0], moved])]
    while len(kept) > 2:
        kept = _simplified(kept, tolerance)
        if len(kept) <= at_most:
            break
        tolerance *= 2
    return kept


def _simplified(xy: Floats, tolerance: float) -> Floats:
    # Douglas-Peucker takes quadratic time on noise, so the line (n, 2) goes in pieces that share
    # their end vertices. piece: (k,) the piece each kept vertex is of; the first vertex of every
    # piece but the first is the last of the one before.
    starts = range(0, len(xy) - 1, _PIECE)
    lines = [shapely.linestrings(xy[start : start + _PIECE + 1]) for start in starts]
    kept, piece = shapely.get_coordinates(shapely.simplify(lines, tolerance), return_index=True)
    new = np.concatenate([[True], piece[1:] == piece[:-1]])
    found: Floats = kept[new]
    return found


def polygon_path(shape: BaseGeometry) -> str:
    """The outlines of all polygons and holes of a shape, to be filled even-odd."""
    return "".join(
        line_path(coordinates(ring)[:-1]) + "z"
        for polygon in polygons_of(shape)
        for ring in (polygon.exterior, *polygon.interiors)
    )


def line_path(xy: Floats) -> str:
    """A path in whole tenths of a unit, in relative steps: a quarter of the bytes of decimals."""
    grid = np.rint(xy * 10).astype(np.int64)
    steps = np.diff(grid, axis=0).ravel().tolist()
    x, y = grid[0].tolist()
    return f"M{x} {y}" + ("l" + " ".join(map(str, steps)) if steps else "")


def coordinates(line: BaseGeometry) -> Floats:
    """The vertices, (n, 2)."""
    xy: Floats = shapely.get_coordinates(line)
    return xy
