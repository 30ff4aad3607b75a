"""The ground under fixes and ahead of them, in bulk, from elevation models.

``Terrain`` holds some models, the finest first; of a position the first that knows its height
counts. All columns are (n,): positions deg with latitudes as telemetry has them, bearings deg
clockwise from north.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from rules.terrain.sampling import bilinear, cells
from rules.terrain.tiles import (
    EAST,
    HEIGHT,
    NORTH,
    ROUGHNESS,
    SLOPE,
    STEP,
    TILE,
    Tiles,
    steps_at,
)
from schemas.frame import BODIES, Bools, Codes, Floats
from schemas.raster import Raster

MOST_STEPS: Final = 1024
"""Places looked at along one corridor, at most; a longer one is looked at more coarsely."""
_BULK: Final = 100_000
_INFINITE: Final = float("inf")


class GroundLimits(NamedTuple):
    """What the ground may be at most; a cell with more is above the limit."""

    slope_deg: float = _INFINITE
    step_m: float = _INFINITE
    roughness_m: float = _INFINITE


@dataclass(frozen=True, slots=True)
class Under:
    """The ground under n positions, NaN = not known.

    ``height_m``: linear between cell centres; the others are those of the cell. ``east``,
    ``north``: the gradient, m per m.
    """

    height_m: Floats
    slope_deg: Floats
    roughness_m: Floats
    step_m: Floats
    east: Floats
    north: Floats


@dataclass(frozen=True, slots=True)
class Corridor:
    """The ground ahead of n positions.

    ``slope_deg``, ``step_m``, ``roughness_m``: the greatest known on the way, NaN = nothing known.
    ``distance_m``: to the first cell known to be above the limits; infinite where all of the way is
    known and none is, NaN where some of it is unknown and none of the rest is.
    ``known_m``: how far from the start every cell is known.
    """

    slope_deg: Floats
    step_m: Floats
    roughness_m: Floats
    distance_m: Floats
    known_m: Floats


class Ground:
    """One elevation model; ``memory_bytes`` bounds what is kept of it."""

    def __init__(self, raster: Raster, memory_bytes: int = 256_000_000) -> None:
        self.tiles = Tiles(raster, memory_bytes)
        self.georeference = raster.georeference
        self.body = BODIES.index(self.georeference.body)
        rows, columns = raster.shape
        middle = np.array([(columns - 1) / 2]), np.array([(rows - 1) / 2])
        east_c, north_c, east_r, north_r = self.georeference.steps_m(*middle)[:, 0]
        self.cell_m = float(min(np.hypot(east_c, north_c), np.hypot(east_r, north_r)))
        """Side of a cell in the middle of the model, the shorter one."""

    def under(self, longitude: Floats, latitude: Floats) -> Under:
        """The ground under positions."""
        column, row = self.georeference.pixels(longitude, latitude)
        r, c = cells(row), cells(column)
        found = self.tiles.gather((SLOPE, ROUGHNESS, STEP, EAST, NORTH), r, c)
        return Under(self._height_m(column, row), *found)

    def height_m(self, longitude: Floats, latitude: Floats) -> Floats:
        """The height alone."""
        return self._height_m(*self.georeference.pixels(longitude, latitude))

    def ahead(
        self,
        longitude: Floats,
        latitude: Floats,
        bearing_deg: Floats,
        length_m: float | Floats,
        limits: GroundLimits,
        *,
        width_m: float = 0.0,
    ) -> Corridor:
        """The ground from each position straight along its bearing for ``length_m``.

        A place a cell apart is looked at, of ``width_m`` as many lines beside one another. The
        metres of a step are those at the start of the way.
        """
        lengths = np.broadcast_to(np.asarray(length_m, np.float64), longitude.shape)
        # (n,) steps of each way by its own length, whatever ways are looked at with it.
        steps = np.clip(np.ceil(lengths / self.cell_m), 1, MOST_STEPS)
        step_count = int(np.max(steps, initial=1))
        aside = int(np.ceil(width_m / 2.0 / self.cell_m))
        parts = []
        bulk = max(_BULK // ((step_count + 1) * (2 * aside + 1)), 1)
        for first in range(0, max(len(longitude), 1), bulk):
            here = slice(first, first + bulk)
            column, row = self.georeference.pixels(longitude[here], latitude[here])
            along, across = self._directions(column, row, bearing_deg[here])
            # Where a way has fewer steps than the longest, its end is looked at again.
            share = np.minimum(np.arange(step_count + 1) / steps[here, None], 1.0)
            way_m = lengths[here, None] * share
            beside_m = np.arange(-aside, aside + 1) * self.cell_m
            # (n, lines, steps + 1) pixel positions.
            place = [
                start[:, None, None] + way_m[:, None] * a[:, None, None] + beside * b[:, None, None]
                for start, a, b, beside in (
                    (column, along[0], across[0], beside_m[:, None]),
                    (row, along[1], across[1], beside_m[:, None]),
                )
            ]
            parts.append(self._looked(place[0], place[1], way_m, limits))
        return Corridor(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def _height_m(self, column: Floats, row: Floats) -> Floats:
        r, c = cells(row), cells(column)
        out = np.full(len(column), np.nan)
        rows, columns = self.tiles.raster.shape
        inside = (r >= 0) & (c >= 0) & (r < rows) & (c < columns)
        for tile, places, within_r, within_c in self.tiles.split(r, c, inside):
            u = column[places] - c[places] + within_c + 1.0
            v = row[places] - r[places] + within_r + 1.0
            out[places] = bilinear(tile.layers[HEIGHT], u, v)
        return out

    def _directions(
        self, column: Floats, row: Floats, bearing_deg: Floats
    ) -> tuple[Floats, Floats]:
        """(2, n) columns and rows of one metre along the bearings, and to their right."""
        r, c = cells(row), cells(column)
        steps = np.full((4, len(r)), np.nan)
        rows, columns = self.tiles.raster.shape
        inside = (r >= 0) & (c >= 0) & (r < rows) & (c < columns)
        for tile, places, within_r, within_c in self.tiles.split(r, c, inside):
            steps[:, places] = steps_at(tile, within_r, within_c)
        column_east, column_north, row_east, row_north = steps
        det = column_east * row_north - column_north * row_east
        angle = np.radians(bearing_deg)
        east, north = np.sin(angle), np.cos(angle)

        def pixels(e: Floats, n: Floats) -> Floats:
            return np.stack(
                [
                    (e * row_north - n * row_east) / det,
                    (n * column_east - e * column_north) / det,
                ]
            )

        return pixels(east, north), pixels(north, -east)

    def _looked(
        self, column: Floats, row: Floats, way_m: Floats, limits: GroundLimits
    ) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        """``column``, ``row``: (n, lines, places) pixel positions; ``way_m``: (n, places)."""
        shape = column.shape
        slope, step, rough = self.tiles.gather(
            (SLOPE, STEP, ROUGHNESS), cells(row.reshape(-1)), cells(column.reshape(-1))
        ).reshape(3, *shape)
        above = (slope > limits.slope_deg) | (step > limits.step_m)
        above |= rough > limits.roughness_m
        above_here, unknown_here = above.any(axis=1), np.isnan(slope).any(axis=1)
        found, unknown = above_here.any(axis=1), unknown_here.any(axis=1)
        rows = np.arange(len(way_m))
        first_m = way_m[rows, above_here.argmax(axis=1)]
        distance = np.where(found, first_m, np.where(unknown, np.nan, np.inf))
        gap = unknown_here.argmax(axis=1)
        before_gap = np.where(gap > 0, way_m[rows, gap - 1], 0.0)
        known_m = np.where(unknown, before_gap, way_m[:, -1])
        return (*(_greatest(layer) for layer in (slope, step, rough)), distance, known_m)  # type: ignore[return-value]


def _greatest(layer: Floats) -> Floats:
    """(n,) the greatest of (n, lines, places), NaN where all are."""
    known: Floats = np.fmax.reduce(layer.reshape(len(layer), -1), axis=1)
    return known


class Terrain:
    """Some elevation models, the finest first."""

    def __init__(self, grounds: Sequence[Ground]) -> None:
        self.grounds = tuple(grounds)

    def under(
        self,
        body: Codes,
        longitude: Floats,
        latitude: Floats,
        max_cell_m: float = _INFINITE,
    ) -> Under:
        """The ground under positions; ``body``: codes of ``BODIES``.

        Of models with cells larger than ``max_cell_m`` the heights alone are told.
        """
        out = np.full((6, len(body)), np.nan)
        for ground, rows in self._covering(body, longitude, latitude):
            if ground.cell_m > max_cell_m:
                out[0, rows] = ground.height_m(longitude[rows], latitude[rows])
                continue
            found = ground.under(longitude[rows], latitude[rows])
            out[:, rows] = (
                *(found.height_m, found.slope_deg, found.roughness_m, found.step_m),
                *(found.east, found.north),
            )
        return Under(*out)

    def ahead(  # noqa: PLR0913 (columns)
        self,
        body: Codes,
        longitude: Floats,
        latitude: Floats,
        bearing_deg: Floats,
        length_m: float | Floats,
        limits: GroundLimits,
        *,
        width_m: float = 0.0,
        max_cell_m: float = _INFINITE,
    ) -> Corridor:
        """The ground ahead, of each position in the model that knows the height under it.

        Models with cells larger than ``max_cell_m`` tell nothing.
        """
        out = np.full((5, len(body)), np.nan)
        lengths = np.broadcast_to(np.asarray(length_m, np.float64), longitude.shape)
        for ground, rows in self._covering(body, longitude, latitude):
            if ground.cell_m > max_cell_m:
                continue
            found = ground.ahead(
                longitude[rows],
                latitude[rows],
                bearing_deg[rows],
                lengths[rows],
                limits,
                width_m=width_m,
            )
            out[:, rows] = (
                *(found.slope_deg, found.step_m, found.roughness_m),
                *(found.distance_m, found.known_m),
            )
        return Corridor(*out)

    def _covering(
        self, body: Codes, longitude: Floats, latitude: Floats
    ) -> Iterator[tuple[Ground, Bools | slice]]:
        """Each model with the rows that it is the first to know the height of."""
        left = np.ones(len(body), np.bool_)
        for ground in self.grounds:
            mine = left & (body == ground.body)
            if not mine.any():
                continue
            if ground is not self.grounds[-1]:
                rows = np.flatnonzero(mine)
                known = ~np.isnan(ground.height_m(longitude[rows], latitude[rows]))
                mine = np.zeros(len(body), np.bool_)
                mine[rows[known]] = True
            left &= ~mine
            yield ground, slice(None) if mine.all() else mine


__all__ = ["TILE", "Corridor", "Ground", "GroundLimits", "Terrain", "Under"]
