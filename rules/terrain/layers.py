"""Whole models as layers, a strip of rows at a time: what a hazard map is made of."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from rules.terrain.ground import Ground
from rules.terrain.surface import aspect_deg, illumination
from rules.terrain.tiles import EAST, LAYERS, NORTH, TILE
from schemas.frame import Floats

HAZARD_LAYERS: Final = (
    *("height_m", "slope_deg", "aspect_deg", "roughness_m", "step_m", "illumination", "hazard"),
)
"""What ``strips`` gives, in this order. ``hazard``: how much of its limits a cell reaches, 1 = at
the limit of slope or step."""


def strips(
    ground: Ground,
    max_slope_deg: float,
    max_step_m: float,
    sun_azimuth_deg: float,
    sun_elevation_deg: float,
) -> Iterator[tuple[int, Floats]]:
    """(first row, (layers, rows, columns)) of strips of a model from its first row to its last.

    Only one row of tiles need be held at a time.
    """
    rows, columns = ground.tiles.raster.shape
    all_layers = tuple(range(len(LAYERS)))
    azimuth, elevation = np.array(sun_azimuth_deg), np.array(sun_elevation_deg)
    for first in range(0, rows, TILE):
        count = min(TILE, rows - first)
        row, column = np.divmod(np.arange(count * columns), columns)
        found = ground.tiles.gather(all_layers, row + first, column)
        height, slope, rough, step, *_ = found
        east, north = found[EAST], found[NORTH]
        with np.errstate(invalid="ignore"):
            light = illumination(east, north, azimuth, elevation)
            aspect = aspect_deg(east, north)
        reached = np.maximum(slope / max_slope_deg, step / max_step_m)
        strip = np.stack([height, slope, aspect, rough, step, light, reached])
        yield first, strip.reshape(len(HAZARD_LAYERS), count, columns)
