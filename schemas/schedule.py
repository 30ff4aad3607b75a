"""Schedules: at which times of day a zone is in force, by a clock on Earth or the Sun over Mars."""

import re
from datetime import UTC, timedelta, timezone, tzinfo
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

DAY_S: Final = 86_400
WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_WINDOW: Final = re.compile(
    r"(\d\d):([0-5]\d)(?::([0-5]\d))?-(\d\d):([0-5]\d)(?::([0-5]\d))?", re.ASCII
)
_OFFSET: Final = re.compile(r"([+-])([01]\d|2[0-3]):([0-5]\d)", re.ASCII)


def _window_s(text: str) -> tuple[int, int]:
    """Begin and end of a window, seconds of the day, the end behind the begin."""
    match = _WINDOW.fullmatch(text)
    numbers = [int(part or 0) for part in match.groups()] if match else [99] * 6
    begin, end = (h * 3600 + m * 60 + s for h, m, s in (numbers[:3], numbers[3:]))
    if begin >= DAY_S or end > DAY_S:
        raise ValueError('give times of day as "06:00-18:30", to 24:00 at most')
    if begin == end:
        raise ValueError("begin and end are the same: a whole day is 00:00-24:00")
    return begin, end if end > begin else end + DAY_S


def _window(text: str) -> str:
    _window_s(text)
    return text


def _zone(name: str) -> tzinfo:
    if match := _OFFSET.fullmatch(name):
        offset = timedelta(hours=int(match[2]), minutes=int(match[3]))
        return timezone(-offset if match[1] == "-" else offset)
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ValueError, ZoneInfoNotFoundError, OSError):
        raise ValueError("give UTC, an offset as +02:00 or a name as Europe/Oslo") from None


def _zone_name(name: str) -> str:
    _zone(name)
    return name


class Schedule(BaseModel):
    """Windows of the day, on every day or on some weekdays.

    ``windows``: times of day, the end not included; one that ends before it begins goes over
    midnight and belongs to the weekday it begins on. ``time_zone`` is whose clock is meant: a time
    that its clock skips or shows twice is read as RFC 5545 says (section 3.3.5: by the offset
    before the gap; the first of the two). With ``solar_longitude`` (deg east, Mars alone) times
    are local mean solar time at that longitude, 24 hours a sol.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    windows: tuple[Annotated[str, AfterValidator(_window)], ...]
    time_zone: Annotated[str, AfterValidator(_zone_name)] | None = None
    weekdays: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] | None = None
    solar_longitude: Annotated[float, Field(strict=True, ge=-180, le=360)] | None = None

    @field_validator("windows", "weekdays")
    @classmethod
    def _not_empty(cls, given: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if given == ():
            raise ValueError("nothing is left of the day: give at least one")
        return given

    @model_validator(mode="after")
    def _one_clock(self) -> "Schedule":
        if self.solar_longitude is not None and (self.time_zone or self.weekdays):
            raise ValueError(
                "sols have neither time zone nor weekdays: give `solar_longitude` or those"
            )
        return self

    @property
    def windows_s(self) -> tuple[tuple[int, int], ...]:
        """Begin and end of each window in seconds of the day; ends may lie in the next day."""
        return tuple(map(_window_s, self.windows))

    @property
    def clock(self) -> tzinfo:
        """The clock that the windows are read by; without meaning for solar times."""
        return _zone(self.time_zone or "UTC")

    def allows(self, weekday: int) -> bool:
        """Whether windows begin on a weekday, 0 = Monday."""
        return self.weekdays is None or WEEKDAYS[weekday] in self.weekdays
