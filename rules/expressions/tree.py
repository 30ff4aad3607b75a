"""The checked tree of an expression: types, overloads, the inputs it reads, places of mistakes."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from rules.expressions.costs import too_costly
from rules.expressions.environment import EvaluationError, Program
from rules.expressions.inputs import Input, distance_input, input_of, path_of, rate_input
from rules.expressions.mistakes import ExpressionError, Mistake
from rules.expressions.syntax import (
    READING,
    call_of,
    children,
    constant_of,
    free_names,
    name_of,
    walk,
    written,
)
from rules.expressions.vocabulary import NAMES

MAX_NODES: Final = 500

NUMBERS: Final = {"int", "double"}
TIMES: Final = {"timestamp", "duration"}
COLUMNS: Final = {"bool"} | NUMBERS | TIMES
"""Types that are columns; all others are left to Google's runtime, by value."""

RATE: Final = "rate"
DISTANCE_TO: Final = "distance_to"
_MAPS: Final = ("sensors", "properties")


class Tree:
    """A ``cel.expr.CheckedExpr`` with what the compiler asks of it.

    ``inputs``: those met so far, by name.
    """

    def __init__(self, checked: Any) -> None:
        self.root = checked.expr
        self.inputs: dict[str, Input] = {}
        self._types = checked.type_map
        self._references = checked.reference_map
        self._source = checked.source_info

    def look_over(self) -> None:
        """Refuse what costs too much, is no condition, hides a name, or has a broken pattern."""
        nodes = list(walk(self.root))
        if len(nodes) > MAX_NODES:
            raise self.too_large(self.root, MAX_NODES)
        for place, what, remedy in too_costly(self.root, self.type_of):
            raise self.mistake(place, what, remedy)
        if (type_ := self.type_of(self.root)) != "bool":
            raise self.mistake(self.root, f"a rule asks for true or false, this is {type_}")
        for node in nodes:
            hidden = node.comprehension_expr.iter_var
            if hidden in NAMES:
                remedy = "give the variable another name"
                raise self.mistake(node, f"the macro's `{hidden}` hides the field", remedy)
            if node.call_expr.function == "matches":
                self._check_pattern(children(node)[-1])

    def _check_pattern(self, pattern: Any) -> None:
        if constant_of(pattern) is None:
            return
        try:
            Program(call_of("matches", pattern, pattern))({})
        except EvaluationError as error:
            raise self.mistake(pattern, f"{written(pattern)}: {error}") from None

    def type_of(self, expr: Any) -> str:
        """The CEL type of a column by its name in CEL, others by their kind."""
        type_ = self._types[expr.id]
        kind = type_.WhichOneof("type_kind")
        if kind == "primitive":
            name = str(type(type_).PrimitiveType.Name(type_.primitive)).lower()
            return {"int64": "int", "uint64": "uint"}.get(name, name)
        if kind == "well_known":
            return str(type(type_).WellKnownType.Name(type_.well_known).lower())
        return str(kind).removesuffix("_type")

    def overload_of(self, expr: Any) -> str:
        """The only overload a call may have; the empty string where values decide."""
        overloads = self._references[expr.id].overload_id
        return str(overloads[0]) if len(overloads) == 1 else ""

    def value_of(self, expr: Any) -> Any:
        """The value of a subexpression that reads nothing; raises ExpressionError if none."""
        try:
            return Program(expr)({})
        except EvaluationError as error:
            for part in children(expr):
                if not free_names(part):
                    self.value_of(part)  # where a part fails, that is the place
            raise self.mistake(expr, f"`{written(expr)}` has no value: {error}") from None

    def input_at(self, expr: Any) -> tuple[Input | None, bool]:
        """The input that a path names, and whether it is only asked if it is there."""
        path, asked = path_of(expr), expr.select_expr.test_only
        if expr.call_expr.function in READING:
            read = self._read_by_call(expr)
            return self.inputs.setdefault(read.name, read), False
        if path is None and expr.call_expr.function == "@in":
            # `"salinity" in sensors` asks what `has(sensors.salinity)` asks.
            key, of = map(_path_or_text, expr.call_expr.args)
            asked = isinstance(key, str) and isinstance(of, tuple) and of[-1] in _MAPS
            path = (*of, key) if asked else None
        column = None if path is None else input_of(path)
        if column is not None:
            column = self.inputs.setdefault(column.name, column)
        return column, asked

    def _read_by_call(self, expr: Any) -> Input:
        (of,) = expr.call_expr.args
        if expr.call_expr.function == RATE:
            return rate_input(written(of))
        zone_id = constant_of(of)
        if zone_id is None and name_of(of) != "zone":
            what = f"`distance_to` takes the id of a zone, not `{written(of)}`"
            raise self.mistake(of, what, 'write it out, as in `distance_to("apei-4")`')
        return distance_input(zone_id)

    def named_zones(self) -> tuple[str, ...]:
        """The ids of zones that the distance to is asked for."""
        calls = (n for n in walk(self.root) if n.call_expr.function == DISTANCE_TO)
        ids = (constant_of(call.call_expr.args[0]) for call in calls)
        return tuple(dict.fromkeys(zone_id for zone_id in ids if zone_id is not None))

    def read_by(self, expr: Any) -> Iterator[Input]:
        """The inputs that a subexpression reads, repeated as they are."""
        column, asked = self.input_at(expr)
        if column is not None:
            # Whether there is one is a column of truths.
            yield replace(column, type_="bool") if asked else column
        else:
            for part in children(expr):
                yield from self.read_by(part)

    def reads_only_choices(self, expr: Any) -> bool:
        """Whether texts and properties are all that a subexpression reads."""
        return all(column.is_choice for column in self.read_by(expr))

    def reads_one_choice(self, expr: Any) -> bool:
        """Whether one text or property is all that a subexpression reads."""
        names = {column.name for column in self.read_by(expr)}
        return len(names) == 1 and self.reads_only_choices(expr)

    def too_large(self, expr: Any, limit: int) -> ExpressionError:
        """The mistake of having more parts than a limit."""
        return self.mistake(expr, f"more than {limit} parts", "split the rule into several")

    def mistake(self, expr: Any, message: str, suggestion: str = "") -> ExpressionError:
        """A mistake at the place of a subexpression."""
        line, column = self.place(expr)
        return ExpressionError([Mistake(message, column, suggestion, line)])

    def place(self, expr: Any) -> tuple[int, int]:
        """The line and column of a subexpression, from 1."""
        offset = self._source.positions.get(expr.id, 0)
        starts = [0, *(end for end in self._source.line_offsets if end <= offset)]
        return len(starts), offset - starts[-1] + 1


def _path_or_text(expr: Any) -> Any:
    """A path as a tuple of names, a text constant as it is, None for anything else."""
    value = constant_of(expr)
    return path_of(expr) if value is None else value
