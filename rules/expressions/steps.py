"""Evaluations put together: what a compiled expression does on columns, step by step."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from rules.expressions.by_value import distinct
from rules.expressions.columns import Choices, Columns
from rules.expressions.values import Kernel, Value, spread, union_of
from schemas.frame import where

Evaluate = Callable[[Columns], Value]


@dataclass(frozen=True, slots=True)
class Scope:
    """Around a subexpression.

    ``bound``: columns of a macro's variables. ``negated``: it is under a ``!``. ``fixed``: what is
    computed is used by value, so that no number in it is a parameter.
    """

    bound: Mapping[str, Evaluate] = field(default_factory=dict)
    negated: bool = False
    fixed: bool = False


def distinct_of(evaluate: Evaluate, type_: str, columns: Columns) -> Choices:
    """What is computed as distinct values."""
    return distinct(evaluate(columns), len(columns), type_)


def applied(kernel: Kernel, evaluations: Sequence[Evaluate]) -> Evaluate:
    """A kernel on what is evaluated."""
    if len(evaluations) == 1:
        (only,) = evaluations
        return lambda columns: kernel(only(columns))
    if len(evaluations) == 2:
        first, second = evaluations
        return lambda columns: kernel(first(columns), second(columns))
    return lambda columns: kernel(*(evaluate(columns) for evaluate in evaluations))


def where_open(kernel: Kernel, first: Evaluate, second: Evaluate, *, decided: bool) -> Evaluate:
    """A kernel of two truths, of which the second is asked only where the first is not decided."""

    def evaluate(columns: Columns) -> Value:
        one = first(columns)
        closed = one.data if decided else ~union_of(one)
        rows = where(~np.broadcast_to(closed, np.shape(closed) or (len(columns),)))
        if np.ndim(closed) > 1 or len(rows) == len(columns):
            return kernel(one, second(columns))
        part = columns.take(rows)
        part.judging(columns.parameters)
        part.failures = None if columns.failures is None else []
        found = spread(second(part), rows, len(columns))
        for reason, failed in part.failures or ():
            columns.note(reason, spread(Value(failed), rows, len(columns)).data)
        return kernel(one, found)

    return evaluate


def noting(evaluate: Evaluate, reason: str) -> Evaluate:
    """The same, with a note of where it failed."""

    def noted(columns: Columns) -> Value:
        value = evaluate(columns)
        columns.note(reason, value.error)
        return value

    return noted


def once(evaluate: Evaluate) -> Evaluate:
    """The same, computed once for a set of columns however often it is asked for."""
    key = object()
    return lambda columns: columns.shared((key, columns.batch), evaluate)
