"""Zones and land as shapes that can be drawn in any window, over 180 deg and the poles too."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import shapely
from shapely import affinity
from shapely.geometry import LineString, Polygon, shape
from shapely.geometry.base import BaseGeometry

from rules.zone_geometry import zone_shapes
from schemas.zone import Zone
from scripts.report.data import Json
from scripts.report.projection import Bounds, View


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ZoneShape:
    """A zone to draw; ``style`` is the number of its kind among all kinds, sorted."""

    zone_id: str
    name: str
    kind: str
    style: int
    geometry: BaseGeometry

    @property
    def bounds(self) -> Bounds:
        """The box about the zone, deg, unwrapped."""
        west, south, east, north = self.geometry.bounds
        return Bounds(west=west, south=south, east=east, north=north)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Land:
    """Land or coastlines; ``spacing`` is how far its vertices lie apart, deg (median)."""

    shapes: Sequence[BaseGeometry]
    spacing: float

    def serves(self, view: View) -> bool:
        """Whether it is fine enough for the window: else it would put ships ashore."""
        return view.bounds.east - view.bounds.west >= 15.0 * self.spacing


NO_LAND: Final = Land(shapes=(), spacing=0.0)


def kinds(zones: Iterable[Zone]) -> list[str]:
    """The kinds of zones there are, sorted."""
    return sorted({_kind(zone) for zone in zones})


def zone_names(zones: Iterable[Zone]) -> dict[str, str]:
    """Zone id -> the name of its last version."""
    return {zone.id: zone.name for zone in zones}


def placed_zones(zones: Iterable[Zone], body: str, styles: Sequence[str]) -> list[ZoneShape]:
    """The zones on one body, as they were judged; ``styles`` are the kinds in their order."""
    here = [zone for zone in zones if zone.body == body]
    return [
        ZoneShape(
            zone_id=zone.id,
            name=zone.name,
            kind=_kind(zone),
            style=styles.index(_kind(zone)),
            geometry=_together(shape),
        )
        for zone, shape in zip(here, zone_shapes(here), strict=True)
    ]


def land_of(basemap: Json) -> Land:
    """The land or coast of a GeoJSON document."""
    if basemap.get("type") == "FeatureCollection":
        geometries = [feature.get("geometry") for feature in basemap["features"]]
    else:
        geometries = [basemap.get("geometry", basemap)]
    shapes = [_whole(shape(geometry)) for geometry in geometries if geometry]
    # steps: (n, 2) deg from each vertex to the next, over all shapes; the few between the end of
    # one shape and the start of the next do not move the median.
    steps = np.diff(shapely.get_coordinates(shapes), axis=0)
    spacing = float(np.median(np.hypot(steps[:, 0], steps[:, 1]))) if len(steps) else 0.0
    return Land(shapes=shapes, spacing=spacing)


def in_window(geometry: BaseGeometry, view: View) -> BaseGeometry:
    """What of the geometry lies in the window and a rim about it, in the window's longitudes."""
    window = view.bounds.widened(1.04)
    west, _, east, _ = geometry.bounds
    parts = [
        shapely.clip_by_rect(
            affinity.translate(geometry, shift) if shift else geometry,
            window.west,
            window.south,
            window.east,
            window.north,
        )
        for shift in _turns(west, east, window)
    ]
    # Copies that meet at 180 deg become one shape again, without a seam.
    return shapely.union_all(parts) if len(parts) > 1 else parts[0] if parts else Polygon()


def on_paper(geometry: BaseGeometry, view: View) -> BaseGeometry:
    """The geometry in units of the drawing, with no more vertices than the eye can tell."""
    drawn = shapely.transform(geometry, lambda xy: view.project(xy[:, 0], xy[:, 1]))
    return shapely.simplify(drawn, 0.3, preserve_topology=False)


def polygons_of(geometry: BaseGeometry) -> list[Polygon]:
    """The polygons the geometry is made of, without those simplified to nothing."""
    return [part for part in _parts(geometry) if isinstance(part, Polygon)]


def lines_of(geometry: BaseGeometry) -> list[LineString]:
    """The lines the geometry is made of, without those simplified to nothing."""
    return [part for part in _parts(geometry) if isinstance(part, LineString)]


def _parts(geometry: BaseGeometry) -> list[BaseGeometry]:
    parts: list[BaseGeometry] = shapely.get_parts([geometry]).tolist()
    return [part for part in parts if not part.is_empty]


def _kind(zone: Zone) -> str:
    return zone.kind or "zone"


def _whole(geometry: BaseGeometry) -> BaseGeometry:
    return geometry if geometry.is_valid else shapely.make_valid(geometry)


def _turns(west: float, east: float, window: Bounds) -> list[float]:
    first = int(np.ceil((window.west - east) / 360.0))
    last = int(np.floor((window.east - west) / 360.0))
    return [turn * 360.0 for turn in range(first, last + 1)]


def _together(shape: BaseGeometry) -> BaseGeometry:
    """The shape with all its parts in the turn of longitude nearest to the largest of them.

    So the halves of a zone that is cut at 180 deg meet again.
    """
    if isinstance(shape, Polygon):
        return shape
    parts = shapely.get_parts([shape]).tolist()
    west, _, east, _ = max(parts, key=lambda part: part.area).bounds
    return shapely.union_all([_turned_to(part, (west + east) / 2) for part in parts])


def _turned_to(geometry: BaseGeometry, longitude: float) -> BaseGeometry:
    west, _, east, _ = geometry.bounds
    turns = round((longitude - (west + east) / 2) / 360.0)
    return affinity.translate(geometry, 360.0 * turns) if turns else geometry
