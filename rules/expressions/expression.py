"""An expression ready to judge columns, and to tell why it judged so."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final

import numpy as np

from rules.expressions.columns import Choices, Columns
from rules.expressions.compiler import Ordering, compile_tree
from rules.expressions.environment import check
from rules.expressions.inputs import Input
from rules.expressions.parameters import Parameters
from rules.expressions.values import ERROR, codes, codes_of_many
from schemas.frame import Codes, Rows, rfc3339, where


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
    """A condition in CEL, compiled to columns. Made by ``compile_expression``; pickles by text.

    ``checked``: the checked tree where other names than those of rules may stand in it.
    ``stale_us``: the age, microseconds before a record, beyond which what was before is missing;
    None = it never is.
    """

    def __init__(self, text: str, checked: Any = None, stale_us: int | None = None) -> None:
        compiled = compile_tree(check(text) if checked is None else checked)
        self.text: Final = text
        self.stale_us: Final = stale_us
        self._evaluate = compiled.evaluate
        self._inputs = compiled.inputs
        self._orderings = compiled.orderings
        self.inputs: Final = tuple(column.name for column in compiled.inputs)
        self.by_record: Final = compiled.by_record
        self.shape: Final = compiled.shape
        self.parameters: Final = compiled.parameters
        self.rates: Final = compiled.rates
        self.named_zones: Final = compiled.named_zones
        self.uses_zone: Final = any(column.of_zone for column in compiled.inputs)
        self.uses_past: Final = any(column.of_past for column in compiled.inputs)

    def __reduce__(self) -> tuple[type["Expression"], tuple[str, None, int | None]]:
        return Expression, (self.text, None, self.stale_us)

    def judge(self, columns: Columns) -> Codes:
        """(n,) int8: FALSE, TRUE, UNKNOWN (an input was missing) or ERROR of each row."""
        columns = columns.no_older_than(self.stale_us)
        columns.judging(None)
        with np.errstate(all="ignore"):
            return codes(self._evaluate(columns), len(columns))

    def judge_many(self, columns: Columns, parameters: Parameters | None) -> Codes:
        """(k, n) int8: what k expressions of this one's shape judge, each of n rows.

        Not to be written to. ``parameters``: what they have in the place of this one's parameters,
        None = there is but this one. Numpy's warnings are the caller's to silence, once for many
        shapes.
        """
        if self.stale_us is not None:
            columns = columns.no_older_than(self.stale_us)
        columns.judging(parameters)
        count = 1 if parameters is None else parameters.count
        return codes_of_many(self._evaluate(columns), count, len(columns))

    def failures(self, columns: Columns) -> dict[str, Rows]:
        """Why rows end in ERROR: reason -> which rows."""
        columns = columns.no_older_than(self.stale_us)
        noted: list[tuple[str, Any]] = []
        columns.failures = noted
        left = self.judge(columns) == ERROR
        found: dict[str, Rows] = {}
        # Parts are computed before what they are parts of: the first reason of a row is its own.
        for reason, failed in noted:
            rows = where(left & failed)
            if len(rows):
                found[reason] = np.union1d(found.get(reason, rows), rows)
                left[rows] = False
        return found

    def explain(self, columns: Columns, row: int) -> Explanation:
        """What the expression read in one row, and how far it is beyond its limit."""
        [found] = self.explain_many(columns, [row])
        return found

    def explain_many(self, columns: Columns, rows: Sequence[int]) -> list[Explanation]:
        """As ``explain``, of some rows at once: of each, in order."""
        here = columns.no_older_than(self.stale_us).take(np.array(rows, np.intp))
        with np.errstate(all="ignore"):
            compared = [_compared(ordering, here) for ordering in self._orderings]
        inputs = {column.name: _values(column, here) for column in self._inputs}
        return [
            _explanation(
                {name: values[at] for name, values in inputs.items()},
                [found[at] for found in compared],
            )
            for at in range(len(rows))
        ]


def explain_each(asked: Sequence[tuple[Expression, Columns, int]]) -> list[Explanation]:
    """What expressions read, each in a row: those of one expression on the same columns at once.

    Explained one by one they cost most of what is told because of them.
    """
    alike: dict[tuple[int, int], list[int]] = {}
    for place, (expression, columns, _) in enumerate(asked):
        alike.setdefault((id(expression), id(columns)), []).append(place)
    found: dict[int, Explanation] = {}
    for places in alike.values():
        expression, columns, _ = asked[places[0]]
        rows = [asked[place][2] for place in places]
        found.update(zip(places, expression.explain_many(columns, rows), strict=True))
    return [found[place] for place in range(len(asked))]


def compile_expression(text: str, stale_us: int | None = None) -> Expression:
    """Compile a condition in CEL; raises ExpressionError with every mistake found.

    ``stale_us``: as of ``Expression``.
    """
    return Expression(text, stale_us=stale_us)


def read(column: Input, here: Columns) -> Any:
    """The value of an input in the first row, as JSON has it; None where absent."""
    return _values(column, here)[0]


def _values(column: Input, here: Columns) -> list[Any]:
    """The values of an input, as JSON has them; None where absent."""
    found = column(here)
    if isinstance(found, Choices):
        return [found.value(at) for at in range(len(here))]
    values: list[Any] = found.data.tolist()
    if column.type_ == "timestamp":
        values = list(map(rfc3339, values))
    if found.missing is None:
        return values
    return [None if gone else v for v, gone in zip(values, found.missing.tolist(), strict=True)]


def _explanation(inputs: dict[str, Any], found: Sequence[Comparison | None]) -> Explanation:
    comparisons = tuple(comparison for comparison in found if comparison is not None)
    holding = [comparison for comparison in comparisons if comparison.holds]
    tightest = min(holding, key=_tightness, default=None)
    return Explanation(
        inputs=inputs,
        limit=tightest.limit if tightest else None,
        margin=tightest.margin if tightest else None,
        comparisons=comparisons,
    )


def _compared(ordering: Ordering, here: Columns) -> list[Comparison | None]:
    """How an ordering compares in each row; None where a side has no number."""
    sides = zip(_numbers(ordering.left, here), _numbers(ordering.right, here), strict=True)
    return [_comparison(ordering, left, right) for left, right in sides]


def _comparison(ordering: Ordering, left: float | None, right: float | None) -> Comparison | None:
    if left is None or right is None:
        return None
    margin = ordering.sign * (left - right)
    value, limit = (right, left) if ordering.limit_first else (left, right)
    holds = margin > 0 or (margin == 0 and ordering.inclusive)
    return Comparison(ordering.text, value, limit, margin, holds)


def _numbers(evaluate: Any, here: Columns) -> list[float | None]:
    """The number in each row; None where there is none."""
    data, missing, error = evaluate(here)
    numbers = _listed(data, here)
    for without in (missing, error):
        if without is not None:
            known = zip(numbers, _listed(without, here), strict=True)
            numbers = [None if gone else number for number, gone in known]
    return [None if n is None or not isfinite(n) else n for n in numbers]


def _listed(values: Any, here: Columns) -> list[Any]:
    """The values of all rows; what is the same in all, a number of the rule, comes once."""
    listed: list[Any] = np.ravel(values).tolist()
    return listed * len(here) if len(listed) == 1 else listed


def _tightness(comparison: Comparison) -> float:
    return abs(comparison.margin) / max(abs(comparison.limit), 1.0)
