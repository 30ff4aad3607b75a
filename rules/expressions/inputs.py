"""Paths that name a column: ``depth_m``, ``record.depth_m``, ``zone.kind``, ``sensors.co2``."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rules.expressions.columns import Columns
from rules.expressions.syntax import constant_of
from rules.expressions.values import Value
from rules.expressions.vocabulary import RECORD_TYPES, WHOLES, ZONE_NUMBERS, ZONE_TYPES


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
        return self.type_ in ("string", "dyn")

    @property
    def of_zone(self) -> bool:
        """Whether it is a column of the zone, not of the record."""
        return self.name.startswith("zone.")

    def __call__(self, columns: Columns) -> Any:
        """The column, made once for all rules judged on ``columns``."""
        return columns.shared(self.name, self.make)

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
        return (expr.ident_expr.name,)
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
    match path[1:] if path[0] == "record" and len(path) > 1 else path:
        case (name,) if name not in WHOLES:
            return _record_input(name)
        case ("sensors", name):
            return Input(f"sensors.{name}", "double", lambda columns: columns.sensor(name))
        case ("zone", name) if name != "properties":
            return _zone_input(name)
        case ("zone", "properties", name):
            full = f"zone.properties.{name}"
            return Input(full, "dyn", lambda columns: columns.zone_property(name))
    return None


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


def _zone_input(name: str) -> Input | None:
    type_ = ZONE_TYPES.get(name)
    if type_ is None:
        return None
    full = f"zone.{name}"
    if type_ == "string":
        return Input(full, type_, lambda columns: columns.zone_text(name))
    if name in ZONE_NUMBERS:
        return Input(full, type_, lambda columns: columns.zone_number(name))
    return Input(full, type_, Columns.zone_version)
