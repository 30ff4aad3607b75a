"""GeoTIFF and whatever else GDAL reads, by rasterio, which is not in the core install."""

from pathlib import Path
from typing import Any

import numpy as np
from pyproj import CRS
from pyproj.exceptions import CRSError

from connectors.contract import ConnectorError, SettingsError
from schemas.frame import Floats
from schemas.raster import Georeference


class GeoTiff:
    """The first band of a file; scale and offset are applied, what the mask hides is NaN."""

    def __init__(self, path: Path, opened: Any, georeference: Georeference) -> None:
        self.name = str(path)
        self.georeference = georeference
        self._file = opened
        self._scale, self._offset = opened.scales[0], opened.offsets[0]
        self.shape: tuple[int, int] = opened.height, opened.width

    def read(self, row: int, column: int, rows: int, columns: int) -> Floats:
        """(rows, columns) heights of a window, m."""
        from rasterio.errors import RasterioIOError  # noqa: PLC0415 (an extra)
        from rasterio.windows import Window  # noqa: PLC0415

        window = Window(column, row, columns, rows)
        try:
            found = self._file.read(1, window=window, masked=True)
        except RasterioIOError as exc:
            raise ConnectorError(f"terrain `{self.name}`: cannot be read: {exc}") from exc
        values = np.ma.filled(found.astype(np.float64), np.nan)
        heights: Floats = values * self._scale + self._offset
        return heights


def open_geotiff(path: Path) -> GeoTiff:
    """The file, opened; nothing but its header is read.

    Raises:
        SettingsError: rasterio is not there, or the file is no raster with a place on a body.
    """
    try:
        import rasterio  # noqa: PLC0415 (an extra: imported where it is needed)
        from rasterio.errors import RasterioIOError  # noqa: PLC0415
    except ImportError as exc:
        raise SettingsError(
            f"terrain `{path}`: rasterio is not installed; pip install farwatch[terrain]"
        ) from exc
    try:
        opened = rasterio.open(path)
    except RasterioIOError as exc:
        raise SettingsError(f"terrain `{path}`: is no raster: {exc}; give a GeoTIFF") from exc
    if opened.crs is None or opened.transform.is_identity:
        raise SettingsError(
            f"terrain `{path}`: says not where it lies; give a GeoTIFF with a coordinate system"
        )
    corner = opened.transform
    # GDAL's transform is of pixel corners.
    affine = (
        *(corner.a, corner.b, corner.c + (corner.a + corner.b) / 2.0),
        *(corner.d, corner.e, corner.f + (corner.d + corner.e) / 2.0),
    )
    try:
        crs = CRS.from_wkt(opened.crs.to_wkt())
    except CRSError as exc:
        raise SettingsError(
            f"terrain `{path}`: its coordinate system cannot be read: {exc}"
        ) from exc
    return GeoTiff(path, opened, Georeference(crs, affine))
