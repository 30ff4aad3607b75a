"""Tiles of an elevation model with what is derived from them, made when asked for, kept in bounds.

A tile is judged from its own cells and two rings of its neighbours', so that where tiles end makes
no difference. What is kept is a memo: it changes how fast an answer comes, never which.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rules.terrain import surface
from schemas.frame import Floats, Rows
from schemas.raster import Raster

TILE: Final = 256
"""Cells along the side of a tile."""
LAYERS: Final = ("height_m", "slope_deg", "roughness_m", "step_m", "east", "north")
"""Height, what ``rules.terrain.surface`` makes of it, and the gradient in m per m."""
HEIGHT, SLOPE, ROUGHNESS, STEP, EAST, NORTH = range(len(LAYERS))
_NODES: Final = 17
"""Places along a tile's side at which the metres of a step are known exactly."""
_BETWEEN: Final = TILE / (_NODES - 1)

Layers = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """``layers``: (len(LAYERS), TILE + 2, TILE + 2), the tile's cells and one ring around.

    ``steps_m``: (4, _NODES, _NODES), as ``Georeference.steps_m`` gives them, every ``_BETWEEN``
    cells.
    """

    layers: Layers
    steps_m: Floats

    @property
    def size(self) -> int:
        """Bytes held."""
        return self.layers.nbytes + self.steps_m.nbytes


class Tiles:
    """The tiles of one raster; holds at most ``memory_bytes``, but one tile at least."""

    def __init__(self, raster: Raster, memory_bytes: int) -> None:
        self.raster = raster
        self._memory_bytes = memory_bytes
        self._held: OrderedDict[tuple[int, int], Tile] = OrderedDict()
        self.held_bytes = 0
        self.read = 0

    def tile(self, row: int, column: int) -> Tile:
        """The tile at a row and column of tiles."""
        tile = self._held.get((row, column))
        if tile is not None:
            self._held.move_to_end((row, column))
            return tile
        tile = self._made(row, column)
        self.read += 1
        self._held[row, column] = tile
        self.held_bytes += tile.size
        while self.held_bytes > self._memory_bytes and len(self._held) > 1:
            _, dropped = self._held.popitem(last=False)
            self.held_bytes -= dropped.size
        return tile

    def gather(self, layers: tuple[int, ...], row: Rows, column: Rows) -> Floats:
        """(len(layers), n) values of cells; ``row``, ``column``: (n,), NaN outside the raster."""
        rows, columns = self.raster.shape
        out = np.full((len(layers), len(row)), np.nan)
        inside = (row >= 0) & (column >= 0) & (row < rows) & (column < columns)
        all_inside = bool(inside.all())
        for tile, places, r, c in self.split(row, column, None if all_inside else inside):
            flat = (r + 1) * (TILE + 2) + c + 1
            for i, layer in enumerate(layers):
                out[i, places] = tile.layers[layer].reshape(-1)[flat]
        return out

    def split(
        self, row: Rows, column: Rows, chosen: NDArray[np.bool_] | None
    ) -> list[tuple[Tile, Rows | slice, Rows, Rows]]:
        """The cells tile by tile: the tile, which places, rows and columns within it.

        ``chosen``: (n,) those to take, None = all.
        """
        at: Rows | slice = slice(None) if chosen is None else np.flatnonzero(chosen)
        row, column = row[at], column[at]
        if not len(row):
            return []
        tile_row, r = np.divmod(row, TILE)
        tile_column, c = np.divmod(column, TILE)
        across = -(-self.raster.shape[1] // TILE)
        number = tile_row * across + tile_column
        if (number == number[0]).all():
            return [(self.tile(*divmod(int(number[0]), across)), at, r, c)]
        order = np.argsort(number, kind="stable")
        starts = np.flatnonzero(np.diff(number[order], prepend=-1))
        places = np.arange(len(chosen))[chosen] if chosen is not None else np.arange(len(row))
        found: list[tuple[Tile, Rows | slice, Rows, Rows]] = []
        for group in np.split(order, starts[1:]):
            tile = self.tile(*divmod(int(number[group[0]]), across))
            found.append((tile, places[group], r[group], c[group]))
        return found

    def _made(self, row: int, column: int) -> Tile:
        padded = self._window(row * TILE - 2, column * TILE - 2, TILE + 4)
        node = np.arange(_NODES) * _BETWEEN
        nodes = np.meshgrid(column * TILE + node, row * TILE + node)
        steps = self.raster.georeference.steps_m(*(axis.ravel() for axis in nodes))
        steps = steps.reshape(4, _NODES, _NODES)
        everywhere = _spread(steps)
        east, north = surface.gradient(padded, everywhere)
        layers = np.stack(
            [
                padded[1:-1, 1:-1],
                surface.slope_deg(east, north),
                surface.roughness_m(padded),
                surface.step_m(padded),
                east,
                north,
            ]
        ).astype(np.float32)
        return Tile(layers, steps)

    def _window(self, row: int, column: int, side: int) -> Floats:
        """(side, side) heights from a row and column on, NaN outside the raster."""
        rows, columns = self.raster.shape
        r0, c0 = max(row, 0), max(column, 0)
        r1, c1 = min(row + side, rows), min(column + side, columns)
        out = np.full((side, side), np.nan)
        out[r0 - row : r1 - row, c0 - column : c1 - column] = self.raster.read(
            r0, c0, r1 - r0, c1 - c0
        )
        return out


def steps_at(tile: Tile, row: Rows, column: Rows) -> Floats:
    """(4, n) metres of a step at cells within a tile, linear between nodes."""
    v, u = np.clip(row / _BETWEEN, 0, _NODES - 1), np.clip(column / _BETWEEN, 0, _NODES - 1)
    r0 = np.minimum(v.astype(np.intp), _NODES - 2)
    c0 = np.minimum(u.astype(np.intp), _NODES - 2)
    v, u = v - r0, u - c0
    flat, at = tile.steps_m.reshape(4, -1), r0 * _NODES + c0
    upper = flat[:, at] * (1.0 - u) + flat[:, at + 1] * u
    lower = flat[:, at + _NODES] * (1.0 - u) + flat[:, at + _NODES + 1] * u
    mixed: Floats = upper * (1.0 - v) + lower * v
    return mixed


def _spread(steps_m: Floats) -> Floats:
    """(4, TILE + 2, TILE + 2) from the nodes, linear between them and just beyond."""
    place = np.arange(-1, TILE + 1) / _BETWEEN
    first = np.clip(np.floor(place).astype(np.intp), 0, _NODES - 2)
    weights = np.zeros((TILE + 2, _NODES))
    rows = np.arange(TILE + 2)
    weights[rows, first] = 1.0 - (place - first)
    weights[rows, first + 1] = place - first
    spread: Floats = weights @ steps_m @ weights.T
    return spread
