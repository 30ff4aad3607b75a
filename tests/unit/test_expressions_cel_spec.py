"""The CEL conformance suite through our columns.

The suite's expressions are of constants, which are computed at load. So each literal is moved into
a column of a one-row frame (numbers into sensors, texts into the record's texts) and the expression
is judged there. The tests that apply are counted; of those none may differ.
"""

from collections import Counter
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from cel.expr import syntax_pb2
from cel.expr.conformance.proto2 import test_all_types_pb2 as _proto2  # noqa: F401
from cel.expr.conformance.proto3 import test_all_types_pb2 as _proto3  # noqa: F401
from cel.expr.conformance.test import simple_pb2
from google.protobuf import text_format

from rules.expressions import ERROR, TRUE, Columns, ExpressionError, compile_expression
from rules.expressions.environment import check
from rules.expressions.syntax import children, copy_of, walk, written
from schemas.frame import TEXT_FIELDS
from tests.frames import frame_of

COMPARABLE = ("bool_value", "int64_value", "double_value", "string_value")
PASSED = {
    "basic": 21,
    "comparisons": 332,
    "dynamic": 19,
    "fp_math": 29,
    "integer_math": 51,
    "lists": 35,
    "logic": 21,
    "macros": 34,
    "plumbing": 2,
    "string": 47,
}
"""Tests of each file that pass; the others do not apply, see ``outcome``."""


class Lifted:
    """An expression with its literals moved into the columns of one record."""

    def __init__(self, expr: Any) -> None:
        self.record: dict[str, Any] = {"vehicle_id": "v", "time_s": 0.0, "sensors": {}}
        self._texts = iter(TEXT_FIELDS)
        self._names = (f"c{n}" for n in count())
        self.expr = copy_of(expr)
        self._lift(self.expr)

    def _lift(self, expr: Any) -> None:
        if expr.WhichOneof("expr_kind") != "const_expr":
            for child in children(expr):
                self._lift(child)
            return
        kind = expr.const_expr.WhichOneof("constant_kind")
        value = getattr(expr.const_expr, kind)
        if kind == "double_value":
            self._replace(expr, 'sensors["{}"]', self._sensor(value))
        elif kind == "int64_value" and abs(value) < 2**53:
            self._replace(expr, 'int(sensors["{}"])', self._sensor(float(value)))
        elif kind == "bool_value":
            self._replace(expr, '(sensors["{}"] > 0.0)', self._sensor(float(value)))
        elif kind == "string_value" and (name := next(self._texts, None)) is not None:
            self.record[name] = value
            self._replace(expr, "{}", name)

    def _sensor(self, value: float) -> str:
        name = next(self._names)
        self.record["sensors"][name] = value
        return name

    def _replace(self, expr: Any, pattern: str, name: str) -> None:
        # A name that is CEL text of its own: it is only ever written out, never run.
        expr.Clear()
        expr.ident_expr.name = pattern.format(name)


def literal(kind: str, value: Any) -> str:
    if kind == "double_value":
        return f'double("{value!r}")'  # infinity has no literal
    out = syntax_pb2.Expr()
    setattr(out.const_expr, kind, value)
    return written(out)


def condition_of(test: Any, text: str) -> str | None:
    """A condition that must be true, or fail if the test must; None for values of other types."""
    matcher = test.WhichOneof("result_matcher")
    if matcher is None:
        return text
    if matcher == "eval_error":
        return f"({text}) == ({text})"
    kind = test.value.WhichOneof("kind")
    if matcher != "value" or kind not in COMPARABLE:
        return None
    value = getattr(test.value, kind)
    if kind == "bool_value":
        return text if value else f"!({text})"
    return f"({text}) == {literal(kind, value)}" if value == value else None


def outcome(test: Any) -> str:
    """ "passed", or why the test does not apply; fails where we differ from the suite."""
    if test.bindings or test.type_env or test.disable_check or test.check_only:
        return "has variables of its own, or is not type-checked"
    try:
        expr = check(test.expr).expr
    except ExpressionError:
        return "is not well typed for Google's checker"
    fails = test.WhichOneof("result_matcher") == "eval_error"
    # Macros are expanded in the tree and cannot be written back: their literals stay.
    macro = any(node.WhichOneof("expr_kind") == "comprehension_expr" for node in walk(expr))
    lifted = Lifted(syntax_pb2.Expr() if macro else expr)
    text = condition_of(test, test.expr if macro else written(lifted.expr))
    if text is None:
        return "has a value of a type that no condition compares"
    try:
        condition = compile_expression(text)
    except ExpressionError as error:
        if not fails or "has no value" not in str(error):
            return f"refused: {error}"
        return "passed"
    code = condition.judge(Columns.of_records(frame_of([lifted.record])))[0]
    assert code == (ERROR if fails else TRUE), f"{test.name}: {text} gives {code}"
    return "passed"


@pytest.mark.parametrize("name", PASSED)
def test_the_conformance_suite_holds_on_columns(name: str, outside_data: Path) -> None:
    file = simple_pb2.SimpleTestFile()
    text_format.Parse((outside_data / "suite-cel-spec" / f"{name}.textproto").read_text(), file)
    outcomes = Counter(outcome(test) for section in file.section for test in section.test)
    assert outcomes["passed"] == PASSED[name], dict(outcomes)
