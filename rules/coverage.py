"""Where any of many boxes lies, at a glance: most ways are far from every edge."""

from typing import Final

import numpy as np

from schemas.frame import Bools, Floats, Rows

CELLS: Final = 512
"""Cells of the raster each way: 1 MB."""


class Coverage:
    """Tells of a box that it meets none of many others, without looking at any of them.

    ``low``, ``high``: (n, 2) their corners, n > 0. The raster spans them all. Which cells a box
    touches follows from its bounds by steps that keep their order, whatever the rounding: boxes
    that meet touch a common cell. How many covered cells a stretch of the raster holds follows from
    its four corners, as in a summed-area table (Crow, SIGGRAPH 1984).
    """

    def __init__(self, low: Floats, high: Floats) -> None:
        self._origin = low.min(axis=0)
        span = high.max(axis=0) - self._origin
        # Boxes that are all one point, or nearly, have a raster too: of cells no smaller than this.
        self._cells_per_deg = CELLS / np.maximum(span, 1e-9)
        # +1 where a box begins and -1 behind its end, summed up both ways: boxes on each cell.
        (x0, y0), (x1, y1) = self._cells(low).T, self._cells(high).T + 1
        corners = zip((x0, x1, x0, x1), (y0, y1, y1, y0), (1, 1, -1, -1), strict=True)
        steps = np.zeros((CELLS + 1, CELLS + 1), np.int32)
        for x, y, step in corners:
            np.add.at(steps, (x, y), step)
        boxes = steps.cumsum(axis=0).cumsum(axis=1)
        # (CELLS + 1, CELLS + 1): covered cells west of a column and south of a row.
        self._covered = np.zeros((CELLS + 1, CELLS + 1), np.int32)
        self._covered[1:, 1:] = (boxes[:-1, :-1] > 0).cumsum(axis=0).cumsum(axis=1)

    def may_meet(self, low: Floats, high: Floats) -> Bools:
        """(m,) whether boxes with the corners (m, 2) may meet any of them."""
        (x0, y0), (x1, y1) = self._cells(low).T, self._cells(high).T + 1
        covered = self._covered
        meets: Bools = covered[x1, y1] - covered[x0, y1] - covered[x1, y0] + covered[x0, y0] > 0
        return meets

    def _cells(self, place: Floats) -> Rows:
        """(m, 2) the cells of places; those beyond the raster have its outermost."""
        cells = (place - self._origin) * self._cells_per_deg
        cell: Rows = np.clip(cells, 0, CELLS - 1).astype(np.intp)
        return cell
