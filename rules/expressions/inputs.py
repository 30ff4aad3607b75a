"""Paths that name a column: ``depth_m``, ``record.depth_m``, ``zone.kind``, ``sensors.co2``."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from rules.expressions.columns import Columns
from rules.expressions.syntax import constant_of
from rules.expressions.values import Value, truth
from rules.expressions.vocabulary import (
    RECORD_TYPES,
    VEHICLE_FIELDS,
    WHOLES,
    ZONE_NUMBERS,
    ZONE_TYPES,
)


@dataclass(frozen=True, slots=True)
class Input:
    """A column that expressions read.

    ``name``: its path; ``type_``: its CEL type (``dyn`` for a zone's own property); ``make``: the
    column, ``Value`` for numbers and times, ``Choices`` for texts and properties.
    """

    name: str
    type_: str
    make: Callable[[Columns], Any]

    @property
    def is_choice(self) -> bool:
        """Whether its column is ``Choices``."""
        return self.type_ in ("string", "dyn", "map")

    @property
    def of_record_each(self) -> bool:
        """Whether each record has a value of its own, so that nothing is gained by value."""
        return self.name in ("sensors", "previous.sensors")

    @property
    def of_zone(self) -> bool:
        """Whether it is a column of the zone, not of the record."""
        return self.name.startswith("zone.") or self.name == "distance_to(zone)"

    @property
    def of_past(self) -> bool:
        """Whether it asks for records before: for the last one, or how fast something changes."""
        return self.name.startswith(("previous.", "rate("))

    def __call__(self, columns: Columns) -> Any:
        """The column, made once for all rules judged on ``columns``."""
        return columns.shared(self.name, self.make)

    def there(self, columns: Columns) -> Value:
        """True where it has a value, which is missing elsewhere."""
        missing = self(columns).missing
        return truth(np.ones(len(columns), np.bool_), (Value(None, missing),))

    def presence(self, columns: Columns) -> Value:
        """CEL ``has(...)``: whether the record, or the zone if there is one, has it."""
        return columns.shared(("has", self.name), self._presence)

    def _presence(self, columns: Columns) -> Value:
        there = columns.in_zone() if self.of_zone else columns.everywhere()
        missing = self(columns).missing
        if there.missing is not None or missing is None:
            return there
        return Value(~missing)


def path_of(expr: Any) -> tuple[str, ...] | None:
    """The names of a path of selections and of constant text keys; None for anything else."""
    kind = expr.WhichOneof("expr_kind")
    if kind == "ident_expr":
        # A dot in front says that no macro's variable is meant.
        return (expr.ident_expr.name.removeprefix("."),)
    if kind == "select_expr":
        return _joined(path_of(expr.select_expr.operand), expr.select_expr.field)
    if kind == "call_expr" and expr.call_expr.function == "_[_]":
        of, key = expr.call_expr.args
        return _joined(path_of(of), constant_of(key))
    return None


def _joined(path: tuple[str, ...] | None, name: Any) -> tuple[str, ...] | None:
    return (*path, name) if path is not None and isinstance(name, str) else None


def input_of(path: tuple[str, ...]) -> Input | None:
    """The column that a path names; None for a whole (``zone``) or what is below a column."""
    match _of_record(path):
        case ("sensors",) | ("zone", "properties") as whole:
            make = Columns.all_sensors if whole == ("sensors",) else Columns.zone_properties
            return Input(".".join(whole), "map", make)
        case (name,) if name not in WHOLES:
            return _record_input(name)
        case ("sensors", name):
            return Input(f"sensors.{name}", "double", lambda columns: columns.sensor(name))
        case ("zone", name) | ("zone", "properties", name):
            return _zone_input(name, own=len(path) > 2)
        case ("previous", *rest):
            return _previous_input(tuple(rest))
    return None


def _of_record(path: tuple[str, ...]) -> tuple[str, ...]:
    """The path without what only says that it is the record's, or its vehicle's."""
    match path:
        case ("record", *rest) if rest:
            return tuple(rest)
        case ("vehicle", name) if name in VEHICLE_FIELDS:
            return (VEHICLE_FIELDS[name],)
    return path


def _previous_input(rest: tuple[str, ...]) -> Input | None:
    """The column of the last record that a path behind ``previous`` names."""
    of_record = input_of(rest) if len(rest) == 1 or rest[:1] == ("sensors",) else None
    if of_record is None:
        return None
    make = of_record.make
    return Input(
        f"previous.{of_record.name}", of_record.type_, lambda columns: columns.of_previous(make)
    )


def rate_input(text: str) -> Input:
    """The column of how fast an expression of the record, by its text, changes."""
    return Input(f"rate({text})", "double", lambda columns: columns.rate(text))


def _record_input(name: str) -> Input | None:
    type_ = RECORD_TYPES.get(name)
    if type_ is None:
        return None
    if type_ == "string":
        return Input(name, type_, lambda columns: columns.record_text(name))
    if type_ == "timestamp":
        return Input(name, type_, Columns.timestamp)
    if type_ == "int":
        return Input(name, type_, Columns.sequence)
    return Input(name, type_, lambda columns: columns.record_number(name))


def _zone_input(name: str, *, own: bool) -> Input | None:
    if own:
        full = f"zone.properties.{name}"
        return Input(full, "dyn", lambda columns: columns.zone_property(name))
    type_ = ZONE_TYPES.get(name)
    if type_ is None:
        return None
    full = f"zone.{name}"
    if type_ == "string":
        return Input(full, type_, lambda columns: columns.zone_text(name))
    if name in ZONE_NUMBERS:
        return Input(full, type_, lambda columns: columns.zone_number(name))
    return Input(full, type_, Columns.zone_version)


def distance_input(zone_id: str | None, exact_below_m: float = math.inf) -> Input:
    """The column of metres to a zone by its id, or to the zone that the row is about."""
    if zone_id is None:
        return Input("distance_to(zone)", "double", Columns.distance_to_its_zone)
    name = f"distance_to({json.dumps(zone_id, ensure_ascii=False)})"
    if exact_below_m != math.inf:
        name += f" below {exact_below_m}"
    return Input(name, "double", lambda columns: columns.distance_to(zone_id, exact_below_m))
