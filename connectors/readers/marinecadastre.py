"""MarineCadastre AIS: vessel positions of US waters as CSV (hub.marinecadastre.gov).

One row a position report, with static data of the vessel repeated in each. Columns are found by
name in any order, in the spelling of 2015-2024 (``BaseDateTime``, ``LAT``, ``SOG``) or that of
2025 on (``base_date_time``, ``latitude``, ``sog``); names and call signs are left out.

AIS writes "not available" as a number (ITU-R M.1371-5, annex 8, table 48): position 91 / 181,
speed 102.3 kn, course 360, heading 511, dimensions and draught 0, status 15. These are absent in
the record, and so is the position 0, 0. Some years hold course and speed as signed numbers, though
the fields are unsigned of 12 and 10 bits in tenths: -60.6 degrees is 349.0, and -49.6 is 360,
"not available" (checked against headings of moving vessels: median difference 2 degrees so, 49
degrees when taken modulo 360).
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec

from connectors.readers.contract import Chunk, SourceFileError
from connectors.readers.rows import Position, Row, RowError, chunks, csv_rows, number
from connectors.readers.stored import StoredFile
from schemas.telemetry import shown

# Our name of a column -> its names in the file, lower case, without underscores.
_COLUMNS: Final = {
    "mmsi": ("mmsi",),
    "time": ("basedatetime",),
    "latitude": ("lat", "latitude"),
    "longitude": ("lon", "longitude"),
    "speed": ("sog",),
    "course": ("cog",),
    "heading": ("heading",),
}
_REQUIRED: Final = ("mmsi", "time", "latitude", "longitude")
# Sensor name -> (column in the file, the number that means "not available").
_SENSORS: Final = {
    "length_m": ("length", 0.0),
    "width_m": ("width", 0.0),
    "draft_m": ("draft", 0.0),
    "vessel_type": ("vesseltype", 0.0),
    "nav_status": ("status", 15.0),
}
_COURSE_RANGE_DEG: Final = 409.6
_SPEED_RANGE_KN: Final = 102.4


class _AisRecord(msgspec.Struct, omit_defaults=True):
    vessel_id: str
    timestamp: str
    kind: str
    latitude: float | None = None
    longitude: float | None = None
    speed_kn: float | None = None
    heading_deg: float | None = None
    sensors: dict[str, float] | None = None


class MarineCadastreReader:
    """Reads MarineCadastre AIS CSV; a vessel's id is ``mmsi:NUMBER``."""

    def read(self, path: Path, resume: object | None, rows: int) -> Iterator[Chunk]:
        """Chunks of ``rows`` rows."""
        with StoredFile(path) as file:
            start = _first_row(file) if resume is None else msgspec.convert(resume, Position)
            file.seek(start.offset)
            yield from chunks(file, _split, _AisRows(start.header), start, rows)


def _split(lines: Iterable[bytes]) -> Iterator[Row]:
    # Latin-1 never fails; the columns that are used are ASCII.
    return csv_rows(lines, ",", "latin-1")


def _plain(name: str) -> str:
    return name.strip().lower().replace("_", "")


def _header_names(header: bytes) -> list[str]:
    return [_plain(name) for name in header.decode("utf-8-sig", "replace").split(",")]


def _first_row(file: StoredFile) -> Position:
    header = next(file.lines(), b"")
    names = _header_names(header)
    missing = [n for n in _REQUIRED if not any(spelt in names for spelt in _COLUMNS[n])]
    if missing:
        raise SourceFileError(
            file.path,
            f"is no MarineCadastre AIS file: its first line names no column for {missing}",
            "check --format",
        )
    return Position(len(header), 2, header)


class _AisRows:
    """Rows under one header."""

    def __init__(self, header: bytes) -> None:
        self.header = header
        names = _header_names(header)
        self._width = len(names)
        self._at = {
            name: names.index(spelt)
            for name, spellings in _COLUMNS.items()
            for spelt in spellings
            if spelt in names
        }
        self._static = [
            (sensor, column, absent)
            for sensor, (column, absent) in _SENSORS.items()
            if column in names
        ]
        self._static_at = [names.index(column) for _, column, _ in self._static]
        # A vessel repeats its static data in each row, and rows of one second their time.
        self._static_sensors = lru_cache(maxsize=65536)(self._read_static)

    def record(self, row: Row) -> _AisRecord | None:
        values = row.values
        if not values:
            return None
        if len(values) != self._width:
            raise RowError(f"has {len(values)} values under a header of {self._width}")
        latitude, longitude = self._position(values)
        return _AisRecord(
            self._vessel_id(values),
            _timestamp(values[self._at["time"]]),
            "vessel",
            latitude,
            longitude,
            self._unsigned(values, "speed", _SPEED_RANGE_KN, 102.3),
            self._known(values, "heading", 511.0),
            self._sensor_values(values) or None,
        )

    def _vessel_id(self, values: list[str]) -> str:
        mmsi = values[self._at["mmsi"]].strip()
        if not mmsi.isdecimal():
            raise RowError(f"mmsi: {shown(mmsi)} is not a number of digits", "mmsi")
        return f"mmsi:{mmsi}"

    def _cell(self, values: list[str], name: str) -> float | None:
        index = self._at.get(name)
        return None if index is None else number(values[index], name)

    def _known(self, values: list[str], name: str, absent: float) -> float | None:
        value = self._cell(values, name)
        return None if value == absent else value

    def _unsigned(self, values: list[str], name: str, span: float, absent: float) -> float | None:
        """A value in tenths whose sign bit is a value bit; rounding undoes the addition's error."""
        value = self._cell(values, name)
        if value is not None and value < 0:
            value = round(value + span, 1)
        return None if value == absent else value

    def _position(self, values: list[str]) -> tuple[float | None, float | None]:
        latitude = self._known(values, "latitude", 91.0)
        longitude = self._known(values, "longitude", 181.0)
        if latitude is None or longitude is None or (latitude == 0 and longitude == 0):
            return None, None
        return latitude, longitude

    def _sensor_values(self, values: list[str]) -> dict[str, float]:
        sensors = self._static_sensors(*[values[index] for index in self._static_at])
        course = self._unsigned(values, "course", _COURSE_RANGE_DEG, 360.0)
        return sensors if course is None else {**sensors, "course_deg": course}

    def _read_static(self, *cells: str) -> dict[str, float]:
        return {
            sensor: value
            for (sensor, column, absent), cell in zip(self._static, cells, strict=True)
            if (value := number(cell, column)) is not None and value != absent
        }


@lru_cache(maxsize=4096)
def _timestamp(text: str) -> str:
    text = text.strip()
    try:
        zone = datetime.fromisoformat(text).tzinfo
    except ValueError:
        raise RowError(
            f"basedatetime: {shown(text)} is not a date and time", "basedatetime"
        ) from None
    return (text if zone else f"{text}Z").replace(" ", "T")
