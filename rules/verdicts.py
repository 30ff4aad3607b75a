"""What rules say of records and stays: verdicts, and how they are put together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from schemas.frame import Codes, Rows, where

_BATCH_CODES: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What rules say of rows: ``code`` (rules, n) int8 as of ``rules.expressions``.

    ``rule``: (rules,) ascending index into ``RuleBook.rules``; rules false in every row are left
    out.
    """

    rule: Rows
    code: Codes

    def take(self, rows: Rows | slice) -> "Verdicts":
        """The verdicts on the given rows."""
        return Verdicts(self.rule, self.code[:, rows])

    def plus(self, other: "Verdicts") -> "Verdicts":
        """These verdicts and those of other rules on the same rows."""
        rule = np.concatenate([self.rule, other.rule])
        order = np.argsort(rule)
        return Verdicts(rule[order], np.concatenate([self.code, other.code])[order])


class Found:
    """Verdicts on n rows as they are found.

    ``places``: the rows judged now, None = all. ``at_once``: how many rules are judged, and asked
    whether they say anything, together: so many that their codes stay in the cache.
    """

    def __init__(self, n: int) -> None:
        self._n = n
        self.at_once = max(_BATCH_CODES // max(n, 1), 1)
        self._kept: list[Verdicts] = []
        # Of ``_open`` rules of which it is not known yet whether they say anything: asking of a few
        # would cost as much as judging them.
        self._rules: list[Rows] = []
        self._codes: list[Codes] = []
        self._open = 0
        self.places: Rows | None = None

    def add(self, rules: Rows, code: Codes, rows: Rows | None) -> None:
        """Add verdicts on the rows judged now; ``rows``: which of them, None = all."""
        if rows is None:
            rows = self.places
        elif self.places is not None:
            rows = self.places[rows]
        if rows is not None:
            whole = np.zeros((len(rules), self._n), np.int8)
            whole[:, rows] = code
            code = whole
        self._rules.append(rules)
        self._codes.append(code)
        self._open += len(rules)
        if self._open >= self.at_once:
            self._keep()

    def verdicts(self) -> Verdicts:
        """All of them, by rule."""
        if self._rules:
            self._keep()
        if not self._kept:
            return Verdicts(np.empty(0, np.intp), np.empty((0, self._n), np.int8))
        rules = _joined([each.rule for each in self._kept])
        order = rules.argsort()
        return Verdicts(rules[order], _joined([each.code for each in self._kept])[order])

    def _keep(self) -> None:
        rules, code = _joined(self._rules), _joined(self._codes)
        said = where(np.logical_or.reduce(code, axis=1))
        if len(said) < len(rules):
            rules, code = rules[said], code[said]
        self._kept.append(Verdicts(rules, code))
        self._rules, self._codes, self._open = [], [], 0


def _joined(columns: Sequence[np.ndarray]) -> np.ndarray:
    return columns[0] if len(columns) == 1 else np.concatenate(columns)
