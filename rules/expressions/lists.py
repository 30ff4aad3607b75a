"""Lists whose members are known at load: written out, or made of such by ``filter``, ``map``, +."""

from dataclasses import dataclass
from typing import Any

from rules.expressions.syntax import name_of, substitute


@dataclass(frozen=True, slots=True)
class Member:
    """An expression under conditions: it counts where all of them, in their order, are true."""

    conditions: tuple[Any, ...]
    expr: Any


@dataclass(frozen=True, slots=True)
class Members:
    """The members a list may have, and what must have a value for the list to have one."""

    members: tuple[Member, ...]
    required: tuple[Member, ...]


def members_of(expr: Any) -> Members | None:
    """The members of a list; None where they are not known at load."""
    kind = expr.WhichOneof("expr_kind")
    if kind == "list_expr":
        if expr.list_expr.optional_indices:
            return None
        members = tuple(Member((), element) for element in expr.list_expr.elements)
        return Members(members, members)
    if kind == "call_expr" and expr.call_expr.function == "_+_":
        first, second = map(members_of, expr.call_expr.args)
        if first is None or second is None:
            return None
        return Members(first.members + second.members, first.required + second.required)
    return _made(expr.comprehension_expr) if kind == "comprehension_expr" else None


def _made(macro: Any) -> Members | None:
    """The members of what ``filter`` and ``map`` expand to."""
    taken, test = macro.loop_step, None
    if taken.call_expr.function == "_?_:_":
        test, taken, otherwise = taken.call_expr.args
        if name_of(otherwise) != macro.accu_var:
            return None
    added = _added(taken, macro.accu_var)
    of = members_of(macro.iter_range)
    if added is None or of is None or macro.iter_var2:
        return None
    members, required = [], list(of.required)
    for member in of.members:
        conditions = member.conditions
        if test is not None:
            asked = substitute(test, macro.iter_var, member.expr)
            required.append(Member(conditions, asked))
            conditions = (*conditions, asked)
        made = Member(conditions, substitute(added, macro.iter_var, member.expr))
        members.append(made)
        required.append(made)
    return Members(tuple(members), tuple(required))


def _added(expr: Any, accumulated: str) -> Any:
    """``x`` of ``accumulated + [x]``; None for anything else."""
    if expr.call_expr.function != "_+_" or name_of(expr.call_expr.args[0]) != accumulated:
        return None
    elements = expr.call_expr.args[1].list_expr.elements
    return elements[0] if len(elements) == 1 else None
