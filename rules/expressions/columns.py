"""What expressions are judged on: records as columns, each perhaps with the zone it is in."""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np

from rules.expressions.values import Value
from rules.expressions.vocabulary import ZONE_NUMBERS, ZONE_TEXTS
from schemas.frame import (
    ABSENT_SEQUENCE,
    BODIES,
    KINDS,
    Bools,
    Floats,
    Frame,
    Ints,
    Longs,
    Rows,
)
from schemas.zone import Zone

T = TypeVar("T")
_NAN: Final = np.float64(np.nan)


class Choices(NamedTuple):
    """A column of few distinct values of any type: texts, or a zone's own properties.

    ``codes``: (n,) integer, index into ``values``, -1 = absent. ``missing``: (n,) rows that are
    absent, None where none is.
    """

    codes: Any
    values: tuple[Any, ...]
    missing: Bools | None

    def value(self, row: int) -> Any:
        """The value in a row, None where absent."""
        code = int(self.codes[row])
        return None if code < 0 else self.values[code]


class ZoneTable:
    """The properties of zones as columns over the zone's index; made once per set of zones."""

    def __init__(self, zones: Sequence[Zone]) -> None:
        self._zones = tuple(zones)
        # (zones,) each; NaN = absent.
        self.numbers: dict[str, Floats] = {
            name: np.array(
                [np.nan if (v := getattr(zone, name)) is None else v for zone in zones], np.float64
            )
            for name in ZONE_NUMBERS
        }
        self.version: Longs = np.array([zone.version for zone in zones], np.int64)
        self.texts = {name: _encode([getattr(z, name) for z in zones]) for name in ZONE_TEXTS}
        self._properties: dict[str, Choices] = {}

    def __len__(self) -> int:
        return len(self._zones)

    def property_column(self, name: str) -> Choices:
        """The zones' own property ``name``: codes by zone index."""
        if name not in self._properties:
            self._properties[name] = _encode([zone.properties.get(name) for zone in self._zones])
        return self._properties[name]


def _encode(values: Sequence[Any]) -> Choices:
    """Distinct values with codes; None is absent. Equal values of different types stay apart."""
    table: dict[tuple[type, str], int] = {}
    distinct: list[Any] = []
    codes = np.full(len(values), -1, np.int32)
    for i, value in enumerate(values):
        if value is None:
            continue
        code = table.setdefault((type(value), repr(value)), len(table))
        if code == len(distinct):
            distinct.append(value)
        codes[i] = code
    return Choices(codes, tuple(distinct), _any(codes < 0))


class Columns:
    """Records of a frame, or pairs of a record and a zone it is in, for expressions to judge.

    Columns are gathered when a rule first asks for them and shared by all rules judged on the
    same object: masks of missing values, texts by value. Not for use by several threads.
    """

    def __init__(
        self,
        frame: Frame,
        rows: Rows | None = None,
        zones: ZoneTable | None = None,
        zone: Rows | None = None,
    ) -> None:
        self._frame = frame
        self._rows = rows
        self._zones = zones
        self._zone = zone
        self._n = len(frame) if rows is None else len(rows)
        self._shared: dict[Any, Any] = {}

    @classmethod
    def of_records(cls, frame: Frame) -> "Columns":
        """The frame's records; what is asked of a zone is missing."""
        return cls(frame)

    @classmethod
    def of_visits(cls, frame: Frame, rows: Rows, zones: ZoneTable, zone: Rows) -> "Columns":
        """Pairs of record ``rows[k]`` and the zone ``zone[k]`` of ``zones`` it is in; (m,) each."""
        return cls(frame, rows, zones, zone)

    def __len__(self) -> int:
        return self._n

    def row(self, row: int) -> "Columns":
        """One row alone."""
        of_frame = np.array([row if self._rows is None else self._rows[row]], np.intp)
        zone = None if self._zone is None else self._zone[row : row + 1]
        return Columns(self._frame, of_frame, self._zones, zone)

    def shared(self, key: Any, make: Callable[["Columns"], T]) -> T:
        """What ``make`` gives, made once for all rules."""
        found: T | None = self._shared.get(key)
        if found is None:
            found = self._shared[key] = make(self)
        return found

    def record_number(self, name: str) -> Value:
        """A telemetry field of ``NUMBER_FIELDS``."""
        column = self._frame.numbers.get(name)
        return self._absent() if column is None else _value(self._of_rows(column))

    def sensor(self, name: str) -> Value:
        """A sensor's number."""
        column = self._frame.sensors.get(name)
        return self._absent() if column is None else _value(self._of_rows(column))

    def timestamp(self) -> Value:
        """Event time, int64 microseconds."""
        return Value(self._of_rows(self._frame.time_us))

    def sequence(self) -> Value:
        """The record's sequence number, int64."""
        if self._frame.sequence is None:
            return self._absent(np.int64(0))
        column = self._of_rows(self._frame.sequence)
        return Value(column, _any(column == ABSENT_SEQUENCE))

    def record_text(self, name: str) -> Choices:
        """A text of the record."""
        frame = self._frame
        if name == "vehicle_id":
            return Choices(self._of_rows(frame.vehicle), frame.vehicle_ids, None)
        if name == "kind":
            return Choices(self._of_rows(frame.kind), KINDS, None)
        if name == "body":
            return Choices(self._of_rows(frame.body), BODIES, None)
        text = frame.texts.get(name)
        if text is None:
            return self._no_choice()
        codes: Ints = self._of_rows(text.codes)
        return Choices(codes, text.values, _any(codes < 0))

    def zone_number(self, name: str) -> Value:
        """A bound of the zone."""
        if self._zones is None:
            return self._absent()
        return _value(self._zones.numbers[name][self._zone])

    def zone_version(self) -> Value:
        """The version of the zone, int64."""
        if self._zones is None:
            return self._absent(np.int64(0))
        return Value(self._zones.version[self._zone])

    def zone_text(self, name: str) -> Choices:
        """A text of the zone."""
        return self._of_zone(None if self._zones is None else self._zones.texts[name])

    def zone_property(self, name: str) -> Choices:
        """A property of the zone's own, of any type."""
        return self._of_zone(None if self._zones is None else self._zones.property_column(name))

    def in_zone(self) -> Value:
        """Whether there is a zone to ask about: False is never said, a zone can only be missing."""
        return self._absent(np.False_) if self._zones is None else self.everywhere()

    def everywhere(self) -> Value:
        """True in every row."""
        return Value(np.ones(self._n, np.bool_))

    def _of_rows(self, column: Any) -> Any:
        return column if self._rows is None else column[self._rows]

    def _of_zone(self, by_zone: Choices | None) -> Choices:
        if by_zone is None:
            return self._no_choice()
        codes = by_zone.codes[self._zone]
        return Choices(codes, by_zone.values, None if by_zone.missing is None else _any(codes < 0))

    def _absent(self, data: Any = _NAN) -> Value:
        return Value(np.full(self._n, data), np.ones(self._n, np.bool_))

    def _no_choice(self) -> Choices:
        return Choices(np.full(self._n, -1, np.int32), (), np.ones(self._n, np.bool_))


def _value(column: Floats) -> Value:
    return Value(column, _any(np.isnan(column)))


def _any(mask: Bools) -> Bools | None:
    return mask if mask.any() else None
