"""Shaded relief from an elevation grid, as a PNG small enough to lie in a page."""

from base64 import b64encode
from pathlib import Path
from struct import pack
from typing import Annotated, Final, Literal, Self
from zlib import compress, crc32

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from connectors.contract import SettingsError
from schemas.frame import Floats
from scripts.report.data import Relief
from scripts.report.markup import Markup
from scripts.report.projection import Bounds, metres_per_degree

_SUN_AZIMUTH: Final = np.radians(315.0)
_SUN_ALTITUDE: Final = np.radians(45.0)
_MOST_PIXELS: Final = 512
_SHOWN_SLOPE: Final = np.tan(np.radians(15.0))
_MOST_EXAGGERATION: Final = 10.0
_STEPS: Final = 65_535

_Side = Annotated[int, Field(ge=2, le=16_384)]


class _Box(BaseModel):
    """The outer pixel edges, deg."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    west: float = Field(alias="minLon", ge=-360, le=360)
    south: float = Field(alias="minLat", ge=-90, le=90)
    east: float = Field(alias="maxLon", ge=-360, le=360)
    north: float = Field(alias="maxLat", ge=-90, le=90)

    @model_validator(mode="after")
    def _is_a_box(self) -> Self:
        if not (self.west < self.east <= self.west + 360 and self.south < self.north):
            raise ValueError("give minLon < maxLon and minLat < maxLat, at most one turn wide")
        return self


class _Descriptor(BaseModel):
    """What a raw elevation grid holds; elevations in m, further keys are let be."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    width: _Side
    height: _Side
    lowest_m: float = Field(alias="minElev")
    highest_m: float = Field(alias="maxElev")
    box: _Box = Field(alias="bbox")
    body: Literal["earth", "mars", "moon"] = "mars"

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.lowest_m > self.highest_m:
            raise ValueError("give minElev <= maxElev")
        return self


def read_relief(path: Path | None) -> Relief | None:
    """The shaded relief of an elevation grid: a JSON descriptor and raw elevations beside it.

    The descriptor has ``width``, ``height`` (pixels), ``minElev``, ``maxElev`` (m), ``bbox``
    (``minLon minLat maxLon maxLat``, deg) and ``body`` (default mars). The elevations lie in the
    file of the same name that ends in ``.bin``: little-endian uint16, rows from north to south,
    0 for ``minElev`` to 65535 for ``maxElev``. Raises SettingsError where either is not so.
    """
    if path is None:
        return None
    try:
        found = _Descriptor.model_validate_json(path.read_bytes())
    except OSError as exc:
        raise SettingsError(f"--relief `{path}`: cannot be read ({exc.strerror})") from exc
    except ValidationError as exc:
        raise SettingsError(f"--relief `{path}`: {_told(exc)}; mend the descriptor") from exc
    box = found.box
    bounds = Bounds(west=box.west, south=box.south, east=box.east, north=box.north)
    return hillshade(_elevations(path.with_suffix(".bin"), found), bounds, found.body)


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
    step_m = (descriptor.highest_m - descriptor.lowest_m) / _STEPS
    return descriptor.lowest_m + step_m * np.frombuffer(raw, "<u2").reshape(shape)


def _told(error: ValidationError) -> str:
    told = (
        (".".join(map(str, each["loc"])), each["msg"].removeprefix("Value error, "))
        for each in error.errors()
    )
    return "; ".join(f"`{key}`: {what}" if key else what for key, what in told)


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
        png=_png(grey, np.where(known, 255, 0).astype(np.uint8)),
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
