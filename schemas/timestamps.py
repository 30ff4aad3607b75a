"""Event times: RFC 3339 text with a zone or epoch seconds, as microseconds since 1970 UTC.

The same grammar is written twice, for one value (``time_us``) and for a column (``times_us``);
a property test holds them together.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

import numpy as np
from numpy.typing import NDArray

from schemas.frame import EPOCH, Bools, Longs

LIMIT_US: Final = (datetime(2200, 1, 1, tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)

_RFC3339: Final = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?"
    r"(?:[Zz]|([+-])(\d{2}):(\d{2}))?",
    re.ASCII,
)
_EXPECTED: Final = "is not RFC 3339 (2026-01-31T12:00:00Z) or epoch seconds"

# First day of each month, December 1969 to February 2200, in days since 1970: the months that
# local times in [1970, 2200) UTC can name, and one more so that the difference is their length.
_FIRST_MONTH: Final = 1969 * 12 + 11
_MONTH_DAYS: Final = np.arange("1969-12", "2200-03", dtype="datetime64[M]").astype("datetime64[D]")
_MONTH_START: Final[Longs] = _MONTH_DAYS.astype(np.int64)
_MONTH_LENGTH: Final[Longs] = np.diff(_MONTH_START)

_SIGNS: Final = ((4, "-"), (7, "-"), (13, ":"), (16, ":"))
_DIGITS: Final = (0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18)
_PLAIN_LENGTH: Final = 19  # yyyy-mm-ddThh:mm:ss, before fraction and zone
_LENGTHS: Final = frozenset(range(_PLAIN_LENGTH + 1, _PLAIN_LENGTH + 1 + len(".123456789+00:00")))


def time_us(value: object) -> int:
    """One timestamp (text or number) as microseconds since 1970 UTC, in [1970, 2200).

    Digits after the microsecond are cut; epoch seconds are rounded to the nearest microsecond.
    Raises ValueError whose text continues "<value> ...".
    """
    match value:
        case str():
            found = _from_text(value)
        case int() | float() if not isinstance(value, bool):
            found = _from_seconds(value)
        case _:
            raise ValueError(_EXPECTED)
    if not 0 <= found < LIMIT_US:
        raise ValueError("is outside 1970 to 2200")
    return found


def times_us(values: Sequence[str | float | None]) -> tuple[Longs, Bools]:
    """A column of timestamps as ((n,) int64 microseconds since 1970 UTC, (n,) which are valid).

    What is not valid, None included, has time 0; ``time_us`` tells why.
    """
    kinds = set(map(type, values))
    if kinds == {str}:
        times, valid = _texts_us(values)  # type: ignore[arg-type]  # the set says: all are str
    elif kinds == {float}:
        times, valid = _seconds_us(np.array(values, np.float64))
    else:
        times, valid = _mixed_us(values)
    valid &= (times >= 0) & (times < LIMIT_US)
    times[~valid] = 0
    return times, valid


def _from_text(text: str) -> int:
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(_EXPECTED)
    *clock, fraction, sign, hours, minutes = match.groups()
    if text[-1] not in "Zz" and sign is None:
        raise ValueError("has no zone (end it with Z or +hh:mm)")
    if clock[-1] == "60":
        raise ValueError("is a leap second, which event time does not count (use second 59)")
    if int(hours or 0) > 23 or int(minutes or 0) > 59:
        raise ValueError("has a zone beyond 23:59")
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    zone = timezone(-offset if sign == "-" else offset)
    year, month, day, hour, minute, second = map(int, clock)
    micros = int((fraction or "")[:6].ljust(6, "0"))
    try:
        local = datetime(year, month, day, hour, minute, second, micros, tzinfo=zone)
    except ValueError:
        raise ValueError("names no date and time of the calendar") from None
    return (local - EPOCH) // timedelta(microseconds=1)


def _from_seconds(seconds: float) -> int:
    for unit, scale in (("milliseconds", 1e3), ("microseconds", 1e6), ("nanoseconds", 1e9)):
        if LIMIT_US <= seconds * 1_000_000 < LIMIT_US * scale:
            raise ValueError(f"is after 2200; if it is in {unit}, give seconds")
    if not -1 <= seconds <= LIMIT_US / 1_000_000:  # NaN fails here too
        raise ValueError("is outside 1970 to 2200")
    return round(float(seconds) * 1e6)


def _mixed_us(values: Sequence[str | float | None]) -> tuple[Longs, Bools]:
    times = np.zeros(len(values), np.int64)
    valid = np.zeros(len(values), np.bool_)
    texts = [row for row, value in enumerate(values) if isinstance(value, str)]
    times[texts], valid[texts] = _texts_us([v for v in values if isinstance(v, str)])
    seconds = [row for row, value in enumerate(values) if isinstance(value, float)]
    numbers = np.array([v for v in values if isinstance(v, float)], np.float64)
    times[seconds], valid[seconds] = _seconds_us(numbers)
    return times, valid


def _seconds_us(seconds: NDArray[np.float64]) -> tuple[Longs, Bools]:
    # The range is checked before the cast to int64, which is undefined beyond its own range.
    valid = (seconds >= -1) & (seconds <= LIMIT_US / 1_000_000)
    return np.rint(np.where(valid, seconds, 0.0) * 1e6).astype(np.int64), valid


def _texts_us(texts: Sequence[str]) -> tuple[Longs, Bools]:
    # Strings of one length and one form of zone are parsed together, by position.
    times = np.zeros(len(texts), np.int64)
    valid = np.zeros(len(texts), np.bool_)
    lengths = set(map(len, texts))
    for length in lengths & _LENGTHS:
        rows, group = np.arange(len(texts)), texts
        if len(lengths) > 1:
            members = [row for row, text in enumerate(texts) if len(text) == length]
            rows, group = np.array(members), [texts[row] for row in members]
        # One byte a character whatever it is, so positions hold: "?" is no digit and no sign.
        joined = "".join(group).encode("ascii", "replace")
        # (length, rows) uint8: one contiguous line for each position in the text.
        chars = np.ascontiguousarray(np.frombuffer(joined, np.uint8).reshape(-1, length).T)
        utc = (chars[-1] | 0x20) == ord("z")
        for zone, here in ((1, utc), (6, ~utc)):
            if here.all():
                times[rows], valid[rows] = _by_position(chars, zone)
            elif here.any():
                times[rows[here]], valid[rows[here]] = _by_position(chars[:, here], zone)
    return times, valid


def _by_position(chars: NDArray[np.uint8], zone: int) -> tuple[Longs, Bools]:
    """Times of the texts in the columns of ``chars``; ``zone`` is 1 (``Z``) or 6 (``+hh:mm``)."""
    length = len(chars)
    fraction = list(range(_PLAIN_LENGTH + 1, length - zone))
    zone_digits = [length - 5, length - 4, length - 2, length - 1] if zone == 6 else []
    digit = chars - np.uint8(ord("0"))  # wraps: anything but a digit becomes more than 9
    valid: Bools = np.all(digit[[*_DIGITS, *fraction, *zone_digits]] <= 9, axis=0)
    for at, sign in _SIGNS:
        valid &= chars[at] == ord(sign)
    valid &= (chars[10] | 0x20) == ord("t")
    if length != _PLAIN_LENGTH + zone:
        valid &= (chars[_PLAIN_LENGTH] == ord(".")) & (0 < len(fraction) <= 9)
    minutes, real = _civil_minutes(digit)
    valid &= real
    if zone_digits:
        east, real = _zone_minutes(chars[-6:], digit[-6:])
        minutes -= east
        valid &= real
    second = _pair(digit, 17)
    valid &= second <= 59
    micros = second * np.int32(1_000_000)
    for place, at in enumerate(fraction[:6]):
        micros += digit[at] * np.int32(10 ** (5 - place))
    return minutes * 60_000_000 + micros, valid


def _pair(digit: NDArray[np.uint8], at: int) -> NDArray[np.uint8]:
    pair: NDArray[np.uint8] = digit[at] * np.uint8(10) + digit[at + 1]  # at most 99 where valid
    return pair


def _civil_minutes(digit: NDArray[np.uint8]) -> tuple[Longs, Bools]:
    """Whole minutes from 1970 to ``yyyy-mm-ddThh:mm``, and which of them the calendar has."""
    month, day, hour, minute = (_pair(digit, at) for at in (5, 8, 11, 14))
    year = _pair(digit, 0).astype(np.int32) * 100 + _pair(digit, 2)
    index = year * 12 + month - (1 + _FIRST_MONTH)
    real: Bools = (month - np.uint8(1) < 12) & (index >= 0) & (index < len(_MONTH_LENGTH))
    index[~real] = 0
    real &= (day >= 1) & (day <= _MONTH_LENGTH[index]) & (hour <= 23) & (minute <= 59)
    return (_MONTH_START[index] + day - 1) * 1440 + hour * np.int32(60) + minute, real


def _zone_minutes(chars: NDArray[np.uint8], digit: NDArray[np.uint8]) -> tuple[Longs, Bools]:
    """Minutes east of UTC of ``+hh:mm``, and which of them are well formed (digits aside)."""
    west = chars[0] == ord("-")
    hours, minutes = _pair(digit, 1), _pair(digit, 4)
    real: Bools = (west | (chars[0] == ord("+"))) & (chars[3] == ord(":"))
    real &= (hours <= 23) & (minutes <= 59)
    return np.where(west, -1, 1) * (hours * np.int64(60) + minutes), real
