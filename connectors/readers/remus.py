"""REMUS vehicle messages: the text files of REMUS 100 and 600 AUVs, many message kinds in one.

A header line ``Name[type|unit],...`` comes before the lines of each kind; column 1 is the number
of the kind. Files are Latin-1, but their degree sign may have been through UTF-8, well or badly.
A file written by the logger may have the first record on the header's own line, and fault texts
with commas and no quotes. Each record of a kind that has a timestamp becomes a telemetry record:

- position and depth wherever the kind has them with double precision (the optode, 1109, writes
  degrees with two decimals, steps of a kilometre: these stay sensors); 0, 0 is no position;
- heading, pitch, roll, speed, height above the bottom from the kinds that measure them, the
  vehicle's temperature from its state (1000), the charge of one pack from battery messages (1071),
  the text of a fault message (1001) as ``status``;
- every other number under ``sensors`` as ``<kind>_<name>_<unit>``, such as ``ctd_sound_speed_mps``;
  bit masks too, as numbers;
- ``source`` says the kind: ``remus-state``, ``remus-ctd``, ...

Timestamps are whole seconds; where *Mission Time* (milliseconds of the day) agrees with them to
the second it adds the milliseconds. Before the vehicle's clock is set the timestamp holds the
second of the day instead: such a record cannot be placed in time and is rejected, saying so.
"""

import csv
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from connectors.readers.contract import Chunk, FormatError, SourceFileError
from connectors.readers.rows import Position, Row, RowError, chunks, number
from connectors.readers.stored import StoredFile
from schemas.frame import rfc3339
from schemas.telemetry import shown

_KINDS: Final = {
    "1000": "state",
    "1001": "fault",
    "1050": "transponder",
    "1071": "battery",
    "1075": "oil",
    "1076": "emergency",
    "1089": "motor",
    "1098": "usbl",
    "1102": "imagenex",
    "1109": "optode",
    "1117": "eco_parameter",
    "1118": "eco",
    "1141": "adcp",
    "1173": "nitrate_1173",
    "1174": "nitrate",
    "1181": "ctd",
}
_ATTITUDE: Final = {"Pitch": "pitch_deg", "Roll": "roll_deg"}
# Kind -> column -> telemetry field.
_FIELDS: Final[dict[str, dict[str, str]]] = {
    "1000": {
        **_ATTITUDE,
        "Compass True Heading": "heading_deg",
        "Estimated Velocity": "speed_mps",
        "Temperature": "temperature_c",
    },
    "1102": {**_ATTITUDE, "Altitude": "height_above_bottom_m"},
    "1141": {**_ATTITUDE, "Heading": "heading_deg", "Altitude": "height_above_bottom_m"},
}
_TIME_COLUMNS: Final = ("Message Id", "Timestamp", "Mission Time")
# Units as they go into a sensor's name; those not listed by their letters and digits.
_UNITS: Final = {
    "#": "",
    "^": "",
    "n/a": "",
    "state": "",
    "Meters": "m",
    "°": "deg",
    "°/s": "deg_per_s",
    "°C": "c",
    "°K": "k",
    "%": "pct",
    "m/s": "mps",
    "mm/s": "mmps",
    "secs": "s",
    "msecs": "ms",
    "mbars": "mbar",
}
_TRUTH: Final = {"true": 1.0, "false": 0.0}
_CLOCK_SET_S: Final = 631_152_000  # 1990-01-01: before any REMUS
_DAY_S: Final = 86_400

_HEADER_START: Final = b"Message Id["
# A header, then what the logger put on its line: columns are Name[type|unit].
_HEADER: Final = re.compile(rb"((?:[^\[\],]+\[[^\]]*\],)*[^\[\],]+\[[^\]]*\])(.*)", re.DOTALL)
_COLUMN: Final = re.compile(r"\s*([^\[]*?)\s*\[([^|\]]*)\|?([^\]]*)\]")
_COUNT: Final = re.compile(r"[0-9]{1,10}")
_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")


class _Column(NamedTuple):
    name: str
    type: str
    unit: str


class RemusReader:
    """Reads REMUS message files of one vehicle; its id is the file's name where none is given."""

    def __init__(self, vehicle_id: str | None = None) -> None:
        if vehicle_id is not None and not _ID.fullmatch(vehicle_id):
            raise FormatError(
                f"vehicle id {vehicle_id!r} of format remus: use 1 to 64 of A-Z a-z 0-9 . _ : -"
            )
        self._vehicle_id = vehicle_id

    def read(self, path: Path, resume: object | None, rows: int) -> Iterator[Chunk]:
        """Chunks of ``rows`` lines, headers among them."""
        with StoredFile(path) as file:
            if resume is None:
                if not next(file.lines(), b"").startswith(_HEADER_START):
                    raise SourceFileError(
                        path,
                        "is no REMUS message file: its first line is no header Message Id[...",
                        "check --format",
                    )
                start = Position(0, 1, b"")
            else:
                start = msgspec.convert(resume, Position)
            file.seek(start.offset)
            converter = _RemusRows(self._vehicle_id or _id_from(path), start.header)
            yield from chunks(file, _split, converter, start, rows)


@lru_cache(maxsize=4096)
def sensor_name(kind: str, column: str, unit: str) -> str:
    """The sensor of a column: ``sensor_name("1181", "Salinity", "PSS-78")``."""
    spelt = _UNITS.get(unit, unit.replace("/", " per "))
    words = f"{_KINDS.get(kind, f'kind_{kind}')} {column} {spelt}"
    return re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")


def _id_from(path: Path) -> str:
    stem = path.name.removesuffix(".gz").rpartition(".")[0] or path.name
    return re.sub(r"[^A-Za-z0-9._:-]+", "_", stem)[:64]


def _split(lines: Iterable[bytes]) -> Iterator[Row]:
    """A row a line: a REMUS message never spans two, whatever quotes it holds."""
    for line in lines:
        text = line.decode("latin-1").rstrip("\r\n")
        try:
            yield Row(next(csv.reader([text], strict=True), []), line, 1)
        except csv.Error as exc:
            yield Row([], line, 1, f"cannot be split into values ({exc})")


def _columns(header: bytes) -> list[_Column]:
    # The degree sign in UTF-8, and as the replacement character that a bad conversion left.
    text = header.replace(b"\xc2\xb0", b"\xb0").replace(b"\xef\xbf\xbd", b"\xb0").decode("latin-1")
    return [_Column(*found.groups()) for found in map(_COLUMN.match, text.split(",")) if found]


class _RemusRows:
    """Rows under the headers of one file."""

    def __init__(self, vehicle_id: str, header: bytes) -> None:
        self._vehicle_id = vehicle_id
        self._take(header)

    def _take(self, header: bytes) -> None:
        self.header = header
        self._kind_columns = _columns(header)

    def record(self, row: Row) -> dict[str, Any] | None:
        if row.raw.startswith(_HEADER_START):
            found = _HEADER.match(row.raw)
            self._take(found[1] if found else b"")
            if not found:
                raise RowError("is a header that names no column Name[type|unit]")
            if not found[2].strip():
                return None
            row = next(_split([found[2]]))
        if row.fault:
            raise RowError(row.fault)
        if not any(row.values):
            return None
        return self._record(self._cells(row.values))

    def _cells(self, values: list[str]) -> dict[_Column, str]:
        columns = self._kind_columns
        if not columns:
            raise RowError("no header line stands before this record")
        if columns[-1].unit == "ascii":
            # A text at the end of the line may hold commas without quotes.
            values = [*values[: len(columns) - 1], ",".join(values[len(columns) - 1 :])]
        if len(values) != len(columns):
            raise RowError(f"has {len(values)} values under a header of {len(columns)}")
        return dict(zip(columns, values, strict=True))

    def _record(self, cells: dict[_Column, str]) -> dict[str, Any]:
        by_name = {column.name: text for column, text in cells.items()}
        kind = by_name.get("Message Id", "")
        record: dict[str, Any] = {
            "auv_id": self._vehicle_id,
            "timestamp": rfc3339(_time_us(by_name)),
            "kind": "auv",
            "source": f"remus-{_KINDS.get(kind, kind)}",
        }
        sensors: dict[str, float] = {}
        for column, text in cells.items():
            if column.unit == "ascii" or column.name in _TIME_COLUMNS:
                continue
            value = _TRUTH.get(text.strip())
            value = number(text, column.name) if value is None else value
            if value is None:
                continue
            field = _field_of(kind, column)
            # A speed is never negative in the contract: an AUV that drifts astern shows it here.
            if field is None or (field == "speed_mps" and value < 0):
                sensors[sensor_name(kind, column.name, column.unit)] = value
            else:
                record[field] = value
        if record.get("latitude") == 0 and record.get("longitude") == 0:
            del record["latitude"], record["longitude"]
        if kind == "1001" and by_name.get("Message"):
            record["status"] = by_name["Message"]
        if kind == "1071":
            record |= _charge(sensors)
        return {**record, "sensors": sensors}


def _field_of(kind: str, column: _Column) -> str | None:
    if column.name in {"Latitude", "Longitude"}:
        return column.name.lower() if column.type == "double" else None
    if column.name == "Depth":
        return "depth_m"
    return _FIELDS.get(kind, {}).get(column.name)


def _time_us(by_name: dict[str, str]) -> int:
    text = by_name.get("Timestamp", "")
    if not _COUNT.fullmatch(text):
        raise RowError(f"Timestamp: {shown(text)} is not a number of seconds", "timestamp")
    seconds = int(text)
    if seconds < _CLOCK_SET_S:
        raise RowError(f"clock not yet set: Timestamp {text} is no epoch time", "timestamp")
    mission_ms = by_name.get("Mission Time", "")
    milliseconds = 0
    if _COUNT.fullmatch(mission_ms) and (int(mission_ms) // 1000 - seconds) % _DAY_S == 0:
        milliseconds = int(mission_ms) % 1000
    return seconds * 1_000_000 + milliseconds * 1000


def _charge(sensors: dict[str, float]) -> dict[str, float]:
    """battery_pct from a pack's capacities, where they make sense."""
    full = sensors.get("battery_full_charge_capacity_mah", 0.0)
    left = sensors.get("battery_remaining_capacity_mah", -1.0)
    return {"battery_pct": 100 * left / full} if 0 <= left <= full and full > 0 else {}
