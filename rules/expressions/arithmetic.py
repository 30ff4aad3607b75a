"""CEL's arithmetic, comparisons and conversions on columns, by overload id.

Doubles follow IEEE 754. int64 never wraps: overflow, division by zero and a double out of range
are errors (CEL language definition, "Overflow", "Numeric Values").
"""

import operator
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from rules.expressions.values import (
    Kernel,
    Value,
    conditional,
    conjunction,
    disjunction,
    negation,
    strict,
    truth,
)
from schemas.frame import Bools

_MIN: Final = np.int64(-(2**63))
_LIMIT: Final = 2.0**63

MAX_DURATION_US: Final = (2**63 - 1) // 1000
"""Google's runtime computes durations in int64 nanoseconds: beyond is an error."""
MIN_TIMESTAMP_US: Final = -62_135_596_800_000_000
MAX_TIMESTAMP_US: Final = 253_402_300_799_999_999


def holds(test: Callable[..., Any]) -> Kernel:
    """Whether something holds of the operands, in rows that have all."""

    def kernel(*values: Value) -> Value:
        return truth(test(*[value.data for value in values]), values)

    return kernel


def compares(compare: Callable[[Any, Any], Any]) -> Kernel:
    """How two operands compare, in rows that have both.

    numpy compares int64 with double as double, as Google's runtime does.
    """

    def kernel(a: Value, b: Value) -> Value:
        (left, missing_a, error_a), (right, missing_b, error_b) = a, b
        data = compare(left, right)
        # Most of what rules ask is this, of complete columns: few steps for it.
        if missing_a is error_a is missing_b is error_b is None:
            return Value(data)
        return truth(data, (a, b))

    return kernel


def computes(compute: Callable[..., Any]) -> Kernel:
    """A computation that cannot fail; of what is true or false see ``holds``."""

    def kernel(*values: Value) -> Value:
        return strict(compute(*[value.data for value in values]), values)

    return kernel


def computes_or_fails(compute: Callable[..., tuple[Any, Bools]]) -> Kernel:
    """A computation that gives its data and the mask of rows where it failed."""

    def kernel(*values: Value) -> Value:
        data, failed = compute(*(value.data for value in values))
        return strict(data, values, failed if np.any(failed) else None)

    return kernel


def membership(needle: Value, *elements: Value) -> Value:
    """CEL ``needle in [elements]``: a list without all its elements has no value."""
    found: Any = np.False_
    for element in elements:
        found = found | (needle.data == element.data)
    return truth(found, (needle, *elements))


def _add(a: Any, b: Any) -> tuple[Any, Bools]:
    total = a + b
    # Overflow: both operands have the sign that the sum has not.
    return total, ((a ^ total) & (b ^ total)) < 0


def _subtract(a: Any, b: Any) -> tuple[Any, Bools]:
    rest = a - b
    # Overflow: operands of different signs, and the result's is not the first one's.
    return rest, ((a ^ b) & (a ^ rest)) < 0


def _multiply(a: Any, b: Any) -> tuple[Any, Bools]:
    product = a * b
    # Dividing back finds a wrap; the one quotient that overflows itself is told apart.
    back = np.where(a == -1, -product, product // np.where((a == 0) | (a == -1), 1, a))
    return product, ((a != 0) & (back != b)) | ((a == -1) & (b == _MIN))


def _divide(a: Any, b: Any) -> tuple[Any, Bools]:
    failed = (b == 0) | ((a == _MIN) & (b == -1))
    divisor = np.where(failed, 1, b)
    # CEL truncates toward zero, numpy floors: one up where that rounded a negative down.
    quotient = a // divisor
    rounded = (quotient < 0) & (quotient * divisor != a)
    return quotient + rounded, failed


def _modulo(a: Any, b: Any) -> tuple[Any, Bools]:
    failed = (b == 0) | ((a == _MIN) & (b == -1))
    # fmod has the sign of the dividend, as CEL's %.
    return np.fmod(a, np.where(failed, 1, b)), failed


def _negate(a: Any) -> tuple[Any, Bools]:
    return -a, a == _MIN


def _double_to_int(a: Any) -> tuple[Any, Bools]:
    inside = (a > -_LIMIT) & (a < _LIMIT)
    return np.where(inside, a, 0.0).astype(np.int64), ~inside


def _same(value: Value) -> Value:
    return value


_COMPARISONS: Final = {
    "less": operator.lt,
    "less_equals": operator.le,
    "greater": operator.gt,
    "greater_equals": operator.ge,
}
_ORDERED: Final = (
    *("bool", "int64", "double", "timestamp", "duration"),
    *("int64_double", "double_int64"),
)

KERNELS: Final[dict[str, Kernel]] = {
    "logical_and": conjunction,
    "logical_or": disjunction,
    "logical_not": negation,
    "conditional": conditional,
    "equals": compares(operator.eq),
    "not_equals": compares(operator.ne),
    **{
        f"{name}_{type_}": compares(compare)
        for name, compare in _COMPARISONS.items()
        for type_ in _ORDERED
    },
    "add_double": computes(operator.add),
    "subtract_double": computes(operator.sub),
    "multiply_double": computes(operator.mul),
    "divide_double": computes(operator.truediv),
    "negate_double": computes(operator.neg),
    "add_int64": computes_or_fails(_add),
    "subtract_int64": computes_or_fails(_subtract),
    "multiply_int64": computes_or_fails(_multiply),
    "divide_int64": computes_or_fails(_divide),
    "modulo_int64": computes_or_fails(_modulo),
    "negate_int64": computes_or_fails(_negate),
    "int64_to_double": computes(lambda a: a.astype(np.float64)),
    "double_to_int64": computes_or_fails(_double_to_int),
    "in_list": membership,
    **dict.fromkeys(("bool_to_bool", "int64_to_int64", "double_to_double"), _same),
}

REASONS: Final = {
    **dict.fromkeys(("divide_int64", "modulo_int64"), "division by zero"),  # or of the least by -1
    **dict.fromkeys(
        ("add_int64", "subtract_int64", "multiply_int64", "negate_int64"), "integer overflow"
    ),
    "double_to_int64": "number out of range",
}
"""Why the kernels fail that can, by overload id."""
