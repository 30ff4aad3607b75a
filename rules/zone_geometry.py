"""Zone to shape: what zones mean on their body, refused or repaired where they mean nothing."""

from collections.abc import Sequence

import numpy as np
import shapely

from rules.area_shapes import Faults, Polygons, area_shapes
from rules.rings import Shapes
from schemas.zone import Zone, ZoneFileError

__all__ = ["Shapes", "ZoneGeometryError", "repairs", "zone_shapes"]


class ZoneGeometryError(ZoneFileError):
    """Zones whose rings make no valid area: ``mistakes`` has one line each, place and reason."""


def zone_shapes(zones: Sequence[Zone], name: str = "zones") -> Shapes:
    """The shape of each zone: (n,) shapely Polygon or MultiPolygon, valid, lon/lat deg.

    What ``rules.area_shapes`` makes of them, in particular cut at the antimeridian. Zones drawn in
    metres of a site are put on their body. Raises ``ZoneGeometryError`` with every mistake,
    ``name`` naming the file; only zones that ask for it (``repair``) are repaired.
    """
    shapes, faults = _drawn(zones)
    lines = tuple(
        _told(zones[i], name, why)
        for i in np.flatnonzero(shapely.is_missing(shapes)).tolist()
        for why in faults[i]
    )
    if lines:
        raise ZoneGeometryError(lines)
    return shapes


def repairs(zones: Sequence[Zone], name: str = "zones") -> tuple[str, ...]:
    """A line for each zone that was repaired as it asks: what was wrong and what it is now."""
    asking = [zone for zone in zones if zone.repair]
    shapes, faults = _drawn(asking)
    return tuple(
        _told(asking[i], name, f"repaired: {why}; is {_shown(shapes[i])} now")
        for i in sorted(faults)
        for why in faults[i]
        if shapes[i] is not None
    )


def _drawn(zones: Sequence[Zone]) -> tuple[Shapes, Faults]:
    return area_shapes([_polygons(z) for z in zones], np.array([z.repair for z in zones], np.bool_))


def _polygons(zone: Zone) -> Polygons:
    return zone.geometry.polygons


def _shown(shape: shapely.Geometry) -> str:
    parts = int(shapely.get_num_geometries(shape))
    vertices = shapely.get_num_coordinates(shape)
    return f"{parts} polygon{'s' * (parts > 1)} of {vertices} positions"


def _told(zone: Zone, name: str, why: str) -> str:
    place = name if zone.line is None else f"{name}:{zone.line}"
    return f'{place}: zone "{zone.id}": {why}'
