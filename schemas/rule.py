"""Rules: conditions on telemetry, with what to say, where they apply and when they are in force.

``schemas.rule_file`` reads files of them.
"""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal, NamedTuple, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    model_serializer,
    model_validator,
)

from schemas.frame import EPOCH
from schemas.rule_times import MAX_COUNT, Misfit, misfits
from schemas.schedule import Schedule
from schemas.zone import Time

MAX_FOR_S: Final = 366 * 86_400.0

_UNITS_S: Final = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PART: Final = r"(\d+(?:\.\d+)?)(d|h|ms|m|s)"
_DURATION: Final = re.compile(f"(?:{_PART})+", re.ASCII)
_DURATION_PART: Final = re.compile(_PART, re.ASCII)
_NUMBER: Final = re.compile(r"\d+(\.\d+)?", re.ASCII)
_SIGNED: Final = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)
_LEFT_OUT: Final = (
    *("count", "within_s", "then", "keep_firing_for_s", "clear_when", "once_per_visit"),
    *("absent_for_s", "absent_by", "schedule", "on_unknown", "stale_after_s", "labels", "alarm"),
)
"""Fields that are written only where they are given."""


def _seconds(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = value.strip()
    if _NUMBER.fullmatch(text):
        return float(text)
    if not _DURATION.fullmatch(text):
        raise ValueError("give a duration such as 90s, 5m, 1h30m or a number of seconds")
    return sum(float(number) * _UNITS_S[unit] for number, unit in _DURATION_PART.findall(text))


def _numbered(value: object) -> object:
    """A schedule whose longitude may be a number as a rule file has it, text."""
    if not isinstance(value, dict):
        return value
    longitude = value.get("solar_longitude")
    if isinstance(longitude, str) and _SIGNED.fullmatch(longitude.strip()):
        return value | {"solar_longitude": float(longitude)}
    return value


Duration = Annotated[float, BeforeValidator(_seconds), Field(ge=0, le=MAX_FOR_S)]
Scheduled = Annotated[Schedule, BeforeValidator(_numbered)]
Name = Annotated[str, Field(min_length=1, max_length=256)]
Names = tuple[Name, ...]
Kind = Literal["auv", "glider", "rover", "vessel", "vehicle"]
Body = Literal["earth", "mars", "moon"]
Severity = Literal["info", "warning", "critical", "emergency"]


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ZoneScope(_Shape):
    """Zones a rule is about: of any of the kinds and any of the ids; empty = all."""

    kind: Names = ()
    id: Names = ()


class Scope(_Shape):
    """What a rule is about; an empty part leaves nothing out.

    ``vehicles`` are patterns of vehicle ids as in a shell (``glider-*``).
    """

    kinds: tuple[Kind, ...] = ()
    vehicles: Names = ()
    bodies: tuple[Body, ...] = ()
    zones: ZoneScope = ZoneScope()
    missions: Names = ()


class Flapping(_Shape):
    """When an alarm flaps: it was raised or cleared ``count`` times within ``within`` seconds."""

    count: int = Field(ge=2, le=1_000)
    within: Duration = Field(gt=0)


class Inhibits(_Shape):
    """The rules whose alarms of the same vehicle are suppressed while an alarm of this one holds.

    ``rules`` are patterns of rule ids as in a shell; ``labels``: of rules that have all of them.
    """

    rules: Names = ()
    labels: dict[Name, Name] = {}

    @model_validator(mode="after")
    def _of_something(self) -> Self:
        if not self.rules and not self.labels:
            raise ValueError("give `rules` or `labels` to inhibit")
        return self


class Handling(_Shape):
    """How alarms of a rule are handled.

    ``latched``: stays until somebody clears it. ``acknowledged_for``: seconds of event time after
    which an acknowledgement of an alarm that still holds expires.
    """

    latched: bool = False
    acknowledged_for: Annotated[Duration, Field(gt=0)] | None = None
    flapping: Flapping | None = None
    inhibits: Inhibits | None = None


class Rule(_Shape):
    """A rule, one version of it.

    ``when``: condition in CEL. ``for_s``: seconds of event time it must hold (``for`` in YAML).
    ``count``: in how many records it must hold ``within_s`` seconds. ``then``: condition that must
    hold in a record at most ``within_s`` after one in which ``when`` did. ``clear_when``: condition
    that ends the alarm, in place of ``when`` holding no more; ``keep_firing_for_s``: for how long
    that must have been so. ``once_per_visit``: at most one alarm a visit. ``absent_for_s``,
    ``absent_by``: the alarm is that ``when`` has not been seen to hold for so long, until then.
    ``schedule``: in force in its windows alone.
    ``message``: text with ``{placeholders}``; empty = the id. ``source``: where the rule comes
    from, to the clause. In force from ``effective_from`` on and until just before
    ``effective_to`` (event time). ``mode`` shadow: judged and recorded, nobody is told.
    ``on_unknown``: what an answer that is not known, as an input is missing, does: ``keep`` (the
    default) neither raises nor clears an alarm, ``raise`` counts as true, ``clear`` as false.
    ``stale_after_s``: what the rule takes from earlier records is missing where they are more than
    so many seconds of event time before the record.
    ``labels``: what alerts are routed by; ``alarm``: how its alarms are handled. ``line`` is where
    it stands in its file, counted from 1.
    """

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    id: str = Field(pattern=r"^[A-Za-z0-9._:-]{1,128}$")
    when: str = Field(min_length=1)
    for_s: Duration = Field(default=0.0, alias="for")
    count: int | None = Field(default=None, ge=2, le=MAX_COUNT)
    within_s: Duration | None = Field(default=None, alias="within")
    then: str | None = Field(default=None, min_length=1)
    keep_firing_for_s: Duration | None = Field(default=None, alias="keep_firing_for")
    clear_when: str | None = Field(default=None, min_length=1)
    once_per_visit: bool | None = None
    absent_for_s: Duration | None = Field(default=None, alias="absent_for")
    absent_by: Time | None = None
    schedule: Scheduled | None = None
    severity: Severity
    scope: Scope = Scope()
    message: str = ""
    source: str = ""
    effective_from: Time | None = None
    effective_to: Time | None = None
    mode: Literal["active", "shadow"] = "active"
    on_unknown: Literal["keep", "raise", "clear"] | None = None
    stale_after_s: Annotated[Duration, Field(gt=0)] | None = Field(
        default=None, alias="stale_after"
    )
    version: int = Field(default=1, ge=1)
    labels: dict[Name, Name] | None = None
    alarm: Handling | None = None
    line: int | None = Field(default=None, ge=1, exclude=True)

    @model_validator(mode="after")
    def _in_force_for_a_time(self) -> Self:
        start, end = self.effective_from, self.effective_to
        if start is not None and end is not None and start >= end:
            raise ValueError("`effective_from` is not before `effective_to`: give a later end")
        return self

    @model_validator(mode="after")
    def _times_fit(self, info: ValidationInfo) -> Self:
        found = list(misfits(self))
        if isinstance(info.context, Misfits):
            info.context.found += found
        elif found:
            raise ValueError(f"`{found[0].key}`: {found[0].what}")
        return self

    @model_serializer(mode="wrap")
    def _without_what_is_not_given(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # A rule reads the same to those who kept it before there were these fields.
        written: dict[str, Any] = write(self)
        return {k: v for k, v in written.items() if v is not None or k not in _LEFT_OUT}

    @property
    def is_about_absence(self) -> bool:
        """Whether its alarm is that something has not been seen."""
        return self.absent_for_s is not None or self.absent_by is not None

    @property
    def is_timed(self) -> bool:
        """Whether its alarms depend on more than how long ``when`` has held."""
        given = (self.count, self.then, self.keep_firing_for_s, self.clear_when)
        return self.once_per_visit is True or any(part is not None for part in given)

    @property
    def absent_by_us(self) -> int | None:
        """When it must have been seen, microseconds since 1970 UTC; None = says nothing."""
        return _microseconds(self.absent_by)

    @property
    def stale_after_us(self) -> int | None:
        """The age beyond which earlier readings are missing, microseconds; None = never."""
        return None if self.stale_after_s is None else round(self.stale_after_s * 1e6)

    @property
    def effective_from_us(self) -> int | None:
        """The first instant in force, microseconds since 1970 UTC; None = always was."""
        return _microseconds(self.effective_from)

    @property
    def effective_to_us(self) -> int | None:
        """The first instant no longer in force, microseconds since 1970 UTC; None = open."""
        return _microseconds(self.effective_to)

    def handled(self) -> dict[str, Any]:
        """What alarm events say of labels and handling: nothing where the rule says nothing."""
        said: dict[str, Any] = {} if not self.labels else {"labels": self.labels}
        if self.alarm is not None:
            said["handling"] = self.alarm.model_dump(exclude_defaults=True)
        return said


class Misfits:
    """Context for ``Rule.model_validate`` that collects misfits, which are errors without it."""

    def __init__(self) -> None:
        self.found: list[Misfit] = []


def _microseconds(time: datetime | None) -> int | None:
    return None if time is None else (time - EPOCH) // timedelta(microseconds=1)


class Mistake(NamedTuple):
    """A mistake in a rule file: where, from 1, and what is wrong and how to mend it."""

    line: int
    text: str
    column: int = 1


class RuleFileError(ValueError):
    """A rule file with mistakes: ``mistakes`` has one line each, with place, value and remedy."""

    def __init__(self, name: str, mistakes: Iterable[Mistake]) -> None:
        in_order = sorted(mistakes, key=lambda mistake: (mistake.line, mistake.column))
        self.mistakes = tuple(f"{name}:{m.line}:{m.column}: {m.text}" for m in in_order)
        super().__init__("\n".join(self.mistakes))
