"""Shaded relief from an elevation grid, as a PNG small enough to lie in a page."""

from base64 import b64encode
from pathlib import Path
from typing import Annotated, Final

import numpy as np
from pydantic import Field

from connectors.contract import SettingsError
from connectors.terrain.described import Descriptor, read_descriptor
from rules.terrain.ground import Ground
from schemas.frame import BODIES, Floats
from scripts.report.data import Relief
from scripts.report.markup import Markup
from scripts.report.png import png
from scripts.report.projection import Bounds, metres_per_degree

_SUN_AZIMUTH: Final = np.radians(315.0)
_SUN_ALTITUDE: Final = np.radians(45.0)
_MOST_PIXELS: Final = 512
_SHOWN_SLOPE: Final = np.tan(np.radians(15.0))
_MOST_EXAGGERATION: Final = 10.0

_Side = Annotated[int, Field(ge=2, le=16_384)]


class _Descriptor(Descriptor):
    """One of a grid that is read as a whole."""

    width: _Side
    height: _Side


def read_relief(path: Path | None) -> Relief | None:
    """The shaded relief of an elevation grid as of ``connectors.terrain.described``.

    Raises:
        SettingsError: its descriptor or its elevations are wrong.
    """
    if path is None:
        return None
    found = read_descriptor(path, "--relief", _Descriptor)
    box = found.box
    bounds = Bounds(west=box.west, south=box.south, east=box.east, north=box.north)
    return hillshade(_elevations(path.with_suffix(".bin"), found), bounds, found.body)


def relief_under(ground: Ground, window: Bounds) -> Relief | None:
    """The shaded relief of an elevation model in a window, None where it knows nothing there.

    Drawn with at most 512 pixels a side, whatever the model's cells and projection are.
    """
    edge = _edge(ground)
    west, east = max(window.west, edge.west), min(window.east, edge.east)
    south, north = max(window.south, edge.south), min(window.north, edge.north)
    if west >= east or south >= north:
        return None
    body = BODIES[ground.body]
    east_m, north_m = metres_per_degree(body, (south + north) / 2.0)
    sides_m = (north - south) * north_m, (east - west) * east_m
    # No finer than the model, no more than the picture holds.
    step_m = max(ground.cell_m, max(sides_m) / _MOST_PIXELS)
    rows, columns = (max(round(side / step_m), 2) for side in sides_m)
    lat = north - (np.arange(rows) + 0.5) * (north - south) / rows
    lon = west + (np.arange(columns) + 0.5) * (east - west) / columns
    grid = ground.height_m(np.tile(lon, rows), np.repeat(lat, columns)).reshape(rows, columns)
    if np.isnan(grid).all():
        return None
    return hillshade(grid, Bounds(west=west, south=south, east=east, north=north), body)


def _edge(ground: Ground) -> Bounds:
    """The box that a model's edge lies in."""
    rows, columns = ground.tiles.raster.shape
    along = np.linspace(-0.5, 0.5, 65)
    column, row = (along + 0.5) * columns - 0.5, (along + 0.5) * rows - 0.5
    first, last = np.full(65, -0.5), np.ones(65)
    lon, lat = ground.georeference.positions(
        np.concatenate([column, column, first, last * columns - 0.5]),
        np.concatenate([first, last * rows - 0.5, row, row]),
    )
    known = np.isfinite(lon) & np.isfinite(lat)
    lon, lat = lon[known], lat[known]
    return Bounds(
        west=float(lon.min()), south=float(lat.min()), east=float(lon.max()), north=float(lat.max())
    )


def _elevations(path: Path, descriptor: _Descriptor) -> Floats:
    """The grid in m, (rows, columns), row 0 in the north."""
    shape = (descriptor.height, descriptor.width)
    wanted = 2 * shape[0] * shape[1]
    try:
        size = path.stat().st_size
        raw = path.read_bytes() if size == wanted else b""
    except OSError as exc:
        what = f"cannot be read ({exc.strerror}); put the elevations beside their descriptor"
        raise SettingsError(f"--relief `{path}`: {what}") from exc
    if len(raw) != wanted:
        what = f"has {size} bytes where {shape[1]} x {shape[0]} uint16 take {wanted}"
        raise SettingsError(f"--relief `{path}`: {what}; take the grid that the descriptor is of")
    return descriptor.lowest_m + descriptor.step_m * np.frombuffer(raw, "<u2").reshape(shape)


def hillshade(elevation_m: Floats, bounds: Bounds, body: str) -> Relief:
    """The relief lit from the north-west, 45 deg high (Horn 1981, Proc. IEEE 69(1)).

    Where half of the ground is flatter than 15 deg the heights are exaggerated until it is not,
    at most ten times: a smooth crater floor would else be one grey.
    ``elevation_m``: (rows, columns) m, row 0 in the north, equal steps of longitude and latitude
    within ``bounds``, NaN = unknown (left transparent); at least 2 by 2. A grid of more than 512
    rows or columns is drawn with every n-th.
    """
    every = -(-max(elevation_m.shape) // _MOST_PIXELS)
    grid = elevation_m[::every, ::every]
    east_m, north_m = metres_per_degree(body, bounds.middle[1])
    row_m = (bounds.north - bounds.south) * north_m / grid.shape[0]
    column_m = (bounds.east - bounds.west) * east_m / grid.shape[1]
    southward, eastward = np.gradient(grid, row_m, column_m)
    exaggeration = _exaggeration(np.hypot(southward, eastward))
    southward, eastward = exaggeration * southward, exaggeration * eastward
    # The cosine of the angle between the sun and the normal (-dz/dx, -dz/dy, 1) of the surface,
    # x east and y north.
    toward_sun = np.cos(_SUN_ALTITUDE) * (
        -eastward * np.sin(_SUN_AZIMUTH) + southward * np.cos(_SUN_AZIMUTH)
    ) + np.sin(_SUN_ALTITUDE)
    light = np.clip(toward_sun / np.sqrt(1 + southward**2 + eastward**2), 0.0, 1.0)
    known = np.isfinite(light) & np.isfinite(grid)
    grey = np.where(known, np.rint(np.where(known, light, 0.0) * 255), 0).astype(np.uint8)
    return Relief(
        body=body,
        png=png(np.stack([grey, np.where(known, 255, 0).astype(np.uint8)], axis=-1)),
        west=bounds.west,
        south=bounds.south,
        east=bounds.east,
        north=bounds.north,
    )


def _exaggeration(slope: Floats) -> float:
    """How many times too high the ground is drawn; ``slope``: rise over run, NaN = unknown."""
    known = slope[np.isfinite(slope)]
    median = float(np.median(known)) if len(known) else 0.0
    return min(max(_SHOWN_SLOPE / median, 1.0), _MOST_EXAGGERATION) if median else 1.0


def data_url(relief: Relief) -> Markup:
    """The image as a ``data:`` address."""
    return Markup("data:image/png;base64," + b64encode(relief.png).decode("ascii"))
