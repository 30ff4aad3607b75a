"""The CEL conformance suite through our columns.

The suite's expressions are of constants, which are computed at load. So each literal, and each
variable of a test, is moved into a column of a one-row frame (numbers into sensors, texts into the
record's texts) and the expression is compiled to columns and judged there. Every test is counted:
it passes, or it is among those that do not apply, by reason; none that applies may differ.

What is not type-checked in the suite is checked with all its parts declared to be of any type
(``dyn``); where that fails, and the suite wants an error as well, it passes: a rule with such a
mistake is refused at load.
"""

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cel.expr import checked_pb2, syntax_pb2
from cel.expr.conformance.proto2 import test_all_types_extensions_pb2 as _extensions  # noqa: F401
from cel.expr.conformance.proto2 import test_all_types_pb2 as _proto2  # noqa: F401
from cel.expr.conformance.proto3 import test_all_types_pb2 as _proto3  # noqa: F401
from cel.expr.conformance.test import simple_pb2
from cel_expr_python import cel
from google.protobuf import any_pb2, text_format

from rules.expressions import ERROR, TRUE, Columns, ExpressionError, ZoneTable
from rules.expressions.compiler import compile_tree
from rules.expressions.environment import dialect
from rules.expressions.syntax import children, copy_of, walk, written
from rules.expressions.values import codes
from schemas.frame import TEXT_FIELDS
from tests.frames import frame_of

MESSAGES = re.compile(
    r"TestAllTypes|NestedTestAllTypes|GlobalEnum|NestedEnum|google\.protobuf\.|object_value"
    r"|message_type|proto2|proto3|NullValue|Value\{"
)
"""What only tests with protobuf messages (or their enums) mention."""


def is_of_messages(test: Any) -> bool:
    """Whether a test needs protobuf messages, which no telemetry has."""
    return bool(MESSAGES.search(text_format.MessageToString(test)))


def type_of(declared: Any) -> Any:
    """A type of the suite as the runtime has it."""
    kind = declared.WhichOneof("type_kind")
    if kind == "primitive":
        return getattr(cel.Type, declared.PrimitiveType.Name(declared.primitive).removesuffix("64"))
    if kind == "map_type":
        return cel.Type.Map(
            type_of(declared.map_type.key_type), type_of(declared.map_type.value_type)
        )
    if kind == "list_type":
        return cel.Type.List(type_of(declared.list_type.elem_type))
    return cel.Type.DYN


@cache
def without_variables(container: str) -> Any:
    return cel.NewEnv(container=container or None, **dialect())


def environment(test: Any) -> Any:
    """What an expression of the suite is checked with: the test's variables, our dialect."""
    if not test.bindings and not test.type_env:
        return without_variables(test.container)
    variables = dict.fromkeys(test.bindings, cel.Type.DYN)
    for declared in test.type_env:
        if declared.HasField("ident"):
            variables[declared.name] = type_of(declared.ident.type)
    return cel.NewEnv(variables=variables, container=test.container or None, **dialect())


def tree_of(env: Any, text: str, *, checked: bool = True) -> Any:
    """The tree of an expression; raises RuntimeError with the mistakes of the checker."""
    packed = any_pb2.Any.FromString(env.compile(text, disable_check=not checked).serialize())
    tree = checked_pb2.CheckedExpr() if checked else syntax_pb2.ParsedExpr()
    packed.Unpack(tree)
    return tree


def literal(value: Any) -> Any:
    """A value of the suite as an expression."""
    kind, out = value.WhichOneof("kind"), syntax_pb2.Expr()
    if kind == "list_value":
        out.list_expr.elements.extend(map(literal, value.list_value.values))
        out.list_expr.SetInParent()
    elif kind == "map_value":
        out.struct_expr.SetInParent()
        for entry in value.map_value.entries:
            pair = out.struct_expr.entries.add()
            pair.map_key.CopyFrom(literal(entry.key))
            pair.value.CopyFrom(literal(entry.value))
    elif kind == "type_value":
        out.ident_expr.name = value.type_value
    elif kind == "double_value":
        out.call_expr.function = "double"  # infinity has no literal
        out.call_expr.args.add().const_expr.string_value = repr(value.double_value)
    else:
        setattr(out.const_expr, kind, getattr(value, kind))
    return out


def condition_of(test: Any, text: str) -> str:
    """A condition that must be true, or fail if the test must."""
    matcher = test.WhichOneof("result_matcher")
    if matcher is None:
        return text
    if matcher == "eval_error":
        return f"dyn({text}) == dyn({text})"
    value = test.typed_result.result if matcher == "typed_result" else test.value
    if value.WhichOneof("kind") == "bool_value":
        return f"({text}) == true" if value.bool_value else f"!({text})"
    if value.WhichOneof("kind") == "double_value" and value.double_value != value.double_value:
        return f"({text}) != ({text})"
    return f"dyn({text}) == {written(literal(value))}"


class Lifted:
    """A checked tree with its literals, and its variables, moved into the columns of one record."""

    def __init__(self, tree: Any, bindings: Any) -> None:
        self.record: dict[str, Any] = {"vehicle_id": "v", "time_s": 0.0, "sensors": {}}
        self._texts = iter(TEXT_FIELDS)
        self._names = (f"c{n}" for n in count())
        self.tree = checked_pb2.CheckedExpr()
        self.tree.CopyFrom(tree)
        self._ids = count(max(node.id for node in walk(tree.expr)) + 1)
        self._bindings = bindings
        self._bind_all(self.tree.expr, frozenset())
        for node in list(walk(self.tree.expr)):
            if node.WhichOneof("expr_kind") == "const_expr":
                self._lift(node)

    def _bind_all(self, node: Any, hidden: frozenset[str]) -> None:
        """Put values in the places of variables, but for those ``hidden`` by a macro's."""
        name, macro = node.ident_expr.name, node.comprehension_expr
        # A dot in front says that no macro's variable is meant.
        if name not in hidden and name.removeprefix(".") in self._bindings:
            self._bind(node, literal(self._bindings[name.removeprefix(".")].value))
            return
        for part in children(node):
            inside = part in (macro.loop_condition, macro.loop_step)
            self._bind_all(part, hidden | {macro.iter_var} if inside else hidden)

    def _bind(self, node: Any, by: Any) -> None:
        by.id = node.id
        for part in walk(by):
            part.id = part.id or next(self._ids)
            if part.id != node.id:
                self._typed(part, *_primitive(part))
        node.CopyFrom(by)

    def _typed(self, node: Any, kind: str, name: Any) -> None:
        self.tree.type_map[node.id].SetInParent()
        if kind == "primitive":
            self.tree.type_map[node.id].primitive = getattr(checked_pb2.Type, name)
        else:
            getattr(self.tree.type_map[node.id], kind).SetInParent()

    def _lift(self, node: Any) -> None:
        kind = node.const_expr.WhichOneof("constant_kind")
        value = getattr(node.const_expr, kind)
        if kind == "double_value":
            self._sensor(node, value)
        elif kind in ("int64_value", "uint64_value") and abs(value) < 2**53:
            function = "int" if kind == "int64_value" else "uint"
            self._call(node, function, f"double_to_{function}64", float(value))
        elif kind == "bool_value":
            self._call(node, "_>_", "greater_double", float(value), 0.0)
        elif kind == "string_value" and (name := next(self._texts, None)) is not None:
            self.record[name] = value
            node.ident_expr.name = name

    def _call(self, node: Any, function: str, overload: str, *values: float) -> None:
        call = syntax_pb2.Expr(id=node.id)
        call.call_expr.function = function
        for value in values:
            part = call.call_expr.args.add()
            part.id = next(self._ids)
            self._sensor(part, value)
            self._typed(part, "primitive", "DOUBLE")
        self.tree.reference_map[node.id].overload_id.append(overload)
        node.CopyFrom(call)

    def _sensor(self, node: Any, value: float) -> None:
        name = next(self._names)
        self.record["sensors"][name] = value
        select = syntax_pb2.Expr(id=node.id)
        select.select_expr.field = name
        select.select_expr.operand.id = next(self._ids)
        select.select_expr.operand.ident_expr.name = "sensors"
        self._typed(select.select_expr.operand, "map_type", None)
        node.CopyFrom(select)


def _primitive(part: Any) -> tuple[str, str | None]:
    kind = part.WhichOneof("expr_kind")
    if kind == "const_expr":
        of = part.const_expr.WhichOneof("constant_kind")
        return (
            ("null", None)
            if of == "null_value"
            else ("primitive", of.removesuffix("_value").upper())
        )
    return ("list_type" if kind == "list_expr" else "map_type", None)


def of_any_type(expr: Any) -> Any:
    """An expression with every literal and variable declared to be of any type."""
    out = copy_of(expr)
    for node in list(walk(out)):
        if node.WhichOneof("expr_kind") in ("const_expr", "ident_expr"):
            call = syntax_pb2.Expr()
            call.call_expr.function = "dyn"
            call.call_expr.args.add().CopyFrom(node)
            node.CopyFrom(call)
    return out


def texts_of(env: Any, test: Any) -> Iterator[str]:
    """The ways to write a test's expression: as it is, then of any type."""
    yield test.expr
    if test.disable_check:
        tree = tree_of(env, test.expr, checked=False).expr
        if all(node.WhichOneof("expr_kind") != "comprehension_expr" for node in walk(tree)):
            yield written(of_any_type(tree))


def outcome(test: Any) -> str:
    """ "passed", or why the test does not apply; fails where we differ from the suite."""
    env = environment(test)
    fails = test.WhichOneof("result_matcher") in ("eval_error", "any_eval_errors")
    if test.WhichOneof("result_matcher") == "unknown":
        return "asks for what is unknown"
    told = ""
    for text in texts_of(env, test):
        try:
            tree = tree_of(env, condition_of(test, text))
        except RuntimeError as error:
            told = str(error).partition("\n")[0]
            continue
        return judged(test, tree, fails=fails)
    return "passed" if fails else f"refused by Google's checker: {told}"


def judged(test: Any, tree: Any, *, fails: bool) -> str:
    bindings = {name: test.bindings[name] for name in test.bindings}
    lifted = Lifted(tree, bindings)
    try:
        compiled = compile_tree(lifted.tree)
    except ExpressionError as error:
        if not fails or "has no value" not in str(error):
            return f"refused: {error}"
        return "passed"
    columns = Columns.of_records(frame_of([lifted.record]), None, ZoneTable(()).distances)
    with np.errstate(all="ignore"):
        code = codes(compiled.evaluate(columns), 1)[0]
    assert code == (ERROR if fails else TRUE), f"{test.name}: {test.expr} gives {code}"
    return "passed"


PASSED = {
    "basic": 41,
    "comparisons": 334,
    "fields": 59,
    "fp_math": 30,
    "integer_math": 64,
    "lists": 39,
    "logic": 30,
    "macros": 44,
    "math_ext": 199,
    "namespace": 14,
    "parse": 175,
    "plumbing": 5,
    "string": 51,
}
"""Tests of each file that pass; all others are of messages, or in ``NOT_PASSED``."""
UNDECLARED = "what is not declared is refused at load, even where it would not matter"
NOT_PASSED = {
    ("basic", "unbound_is_runtime_error"): UNDECLARED,
    (
        "fields",
        "map_value_repeat_key_heterogeneous",
    ): "Google's runtime takes 0 and 0u for two keys",
    ("parse", "parens"): "with what compares its value it passes the parser's limit of nesting",
    **{
        ("parse", word): UNDECLARED
        for word in (
            *("as", "break", "const", "continue", "else", "for", "function", "if", "import", "let"),
            *("loop", "package", "namespace", "return", "var", "void", "while"),
        )
    },
}
"""File and name of the tests that do not pass, and why."""


def cases_of(name: str, folder: Path) -> list[Any]:
    """The tests of a file of the suite."""
    file = simple_pb2.SimpleTestFile()
    # The suite is newer than the package with its messages: what of them is new is of messages.
    text = (folder / "suite-cel-spec" / f"{name}.textproto").read_text()
    # Python's reader does not know the escape of a question mark.
    text = re.sub(r"(?<!\\)((?:\\\\)*)\\\?", r"\1?", text)
    text_format.Parse(text, file, allow_unknown_field=True)
    return [test for section in file.section for test in section.test]


def result(test: Any) -> str:
    """``outcome``, also where the answer is another one."""
    try:
        return outcome(test)
    except AssertionError as error:
        return f"another answer: {error}"


@pytest.mark.parametrize("name", PASSED)
def test_the_conformance_suite_holds_on_columns(name: str, outside_data: Path) -> None:
    plain = [test for test in cases_of(name, outside_data) if not is_of_messages(test)]
    told = [(test.name, result(test)) for test in plain]
    wrong = [each for each in told if each[1] != "passed" and (name, each[0]) not in NOT_PASSED]
    assert not wrong
    assert Counter(outcome for _, outcome in told)["passed"] == PASSED[name]


def test_nearly_all_tests_without_messages_pass(outside_data: Path) -> None:
    files = sorted(file.stem for file in (outside_data / "suite-cel-spec").glob("*.textproto"))
    plain = {
        name: sum(not is_of_messages(test) for test in cases_of(name, outside_data))
        for name in files
    }
    assert {name for name, count in plain.items() if count} == PASSED.keys()
    assert (sum(PASSED.values()), sum(plain.values())) == (1085, 1106)
    assert sum(PASSED.values()) >= 0.95 * sum(plain.values())
