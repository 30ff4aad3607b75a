"""Shaded relief from an elevation grid, as a PNG small enough to lie in a page."""

from base64 import b64encode
from struct import pack
from typing import Final
from zlib import compress, crc32

import numpy as np
from numpy.typing import NDArray

from schemas.frame import Floats
from scripts.report.data import Relief
from scripts.report.markup import Markup
from scripts.report.projection import Bounds, metres_per_degree

_SUN_AZIMUTH: Final = np.radians(315.0)
_SUN_ALTITUDE: Final = np.radians(45.0)
_MOST_PIXELS: Final = 512


def hillshade(elevation_m: Floats, bounds: Bounds, body: str) -> Relief:
    """The relief lit from the north-west, 45 deg high (Horn 1981, Proc. IEEE 69(1)).

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
        png=_png(grey, np.where(known, 255, 0).astype(np.uint8)),
        west=bounds.west,
        south=bounds.south,
        east=bounds.east,
        north=bounds.north,
    )


def data_url(relief: Relief) -> Markup:
    """The image as a ``data:`` address."""
    return Markup("data:image/png;base64," + b64encode(relief.png).decode("ascii"))


def _png(grey: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> bytes:
    """Grey with alpha, 8 bits each, (rows, columns) (PNG, 3rd edition, colour type 4)."""
    rows, columns = grey.shape
    # A scan line is its filter (0, none), then grey and alpha of each pixel in turn.
    lines = np.zeros((rows, 1 + 2 * columns), dtype=np.uint8)
    lines[:, 1::2] = grey
    lines[:, 2::2] = alpha
    header = pack(">IIBBBBB", columns, rows, 8, 4, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", compress(lines.tobytes(), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        pack(">I", len(body)) + name + body + pack(">I", crc32(name + body)) for name, body in parts
    )
