"""Values of an expression over columns, and CEL's logic on them.

A value over n rows is ``data`` (n,) with two masks (n,) of rows that have no value: ``missing``
(an input was absent) and ``error`` (the computation failed: overflow, division by zero). None
stands for a mask without any True. Invariants: no row is in both masks (where both kinds meet,
missing wins: with the input there, the error might not be); bool ``data`` is False in masked rows;
other ``data`` is arbitrary there. A constant is a value whose ``data`` is a numpy scalar.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from schemas.frame import Bools, Codes

FALSE: Final = 0
TRUE: Final = 1
UNKNOWN: Final = 2
ERROR: Final = 3


class Value(NamedTuple):
    """A column of values with the rows that have none."""

    data: Any
    missing: Bools | None = None
    error: Bools | None = None


Kernel = Callable[..., Value]


def codes(value: Value, n: int) -> Codes:
    """A bool value as (n,) int8: FALSE, TRUE, UNKNOWN, ERROR."""
    data, missing, error = value
    if np.ndim(data) == 0:
        data = np.full(n, data)
    out: Codes = data.astype(np.int8)
    # Masks are disjoint and data is False under them, so the codes add up.
    if missing is not None:
        out += missing.view(np.int8) * np.int8(UNKNOWN)
    if error is not None:
        out += error.view(np.int8) * np.int8(ERROR)
    return out


def codes_of_many(value: Value, k: int, n: int) -> Codes:
    """A bool value of k expressions on n rows, whose data and masks need not be told k times.

    Not to be written to: it may be the value's own data.
    """
    data, missing, error = value
    data = np.asarray(data)
    if data.shape == (k, n) and missing is None and error is None:
        whole: Codes = data.view(np.int8)
        return whole
    if data.shape == (k, n):
        out: Codes = data.astype(np.int8)
    else:
        out = np.empty((k, n), np.int8)
        out[:] = data
    if missing is not None:
        out += missing.view(np.int8) * np.int8(UNKNOWN)
    if error is not None:
        out += error.view(np.int8) * np.int8(ERROR)
    return out


def constant(value: Any) -> Value:
    """A bool, int or float as a value."""
    if isinstance(value, bool):
        return Value(np.bool_(value))
    return Value(np.int64(value) if isinstance(value, int) else np.float64(value))


def union(a: Bools | None, b: Bools | None) -> Bools | None:
    """Rows in either mask."""
    if a is None:
        return b
    return a if b is None else a | b


def without(a: Bools | None, b: Bools | None) -> Bools | None:
    """Rows of ``a`` that are not in ``b``."""
    return a if a is None or b is None else a > b


def are_whole(values: Sequence[Value]) -> bool:
    """Whether all have a value in every row, as most have: then there are no masks to compute."""
    for _, missing, error in values:  # noqa: SIM110 (a generator would cost more than it saves)
        if missing is not None or error is not None:
            return False
    return True


def strict(data: Any, values: tuple[Value, ...], error: Bools | None = None) -> Value:
    """``data`` computed from ``values``, absent where any of them is; ``error``: new errors."""
    if are_whole(values):
        return Value(data, None, error)
    missing = None
    for value in values:
        missing = union(missing, value.missing)
        error = union(error, value.error)
    return Value(data, missing, without(error, missing))


def truth(data: Any, values: tuple[Value, ...]) -> Value:
    """``strict`` for bool data: keeps it False where there is no value."""
    if are_whole(values):
        return Value(data)
    for _, missing, error in values:
        # For booleans `a > b` is `a and not b`, in one pass.
        if missing is not None:
            data = data > missing
        if error is not None:
            data = data > error
    return strict(data, values)


def conjunction(a: Value, b: Value) -> Value:
    """CEL ``&&``: false if either is false, whatever the other; else no value if either has none.

    CEL language definition, "Logical Operators": errors are absorbed, in either order.
    """
    (left, missing_a, error_a), (right, missing_b, error_b) = a, b
    true = left & right
    if missing_a is error_a is missing_b is error_b is None:
        return Value(true)
    masked_a, masked_b = union(a.missing, a.error), union(b.missing, b.error)
    # Rows where neither is false, but not both are true.
    none = (union(a.data, masked_a) & union(b.data, masked_b)) > true  # type: ignore[operator]
    return _split(true, none, a, b)


def disjunction(a: Value, b: Value) -> Value:
    """CEL ``||``: true if either is true, whatever the other; else no value if either has none."""
    (left, missing_a, error_a), (right, missing_b, error_b) = a, b
    true = left | right
    if missing_a is error_a is missing_b is error_b is None:
        return Value(true)
    masked: Any = union(union(a.missing, a.error), union(b.missing, b.error))
    return _split(true, masked > true, a, b)


def _split(true: Any, none: Bools, a: Value, b: Value) -> Value:
    """``true`` with the rows ``none`` shared out between missing and error, missing first."""
    missing = union(a.missing, b.missing)
    if a.error is None and b.error is None:
        return Value(true, none)
    if missing is None:
        return Value(true, None, none)
    return Value(true, none & missing, none > missing)


def negation(a: Value) -> Value:
    """CEL ``!``."""
    masked = union(a.missing, a.error)
    return Value(~a.data if masked is None else ~(a.data | masked), a.missing, a.error)


def conditional(test: Value, then: Value, other: Value) -> Value:
    """CEL ``test ? then : other``; the side not taken is not looked at, nor its errors."""
    if are_whole((test, then, other)):
        return Value(_where(test.data, then.data, other.data))
    data = np.where(test.data, then.data, other.data)
    # A test without a value decides alone: the side it seems to take counts for nothing.
    missing = without(_chosen(test.data, then.missing, other.missing), test.error)
    error = without(_chosen(test.data, then.error, other.error), test.missing)
    missing, error = union(test.missing, missing), union(test.error, error)
    if data.dtype == np.bool_:
        data = without(without(data, missing), error)
    return Value(data, missing, error)


def _where(test: Any, then: Any, other: Any) -> Any:
    if then.dtype == other.dtype == np.bool_:
        # Of two truths the one where they differ and the test holds is turned over: what rules of
        # one shape share is computed once for all.
        return other ^ (test & (then ^ other))
    return np.where(test, then, other)


def _chosen(test: Any, then: Bools | None, other: Bools | None) -> Bools | None:
    if then is None and other is None:
        return None
    none = np.False_
    return np.where(test, none if then is None else then, none if other is None else other)


def is_there(a: Value) -> Value:
    """True where there is a value."""
    return truth(np.ones(np.shape(a.data), np.bool_), (a,))


def with_value(a: Value, *others: Value) -> Value:
    """``a`` where all the others have a value too."""
    values = (a, *others)
    return (truth if np.asarray(a.data).dtype == np.bool_ else strict)(a.data, values)


def total(*values: Value) -> Value:
    """The sum of values that cannot overflow."""
    return strict(sum((value.data for value in values), np.int64(0)), values)


def union_of(a: Value) -> Any:
    """Where a truth is true or has no value: where it is not plainly false."""
    masked = union(a.missing, a.error)
    return a.data if masked is None else a.data | masked


def spread(a: Value, rows: Any, n: int) -> Value:
    """A truth of some of n rows as one of all, false in the others."""

    def wide(column: Any) -> Bools | None:
        if column is None:
            return None
        out = np.zeros((*np.shape(column)[:-1], n), np.bool_)
        out[..., rows] = column
        return out

    return Value(wide(a.data), wide(a.missing), wide(a.error))
