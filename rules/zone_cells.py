"""A tree of cells laid over zone edges: where no edge is near, one answer serves a whole cell.

The plane is cut into a grid of root cells; cells that an edge touches are cut again, and again,
breadth first, as far as a fixed memory goes. A cell that no edge touches is pure: every position in
it lies in the same zones. Neighbouring pure cells of one row of a block form a run, and runs above
each other a region: whoever knows the answer for one position of a region knows it for all.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

import numpy as np

from schemas.frame import Floats, Ints, Longs, Rows

EDGE: Final = -1
"""What ``ZoneCells.run`` gives for a position in a cell that an edge touches."""

ROOT: Final = 512
"""Root cells along each side of the extent."""
FANS: Final = (16, 8, 4, 2)
"""Into how many rows and columns a cell may be cut; powers of two keep cell borders exact."""
MAX_CELLS: Final = 8_000_000
"""Cells of the whole tree, 4 bytes each."""
MIN_CELL_DEG: Final = 1e-6
"""Side of the smallest cell: far above the rounding of coordinates (3e-14 deg at 180 deg)."""
MIN_EDGE_SHARE: Final = 1e-3
"""Share of the extent's area in cells with edges below which cutting on gains nothing."""

# How near an edge must come to a cell to count as touching it, in cells: above every rounding error
# of the mapping (1e-8 cells at the smallest cell), so that no touched cell is missed.
_NEAR: Final = 1e-6
_CHILD: Final = -2
_EDGES_AT_ONCE: Final = 200_000
_COLUMNS_AT_ONCE: Final = 500_000


class ZoneCells:
    """The tree of cells over ``edges``: (4, m) float64, lon and lat of both ends, deg; m >= 1.

    ``region``: (runs + 1,) int32, for each run its region, 0 to ``regions`` - 1: runs of one region
    are joined by pure cells, so they too have one answer. The last place is for ``EDGE`` (-1 counts
    from the end), a region of its own. A run is a rectangle, so the straight line between two
    positions of one run touches no edge; a region need not be.
    """

    def __init__(self, edges: Floats) -> None:
        low = np.array((edges[::2].min(), edges[1::2].min()))
        size = np.array((edges[::2].max(), edges[1::2].max())) - low
        # One root cell on every side of the extent is free of edges. It stands for all beyond it: a
        # rectangle that is open on one side or two.
        cell = np.maximum(size / (ROOT - 3), MIN_CELL_DEG)
        self._west, self._south = (low - cell).tolist()
        self._per_lon, self._per_lat = (1.0 / cell).tolist()
        # cells: (c,) int32, all blocks one after the other, row by row; while building 0 = pure,
        # EDGE, or _CHILD - b where block b of the next level continues. starts, fans: for each
        # level the place of its first block and the cells along a side of its blocks. bits: a root
        # cell's side is 2**bits cells of the finest level.
        self._cells = np.zeros(ROOT * ROOT, np.int32)
        self._starts = [0]
        self._fans = [ROOT]
        self._bits = 0
        corner = np.array((self._west, self._south) * 2)
        per_deg = np.array((self._per_lon, self._per_lat) * 2)
        self._build((edges - corner[:, None]) * per_deg[:, None])
        self.region = self._number_runs()
        self.regions = int(self.region.max()) + 1

    def run(self, longitude: Floats, latitude: Floats) -> Ints:
        """The run of pure cells that each position lies in: (n,) int32, or ``EDGE``.

        A NaN counts as beyond all edges.
        """
        column = self._along(longitude, self._west, self._per_lon)
        row = self._along(latitude, self._south, self._per_lat)
        return self._cells[self._descend(column, row)]

    def _along(self, number: Floats, corner: float, per_deg: float) -> Longs:
        """Columns or rows (n,) of the finest level."""
        # ``_mark`` scales edges by the same powers of two, and such scaling is exact, so a position
        # and an edge agree on every cell border.
        finest = 1 << self._bits
        cells = (number - corner) * (per_deg * finest)
        # ``fmax`` takes the number of a number and a NaN.
        return np.fmin(np.fmax(cells, 0.0), ROOT * finest - 1.0).astype(np.int64)

    def _descend(self, column: Longs, row: Longs) -> Longs:
        """Place in ``_cells`` of the leaf that holds each cell of the finest level."""
        bits = self._bits
        place = (row >> bits) * ROOT + (column >> bits)
        rows: Rows = np.arange(len(place))
        value = self._cells[place]
        for start, fan in zip(self._starts[1:], self._fans[1:], strict=True):
            bits -= fan.bit_length() - 1
            deeper = np.flatnonzero(value <= _CHILD)
            if not deeper.size:
                break
            rows = rows[deeper]
            block = _CHILD - value[deeper].astype(np.int64)
            inner_row = (row[rows] >> bits) & (fan - 1)
            inner = (block * fan + inner_row) * fan + ((column[rows] >> bits) & (fan - 1))
            place[rows] = start + inner
            value = self._cells[place[rows]]
        return place

    def _build(self, edges: Floats) -> None:
        """Cut as deep as memory allows; ``edges``: (4, m) in root cells from the grid's corner."""
        self._mark(edges)
        while True:
            start = self._starts[-1]
            touched = np.flatnonzero(self._cells[start:] == EDGE) + start
            fan = self._next_fan(len(touched))
            if not fan:
                return
            self._cells[touched] = _CHILD - np.arange(len(touched), dtype=np.int32)
            self._starts.append(len(self._cells))
            self._fans.append(fan)
            blocks = np.zeros(len(touched) * fan * fan, np.int32)
            self._cells = np.concatenate((self._cells, blocks))
            self._bits += fan.bit_length() - 1
            self._mark(edges)

    def _next_fan(self, touched: int) -> int:
        """Into how many rows and columns to cut the touched cells next; 0 = not at all."""
        side = 1 << self._bits
        if touched < MIN_EDGE_SHARE * (ROOT * side) ** 2:
            return 0
        smallest = 1.0 / (max(self._per_lon, self._per_lat) * side)
        for fan in FANS:
            fits = len(self._cells) + touched * fan * fan <= MAX_CELLS
            if fits and smallest / fan >= MIN_CELL_DEG:
                return fan
        return 0

    def _mark(self, edges: Floats) -> None:
        """Mark the cells of the finest level that edges touch."""
        for begin in range(0, edges.shape[1], _EDGES_AT_ONCE):
            batch = edges[:, begin : begin + _EDGES_AT_ONCE] * (1 << self._bits)
            for column, row in _touched(batch):
                self._cells[self._descend(column, row)] = EDGE

    def _number_runs(self) -> Ints:
        """Write the number of its run into every pure cell; returns the runs' regions."""
        runs = 0
        above: list[Ints] = []
        ends = [*self._starts[1:], len(self._cells)]
        for start, end, fan in zip(self._starts, ends, self._fans, strict=True):
            level = self._cells[start:end].reshape(-1, fan)
            pure = level == 0
            first = pure.copy()
            first[:, 1:] &= ~pure[:, :-1]
            number = np.cumsum(first, dtype=np.int32).reshape(level.shape)
            level[pure] = number[pure] + np.int32(runs - 1)
            above.append(_run_above(level.reshape(-1, fan, fan), runs, int(number[-1, -1])))
            runs += int(number[-1, -1])
        region = np.concatenate((*above, np.array([runs], np.int32)))
        # Each run points to one above it in its block; jumping twice as far each time reaches the
        # top of the highest block.
        for _ in range(max(self._fans).bit_length()):
            region = region[region]
        top = region == np.arange(len(region))
        return (np.cumsum(top, dtype=np.int32) - np.int32(1))[region]


def _run_above(level: Ints, first: int, count: int) -> Ints:
    """For each run of a level (count,) one that touches it in the row above, else itself.

    ``level``: (blocks, rows, columns) numbers of runs from ``first`` on, or less than 0.
    """
    above = np.arange(first, first + count, dtype=np.int32)
    upper, lower = level[:, :-1], level[:, 1:]
    joined = (upper >= 0) & (lower >= 0)
    above[lower[joined] - first] = upper[joined]
    return above


def _touched(edges: Floats) -> Iterator[tuple[Longs, Longs]]:
    """Columns and rows of all cells that edges touch, in batches; a cell may come repeatedly.

    ``edges``: (4, m), in cells. Most edges of small zones lie in one cell; for the others, in each
    column of cells, the stretch of the edge inside the column gives the rows.
    """
    u0, v0, u1, v1 = edges
    west, east = _floor(np.minimum(u0, u1) - _NEAR), _floor(np.maximum(u0, u1) + _NEAR)
    south, north = _floor(np.minimum(v0, v1) - _NEAR), _floor(np.maximum(v0, v1) + _NEAR)
    within_one = (west == east) & (south == north)
    yield west[within_one], south[within_one]

    wide = np.flatnonzero(~within_one)
    first, count = west[wide], (east - west)[wide] + 1
    # Batches by the number of columns, as one edge may pass through very many.
    batch = np.cumsum(count) // _COLUMNS_AT_ONCE
    for begin, end in pairwise([*np.flatnonzero(np.diff(batch, prepend=-1)), len(wide)]):
        columns = count[begin:end]
        column = np.repeat(first[begin:end], columns) + counted(columns)
        lowest, highest = _crossed_rows(edges[:, np.repeat(wide[begin:end], columns)], column)
        span = highest - lowest + 1
        row = np.repeat(lowest, span) + counted(span)
        yield np.repeat(column, span), row


def _crossed_rows(edges: Floats, column: Longs) -> tuple[Longs, Longs]:
    """The lowest and highest row in which each edge (4, k) passes through its column (k,)."""
    u0, v0, u1, v1 = edges
    width = u1 - u0
    # Where along the edge (0 to 1) it enters and leaves the column. A nearly upright edge divides
    # by next to nothing: infinities and the limits 0 and 1 then take in its whole length.
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        a = (column - _NEAR - u0) / width
        b = (column + 1 + _NEAR - u0) / width
    upright = width == 0.0
    a[upright], b[upright] = 0.0, 1.0
    at_a = v0 + np.clip(a, 0.0, 1.0) * (v1 - v0)
    at_b = v0 + np.clip(b, 0.0, 1.0) * (v1 - v0)
    return _floor(np.minimum(at_a, at_b) - _NEAR), _floor(np.maximum(at_a, at_b) + _NEAR)


def _floor(cells: Floats) -> Longs:
    return np.floor(cells).astype(np.int64)


def counted(count: Longs) -> Longs:
    """0, 1, ... count[0]-1, 0, 1, ... count[1]-1, and so on."""
    end = np.cumsum(count)
    return np.arange(int(end[-1]) if len(end) else 0) - np.repeat(end - count, count)
