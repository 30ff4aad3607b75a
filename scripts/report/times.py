"""Times as people read them: stamps, durations, and the ticks of a time axis, all UTC."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final

from schemas.frame import EPOCH

SECOND_US: Final = 1_000_000
MINUTE_US: Final = 60 * SECOND_US
HOUR_US: Final = 60 * MINUTE_US
DAY_US: Final = 24 * HOUR_US

_STEPS_US: Final = (
    *(n * SECOND_US for n in (1, 2, 5, 10, 15, 30)),
    *(n * MINUTE_US for n in (1, 2, 5, 10, 15, 30)),
    *(n * HOUR_US for n in (1, 2, 3, 6, 12)),
    *(n * DAY_US for n in (1, 2, 5, 10)),
)
_STEPS_MONTHS: Final = (1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200)
_NO_BREAK: Final = "\N{NO-BREAK SPACE}"
_MONTH_US: Final = 365.25 / 12 * DAY_US


@dataclass(frozen=True, slots=True)
class Period:
    """From ``start_us`` to ``end_us`` (microseconds since 1970 UTC), never empty."""

    start_us: int
    end_us: int

    def share(self, time_us: int) -> float:
        """Where a time lies in the period: 0 at its start, 1 at its end, never outside."""
        return min(max((time_us - self.start_us) / (self.end_us - self.start_us), 0.0), 1.0)

    def __str__(self) -> str:
        return f"{stamp(self.start_us)} to {stamp(self.end_us)} UTC"


def period(start_us: int, end_us: int) -> Period:
    """The period, widened by half a minute on both sides where it is a single moment."""
    widen = 30 * SECOND_US if start_us == end_us else 0
    return Period(start_us - widen, end_us + widen)


def parsed_us(time: str) -> int:
    """Microseconds since 1970 UTC of an RFC 3339 time; ValueError if it is none."""
    return (datetime.fromisoformat(time) - EPOCH) // timedelta(microseconds=1)


def stamp(time_us: int) -> str:
    """Date and time to the second."""
    return _moment(time_us).strftime("%Y-%m-%d %H:%M:%S")


def duration(length_us: int) -> str:
    """A length of time in its two largest units, with no-break spaces."""
    seconds = round(length_us / SECOND_US)
    units = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
    for (size, unit), (next_size, next_unit) in pairwise(units):
        if seconds >= size:
            rest = seconds % size // next_size
            words = [seconds // size, unit, *([rest, next_unit] if rest else [])]
            return _NO_BREAK.join(map(str, words))
    return f"{seconds}{_NO_BREAK}s"


def ticks(span: Period, at_most: int) -> list[tuple[float, str]]:
    """Round times of the period, at most so many: (share of the period, label)."""
    wanted_us = (span.end_us - span.start_us) / at_most
    step_us = next((step for step in _STEPS_US if step >= wanted_us), None)
    if step_us is not None:
        first = -(-span.start_us // step_us) * step_us
        return [
            (span.share(time_us), _label(time_us, step_us))
            for time_us in range(first, span.end_us + 1, step_us)
        ]
    months = next((n for n in _STEPS_MONTHS if n * _MONTH_US >= wanted_us), _STEPS_MONTHS[-1])
    return [
        (span.share(parsed_us(month.isoformat())), month.strftime("%b %Y"))
        for month in _months(span, months)
    ]


def _months(span: Period, step: int) -> Iterator[datetime]:
    first = _moment(span.start_us)
    count = (first.year * 12 + first.month - 1) // step * step
    while (month := datetime(count // 12, count % 12 + 1, 1, tzinfo=UTC)) <= _moment(span.end_us):
        if month >= first:
            yield month
        count += step


def _label(time_us: int, step_us: int) -> str:
    if time_us % DAY_US == 0:
        return f"{_moment(time_us):%b} {_moment(time_us).day}"
    return _moment(time_us).strftime("%H:%M:%S" if step_us < MINUTE_US else "%H:%M")


def _moment(time_us: int) -> datetime:
    return EPOCH + timedelta(microseconds=time_us)
