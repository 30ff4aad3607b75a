"""Macros over lists whose members are known at load, one step for each member."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from rules.expressions.lists import Member, Members, members_of
from rules.expressions.steps import Evaluate, Scope, applied, once
from rules.expressions.syntax import children, free_names, substitute
from rules.expressions.tree import COLUMNS, Tree
from rules.expressions.values import conditional, constant, is_there, total, with_value


class Macros:
    """Compiles macros; ``compile_``: compiles a subexpression of a column type."""

    def __init__(self, tree: Tree, compile_: Callable[[Any, Scope], Evaluate]) -> None:
        self._tree, self._compile = tree, compile_

    def unrolled(self, expr: Any, scope: Scope) -> Evaluate | None:
        """A macro over a list whose members are known, one step for each of them.

        The loop condition is left out: it only stops early where no later step could matter.
        """
        parts = expr.comprehension_expr
        if parts.iter_var2 or self._tree.type_of(parts.accu_init) not in COLUMNS:
            return None
        of = members_of(parts.iter_range)
        required = None if of is None else self._required(of, scope)
        if of is None or required is None:
            return None
        so_far = self._compile(parts.accu_init, scope)
        for member in of.members:
            step = substitute(parts.loop_step, parts.iter_var, member.expr)
            inner = replace(scope, bound={**scope.bound, parts.accu_var: so_far})
            taken = self._compile(step, inner)
            so_far = once(self._under(member, scope, taken, so_far))
        last = replace(scope, bound={**scope.bound, parts.accu_var: so_far})
        return applied(with_value, [self._compile(parts.result, last), *required])

    def counted(self, expr: Any, scope: Scope) -> Evaluate | None:
        """The size of a list whose members are known."""
        if expr.call_expr.function != "size":
            return None
        of = members_of(children(expr)[0])
        required = None if of is None else self._required(of, scope)
        if of is None or required is None:
            return None
        one, none = (constant(number) for number in (1, 0))
        counts = [
            self._under(member, scope, lambda _: one, lambda _: none) for member in of.members
        ]
        return applied(with_value, [applied(total, counts), *required])

    def _required(self, of: Members, scope: Scope) -> list[Evaluate] | None:
        """Whether each part that a list needs has a value; None where that is no column."""
        found = []
        for part in of.required:
            there = self._there(part.expr, scope)
            if there is None:
                return None
            if free_names(part.expr):
                found.append(self._under(part, scope, there, lambda _: constant(value=True)))
        return found

    def _there(self, expr: Any, scope: Scope) -> Evaluate | None:
        """True where an expression has a value."""
        if not free_names(expr) or self._tree.type_of(expr) in COLUMNS:
            return applied(is_there, [self._compile_any(expr, scope)])
        column, asked = self._tree.input_at(expr)
        return None if column is None or asked else column.there

    def _compile_any(self, expr: Any, scope: Scope) -> Evaluate:
        """As ``compile``; of a constant, whatever its type, only that it has a value."""
        if free_names(expr):
            return self._compile(expr, scope)
        self._tree.value_of(expr)
        return lambda _: constant(value=True)

    def _under(self, member: Member, scope: Scope, then: Evaluate, other: Evaluate) -> Evaluate:
        """``then`` where a member counts, else ``other``."""
        for test in reversed(member.conditions):
            then = applied(conditional, [self._compile(test, scope), then, other])
        return then
