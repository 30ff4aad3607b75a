"""CEL's timestamps and durations on columns: int64 microseconds, UTC since 1970 for timestamps."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import numpy as np
from cel.expr import syntax_pb2

from rules.expressions.arithmetic import (
    MAX_DURATION_US,
    MAX_TIMESTAMP_US,
    MIN_TIMESTAMP_US,
    computes,
    computes_or_fails,
)
from rules.expressions.environment import Program
from rules.expressions.syntax import call_of, variable
from rules.expressions.values import Kernel, Value, strict
from schemas.frame import EPOCH, Bools, Longs

_SECOND_US: Final = 1_000_000
_HOUR_US: Final = 3_600 * _SECOND_US
_DAY_US: Final = 24 * _HOUR_US
_THURSDAY: Final = 4  # the weekday of 1970-01-01, counted from Sunday


def _timestamp(compute: Callable[[Any, Any], Any]) -> Kernel:
    def inside(a: Any, b: Any) -> tuple[Any, Bools]:
        time_us = compute(a, b)
        return time_us, (time_us < MIN_TIMESTAMP_US) | (time_us > MAX_TIMESTAMP_US)

    return computes_or_fails(inside)


def _duration(compute: Callable[[Any, Any], Any]) -> Kernel:
    # Both operands are below 2**62, so the result in microseconds cannot wrap.
    def inside(a: Any, b: Any) -> tuple[Any, Bools]:
        duration_us = compute(a, b)
        return duration_us, np.abs(duration_us) > MAX_DURATION_US

    return computes_or_fails(inside)


def _from_seconds(seconds: Any) -> tuple[Any, Bools]:
    least, most = MIN_TIMESTAMP_US // _SECOND_US, MAX_TIMESTAMP_US // _SECOND_US
    outside = (seconds < least) | (seconds > most)
    return np.where(outside, 0, seconds) * _SECOND_US, outside


def _calendar(time_us: Any, unit: str) -> Any:
    return np.asarray(time_us).astype("M8[us]").astype(f"M8[{unit}]")


def _count(later: Any, earlier: Any) -> Any:
    return (later - earlier).astype(np.int64)


# Field of a timestamp -> its value from local microseconds, counted as CEL counts it.
_FIELDS: Final[dict[str, Callable[[Any], Any]]] = {
    "year": lambda t: _calendar(t, "Y").astype(np.int64) + 1970,
    "month": lambda t: _calendar(t, "M").astype(np.int64) % 12,
    "day_of_year": lambda t: _count(_calendar(t, "D"), _calendar(t, "Y").astype("M8[D]")),
    "day_of_month": lambda t: _count(_calendar(t, "D"), _calendar(t, "M").astype("M8[D]")),
    "day_of_month_1_based": lambda t: (
        _count(_calendar(t, "D"), _calendar(t, "M").astype("M8[D]")) + 1
    ),
    "day_of_week": lambda t: (t // _DAY_US + _THURSDAY) % 7,
    "hours": lambda t: t // _HOUR_US % 24,
    "minutes": lambda t: t // (60 * _SECOND_US) % 60,
    "seconds": lambda t: t // _SECOND_US % 60,
    "milliseconds": lambda t: t // 1_000 % 1_000,
}


def _truncated(unit_us: int, wrap: int | None = None) -> Kernel:
    """Whole units of a duration, toward zero; ``wrap``: only what is left over that many."""

    def count(duration_us: Any) -> Any:
        whole = np.sign(duration_us) * (np.abs(duration_us) // unit_us)
        return whole if wrap is None else np.fmod(whole, wrap)

    return computes(count)


KERNELS: Final[dict[str, Kernel]] = {
    "add_timestamp_duration": _timestamp(lambda a, b: a + b),
    "add_duration_timestamp": _timestamp(lambda a, b: a + b),
    "subtract_timestamp_duration": _timestamp(lambda a, b: a - b),
    "subtract_timestamp_timestamp": _duration(lambda a, b: a - b),
    "add_duration_duration": _duration(lambda a, b: a + b),
    "subtract_duration_duration": _duration(lambda a, b: a - b),
    "int64_to_timestamp": computes_or_fails(_from_seconds),
    "timestamp_to_int64": computes(lambda t: t // _SECOND_US),
    "timestamp_to_timestamp": computes(lambda t: t),
    "duration_to_duration": computes(lambda d: d),
    "duration_to_hours": _truncated(_HOUR_US),
    "duration_to_minutes": _truncated(60 * _SECOND_US),
    "duration_to_seconds": _truncated(_SECOND_US),
    "duration_to_milliseconds": _truncated(1_000, wrap=1_000),
    **{f"timestamp_to_{name}": computes(field) for name, field in _FIELDS.items()},
}

REASONS: Final = dict.fromkeys(
    (
        *("add_timestamp_duration", "add_duration_timestamp", "subtract_timestamp_duration"),
        *("subtract_timestamp_timestamp", "add_duration_duration", "subtract_duration_duration"),
        "int64_to_timestamp",
    ),
    "time out of range",
)
"""Why the kernels fail that can, by overload id."""

WITH_ZONE: Final = {f"timestamp_to_{name}_with_tz": field for name, field in _FIELDS.items()}
"""Overloads whose second argument names a time zone: see ``in_time_zone``."""


def in_time_zone(overload: str, time_zone: str) -> Kernel:
    """The kernel of an accessor of ``WITH_ZONE`` for one time zone.

    Raises EvaluationError for a time zone that the runtime does not know.
    """
    field, offset_us = WITH_ZONE[overload], _Offsets(time_zone)

    def kernel(time: Value) -> Value:
        return strict(field(time.data + offset_us(time.data)), (time,))

    return kernel


class _Offsets:
    """The distance of a time zone from UTC, as Google's runtime has it.

    Asked once an hour of UTC at its start and its end; where both agree no clock was changed in
    between, else each time is asked about.
    """

    def __init__(self, time_zone: str) -> None:
        self._fields = {name: _accessor(name, time_zone) for name in _LOCAL}
        self._of_hour: dict[int, int | None] = {}
        self._at(0)

    def __call__(self, time_us: Any) -> Longs:
        """Microseconds to add to UTC: int64, shaped like ``time_us``."""
        hours, inverse = np.unique(np.asarray(time_us) // _HOUR_US, return_inverse=True)
        offsets = [self._in_hour(int(hour)) for hour in hours]
        if None not in offsets:
            return np.array(offsets, np.int64)[inverse].reshape(np.shape(time_us))
        return np.array([self._at(int(t)) for t in np.ravel(time_us)], np.int64).reshape(
            np.shape(time_us)
        )

    def _in_hour(self, hour: int) -> int | None:
        if hour not in self._of_hour:
            first, last = self._at(hour * _HOUR_US), self._at((hour + 1) * _HOUR_US - 1)
            self._of_hour[hour] = first if first == last else None
        return self._of_hour[hour]

    def _at(self, time_us: int) -> int:
        moment = {"t": timestamp_text(time_us)}
        local = {name: field(moment) for name, field in self._fields.items()}
        days = np.datetime64(f"{local['getFullYear']:04d}-01-01", "D").astype(int)
        days += local["getDayOfYear"]
        seconds = (local["getHours"] * 60 + local["getMinutes"]) * 60 + local["getSeconds"]
        here_us = int(days) * _DAY_US + seconds * _SECOND_US
        return int(here_us - time_us // _SECOND_US * _SECOND_US)


_LOCAL: Final = ("getFullYear", "getDayOfYear", "getHours", "getMinutes", "getSeconds")


def _accessor(function: str, time_zone: str) -> Program:
    call = syntax_pb2.Expr()
    call.call_expr.function = function
    call.call_expr.target.CopyFrom(call_of("timestamp", variable("t")))
    call.call_expr.args.add().const_expr.string_value = time_zone
    return Program(call)


def timestamp_text(time_us: int) -> str:
    """Microseconds since 1970 UTC as CEL's ``timestamp()`` reads them."""
    return (EPOCH + timedelta(microseconds=time_us)).isoformat()


def duration_text(duration_us: int) -> str:
    """Microseconds as CEL's ``duration()`` reads them."""
    return f"{duration_us}us"
