"""The shape of the ground from a grid of heights: slope, aspect, roughness, steps, light.

Grids are (rows, columns) of heights in m, rows going down the image; NaN = not known, and what
needs an unknown height is unknown. Each answer is on the grid without its outermost ring, so it is
two rows and two columns smaller than what it is made from.

``steps_m``: (4, rows - 2, columns - 2) metres on the ground, east and north of one step along
columns, then of one along rows, at the cells of the answer or broadcastable to them
(``schemas.raster``): so slopes are true whatever the projection, and aspects are from north.
"""

import numpy as np

from schemas.frame import Floats


def gradient(height_m: Floats, steps_m: Floats) -> tuple[Floats, Floats]:
    """Rise eastward and northward in m per m.

    By the third-order finite difference of Horn, "Hill shading and the reflectance map", Proc.
    IEEE 69 (1981) 14-47: the eight neighbours, those beside counting twice.
    """
    z = height_m
    along_columns = _summed(z[:, 2:] - z[:, :-2]) / 8.0
    along_rows = _summed((z[2:] - z[:-2]).T).T / 8.0
    column_east, column_north, row_east, row_north = steps_m
    # The rise along each step is the gradient's part along it: two equations a cell.
    det = column_east * row_north - column_north * row_east
    east = (along_columns * row_north - along_rows * column_north) / det
    north = (along_rows * column_east - along_columns * row_east) / det
    return east, north


def _summed(step: Floats) -> Floats:
    """(rows - 2, columns) of (rows, columns): each row with its neighbours, itself twice."""
    out: Floats = step[:-2] + 2.0 * step[1:-1] + step[2:]
    return out


def slope_deg(east: Floats, north: Floats) -> Floats:
    """The angle of the ground against the level, deg, from its gradient."""
    slope: Floats = np.degrees(np.arctan(np.hypot(east, north)))
    return slope


def aspect_deg(east: Floats, north: Floats) -> Floats:
    """Whither the ground falls, deg in [0, 360) clockwise from north; NaN where it is level."""
    aspect = np.mod(np.degrees(np.arctan2(-east, -north)), 360.0)
    # -1e-16 modulo 360 is 360.
    aspect = np.where(aspect >= 360.0, 0.0, aspect)
    return np.where((east == 0.0) & (north == 0.0), np.nan, aspect)


def roughness_m(height_m: Floats) -> Floats:
    """How far nine cells lie from the plane that fits them best, root mean square, m.

    The residual of a plane, so that an even slope is not rough: the measure of Goldberg, Maimone
    and Matthies, "Stereo vision and rover navigation software for planetary exploration" (IEEE
    Aerospace Conf. 2002), section 3.2, on three by three cells.
    """
    nine = _neighbourhood(height_m)
    mean = nine.mean(axis=0)
    along = (_added(nine, (2, 5, 8)) - _added(nine, (0, 3, 6))) / 6.0
    down = (_added(nine, (6, 7, 8)) - _added(nine, (0, 1, 2))) / 6.0
    total = np.square(nine - mean).sum(axis=0)
    residual = np.maximum(total - 6.0 * (np.square(along) + np.square(down)), 0.0)
    rough: Floats = np.sqrt(residual / 9.0)
    return rough


def step_m(height_m: Floats) -> Floats:
    """The greatest difference of height between a cell and one of its eight neighbours, m."""
    step: Floats = np.abs(_neighbourhood(height_m)).max(axis=0)
    return step


def illumination(
    east: Floats, north: Floats, sun_azimuth_deg: Floats, sun_elevation_deg: Floats
) -> Floats:
    """The share of the sun's light that falls on the ground: the cosine of its angle to the normal.

    0 where the sun is below the horizon or behind the slope; shadows of ground farther away are
    not in it. ``sun_azimuth_deg`` clockwise from north. All broadcast.
    """
    azimuth, elevation = np.radians(sun_azimuth_deg), np.radians(sun_elevation_deg)
    toward = np.cos(elevation) * (-east * np.sin(azimuth) - north * np.cos(azimuth))
    cosine = (toward + np.sin(elevation)) / np.sqrt(1.0 + np.square(east) + np.square(north))
    lit = np.where(elevation > 0.0, np.maximum(cosine, 0.0), 0.0)
    return np.where(np.isnan(cosine), np.nan, lit)


def _neighbourhood(height_m: Floats) -> Floats:
    """(9, rows - 2, columns - 2) heights of each cell's three by three above its own, by rows."""
    z, (rows, columns) = height_m, height_m.shape
    nine = np.stack([z[r : rows - 2 + r, c : columns - 2 + c] for r in range(3) for c in range(3)])
    nine -= nine[4].copy()
    return nine


def _added(nine: Floats, places: tuple[int, ...]) -> Floats:
    out: Floats = nine[places[0]] + nine[places[1]] + nine[places[2]]
    return out
