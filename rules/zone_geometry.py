"""Zone to shape: what zones mean on their body, refused or repaired where they mean nothing."""

from collections.abc import Sequence

import numpy as np
import shapely

from rules.area_shapes import Faults, Polygons, area_shapes
from rules.rings import Shapes
from schemas.frame import Floats
from schemas.site_frame import SiteFrame
from schemas.zone import Zone
from schemas.zone_file import ZoneFileError

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
    polygons = [
        zone.geometry.polygons if zone.site is None else _on_body(zone.site, zone.geometry.polygons)
        for zone in zones
    ]
    return area_shapes(polygons, np.array([zone.repair for zone in zones], np.bool_))


def _on_body(site: SiteFrame, polygons: Polygons) -> Polygons:
    """Rings in metres of a site as rings in longitude and latitude, their edges cut short."""
    return [tuple(_ring_on_body(site, ring) for ring in rings) for rings in polygons]


def _ring_on_body(site: SiteFrame, ring: Floats) -> Floats:
    if len(ring) > 1:
        line = shapely.segmentize(shapely.linestrings(ring), site.step_m)
        ring = shapely.get_coordinates(line)
    # Anticlockwise, so that a ring around a pole holds that pole and not the rest of the body.
    east, north = ring.T
    if (east * np.roll(north, -1) - north * np.roll(east, -1)).sum() < 0:
        ring = ring[::-1]
    return np.column_stack(site.lonlat(*ring.T))


def _shown(shape: shapely.Geometry) -> str:
    parts = int(shapely.get_num_geometries(shape))
    vertices = shapely.get_num_coordinates(shape)
    return f"{parts} polygon{'s' * (parts > 1)} of {vertices} positions"


def _told(zone: Zone, name: str, why: str) -> str:
    place = name if zone.line is None else f"{name}:{zone.line}"
    return f'{place}: zone "{zone.id}": {why}'
