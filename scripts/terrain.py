"""`farwatch terrain map`: an elevation model as a hazard map, GeoTIFF and PNG."""

from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import typer
from numpy.typing import NDArray

from connectors.contract import SettingsError
from connectors.paths import check_folder
from connectors.terrain import open_terrain
from rules.terrain.ground import Ground
from rules.terrain.layers import HAZARD_LAYERS, strips
from schemas.frame import Floats
from schemas.hazard_profile import Vehicle
from schemas.raster import Raster
from scripts.exits import err, exits
from scripts.report.png import write_png

terrain_app = typer.Typer(help="Elevation models.", no_args_is_help=True)

_MOST_PIXELS: Final = 2048
# What share of the limits is reached, and the colour there: green, yellow, orange, red, dark red.
_SHARES: Final = np.array([0.0, 0.35, 0.7, 1.0, 1.5])
_COLOURS: Final = np.array(
    [(26, 122, 76), (170, 190, 60), (240, 170, 40), (206, 60, 40), (100, 14, 30)], np.float64
)


@terrain_app.callback()
def _terrain() -> None:
    """Elevation models."""


@terrain_app.command("map")
@exits
def map_(  # noqa: PLR0913 (the options of the command)
    dem: Annotated[Path, typer.Argument(help="GeoTIFF, raw heights or a descriptor.")],
    *,
    out: Annotated[Path, typer.Option(help="Folder for the map.")],
    max_slope_deg: Annotated[
        float, typer.Option(min=0.1, max=89, help="Slope that is at the limit.")
    ] = 25.0,
    max_step_m: Annotated[float, typer.Option(min=0.001, help="Step at the limit.")] = 0.4,
    sun_azimuth_deg: Annotated[float, typer.Option(help="From north, clockwise.")] = 315.0,
    sun_elevation_deg: Annotated[float, typer.Option(help="Above the horizon.")] = 45.0,
    memory_mb: Annotated[float, typer.Option(min=1, help="For what is kept of the model.")] = 256.0,
) -> None:
    """Write NAME-hazard.tif (a band a layer) and NAME-hazard.png of an elevation model."""
    raster = open_terrain(dem)
    check_folder(f"--out {out}", out)
    out.mkdir(parents=True, exist_ok=True)
    target = out / f"{dem.stem}-hazard.tif"
    ground = Ground(raster, round(memory_mb * 1e6))
    if ground.cell_m > (most_m := Vehicle().max_cell_m):
        err.print(
            f"warning: {dem}: cells of {ground.cell_m:g} m, above {most_m:g} m: slopes and steps"
            " between them are not what a vehicle stands on; map a finer model",
            highlight=False,
            soft_wrap=True,
        )
    seen = _Seen(raster.shape)
    with _opened(target, raster) as file:
        parts = strips(ground, max_slope_deg, max_step_m, sun_azimuth_deg, sun_elevation_deg)
        for first, strip in parts:
            _write(file, first, strip)
            seen.add(first, strip)
    picture = out / f"{dem.stem}-hazard.png"
    write_png(picture, seen.pixels())
    err.print(f"{target}: {', '.join(HAZARD_LAYERS)}", highlight=False, soft_wrap=True)
    err.print(f"{picture}: {seen.told(max_slope_deg, max_step_m)}", highlight=False, soft_wrap=True)


class _Seen:
    """The picture as it grows: every n-th cell, coloured by hazard over the shaded ground."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self._every = -(-max(shape) // _MOST_PIXELS)
        self._lines: list[NDArray[np.uint8]] = []
        self._above = self._known = 0

    def add(self, first: int, strip: Floats) -> None:
        hazard = strip[HAZARD_LAYERS.index("hazard")]
        self._known += int(np.isfinite(hazard).sum())
        self._above += int((hazard > 1.0).sum())
        begin = -first % self._every
        light = strip[HAZARD_LAYERS.index("illumination"), begin :: self._every, :: self._every]
        self._lines.append(_coloured(hazard[begin :: self._every, :: self._every], light))

    def pixels(self) -> NDArray[np.uint8]:
        """(rows, columns, 4) red, green, blue, opacity."""
        return np.concatenate(self._lines)

    def told(self, max_slope_deg: float, max_step_m: float) -> str:
        """What share of the ground is above the limits."""
        if not self._known:
            return "no slope is known anywhere"
        share = 100.0 * self._above / self._known
        return f"{share:.1f} % above {max_slope_deg:g} degrees or steps of {max_step_m:g} m"


def _coloured(hazard: Floats, light: Floats) -> NDArray[np.uint8]:
    known = np.isfinite(hazard)
    share = np.where(known, hazard, 0.0)
    channels = [np.interp(share, _SHARES, channel) for channel in _COLOURS.T]
    lit = 0.35 + 0.9 * np.where(known, np.nan_to_num(light), 0.0)
    colour = np.clip(np.stack(channels, axis=-1) * lit[..., None], 0, 255)
    opacity = np.where(known, 255.0, 0.0)
    pixels: NDArray[np.uint8] = np.concatenate([colour, opacity[..., None]], -1).astype(np.uint8)
    return pixels


def _opened(target: Path, raster: Raster) -> Any:  # a file of rasterio, which has no types
    try:
        import rasterio  # noqa: PLC0415 (an extra: imported where it is needed)
    except ImportError as exc:
        raise SettingsError(
            "terrain map: rasterio is not installed; pip install farwatch[terrain]"
        ) from exc
    rows, columns = raster.shape
    a, b, c, d, e, f = raster.georeference.affine
    # GDAL's transform is of pixel corners.
    corner = rasterio.Affine(a, b, c - (a + b) / 2.0, d, e, f - (d + e) / 2.0)
    file = rasterio.open(
        target,
        "w",
        driver="GTiff",
        width=columns,
        height=rows,
        count=len(HAZARD_LAYERS),
        dtype="float32",
        nodata=float("nan"),
        crs=raster.georeference.crs.to_wkt("WKT1_GDAL"),
        transform=corner,
        compress="deflate",
        tiled=True,
        BIGTIFF="IF_SAFER",
    )
    file.descriptions = HAZARD_LAYERS
    return file


def _write(file: Any, first: int, strip: Floats) -> None:
    from rasterio.windows import Window  # noqa: PLC0415

    file.write(strip.astype(np.float32), window=Window(0, first, strip.shape[2], strip.shape[1]))
