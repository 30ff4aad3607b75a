"""CSV and TSV of any layout, by a mapping file that says what each column means.

The file's first line names its columns; quoted values may hold line ends. The mapping is TOML::

    delimiter = ";"                 # default ","; a tab for TSV
    encoding = "latin-1"            # default utf-8
    absent = ["", "NaN", -999]      # in every column: these texts and numbers mean no value
    sensors = "rest"                # every other numeric column, or a table: name = "Column"

    [constant]                      # the same in every record
    vehicle_id = "sea057"           # also kind, body, status, mission_id, source
    kind = "glider"

    [time]
    column = ["Date", "Time"]       # one column, or several joined by a space
    format = "%d/%m/%Y %H:%M:%S"    # or rfc3339 (default), epoch_s, epoch_ms
    zone = "UTC"                    # for times without one: UTC, +02:00, Europe/Oslo

    [fields.latitude]
    column = "Lat"
    unit = "ddmm"                   # default: the telemetry field's own unit
    [fields.longitude]
    column = "Lon"
    unit = "ddmm"
    [fields.depth_m]
    column = "z"
    unit = "fathom"                 # m cm km ft fathom nmi
    negate = true                   # for heights where depth is wanted
    [fields.heading_deg]
    column = "Heading"
    absent = [511]                  # in this column alone
    [site]                          # instead of latitude and longitude: metres on the body's
    longitude = 77.4503             # ellipsoid, east and north of this point (deg)
    latitude = 18.4449
    east = {column = "Y"}           # as a field: column, unit, negate, absent
    north = {column = "X"}

    [fields.vehicle_id]             # text fields: vehicle_id status mission_id source
    column = "MMSI"                 #              message_id sequence
    prefix = "mmsi:"

Number fields are those of the telemetry contract. Their units: lengths m cm km ft fathom nmi;
angles deg rad ddmm; speed m/s cm/s kn km/h; battery % fraction; power W mW kW; temperature C K F.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from connectors.readers.contract import Chunk, SourceFileError
from connectors.readers.mapping import (
    Absent,
    Mapping,
    NumberColumn,
    SiteColumns,
    TimeColumns,
    load_mapping,
)
from connectors.readers.rows import (
    BOM,
    Position,
    Row,
    RowError,
    chunks,
    csv_rows,
    number,
)
from connectors.readers.stored import StoredFile
from schemas.frame import rfc3339
from schemas.site_frame import REACH_M
from schemas.telemetry import shown

_INT64_LIMIT: Final = 2**63
_TICKS_PER_SECOND: Final = {"epoch_s": 1, "epoch_ms": 1000}


class DelimitedReader:
    """Reads delimited text by a mapping file, whose mistakes raise MappingError here and now."""

    def __init__(self, mapping_path: Path) -> None:
        self._mapping = load_mapping(mapping_path)

    def read(self, path: Path, resume: object | None, rows: int) -> Iterator[Chunk]:
        """Chunks of ``rows`` rows."""
        mapping = self._mapping
        with StoredFile(path) as file:
            start = self._first_row(file) if resume is None else msgspec.convert(resume, Position)
            converter = _MappedRows(mapping, start.header)
            file.seek(start.offset)
            yield from chunks(file, self._split, converter, start, rows)

    def _split(self, lines: Iterable[bytes]) -> Iterator[Row]:
        return csv_rows(lines, self._mapping.delimiter, self._mapping.encoding)

    def _first_row(self, file: StoredFile) -> Position:
        header = next(self._split(file.lines()), Row([], b"", 0))
        names = _column_names(header)
        missing = self._mapping.columns().difference(names)
        if missing:
            raise SourceFileError(
                file.path,
                f"has no column {', '.join(sorted(missing))} (it has {', '.join(names)})",
                "correct the mapping",
            )
        return Position(len(header.raw), 1 + header.lines, header.raw)


def _column_names(header: Row) -> list[str]:
    return [name.removeprefix(BOM).strip() for name in header.values]


class _MappedRows:
    """Rows under one header, by the mapping."""

    def __init__(self, mapping: Mapping, header: bytes) -> None:
        self.header = header
        split = csv_rows(header.splitlines(keepends=True), mapping.delimiter, mapping.encoding)
        names = _column_names(next(split))
        at = {name: index for index, name in reversed(list(enumerate(names)))}
        self._width = len(names)
        self._constants = mapping.constants
        self._absent = mapping.absent
        self._time_at = [at[name] for name in mapping.time.columns]
        self._timestamp = _timestamp_reader(mapping.time)
        self._numbers = [(name, at[c.column], c) for name, c in mapping.numbers.items()]
        self._site = mapping.site and _Placed(mapping.site, at)
        self._texts = [(name, at[c.column], c.prefix) for name, c in mapping.texts.items()]
        self._any_sensor = mapping.sensors is None
        if mapping.sensors is None:
            self._sensors = _rest(names, mapping.columns())
        else:
            self._sensors = [(name, at[column]) for name, column in mapping.sensors.items()]

    def record(self, row: Row) -> dict[str, Any] | None:
        cells = row.values
        if not cells:
            return None
        if len(cells) != self._width:
            raise RowError(f"has {len(cells)} values under a header of {self._width}")
        cells = [cell.strip() for cell in cells]
        record: dict[str, Any] = {
            **self._constants,
            "timestamp": self._timestamp(" ".join(cells[index] for index in self._time_at)),
            **self._text_values(cells),
        }
        for name, index, column in self._numbers:
            value = self._value(cells[index], column.column, column.absent)
            if value is not None:
                record[name] = _converted(value, column)
        if self._site:
            record |= self._site.position(cells, self._value)
        if ("latitude" in record) != ("longitude" in record):
            record.pop("latitude", None)
            record.pop("longitude", None)
        if sensors := self._sensor_values(cells):
            record["sensors"] = sensors
        return record

    def _text_values(self, cells: list[str]) -> dict[str, str | int]:
        values: dict[str, str | int] = {}
        for name, index, prefix in self._texts:
            text = cells[index]
            if text in self._absent.texts or not text:
                continue
            values[name] = _whole(text) if name == "sequence" else prefix + _valid(text, name)
        return values

    def _value(self, cell: str, column: str, absent: Absent) -> float | None:
        if cell in self._absent.texts or cell in absent.texts:
            return None
        value = number(cell, column)
        if value in self._absent.numbers or value in absent.numbers:
            return None
        return value

    def _sensor_values(self, cells: list[str]) -> dict[str, float]:
        sensors = {}
        for name, index in self._sensors:
            try:
                value = self._value(cells[index], name, self._absent)
            except RowError:
                # "rest" takes what is numeric; a column named as a sensor must be.
                if self._any_sensor:
                    continue
                raise
            if value is not None:
                sensors[name] = value
        return sensors


class _Placed:
    """Where the columns of a site frame put a row."""

    def __init__(self, site: SiteColumns, at: dict[str, int]) -> None:
        self._frame = site.frame
        self._axes = [(at[column.column], column) for column in (site.east, site.north)]

    def position(
        self, cells: list[str], value_of: Callable[[str, str, Absent], float | None]
    ) -> dict[str, float]:
        """Longitude and latitude, neither where one of the columns has no value."""
        metres = []
        for index, column in self._axes:
            value = value_of(cells[index], column.column, column.absent)
            if value is None:
                return {}
            axis_m = _converted(value, column)
            if abs(axis_m) > REACH_M:
                what = f"{column.column}: {shown(cells[index])} is over {REACH_M:g} m from the site"
                raise RowError(what, column.column)
            metres.append(axis_m)
        longitude, latitude = self._frame.position(*metres)
        return {"longitude": longitude, "latitude": latitude}


def _converted(value: float, column: NumberColumn) -> float:
    converted = column.convert(value)
    if not math.isfinite(converted):
        raise RowError(f"{column.column}: {value} is too large", column.column)
    return converted


def _valid(text: str, name: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise RowError(f"{name}: {shown(text)} is not in the file's encoding", name) from None
    return text


def _whole(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = _INT64_LIMIT
    if not -_INT64_LIMIT < value < _INT64_LIMIT:
        raise RowError(f"sequence: {shown(text)} is not a whole number of 64 bits", "sequence")
    return value


def _rest(names: list[str], used: set[str]) -> list[tuple[str, int]]:
    """(sensor name, index) of the columns not ``used``; a name that is taken gets its number."""
    sensors: dict[str, int] = {}
    for index, column in enumerate(names):
        if column not in used:
            name = re.sub(r"\W+", "_", column.lower(), flags=re.ASCII).strip("_")[:56]
            free = name and name not in sensors
            sensors[name if free else f"{name or 'column'}_{index + 1}"] = index
    return list(sensors.items())


def _timestamp_reader(time: TimeColumns) -> Callable[[str], str]:
    """What turns a cell of the time column into an RFC 3339 timestamp, or raises RowError."""
    if time.format in _TICKS_PER_SECOND:
        return partial(_from_epoch, ticks_per_second=_TICKS_PER_SECOND[time.format])
    return partial(_from_text, time=time)


def _from_epoch(text: str, ticks_per_second: int) -> str:
    ticks = number(text, "time")
    if ticks is None:
        raise RowError("time: is empty", "timestamp")
    try:
        return rfc3339(round(ticks * (1_000_000 // ticks_per_second)))
    except OverflowError:
        raise RowError(f"time: {shown(text)} is beyond the calendar", "timestamp") from None


def _from_text(text: str, time: TimeColumns) -> str:
    try:
        if time.format == "rfc3339":
            moment = datetime.fromisoformat(text)
        else:
            moment = datetime.strptime(text, time.format)  # noqa: DTZ007 the zone follows below
    except ValueError:
        raise RowError(f"time: {shown(text)} is not {time.format}", "timestamp") from None
    if moment.tzinfo is None:
        if time.zone is None:
            raise RowError(f"time: {shown(text)} has no zone; give one in the mapping", "timestamp")
        moment = moment.replace(tzinfo=time.zone)
    try:
        return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    except OverflowError:
        raise RowError(f"time: {shown(text)} is beyond the calendar", "timestamp") from None
