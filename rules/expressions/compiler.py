"""From the checked tree of an expression to operations on columns.

Numbers, truths and times are columns: each call of the tree has one kernel, found by its overload
id. Everything that deals with texts, lists, maps or values of any type is left to Google's
runtime, once for each distinct input (``by_value``). What reads nothing is computed at load.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from rules.expressions import arithmetic, maths, times
from rules.expressions.by_value import ByValue
from rules.expressions.columns import Choices, Columns
from rules.expressions.environment import ORDERINGS, EvaluationError, Program
from rules.expressions.inputs import Input, distance_input
from rules.expressions.macros import Macros
from rules.expressions.steps import Evaluate, Scope, applied, distinct_of, noting, where_open
from rules.expressions.syntax import (
    call_of,
    children,
    constant_of,
    copy_of,
    free_names,
    name_of,
    variable,
    walk,
    written,
)
from rules.expressions.tree import COLUMNS, DISTANCE_TO, NUMBERS, RATE, TIMES, Tree
from rules.expressions.values import Kernel, constant
from rules.expressions.vocabulary import WHOLES

MAX_COMPILED: Final = 5_000
"""Parts after macros over lists are unrolled."""

_KERNELS: Final[dict[str, Kernel]] = arithmetic.KERNELS | times.KERNELS | maths.KERNELS
_REASONS: Final = arithmetic.REASONS | times.REASONS | {"math_abs_int": "integer overflow"}
# The truth of one side that decides whatever the other one is.
_ABSORBING: Final = {"logical_and": False, "logical_or": True}


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
    """An expression compiled: its evaluation, what it reads, and the orderings in it.

    ``rates``: what is asked for by ``rate``, by its text, on the record alone. ``named_zones``: ids
    of zones that it asks the distance to. ``shape``: the text of the expression but for the numbers
    in ``parameters``, the same for expressions that differ in these alone. ``by_record``: line and
    column of each part that Google's runtime computes record by record.
    """

    evaluate: Evaluate
    inputs: tuple[Input, ...]
    orderings: tuple[Ordering, ...]
    rates: Mapping[str, Evaluate]
    named_zones: tuple[str, ...]
    shape: str
    parameters: tuple[Any, ...]
    by_record: tuple[tuple[int, int], ...]


def compile_tree(checked: Any) -> Compiled:
    """Compile a ``cel.expr.CheckedExpr``; raises ExpressionError for what cannot be judged."""
    tree = Tree(checked)
    tree.look_over()
    compiler = _Compiler(tree)
    evaluate = compiler.compile(tree.root, Scope())
    inputs, orderings = tuple(tree.inputs.values()), tuple(compiler.orderings)
    return Compiled(
        evaluate,
        inputs,
        orderings,
        compiler.rates,
        tree.named_zones(),
        compiler.shape(),
        compiler.shared_parameters(),
        tuple(sorted(set(compiler.by_record))),
    )


class _Compiler:
    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._macros = Macros(tree, self.compile)
        self._left = MAX_COMPILED
        self.orderings: list[Ordering] = []
        self.rates: dict[str, Evaluate] = {}
        self.parameters: list[Any] = []
        # How often the distance to a zone is asked for.
        self._distances = 0
        # Places of what Google's runtime computes record by record: line and column.
        self.by_record: list[tuple[int, int]] = []
        # Whether a macro's variable is used by value: then each expression is judged alone.
        self._alone = False
        # Types of the constants that are parameters, by the id of their place in the tree; and the
        # places of those that are not. Steps of a macro share places: one may be both.
        self._replaced: dict[int, str] = {}
        self._kept: set[int] = set()

    def compile(self, expr: Any, scope: Scope) -> Evaluate:
        """The operations for a subexpression of a column type."""
        self._left -= 1
        if self._left < 0:
            raise self._tree.too_large(expr, MAX_COMPILED)
        names = free_names(expr)
        if not names:
            return self._constant(expr, scope)
        found = self._column(expr, scope)
        if not found and names.isdisjoint(scope.bound) and self._tree.reads_one_choice(expr):
            found = self._by_value(expr, scope, self._tree.type_of(expr))
        return (
            found
            or self._macros.unrolled(expr, scope)
            or self._macros.counted(expr, scope)
            or self._called(expr, scope)
            or self._by_value(expr, scope, self._tree.type_of(expr))
        )

    def _constant(self, expr: Any, scope: Scope) -> Evaluate:
        value, type_ = constant(self._tree.value_of(expr)), self._tree.type_of(expr)
        if type_ in TIMES:
            text = Program(call_of("string", expr))({})
            if text.partition(".")[2].rstrip("sZ")[6:].strip("0"):
                remedy = "columns hold whole microseconds: give no finer time"
                raise self._tree.mistake(expr, f"`{text}` is too fine", remedy)
        if type_ == "bool" or scope.fixed:
            self._keep(expr)
            return lambda _: value
        self._replaced[expr.id] = type_
        self.parameters.append(value.data)
        place = len(self.parameters) - 1
        return lambda columns: (
            value if columns.parameters is None else columns.parameters.values[place]
        )

    def shared_parameters(self) -> tuple[Any, ...]:
        """The parameters, none where the expression is to be judged alone."""
        return () if self._alone else tuple(self.parameters)

    def shape(self) -> str:
        """The text of the expression with parameters in the place of their constants."""
        out = copy_of(self._tree.root)
        for node in list(walk(out)):
            if node.id in self._replaced and self._kept.isdisjoint(each.id for each in walk(node)):
                node.CopyFrom(variable(f"@{self._replaced[node.id]}"))
        return written(out)

    def _keep(self, expr: Any) -> None:
        """No constant in ``expr`` is a parameter, wherever else it stands."""
        self._kept.update(node.id for node in walk(expr))

    def _column(self, expr: Any, scope: Scope) -> Evaluate | None:
        """A macro's variable, a field, or whether the record has a field."""
        if (name := name_of(expr)) in scope.bound:
            return scope.bound[name]
        column, asked = self._tree.input_at(expr)
        if column is None:
            return None
        if asked:
            return column.presence
        self._distances += expr.call_expr.function == DISTANCE_TO
        if expr.call_expr.function == RATE:
            (of,) = expr.call_expr.args
            self.rates[written(of)] = self._of_record(of, scope)
        return None if column.is_choice else column

    def _of_record(self, expr: Any, scope: Scope) -> Evaluate:
        """The operations for what ``rate`` takes: a number that each record has by itself."""
        others = [c.name for c in self._tree.read_by(expr) if c.of_zone or c.of_past]
        if others or not free_names(expr) or not free_names(expr).isdisjoint(scope.bound):
            what = f"`rate` takes what a record itself has, not `{written(expr)}`"
            raise self._tree.mistake(expr, what, "name a field, as in `rate(depth_m)`")
        return self.compile(expr, Scope(fixed=True))

    # Numbers, truths and times: kernels on columns.

    def _called(self, expr: Any, scope: Scope) -> Evaluate | None:
        overload, parts = self._tree.overload_of(expr), children(expr)
        if expr.call_expr.function in ORDERINGS:
            return self._ordering(expr, overload, scope)
        if overload in times.WITH_ZONE:
            return self._in_time_zone(expr, overload, scope)
        if overload == "in_list" and parts[1].WhichOneof("expr_kind") == "list_expr":
            parts = [parts[0], *parts[1].list_expr.elements]
        if overload in maths.LISTED and parts[-1].WhichOneof("expr_kind") == "list_expr":
            parts = list(parts[-1].list_expr.elements)
        types = {self._tree.type_of(part) for part in parts}
        if overload == "in_list" and len(types) > 1 and not types <= NUMBERS:
            return None
        if overload not in _KERNELS or not types <= COLUMNS:
            return None
        inner = replace(scope, negated=scope.negated != (overload == "logical_not"))
        if overload in _ABSORBING:
            return self._absorbing(overload, parts, inner)
        called = applied(_KERNELS[overload], [self.compile(part, inner) for part in parts])
        return noting(called, _REASONS[overload]) if overload in _REASONS else called

    def _absorbing(self, overload: str, parts: list[Any], scope: Scope) -> Evaluate:
        """``&&`` or ``||``: a costly side only where the other one leaves it open."""
        kernel, sides = _KERNELS[overload], []
        for part in parts:
            before = self._costly()
            sides.append((self.compile(part, scope), self._costly() > before))
        (first, dear), (second, dearer) = sides
        if dear and not dearer:
            first, second, dearer = second, first, True
        if not dearer:
            return applied(kernel, [first, second])
        return where_open(kernel, first, second, decided=_ABSORBING[overload])

    def _costly(self) -> int:
        """How many parts so far cost much a record."""
        return len(self.by_record) + self._distances

    def _ordering(self, expr: Any, overload: str, scope: Scope) -> Evaluate | None:
        function, parts = expr.call_expr.function, children(expr)
        types = {self._tree.type_of(part) for part in parts}
        if types == {"double", "dyn"} and all(map(self._is_number, parts)):
            overload = f"{ORDERINGS[function]}_double"
        elif overload not in _KERNELS:
            return None
        left, right = (self._operand(part, scope) for part in parts)
        if types <= NUMBERS | {"dyn"}:
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
        left, right = (
            self._rough_distance(*pair) or exact
            for pair, exact in zip((parts, parts[::-1]), (left, right), strict=True)
        )
        return applied(_KERNELS[overload], [left, right])

    def _rough_distance(self, expr: Any, limit: Any) -> Evaluate | None:
        """A distance that is held against a constant, exact only up to it."""
        if expr.call_expr.function != DISTANCE_TO or free_names(limit):
            return None
        zone_id = constant_of(expr.call_expr.args[0])
        if zone_id is None:
            return None
        self._keep(limit)  # it is in what is computed
        return distance_input(zone_id, float(self._tree.value_of(limit)))

    def _is_number(self, expr: Any) -> bool:
        """Whether a double, or a property of any type that is to be held against one."""
        return self._tree.type_of(expr) == "double" or self._tree.reads_one_choice(expr)

    def _operand(self, expr: Any, scope: Scope) -> Evaluate:
        if self._tree.type_of(expr) == "dyn":
            return self._by_value(expr, scope, "double")
        return self.compile(expr, scope)

    def _in_time_zone(self, expr: Any, overload: str, scope: Scope) -> Evaluate | None:
        time, zone = children(expr)
        if free_names(zone):
            return None
        try:
            kernel = times.in_time_zone(overload, self._tree.value_of(zone))
        except EvaluationError as error:
            remedy = "give a name such as America/New_York or an offset such as +02:00"
            raise self._tree.mistake(zone, f"{written(zone)}: {error}", remedy) from None
        return applied(kernel, [self.compile(time, scope)])

    # Texts, lists, maps and values of any type: Google's runtime on distinct values.

    def _by_value(self, expr: Any, scope: Scope, type_: str) -> Evaluate:
        cut = _Cut(copy_of(expr))
        # A column in the place of the whole would ask for itself: only its parts are cut.
        whole = self._tree.type_of(expr) not in COLUMNS
        macro = cut.expr.comprehension_expr
        bound = (
            frozenset() if whole else frozenset([macro.iter_var, macro.iter_var2, macro.accu_var])
        )
        for part in [cut.expr] if whole else children(cut.expr):
            self._cut(part, cut, scope, bound - {""})
        self._keep(cut.expr)
        read = list(self._tree.read_by(expr))
        maps = [column for column in read if column.type_ == "map"]
        by_record = cut.computed or any(column.of_record_each for column in maps)
        if by_record:
            self.by_record.append(self._tree.place(expr))
        evaluate = ByValue(
            Program(cut.expr),
            cut.inputs,
            type_,
            computed=by_record,
            of_maps=bool(maps),
            of_texts=all(column.type_ == "string" for column in read),
        )
        if not free_names(expr).isdisjoint(scope.bound):
            self._alone = True
            return evaluate
        key = (written(expr), type_)
        return lambda columns: columns.shared(key, evaluate)

    def _cut(self, expr: Any, cut: "_Cut", scope: Scope, macro: frozenset[str]) -> None:
        """Replace what ``expr`` reads by variables of ``cut``; ``macro``: names bound inside."""
        names, type_ = free_names(expr), self._tree.type_of(expr)
        if names <= macro:
            if not names and expr.WhichOneof("expr_kind") == "call_expr":
                self._tree.value_of(expr)  # to tell a failure now
            return
        column, asked = self._tree.input_at(expr)
        if column is not None and column.is_choice and not asked:
            cut.replace(expr, column, column.type_)
        elif type_ in COLUMNS and not names & macro and not self._tree.reads_only_choices(expr):
            computed = self.compile(expr, replace(scope, fixed=True))
            cut.replace(expr, partial(distinct_of, computed, type_), type_)
            cut.computed = True
        elif (whole := name_of(expr)) in WHOLES:
            remedy = f"ask for one of its fields, `{whole}.name`"
            raise self._tree.mistake(expr, f"`{whole}` cannot be judged as a whole", remedy)
        else:
            made = expr.comprehension_expr
            bound = {made.iter_var, made.iter_var2, made.accu_var} - {""}
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
        expr.CopyFrom(call_of(type_, by) if type_ in TIMES else by)


def _is_measured(column: Input) -> bool:
    return not column.of_zone and not column.is_choice
