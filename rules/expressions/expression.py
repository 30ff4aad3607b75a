"""An expression ready to judge columns, and to tell why it judged so."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from rules.expressions.columns import Choices, Columns
from rules.expressions.compiler import Ordering, compile_tree
from rules.expressions.environment import check
from rules.expressions.inputs import Input
from rules.expressions.values import codes
from schemas.frame import Codes, rfc3339


@dataclass(frozen=True, slots=True)
class Comparison:
    """An ordering in a rule, at one row: ``value`` held against ``limit``.

    ``margin``: how far the value is beyond the limit in the direction the rule asks (negative: not
    reached); ``holds``: whether the comparison says what the rule asks.
    """

    text: str
    value: float
    limit: float
    margin: float
    holds: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a rule judged a row as it did.

    ``inputs``: what was read, by name; None = absent; times in RFC 3339. ``limit``, ``margin``: of
    the tightest comparison that holds, None where none does.
    """

    inputs: dict[str, Any]
    limit: float | None
    margin: float | None
    comparisons: tuple[Comparison, ...]


class Expression:
    """A condition in CEL, compiled to columns. Made by ``compile_expression``; pickles by text."""

    def __init__(self, text: str) -> None:
        compiled = compile_tree(check(text))
        self.text: Final = text
        self._evaluate = compiled.evaluate
        self._inputs = compiled.inputs
        self._orderings = compiled.orderings
        self.inputs: Final = tuple(column.name for column in compiled.inputs)
        self.uses_zone: Final = any(column.of_zone for column in compiled.inputs)

    def __reduce__(self) -> tuple[type["Expression"], tuple[str]]:
        return Expression, (self.text,)

    def judge(self, columns: Columns) -> Codes:
        """(n,) int8: FALSE, TRUE, UNKNOWN (an input was missing) or ERROR of each row."""
        with np.errstate(all="ignore"):
            return codes(self._evaluate(columns), len(columns))

    def explain(self, columns: Columns, row: int) -> Explanation:
        """What the expression read in one row, and how far it is beyond its limit."""
        here = columns.row(row)
        with np.errstate(all="ignore"):
            found = [_compared(ordering, here) for ordering in self._orderings]
        comparisons = tuple(comparison for comparison in found if comparison is not None)
        holding = [comparison for comparison in comparisons if comparison.holds]
        tightest = min(holding, key=_tightness, default=None)
        return Explanation(
            inputs={column.name: read(column, here) for column in self._inputs},
            limit=tightest.limit if tightest else None,
            margin=tightest.margin if tightest else None,
            comparisons=comparisons,
        )


def compile_expression(text: str) -> Expression:
    """Compile a condition in CEL; raises ExpressionError with every mistake found."""
    return Expression(text)


def read(column: Input, here: Columns) -> Any:
    """The value of an input in the first row, as JSON has it; None where absent."""
    found = column(here)
    if isinstance(found, Choices):
        return found.value(0)
    if found.missing is not None and found.missing[0]:
        return None
    value = found.data[0].item()
    return rfc3339(value) if column.type_ == "timestamp" else value


def _compared(ordering: Ordering, here: Columns) -> Comparison | None:
    left, right = _number(ordering.left, here), _number(ordering.right, here)
    if left is None or right is None:
        return None
    margin = ordering.sign * (left - right)
    value, limit = (right, left) if ordering.limit_first else (left, right)
    holds = margin > 0 or (margin == 0 and ordering.inclusive)
    return Comparison(ordering.text, value, limit, margin, holds)


def _number(evaluate: Any, here: Columns) -> float | None:
    """The number in the only row; None where there is none."""
    data, missing, error = evaluate(here)
    if (missing is not None and missing[0]) or (error is not None and error[0]):
        return None
    number: float = np.ravel(data)[0].item()
    return number if np.isfinite(number) else None


def _tightness(comparison: Comparison) -> float:
    return abs(comparison.margin) / max(abs(comparison.limit), 1.0)
