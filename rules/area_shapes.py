"""Areas to shapes: those of any GeoJSON writer, valid, in [-180, 180] x [-90, 90].

What a ring means is said in ``rules.rings``.
"""

from collections.abc import Sequence

import numpy as np
import shapely

from rules.rings import (
    MIN_POSITIONS,
    RingError,
    Shapes,
    area_of_rings,
    fault,
    is_area,
    joined,
    made_valid,
)
from schemas.frame import Bools, Floats, Longs
from schemas.geojson import Rings

Polygons = Sequence[Rings]
Faults = dict[int, list[str]]
"""Place of an area -> what is wrong with it, a line each."""


def area_shapes(areas: Sequence[Polygons], repair: Bools) -> tuple[Shapes, Faults]:
    """The shape of each area: (n,) shapely Polygon or MultiPolygon, valid, lon/lat deg.

    An area across the antimeridian is cut there into parts; one that holds a pole reaches latitude
    +-90 along its whole width. Vertices keep their exact values (up to whole turns), so neighbours
    that share an edge still share it. ``repair``: (n,) areas that are made valid where they are
    not (open rings closed, then shapely.make_valid, which keeps what any ring encloses); the shape
    of others that are not valid is None. Second, what was found wrong with whom.
    """
    shapes = np.full(len(areas), None, object)
    faults: Faults = {}
    plain = _plain_shapes(areas, shapes)
    for i in np.flatnonzero(~plain).tolist():
        shapes[i], wrong = _shape(areas[i], repair=bool(repair[i]))
        if wrong:
            faults[i] = wrong
    for i in np.flatnonzero(~shapely.is_missing(shapes) & ~is_area(shapes)).tolist():
        faults.setdefault(i, []).append(fault(shapes[i]))
        made = made_valid(shapes[i]) if repair[i] else None
        shapes[i] = None if made is None or made.is_empty else made
    return shapes, faults


def _shape(polygons: Sequence[Rings], *, repair: bool) -> tuple[shapely.Geometry | None, list[str]]:
    """The shape of polygons that need unrolling, and what is wrong with each.

    None where something is wrong, or stays wrong when repaired.
    """
    areas: list[shapely.Geometry | None] = []
    faults = []
    for p, rings in enumerate(polygons, 1):
        try:
            areas.append(area_of_rings(rings))
        except RingError as error:
            area, why = _repaired(rings) if repair else (None, "")
            areas.append(area)
            faults.append(f"polygon {p}: {error}{why}")
    if any(area is None for area in areas):
        return None, faults
    return joined(shapely.get_parts(np.array(areas, object))), faults


def _repaired(rings: Rings) -> tuple[shapely.Geometry | None, str]:
    """The area of rings made valid, or None and why there is none."""
    try:
        return area_of_rings(rings, repair=True), ""
    except RingError as error:
        return None, f"; cannot be repaired: {error}"


def _plain_shapes(areas: Sequence[Polygons], shapes: Shapes) -> Bools:
    """Fill in the shapes of areas that lie in the plane as written; returns which those are.

    All such areas at once, for sets of many thousand.
    """
    polygons = [(a, rings) for a, area in enumerate(areas) for rings in area]
    rings = [ring for _, rings in polygons for ring in rings]
    plain = np.ones(len(areas), np.bool_)
    if not rings:
        return plain
    # area_of: (p,) area of each polygon; polygon_of: (r,) polygon of each ring; lonlat: (v, 2) deg.
    area_of = np.array([a for a, _ in polygons])
    polygon_of = np.repeat(np.arange(len(polygons)), [len(rings) for _, rings in polygons])
    length = np.array([len(ring) for ring in rings])
    lonlat = np.concatenate(rings)
    plain[area_of[polygon_of[~_lie_in_plane(lonlat, length)]]] = False

    keep = plain[area_of]
    keep_ring = keep[polygon_of]
    if keep.any():
        vertex = np.repeat(keep_ring, length)
        ring_of = np.repeat(np.arange(keep_ring.sum()), length[keep_ring])
        outlines = shapely.linearrings(lonlat[vertex], indices=ring_of)
        drawn = shapely.polygons(outlines, indices=_dense(polygon_of[keep_ring]))
        _gather(drawn, area_of[keep], shapes)
    return plain


def _lie_in_plane(lonlat: Floats, length: Longs) -> Bools:
    """Which rings (r,) are closed and neither leave the plane nor jump across it.

    ``lonlat``: (v, 2) the positions of all rings one after the other; ``length``: (r,).
    """
    ring_of = np.repeat(np.arange(len(length)), length)
    end = np.cumsum(length)
    far: Bools = np.abs(lonlat[:, 0]) > 180.0
    far |= np.abs(lonlat[:, 1]) > 90.0
    far[1:] |= (np.abs(np.diff(lonlat[:, 0])) > 180.0) & (ring_of[1:] == ring_of[:-1])
    good = length >= MIN_POSITIONS
    good[ring_of[far]] = False
    full = np.flatnonzero(length)
    unclosed = (lonlat[end[full] - length[full]] != lonlat[end[full] - 1]).any(axis=1)
    good[full[unclosed]] = False
    return good


def _gather(polygons: Shapes, area: Longs, shapes: Shapes) -> None:
    """Put polygons (p,) of areas (p,), ascending, into ``shapes``: several make a MultiPolygon."""
    of, count = np.unique(area, return_counts=True)
    single = np.repeat(count == 1, count)
    shapes[of[count == 1]] = polygons[single]
    if not single.all():
        many = shapely.multipolygons(polygons[~single], indices=_dense(area[~single]))
        shapes[of[count > 1]] = many


def _dense(labels: Longs) -> Longs:
    """Ascending labels renumbered 0, 1, 2, ... without gaps."""
    dense: Longs = np.concatenate(([0], np.cumsum(np.diff(labels) != 0)))
    return dense
