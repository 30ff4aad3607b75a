"""What expressions are judged on: records as columns, each perhaps with the zone it is in."""

from collections.abc import Callable, Sequence
from functools import cached_property
from math import isnan
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np

from rules.expressions.parameters import Parameters
from rules.expressions.values import Value, union
from rules.expressions.vocabulary import ZONE_NUMBERS, ZONE_TEXTS
from rules.past import Past
from rules.zone_distances import ZoneDistances
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
        self.distances = ZoneDistances(zones)
        self._properties: dict[str, Choices] = {}

    def __len__(self) -> int:
        return len(self._zones)

    @cached_property
    def all_properties(self) -> Choices:
        """All properties of each zone's own: codes by zone index."""
        return Choices(
            np.arange(len(self._zones)), tuple(zone.properties for zone in self._zones), None
        )

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
    return Choices(codes, tuple(distinct), _where_absent(codes))


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
        *,
        past: Past | None = None,
        distances: ZoneDistances | None = None,
    ) -> None:
        self._frame = frame
        self._past = past
        self._distances = distances
        self._rows = rows
        self._zones = zones
        self._zone = zone
        self._n = len(frame) if rows is None else len(rows)
        self._shared: dict[Any, Any] = {}
        # Numbers of rules of one shape, and what tells these rules from others.
        self.parameters: Parameters | None = None
        self.batch = 0
        self._batches = 0
        # Why computations failed, as they come, and in which rows: only where asked for.
        self.failures: list[tuple[str, Any]] | None = None

    @classmethod
    def of_records(
        cls, frame: Frame, past: Past | None = None, distances: ZoneDistances | None = None
    ) -> "Columns":
        """The frame's records; what is asked of a zone, or of what is not given, is missing."""
        return cls(frame, past=past, distances=distances)

    @classmethod
    def of_visits(
        cls, frame: Frame, rows: Rows, zones: ZoneTable, zone: Rows, past: Past | None = None
    ) -> "Columns":
        """Pairs of record ``rows[k]`` and the zone ``zone[k]`` of ``zones`` it is in; (m,) each."""
        return cls(frame, rows, zones, zone, past=past, distances=zones.distances)

    def __len__(self) -> int:
        return self._n

    def row(self, row: int) -> "Columns":
        """One row alone."""
        return self.take(np.array([row]))

    def take(self, rows: Rows) -> "Columns":
        """Some rows alone."""
        return Columns(
            self._frame,
            rows if self._rows is None else self._rows[rows],
            self._zones,
            None if self._zone is None else self._zone[rows],
            past=self._past,
            distances=self._distances,
        )

    def no_older_than(self, age_us: int | None) -> "Columns":
        """The same rows with a past in which nothing is older than this; None = of any age."""
        if age_us is None or self._past is None:
            return self
        return self.shared(("no older than", age_us), lambda _: self._cut_past(age_us))

    def _cut_past(self, age_us: int) -> "Columns":
        past = None if self._past is None else self._past.no_older_than(age_us, self._frame.time_us)
        return Columns(
            self._frame, self._rows, self._zones, self._zone, past=past, distances=self._distances
        )

    def judging(self, parameters: Parameters | None) -> None:
        """Judge rules of one shape with these numbers from now on; None = with their own."""
        self.parameters = parameters
        self._batches += parameters is not None
        self.batch = 0 if parameters is None else self._batches

    def note(self, reason: str, failed: Any) -> None:
        """Note why a computation failed, and in which rows, where that is asked for."""
        if self.failures is not None and failed is not None:
            self.failures.append((reason, failed))

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

    def all_sensors(self) -> Choices:
        """The sensors that each record has, with their numbers: a dict for each row."""
        known = {name: self._of_rows(column) for name, column in self._frame.sensors.items()}
        there = {name: ~np.isnan(column) for name, column in known.items()}
        values = tuple(
            {name: float(column[i]) for name, column in known.items() if there[name][i]}
            for i in range(self._n)
        )
        return Choices(np.arange(self._n), values, None)

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
        return Choices(codes, text.values, _where_absent(codes))

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

    def of_previous(self, make: Callable[["Columns"], Any]) -> Any:
        """A column of the vehicles' last records; missing where there is none."""
        if self._past is None or not len(self._past.frame):
            found, absent = make(self), np.ones(self._n, np.bool_)
        else:
            place = self._of_rows(self._past.row)
            found = make(Columns(self._past.frame, np.maximum(place, 0)))
            absent = place < 0
        if isinstance(found, Choices):
            codes = np.where(absent, -1, found.codes)
            return Choices(codes, found.values, _where_absent(codes))
        return Value(found.data, union(found.missing, _any(absent)))

    def rate(self, name: str) -> Value:
        """What ``rate(...)`` of an expression is, by its text."""
        column = None if self._past is None else self._past.rates.get(name)
        return self._absent() if column is None else _value(self._of_rows(column))

    def distance_to(self, zone_id: str, exact_below_m: float = np.inf) -> Value:
        """Metres to a zone by its id; what is farther than ``exact_below_m`` only is so."""
        if self._distances is None:
            return self._absent()
        return _value(self._distances.to(zone_id, self._frame, self._rows, exact_below_m))

    def distance_to_its_zone(self) -> Value:
        """Metres to the zone that the row is about."""
        if self._distances is None or self._rows is None or self._zone is None:
            return self._absent()
        return _value(self._distances.of_pairs(self._frame, self._rows, self._zone))

    def zone_properties(self) -> Choices:
        """All properties of the zone's own: a dict."""
        return self._of_zone(None if self._zones is None else self._zones.all_properties)

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
        return Choices(
            codes, by_zone.values, None if by_zone.missing is None else _where_absent(codes)
        )

    def _absent(self, data: Any = _NAN) -> Value:
        return Value(np.full(self._n, data), np.ones(self._n, np.bool_))

    def _no_choice(self) -> Choices:
        return Choices(np.full(self._n, -1, np.int32), (), np.ones(self._n, np.bool_))


def _value(column: Floats) -> Value:
    # The least of numbers is NaN where any is: cheaper than to ask each.
    if not isnan(np.minimum.reduce(column, initial=0.0)):
        return Value(column)
    return Value(column, _any(np.isnan(column)))


def _where_absent(codes: Any) -> Bools | None:
    return codes < 0 if codes.min(initial=0) < 0 else None


def _any(mask: Bools) -> Bools | None:
    return mask if mask.any() else None
