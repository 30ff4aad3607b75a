"""What the columns of a CSV file mean: the mapping file of the ``csv`` format, checked whole."""

import difflib
import tomllib
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from connectors.readers.contract import FormatError
from connectors.readers.units import LENGTH, SAME, UNITS
from schemas.frame import BODIES, KINDS, NUMBER_FIELDS, TEXT_FIELDS
from schemas.site_frame import SiteFrame

_TEXT_COLUMNS: Final = ("vehicle_id", *TEXT_FIELDS, "sequence")
_CONSTANTS: Final = ("vehicle_id", "kind", "body", "status", "mission_id", "source")
_CHOICES: Final = {"kind": KINDS, "body": BODIES}


class MappingError(FormatError):
    """A mapping file with mistakes: one line for each, naming the key, the value, the remedy."""


@dataclass(frozen=True, slots=True)
class Absent:
    """Cells that mean "no value": as they are written, or by their number."""

    texts: frozenset[str]
    numbers: frozenset[float]


@dataclass(frozen=True, slots=True)
class NumberColumn:
    """A column for a number field of the telemetry, with the conversion to its unit."""

    column: str
    convert: Callable[[float], float]
    absent: Absent


@dataclass(frozen=True, slots=True)
class SiteColumns:
    """Columns that hold positions in metres of a site: east and north of the frame's origin."""

    frame: SiteFrame
    east: NumberColumn
    north: NumberColumn


@dataclass(frozen=True, slots=True)
class TextColumn:
    """A column for a text field; ``prefix`` goes before what the cell says."""

    column: str
    prefix: str


@dataclass(frozen=True, slots=True)
class TimeColumns:
    """Where event time stands: ``columns`` joined by a space, read as ``format`` in ``zone``."""

    columns: tuple[str, ...] = ()
    format: str = "rfc3339"
    zone: tzinfo | None = None


@dataclass(frozen=True, slots=True)
class Mapping:
    """A checked mapping; ``sensors`` is sensor name -> column, None for every other column."""

    delimiter: str
    encoding: str
    absent: Absent
    constants: dict[str, str]
    time: TimeColumns
    numbers: dict[str, NumberColumn]
    texts: dict[str, TextColumn]
    sensors: dict[str, str] | None
    site: SiteColumns | None

    def columns(self) -> set[str]:
        """Every column the mapping names."""
        site = (self.site.east.column, self.site.north.column) if self.site else ()
        return {
            *site,
            *(c.column for c in self.numbers.values()),
            *(c.column for c in self.texts.values()),
            *self.time.columns,
            *(self.sensors or {}).values(),
        }


def load_mapping(path: Path) -> Mapping:
    """The mapping in ``path``; MappingError lists every mistake in it."""
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as exc:
        raise MappingError(f"{path}: cannot be read ({exc.strerror}); check the path") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise MappingError(f"{path}: is not TOML ({exc}); correct it") from exc
    checker = _Checker()
    mapping = checker.mapping(table)
    if checker.mistakes:
        raise MappingError("\n".join(f"{path}: {mistake}" for mistake in checker.mistakes))
    return mapping


@dataclass(slots=True)
class _Checker:
    """Reads tables of the mapping and notes what is wrong instead of stopping at it."""

    mistakes: list[str] = field(default_factory=list)

    def mapping(self, table: dict[str, Any]) -> Mapping:
        keys = ("delimiter", "encoding", "absent", "constant", "time", "fields", "sensors", "site")
        self.known("", table, keys)
        numbers, texts = self.fields(self.table("fields", table))
        constants = self.constants(self.table("constant", table))
        if "vehicle_id" not in texts and "vehicle_id" not in constants:
            self.wrong("fields.vehicle_id", "is missing", "name a column, or a constant")
        if "time" not in table:
            self.wrong("time", "is missing", "name a column and a format")
        return Mapping(
            delimiter=self.delimiter(table.get("delimiter", ",")),
            encoding=self.encoding(table.get("encoding", "utf-8")),
            absent=self.absent("absent", table.get("absent", [])),
            constants=constants,
            time=self.time(table["time"]) if "time" in table else TimeColumns(),
            numbers=numbers,
            texts=texts,
            sensors=self.sensors(table.get("sensors", {})),
            site=self.site(table, constants, numbers) if "site" in table else None,
        )

    def site(
        self,
        mapping: dict[str, Any],
        constants: dict[str, str],
        numbers: dict[str, NumberColumn],
    ) -> SiteColumns:
        table = self.table("site", mapping)
        self.known("site.", table, ("longitude", "latitude", "east", "north"))
        if "longitude" in numbers:
            self.wrong("site", "stands beside fields.longitude", "place vehicles by one of them")
        origin = [
            self.degrees(f"site.{name}", table.get(name), limit)
            for name, limit in (("longitude", 360.0), ("latitude", 90.0))
        ]
        columns = [
            self.number(f"site.{name}", self.table(name, table), LENGTH)
            for name in ("east", "north")
        ]
        return SiteColumns(SiteFrame(constants.get("body", BODIES[0]), *origin), *columns)

    def degrees(self, key: str, value: object, limit: float) -> float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if number and abs(degrees := float(str(value))) <= limit:
            return degrees
        self.wrong(key, f"got {value!r}", f"write the origin in degrees, at most {limit:g}")
        return 0.0

    def wrong(self, key: str, what: str, remedy: str) -> None:
        self.mistakes.append(f"{key}: {what}; {remedy}")

    def known(self, prefix: str, table: dict[str, Any], keys: Collection[str]) -> None:
        for key in table:
            if key not in keys:
                close = difflib.get_close_matches(key, keys, 1) or [", ".join(keys)]
                self.wrong(f"{prefix}{key}", "is no known key", f"use {close[0]}")

    def table(self, key: str, within: dict[str, Any]) -> dict[str, Any]:
        value = within.get(key, {})
        if isinstance(value, dict):
            return value
        self.wrong(key, f"got {value!r}", f"write a table [{key}]")
        return {}

    def text(self, key: str, value: object) -> str:
        if isinstance(value, str) and value:
            return value
        self.wrong(key, f"got {value!r}", "write a text in quotes")
        return ""

    def delimiter(self, value: object) -> str:
        if isinstance(value, str) and len(value) == 1:
            return value
        self.wrong("delimiter", f"got {value!r}", 'write one character, for tabs "\\t"')
        return ","

    def encoding(self, value: object) -> str:
        # Rows are cut at line ends before they are decoded, so these must be as in ASCII.
        try:
            if "\r\n".encode(str(value)) == b"\r\n":
                return str(value)
        except LookupError:
            pass
        self.wrong("encoding", f"got {value!r}", "write utf-8, latin-1 or another that holds ASCII")
        return "utf-8"

    def absent(self, key: str, value: object) -> Absent:
        listed: list[object] = value if isinstance(value, list) else [value]
        texts = frozenset(v for v in listed if isinstance(v, str))
        numbers = frozenset(float(v) for v in listed if isinstance(v, int | float))
        if not all(isinstance(v, str | int | float) for v in listed):
            self.wrong(key, f"got {value!r}", "list texts and numbers")
        return Absent(texts, numbers)

    def constants(self, table: dict[str, Any]) -> dict[str, str]:
        self.known("constant.", table, _CONSTANTS)
        for key, choices in _CHOICES.items():
            if key in table and table[key] not in choices:
                self.wrong(f"constant.{key}", f"got {table[key]!r}", f"use {', '.join(choices)}")
        return {key: self.text(f"constant.{key}", value) for key, value in table.items()}

    def fields(
        self, table: dict[str, Any]
    ) -> tuple[dict[str, NumberColumn], dict[str, TextColumn]]:
        self.known("fields.", table, (*NUMBER_FIELDS, *_TEXT_COLUMNS))
        numbers: dict[str, NumberColumn] = {}
        texts: dict[str, TextColumn] = {}
        for name in table:
            if name in NUMBER_FIELDS:
                column = self.table(name, table)
                numbers[name] = self.number(f"fields.{name}", column, UNITS[name])
            elif name in _TEXT_COLUMNS:
                texts[name] = self.text_column(name, self.table(name, table))
        if ("latitude" in numbers) != ("longitude" in numbers):
            self.wrong("fields", "latitude and longitude go together", "name both or neither")
        return numbers, texts

    def number(
        self, key: str, table: dict[str, Any], units: dict[str, Callable[[float], float]]
    ) -> NumberColumn:
        self.known(f"{key}.", table, ("column", "unit", "absent", "negate"))
        unit = table.get("unit", next(iter(units)))
        if unit not in units:
            self.wrong(f"{key}.unit", f"got {unit!r}", f"use {', '.join(units)}")
        convert = units.get(unit, SAME)
        return NumberColumn(
            self.text(f"{key}.column", table.get("column")),
            (lambda value: -convert(value)) if table.get("negate") is True else convert,
            self.absent(f"{key}.absent", table.get("absent", [])),
        )

    def text_column(self, name: str, table: dict[str, Any]) -> TextColumn:
        key = f"fields.{name}"
        self.known(f"{key}.", table, ("column", "prefix"))
        prefix = table.get("prefix", "")
        return TextColumn(
            self.text(f"{key}.column", table.get("column")),
            self.text(f"{key}.prefix", prefix) if prefix != "" else "",
        )

    def time(self, value: object) -> TimeColumns:
        if not isinstance(value, dict):
            self.wrong("time", f"got {value!r}", "write a table [time]")
            return TimeColumns()
        self.known("time.", value, ("column", "format", "zone"))
        column = value.get("column")
        listed = column if isinstance(column, list) and column else [column]
        form = self.text("time.format", value.get("format", "rfc3339"))
        zone = self.zone(value["zone"]) if "zone" in value else None
        if form not in {"rfc3339", "epoch_s", "epoch_ms"}:
            self.pattern(form, has_zone="zone" in value)
        return TimeColumns(tuple(self.text("time.column", c) for c in listed), form, zone)

    def pattern(self, form: str, *, has_zone: bool) -> None:
        if "%" not in form:
            remedy = "use rfc3339, epoch_s, epoch_ms or a pattern such as %Y-%m-%d %H:%M:%S"
            self.wrong("time.format", f"got {form!r}", remedy)
        elif "%z" not in form and not has_zone:
            self.wrong("time.zone", "is missing", 'say in which zone times are, as in zone = "UTC"')

    def zone(self, value: object) -> tzinfo | None:
        text = str(value)
        if text in {"UTC", "Z"}:
            return UTC
        try:
            if text[:1] in {"+", "-"}:
                return _offset(text)
            return ZoneInfo(text)
        except (ValueError, ZoneInfoNotFoundError, OSError):
            self.wrong("time.zone", f"got {value!r}", "use UTC, +02:00 or a name as Europe/Oslo")
            return None

    def sensors(self, value: object) -> dict[str, str] | None:
        if value == "rest":
            return None
        if isinstance(value, dict):
            return {name: self.text(f"sensors.{name}", column) for name, column in value.items()}
        self.wrong("sensors", f"got {value!r}", 'write "rest", or a table of name = "column"')
        return {}


def _offset(text: str) -> tzinfo:
    offset = datetime.strptime(text, "%z").utcoffset() or timedelta()
    return timezone(offset)
