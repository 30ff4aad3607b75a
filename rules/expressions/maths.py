"""CEL's math extension on columns, by overload id, as Google's runtime computes it.

Shifts of bits, and what mixes types, are left to the runtime (``by_value``).
"""

import operator
from collections.abc import Callable
from functools import reduce
from typing import Any, Final

import numpy as np

from rules.expressions.arithmetic import computes, computes_or_fails, holds
from rules.expressions.values import Kernel
from schemas.frame import Bools

_MIN: Final = np.int64(-(2**63))


def _absolute(a: Any) -> tuple[Any, Bools]:
    return np.abs(a), a == _MIN


def _rounded(a: Any) -> Any:
    # Halves go away from zero; numpy's go to the even neighbour.
    whole = np.trunc(a)
    return whole + np.where(np.abs(a - whole) >= 0.5, np.sign(a), 0.0)


def _greatest(*numbers: Any) -> Any:
    # Where either is not a number the first one stays.
    return reduce(lambda a, b: np.where(a < b, b, a), numbers)


def _least(*numbers: Any) -> Any:
    return reduce(lambda a, b: np.where(b < a, b, a), numbers)


_OF_DOUBLES: Final[dict[str, Callable[..., Any]]] = {
    "ceil": np.ceil,
    "floor": np.floor,
    "round": _rounded,
    "trunc": np.trunc,
    "abs": np.abs,
    "sign": np.sign,
    "sqrt": np.sqrt,
}
_TESTS_OF_DOUBLES: Final = {"isNaN": np.isnan, "isInf": np.isinf, "isFinite": np.isfinite}
_OF_INTS: Final[dict[str, Callable[..., Any]]] = {
    "sign_int": np.sign,
    "sqrt_int": lambda a: np.sqrt(a.astype(np.float64)),
    "bitAnd_int_int": operator.and_,
    "bitOr_int_int": operator.or_,
    "bitXor_int_int": operator.xor,
    "bitNot_int_int": operator.invert,
}
LISTED: Final = {
    f"math_@{name}_list_{type_}" for name in ("max", "min") for type_ in ("double", "int")
}
"""Overloads that take a list of numbers of one type."""

KERNELS: Final[dict[str, Kernel]] = {
    **{f"math_{name}_double": computes(compute) for name, compute in _OF_DOUBLES.items()},
    **{f"math_{name}_double": holds(test) for name, test in _TESTS_OF_DOUBLES.items()},
    **{f"math_{name}": computes(compute) for name, compute in _OF_INTS.items()},
    "math_abs_int": computes_or_fails(_absolute),
    **{
        f"math_@{name}_{types}": computes(compute)
        for name, compute in (("max", _greatest), ("min", _least))
        for types in ("double", "int", "double_double", "int_int", "list_double", "list_int")
    },
}
