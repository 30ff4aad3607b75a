"""Raw heights with a world file: ``NAME.bil`` (``.flt``, ``.raw``, ``.dem``) and texts beside it.

- ``NAME.hdr``: ``NROWS``, ``NCOLS``, ``NBITS`` (8, 16, 32, 64), ``PIXELTYPE`` (``FLOAT``,
  ``SIGNEDINT``, ``UNSIGNEDINT``), ``BYTEORDER`` (``I`` or ``LSBFIRST``, ``M`` or ``MSBFIRST``),
  ``NODATA``, ``SKIPBYTES``: ESRI's header, a word and its value a line. A ``.flt`` without
  ``NBITS`` is 32-bit floating point.
- the world file, ``NAME.wld`` or by ESRI's custom (``.blw`` of ``.bil``, ``.ftw``, ``.rww``,
  ``.dmw``): six numbers, A D B E C F, the position of a pixel centre being
  x = A column + B row + C, y = D column + E row + F.
- ``NAME.prj``: the coordinate system in WKT; without it degrees on WGS 84.

One band, rows from the top. The file is mapped into memory, of which the system keeps what is read.
"""

import re
from math import isfinite
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS
from pyproj.exceptions import CRSError

from connectors.contract import SettingsError
from schemas.frame import Floats
from schemas.raster import Affine, Georeference

_TYPES: Final = {"FLOAT": "f", "SIGNEDINT": "i", "UNSIGNEDINT": "u"}
_ORDERS: Final = {"I": "<", "LSBFIRST": "<", "INTEL": "<", "M": ">", "MSBFIRST": ">"}
_WHOLE: Final = re.compile("[0-9]{1,18}")
_MOST_TEXT: Final = 1_000_000


class RawRaster:
    """Heights mapped from a file: value times ``scale`` plus ``offset``, ``nodata`` is NaN."""

    def __init__(
        self,
        path: Path,
        values: NDArray[np.generic],
        georeference: Georeference,
        *,
        nodata: float | None = None,
        scale: float = 1.0,
        offset: float = 0.0,
    ) -> None:
        self.name = str(path)
        self.georeference = georeference
        self.shape: tuple[int, int] = values.shape
        self._values, self._nodata = values, nodata
        self._scale, self._offset = scale, offset

    def read(self, row: int, column: int, rows: int, columns: int) -> Floats:
        """(rows, columns) heights of a window, m."""
        found = np.asarray(self._values[row : row + rows, column : column + columns], np.float64)
        heights = found * self._scale + self._offset
        if self._nodata is not None:
            heights = np.where(found == self._nodata, np.nan, heights)
        return heights


def open_raw(path: Path) -> RawRaster:
    """The file, mapped; raises SettingsError where a text beside it lacks or does not fit."""
    header = _header(path)
    kind = _TYPES.get(header.get("PIXELTYPE", "FLOAT" if _is_float(path, header) else "SIGNEDINT"))
    order = _ORDERS.get(header.get("BYTEORDER", "I").upper())
    if kind is None or order is None:
        raise _wrong(path, "its header names an unknown PIXELTYPE or BYTEORDER")
    rows, columns = (_whole(path, header, name) for name in ("NROWS", "NCOLS"))
    bits = _whole(path, header, "NBITS", 32 if kind == "f" else 8)
    if header.get("NBANDS", "1") != "1" or bits not in (8, 16, 32, 64) or (kind, bits) == ("f", 8):
        raise _wrong(path, f"one band of 8, 16, 32 or 64 bits is read, not {bits} of {kind}")
    values = mapped(
        path, f"{order}{kind}{bits // 8}", (rows, columns), _whole(path, header, "SKIPBYTES", 0)
    )
    return RawRaster(
        path,
        values,
        Georeference(_crs(path), _world(path)),
        nodata=_nodata(path, header),
    )


def mapped(path: Path, kind: str, shape: tuple[int, int], skip: int = 0) -> NDArray[np.generic]:
    """The values of a file as ``shape``; raises SettingsError where its size is another."""
    wanted = skip + shape[0] * shape[1] * np.dtype(kind).itemsize
    try:
        size = path.stat().st_size
        if size != wanted or min(shape) < 1:
            raise _wrong(path, f"has {size} bytes where {shape[1]} x {shape[0]} take {wanted}")
        return np.memmap(path, dtype=kind, mode="r", offset=skip, shape=shape)
    except OSError as exc:
        raise _wrong(path, f"cannot be read ({exc.strerror})") from exc


def _is_float(path: Path, header: dict[str, str]) -> bool:
    return path.suffix.lower() == ".flt" and "NBITS" not in header


def _header(path: Path) -> dict[str, str]:
    words = [line.split() for line in _text(path, ".hdr").splitlines()]
    return {pair[0].upper(): pair[1] for pair in words if len(pair) >= 2}


def _whole(path: Path, header: dict[str, str], name: str, absent: int | None = None) -> int:
    value = header.get(name)
    if value is None and absent is not None:
        return absent
    if value is None or _WHOLE.fullmatch(value) is None:
        raise _wrong(path, f"its header (.hdr) has no whole number {name}")
    return int(value)


def _nodata(path: Path, header: dict[str, str]) -> float | None:
    value = header.get("NODATA", header.get("NODATA_VALUE"))
    try:
        return None if value is None else float(value)
    except ValueError as exc:
        raise _wrong(path, "its header (.hdr) has no number NODATA") from exc


def _world(path: Path) -> Affine:
    suffix = path.suffix.lower()
    custom = f".{suffix[1]}{suffix[-1]}w"
    for name in (".wld", custom, f"{suffix}w"):
        if path.with_suffix(name).is_file():
            try:
                a, d, b, e, c, f = map(float, _text(path, name).split())
            except ValueError as exc:
                raise _wrong(path, f"its world file ({name}) is not six numbers") from exc
            if not all(map(isfinite, (a, b, c, d, e, f))):
                raise _wrong(path, f"its world file ({name}) is not finite")
            if a * e == b * d:
                raise _wrong(path, f"its world file ({name}) makes all pixels one line")
            return a, b, c, d, e, f
    raise _wrong(path, f"has no world file (.wld or {custom}) beside it")


def _crs(path: Path) -> CRS:
    if not path.with_suffix(".prj").is_file():
        return CRS.from_epsg(4326)
    try:
        return CRS.from_user_input(_text(path, ".prj").strip())
    except CRSError as exc:
        raise _wrong(path, "its coordinate system (.prj) cannot be read") from exc


def _text(path: Path, suffix: str) -> str:
    beside = path.with_suffix(suffix)
    try:
        with beside.open("rb") as file:
            return file.read(_MOST_TEXT).decode("utf-8", "replace")
    except OSError as exc:
        raise _wrong(path, f"its {suffix} file cannot be read ({exc.strerror})") from exc


def _wrong(path: Path, what: str) -> SettingsError:
    return SettingsError(f"terrain `{path}`: {what}; mend the files beside it")
