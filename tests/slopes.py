"""Elevation models with a known shape, for tests."""

from collections.abc import Callable

import numpy as np
from pyproj import CRS

from rules.terrain.ground import Ground, Terrain
from schemas.frame import Floats
from schemas.raster import Georeference


class MadeRaster:
    """Heights that are a function of metres east and north of the middle of a raster."""

    name = "made"

    def __init__(
        self,
        height: Callable[[Floats, Floats], Floats],
        shape: tuple[int, int] = (400, 500),
        georeference: Georeference | None = None,
        hole: tuple[int, int] | None = None,
    ) -> None:
        self.shape = shape
        self.georeference = georeference or near_equator(shape)
        self.reads: list[tuple[int, int, int, int]] = []
        column, row = np.meshgrid(np.arange(shape[1]), np.arange(shape[0]))
        self.heights = height(column - shape[1] // 2, shape[0] // 2 - row)
        if hole is not None:
            self.heights[hole] = np.nan

    def read(self, row: int, column: int, rows: int, columns: int) -> Floats:
        self.reads.append((row, column, rows, columns))
        return self.heights[row : row + rows, column : column + columns]


def near_equator(shape: tuple[int, int], cell_m: float = 1.0, body_m: float = 6_378_137.0):
    """Square cells in metres about longitude and latitude 0."""
    crs = CRS.from_proj4(f"+proj=eqc +R={body_m} +units=m")
    rows, columns = shape
    affine = (cell_m, 0.0, -cell_m * (columns // 2), 0.0, -cell_m, cell_m * (rows // 2))
    return Georeference(crs, affine)


SLOPES = Terrain([Ground(MadeRaster(lambda x, y: 5.0 * np.sin(x / 7.0) + 3.0 * np.cos(y / 9.0)))])
"""Hills some metres high around 0, 0 on Earth, 500 m by 400 m."""
