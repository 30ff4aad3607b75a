"""Which kind of file an elevation model is."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from connectors.contract import SettingsError
from connectors.terrain.described import open_described
from connectors.terrain.geotiff import open_geotiff
from connectors.terrain.raw import open_raw
from schemas.raster import GeoreferenceError, Raster

_KINDS: Final[Mapping[str, Callable[[Path], Raster]]] = MappingProxyType(
    {
        ".tif": open_geotiff,
        ".tiff": open_geotiff,
        ".vrt": open_geotiff,
        ".json": open_described,
        ".bil": open_raw,
        ".flt": open_raw,
        ".raw": open_raw,
        ".dem": open_raw,
    }
)


def open_terrain(path: Path) -> Raster:
    """The elevation model in a file; heights are read when asked for, a window at a time.

    Raises:
        SettingsError: it cannot be read, or nobody can know where its pixels lie.
    """
    kind = _KINDS.get(path.suffix.lower())
    if kind is None:
        known = ", ".join(f"`{suffix}`" for suffix in _KINDS)
        raise SettingsError(f"terrain `{path}`: is no elevation model by its name; give {known}")
    if not path.is_file():
        raise SettingsError(f"terrain `{path}`: no such file; check the path")
    raster = kind(path)
    try:
        _ = raster.georeference.body
    except GeoreferenceError as exc:
        raise SettingsError(
            f"terrain `{path}`: {exc}; give the file the coordinate system of its body"
        ) from exc
    if min(raster.shape) < 3:
        rows, columns = raster.shape
        raise SettingsError(
            f"terrain `{path}`: {columns} x {rows} cells are too few; give 3 x 3 at least"
        )
    return raster
