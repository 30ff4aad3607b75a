"""Rules that are judged together: of one scope, with conditions that differ in numbers alone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np

from rules.expressions import FALSE, TRUE, UNKNOWN, Columns, Expression, Parameters
from rules.rulesets import CompiledRule
from rules.scopes import Within
from rules.verdicts import Found
from schemas.frame import Bools, Codes, Rows, where

_UNKNOWN_AS: Final[dict[str | None, int]] = {"raise": TRUE, "clear": FALSE}


@dataclass(frozen=True, slots=True)
class Batch:
    """Rules of one scope whose conditions differ in numbers alone: judged together.

    ``rules``: (k,). ``scope``: its place. ``unknown_as``: what an unknown answer counts as, None =
    stays one. ``condition``: that of the first rule; those of the others are this one with other
    ``parameters``, of which there are none where there is one rule.
    """

    rules: Rows
    scope: int
    unknown_as: int | None
    condition: Expression
    parameters: Parameters | None

    @classmethod
    def of(cls, rules: Sequence[CompiledRule], places: Sequence[int], scope: int) -> "Batch":
        """The batch of the rules at the given places."""
        alike = [rules[i] for i in places]
        parameters = [each.condition.parameters for each in alike]
        return cls(
            np.array(places, np.intp),
            scope,
            _UNKNOWN_AS.get(alike[0].rule.on_unknown),
            alike[0].condition,
            Parameters.of(parameters) if len(alike) > 1 else None,
        )

    def cut(self, at_once: int) -> "Sequence[Batch]":
        """The same in batches of so many rules at most."""
        if self.parameters is None or len(self.rules) <= at_once:
            return (self,)
        pieces = (slice(first, first + at_once) for first in range(0, len(self.rules), at_once))
        return [
            replace(self, rules=self.rules[some], parameters=self.parameters.take(some))
            for some in pieces
        ]

    def judge(self, columns: Columns) -> Codes:
        """(k, n) what they say; not to be written to."""
        code = self.condition.judge_many(columns, self.parameters)
        if self.unknown_as is not None:
            code = np.where(code == UNKNOWN, np.int8(self.unknown_as), code)
        return code


class Batches:
    """All batches of some rules; ``first``: (batches,) the first rule of each."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        self.batches = tuple(batches)
        self.first = np.array([batch.rules[0] for batch in batches], np.intp)


class _Part(NamedTuple):
    """What a rule looks at: ``columns`` of ``rows``, None = of all, and which of all it is about.

    ``mask``: (n,), None = about all.
    """

    columns: Columns
    rows: Rows | None
    mask: Bools | None

    def limited(self, code: Codes) -> Codes:
        """The codes of ``columns``, FALSE in rows that the rule is not about."""
        return code if self.mask is None or self.rows is not None else code * self.mask


class Narrowed:
    """Columns that rules of one scope look at together, cut to the rows which they are about.

    ``row``: (n,) the record of each row, where rows are not the records themselves.
    """

    def __init__(self, columns: Columns, within: Within, row: Rows | None = None) -> None:
        self._columns, self._within, self._row = columns, within, row
        self._parts: dict[int, _Part] = {}

    def of_scope(self, place: int) -> _Part:
        """What the rules of a scope look at."""
        found = self._parts.get(place)
        if found is None:
            found = self._parts[place] = self._part(self._within.mask_at(place))
        return found

    def _part(self, mask: Bools | None) -> _Part:
        """What rules about the records in ``mask`` look at.

        Where that is most of the rows, what all rules share is cheaper than a cut.
        """
        if mask is None:
            return _Part(self._columns, None, None)
        about = mask if self._row is None else mask[self._row]
        rows = where(about)
        if 2 * len(rows) < len(about):
            return _Part(self._columns.take(rows), rows, about)
        return _Part(self._columns, None, about)


def judge(batches: Sequence[Batch], columns: Narrowed, found: Found) -> None:
    """Add what the rules of batches say: false where they are not about a row."""
    # Numbers of rows without a value are computed too, and not looked at.
    with np.errstate(all="ignore"):
        for batch in batches:
            part = columns.of_scope(batch.scope)
            if not len(part.columns):
                continue
            for some in batch.cut(found.at_once):
                found.add(some.rules, part.limited(some.judge(part.columns)), part.rows)
