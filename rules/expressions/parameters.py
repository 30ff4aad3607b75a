"""The numbers that expressions of one shape differ in: what they are judged together with."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rules.expressions.values import Value


@dataclass(frozen=True, slots=True)
class Parameters:
    """Of ``count`` expressions of one shape the numbers, by their place in the shape.

    Data of each (count, 1), or a scalar where all have the same: then what is computed of it is
    computed once for all.
    """

    values: tuple[Value, ...]
    count: int

    @classmethod
    def of(cls, of_each: Sequence[Sequence[Any]]) -> "Parameters":
        """The numbers of expressions, each of which has as many."""
        return cls(tuple(map(_together, zip(*of_each, strict=True))), len(of_each))

    def take(self, some: slice) -> "Parameters":
        """Those of some of the expressions."""
        values = tuple(v if np.ndim(v.data) == 0 else Value(v.data[some]) for v in self.values)
        return Parameters(values, len(range(self.count)[some]))


def _together(numbers: Sequence[Any]) -> Value:
    # By what is written: 0.0 and -0.0 are equal, but not the same number.
    if len(set(map(repr, numbers))) == 1:
        return Value(numbers[0])
    return Value(np.array(numbers).reshape(-1, 1))
