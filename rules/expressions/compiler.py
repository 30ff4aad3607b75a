"""From the checked tree of an expression to operations on columns.

Numbers, truths and times are columns: each call of the tree has one kernel, found by its overload
id. Everything that deals with texts, lists, maps or values of any type is left to Google's
runtime, once for each distinct input (``by_value``). What reads nothing is computed at load.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from rules.expressions import arithmetic, times
from rules.expressions.by_value import ByValue, distinct
from rules.expressions.columns import Choices, Columns
from rules.expressions.environment import ORDERINGS, EvaluationError, Program
from rules.expressions.inputs import Input
from rules.expressions.syntax import (
    call_of,
    children,
    copy_of,
    free_names,
    name_of,
    substitute,
    variable,
    written,
)
from rules.expressions.tree import Tree
from rules.expressions.values import Kernel, Value, constant
from rules.expressions.vocabulary import WHOLES

MAX_COMPILED: Final = 5_000
"""Parts after macros over lists are unrolled."""

Evaluate = Callable[[Columns], Value]

_KERNELS: Final[dict[str, Kernel]] = arithmetic.KERNELS | times.KERNELS
_NUMBERS: Final = {"int", "double"}
_TIMES: Final = {"timestamp", "duration"}
_COLUMNS: Final = {"bool"} | _NUMBERS | _TIMES
"""Types that are columns; all others are left to ``ByValue``."""


@dataclass(frozen=True, slots=True)
class Ordering:
    """An ordering of two numbers: what a decision record tells limit and margin of.

    ``sign``: +1 where the rule asks that ``left`` be above ``right``, -1 below. ``inclusive``:
    equal will do. ``limit_first``: the limit is on the left, as in ``200.0 < depth_m``.
    """

    text: str
    left: Evaluate
    right: Evaluate
    sign: int
    inclusive: bool
    limit_first: bool


@dataclass(frozen=True, slots=True)
class Compiled:
    """An expression compiled: its evaluation, what it reads, and the orderings in it."""

    evaluate: Evaluate
    inputs: tuple[Input, ...]
    orderings: tuple[Ordering, ...]


def compile_tree(checked: Any) -> Compiled:
    """Compile a ``cel.expr.CheckedExpr``; raises ExpressionError for what cannot be judged."""
    tree = Tree(checked)
    tree.look_over()
    compiler = _Compiler(tree)
    evaluate = compiler.compile(tree.root, _Scope())
    return Compiled(evaluate, tuple(tree.inputs.values()), tuple(compiler.orderings))


@dataclass(frozen=True, slots=True)
class _Scope:
    """Around a subexpression: columns of a macro's variables, and whether it is under a ``!``."""

    bound: Mapping[str, Evaluate] = field(default_factory=dict)
    negated: bool = False


class _Compiler:
    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._left = MAX_COMPILED
        self.orderings: list[Ordering] = []

    def compile(self, expr: Any, scope: _Scope) -> Evaluate:
        """The operations for a subexpression of a column type."""
        self._left -= 1
        if self._left < 0:
            raise self._tree.too_large(expr, MAX_COMPILED)
        names = free_names(expr)
        if not names:
            return self._constant(expr)
        found = self._column(expr, scope)
        if not found and names.isdisjoint(scope.bound) and self._tree.reads_one_choice(expr):
            found = self._by_value(expr, scope, self._tree.type_of(expr))
        return (
            found
            or self._unrolled(expr, scope)
            or self._called(expr, scope)
            or self._by_value(expr, scope, self._tree.type_of(expr))
        )

    def _constant(self, expr: Any) -> Evaluate:
        value = constant(self._tree.value_of(expr))
        if self._tree.type_of(expr) in _TIMES:
            text = Program(call_of("string", expr))({})
            if text.partition(".")[2].rstrip("sZ")[6:].strip("0"):
                remedy = "columns hold whole microseconds: give no finer time"
                raise self._tree.mistake(expr, f"`{text}` is too fine", remedy)
        return lambda _: value

    def _column(self, expr: Any, scope: _Scope) -> Evaluate | None:
        """A macro's variable, a field, or whether the record has a field."""
        if (name := name_of(expr)) in scope.bound:
            return scope.bound[name]
        column, asked = self._tree.input_at(expr)
        if column is None:
            return None
        if asked:
            return column.presence
        return None if column.is_choice else column

    def _unrolled(self, expr: Any, scope: _Scope) -> Evaluate | None:
        """A macro over a constant list, one step for each element.

        The loop condition is left out: it only stops early where no later step could matter.
        """
        parts = expr.comprehension_expr
        if parts.iter_range.WhichOneof("expr_kind") != "list_expr":
            return None
        if free_names(parts.iter_range) or self._tree.type_of(parts.accu_init) not in _COLUMNS:
            return None
        so_far = self.compile(parts.accu_init, scope)
        for element in parts.iter_range.list_expr.elements:
            step = substitute(parts.loop_step, parts.iter_var, element)
            inner = replace(scope, bound={**scope.bound, parts.accu_var: so_far})
            so_far = _once(self.compile(step, inner))
        last = replace(scope, bound={**scope.bound, parts.accu_var: so_far})
        return self.compile(parts.result, last)

    # Numbers, truths and times: kernels on columns.

    def _called(self, expr: Any, scope: _Scope) -> Evaluate | None:
        overload, parts = self._tree.overload_of(expr), children(expr)
        if expr.call_expr.function in ORDERINGS:
            return self._ordering(expr, overload, scope)
        if overload in times.WITH_ZONE:
            return self._in_time_zone(expr, overload, scope)
        if overload == "in_list" and parts[1].WhichOneof("expr_kind") == "list_expr":
            parts = [parts[0], *parts[1].list_expr.elements]
        types = {self._tree.type_of(part) for part in parts}
        if overload == "in_list" and len(types) > 1 and not types <= _NUMBERS:
            return None
        if overload not in _KERNELS or not types <= _COLUMNS:
            return None
        inner = replace(scope, negated=scope.negated != (overload == "logical_not"))
        return _applied(_KERNELS[overload], [self.compile(part, inner) for part in parts])

    def _ordering(self, expr: Any, overload: str, scope: _Scope) -> Evaluate | None:
        function, parts = expr.call_expr.function, children(expr)
        types = {self._tree.type_of(part) for part in parts}
        if types == {"double", "dyn"} and all(map(self._is_number, parts)):
            overload = f"{ORDERINGS[function]}_double"
        elif overload not in _KERNELS:
            return None
        left, right = (self._operand(part, scope) for part in parts)
        if types <= _NUMBERS | {"dyn"}:
            measured = [any(map(_is_measured, self._tree.read_by(part))) for part in parts]
            ordering = Ordering(
                text=written(expr),
                left=left,
                right=right,
                sign=1 if function.startswith("_>") != scope.negated else -1,
                inclusive=function.endswith("=_") != scope.negated,
                limit_first=measured == [False, True],
            )
            self.orderings.append(ordering)
        return _applied(_KERNELS[overload], [left, right])

    def _is_number(self, expr: Any) -> bool:
        """Whether a double, or a property of any type that is to be held against one."""
        return self._tree.type_of(expr) == "double" or self._tree.reads_one_choice(expr)

    def _operand(self, expr: Any, scope: _Scope) -> Evaluate:
        if self._tree.type_of(expr) == "dyn":
            return self._by_value(expr, scope, "double")
        return self.compile(expr, scope)

    def _in_time_zone(self, expr: Any, overload: str, scope: _Scope) -> Evaluate | None:
        time, zone = children(expr)
        if free_names(zone):
            return None
        try:
            kernel = times.in_time_zone(overload, self._tree.value_of(zone))
        except EvaluationError as error:
            remedy = "give a name such as America/New_York or an offset such as +02:00"
            raise self._tree.mistake(zone, f"{written(zone)}: {error}", remedy) from None
        return _applied(kernel, [self.compile(time, scope)])

    # Texts, lists, maps and values of any type: Google's runtime on distinct values.

    def _by_value(self, expr: Any, scope: _Scope, type_: str) -> Evaluate:
        cut = _Cut(copy_of(expr))
        # A column in the place of the whole would ask for itself: only its parts are cut.
        whole = self._tree.type_of(expr) not in _COLUMNS
        for part in [cut.expr] if whole else children(cut.expr):
            self._cut(part, cut, scope, frozenset())
        evaluate = ByValue(Program(cut.expr), cut.inputs, type_, computed=cut.computed)
        if not free_names(expr).isdisjoint(scope.bound):
            return evaluate
        key = (written(expr), type_)
        return lambda columns: columns.shared(key, evaluate)

    def _cut(self, expr: Any, cut: "_Cut", scope: _Scope, macro: frozenset[str]) -> None:
        """Replace what ``expr`` reads by variables of ``cut``; ``macro``: names bound inside."""
        names, type_ = free_names(expr), self._tree.type_of(expr)
        if names <= macro:
            if not names and expr.WhichOneof("expr_kind") == "call_expr":
                self._tree.value_of(expr)  # to tell a failure now
            return
        column, asked = self._tree.input_at(expr)
        if column is not None and column.is_choice and not asked:
            cut.replace(expr, column, column.type_)
        elif type_ in _COLUMNS and not names & macro and not self._tree.reads_only_choices(expr):
            cut.replace(expr, partial(_distinct, self.compile(expr, scope), type_), type_)
            cut.computed = True
        elif (whole := name_of(expr)) in WHOLES:
            remedy = f"ask for one of its fields, `{whole}.name`"
            raise self._tree.mistake(expr, f"`{whole}` cannot be judged as a whole", remedy)
        else:
            bound = {expr.comprehension_expr.iter_var, expr.comprehension_expr.accu_var}
            for part in children(expr):
                self._cut(part, cut, scope, macro | bound)


class _Cut:
    """A subexpression whose inputs were replaced by variables, for the runtime."""

    def __init__(self, expr: Any) -> None:
        self.expr = expr
        self.inputs: dict[str, Callable[[Columns], Choices]] = {}
        self.computed = False

    def replace(self, expr: Any, column: Callable[[Columns], Choices], type_: str) -> None:
        """Put a variable in the place of ``expr``; times are texts in ``column``."""
        name = f"@{written(expr)}"  # a name that no user can write
        self.inputs[name] = column
        by = variable(name)
        expr.CopyFrom(call_of(type_, by) if type_ in _TIMES else by)


def _is_measured(column: Input) -> bool:
    return not column.of_zone and not column.is_choice


def _distinct(evaluate: Evaluate, type_: str, columns: Columns) -> Choices:
    return distinct(evaluate(columns), len(columns), type_)


def _applied(kernel: Kernel, evaluations: list[Evaluate]) -> Evaluate:
    if len(evaluations) == 1:
        (only,) = evaluations
        return lambda columns: kernel(only(columns))
    if len(evaluations) == 2:
        first, second = evaluations
        return lambda columns: kernel(first(columns), second(columns))
    return lambda columns: kernel(*(evaluate(columns) for evaluate in evaluations))


def _once(evaluate: Evaluate) -> Evaluate:
    """The same, computed once for a set of columns however often it is asked for."""
    key = object()
    return lambda columns: columns.shared(key, evaluate)
