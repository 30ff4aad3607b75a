"""GeoJSON areas (RFC 7946): polygons as compact rings, kept as they were written."""

from collections.abc import Sequence
from typing import Annotated, Any, TypeGuard

import numpy as np
from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from schemas.frame import Floats

Rings = tuple[Floats, ...]


class AreaError(ValueError):
    """A geometry that is not a GeoJSON Polygon or MultiPolygon; the text says where and why."""


class Area:
    """A Polygon or MultiPolygon as its file gives it, nothing judged or repaired.

    ``polygons``: for each polygon its rings, outer ring first, then holes; each ring is a
    read-only (n, 2) float64 array of longitude and latitude, deg. Heights of positions are
    dropped (RFC 7946 section 3.1.1 leaves their meaning open; zones have depth and altitude bands).
    """

    __slots__ = ("polygons",)

    polygons: tuple[Rings, ...]

    def __init__(self, polygons: Sequence[Sequence[Any]]) -> None:
        self.polygons = tuple(
            tuple(_ring(ring, f"polygon {p}, ring {r}") for r, ring in enumerate(rings, 1))
            for p, rings in enumerate(polygons, 1)
        )
        if not self.polygons or not all(self.polygons):
            raise AreaError("a polygon has no ring: give its outer ring")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Area) and self.coordinates() == other.coordinates()

    def __hash__(self) -> int:
        return hash(tuple(ring.tobytes() for rings in self.polygons for ring in rings))

    def __repr__(self) -> str:
        return f"Area({len(self.polygons)} polygons, {self.vertices} positions)"

    @property
    def vertices(self) -> int:
        """How many positions its rings have, the last of each, which is its first, too."""
        return sum(len(ring) for rings in self.polygons for ring in rings)

    def coordinates(self) -> list[list[list[list[float]]]]:
        """The coordinates of a GeoJSON MultiPolygon."""
        return [[ring.tolist() for ring in rings] for rings in self.polygons]

    def farthest(self) -> float:
        """The largest number of all positions, whatever its sign; 0 where there are none."""
        rings = [ring for rings in self.polygons for ring in rings if len(ring)]
        return max((float(np.abs(ring).max()) for ring in rings), default=0.0)

    def geometry(self) -> dict[str, Any]:
        """The GeoJSON geometry: a Polygon where there is one polygon, else a MultiPolygon."""
        coordinates = self.coordinates()
        if len(coordinates) == 1:
            return {"type": "Polygon", "coordinates": coordinates[0]}
        return {"type": "MultiPolygon", "coordinates": coordinates}


def area(geometry: object) -> Area:
    """The area of a GeoJSON geometry object (decoded JSON); ``AreaError`` where it is none."""
    if isinstance(geometry, Area):
        return geometry
    if not isinstance(geometry, dict):
        raise AreaError("geometry is missing: give a Polygon or a MultiPolygon")
    coordinates = geometry.get("coordinates")
    kind = geometry.get("type")
    if kind not in ("Polygon", "MultiPolygon"):
        raise AreaError(f"geometry is of type {kind!r}: give a Polygon or a MultiPolygon")
    polygons = [coordinates] if kind == "Polygon" else coordinates
    if not _is_nested_list(polygons):
        raise AreaError(f"coordinates are not those of a {kind}: give a list of rings of positions")
    return Area(polygons)


def _is_nested_list(polygons: object) -> TypeGuard[list[list[Any]]]:
    # What a ring holds is judged by ``_ring``.
    return isinstance(polygons, list) and all(isinstance(rings, list) for rings in polygons)


def _ring(ring: Any, place: str) -> Floats:
    try:
        positions = np.asarray(ring)
    except ValueError:
        positions = _flat(ring, place)
    if positions.ndim != 2 or positions.shape[1] < 2 or positions.dtype.kind not in "if":
        positions = _flat(ring, place)
    # A copy of its own, so that no array the caller still holds can change a zone.
    lonlat = np.array(positions[:, :2], dtype=np.float64)
    if not np.isfinite(lonlat).all():
        raise AreaError(f"{place}: a number is not finite: give degrees")
    lonlat.flags.writeable = False
    return lonlat


def _flat(ring: Any, place: str) -> Floats:
    """The ring one position at a time: heights on some positions only, or the first fault."""
    if not isinstance(ring, list | tuple):
        raise AreaError(f"{place} is {ring!r}: give a list of positions")
    for i, position in enumerate(ring, 1):
        good = isinstance(position, list | tuple) and len(position) >= 2
        if not good or not all(_is_number(number) for number in position[:2]):
            raise AreaError(
                f"{place}, position {i} is {position!r}: give [longitude, latitude] in degrees"
            )
    return np.array([position[:2] for position in ring], dtype=np.float64).reshape(-1, 2)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


AreaField = Annotated[
    Area,
    PlainValidator(area),
    PlainSerializer(Area.geometry, return_type=dict),
    WithJsonSchema(
        {
            "type": "object",
            "required": ["type", "coordinates"],
            "properties": {
                "type": {"enum": ["Polygon", "MultiPolygon"]},
                "coordinates": {"type": "array"},
            },
        }
    ),
]
"""An ``Area`` as a pydantic field: reads and writes a GeoJSON geometry."""
