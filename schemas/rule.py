"""Rules: conditions on telemetry, with what to say, where they apply and when they are in force.

``schemas.rule_file`` reads files of them.
"""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from schemas.frame import EPOCH
from schemas.zone import Time

MAX_FOR_S: Final = 366 * 86_400.0

_UNITS_S: Final = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PART: Final = r"(\d+(?:\.\d+)?)(d|h|ms|m|s)"
_DURATION: Final = re.compile(f"(?:{_PART})+", re.ASCII)
_DURATION_PART: Final = re.compile(_PART, re.ASCII)
_NUMBER: Final = re.compile(r"\d+(\.\d+)?", re.ASCII)


def _seconds(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = value.strip()
    if _NUMBER.fullmatch(text):
        return float(text)
    if not _DURATION.fullmatch(text):
        raise ValueError("give a duration such as 90s, 5m, 1h30m or a number of seconds")
    return sum(float(number) * _UNITS_S[unit] for number, unit in _DURATION_PART.findall(text))


Duration = Annotated[float, BeforeValidator(_seconds), Field(ge=0, le=MAX_FOR_S)]
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


class Rule(_Shape):
    """A rule, one version of it.

    ``when``: condition in CEL. ``for_s``: seconds of event time it must hold (``for`` in YAML).
    ``message``: text with ``{placeholders}``; empty = the id. ``source``: where the rule comes
    from, to the clause. In force from ``effective_from`` on and until just before
    ``effective_to`` (event time). ``mode`` shadow: judged and recorded, nobody is told. ``line``
    is where it stands in its file, counted from 1.
    """

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    id: str = Field(pattern=r"^[A-Za-z0-9._:-]{1,128}$")
    when: str = Field(min_length=1)
    for_s: Duration = Field(default=0.0, alias="for")
    severity: Severity
    scope: Scope = Scope()
    message: str = ""
    source: str = ""
    effective_from: Time | None = None
    effective_to: Time | None = None
    mode: Literal["active", "shadow"] = "active"
    version: int = Field(default=1, ge=1)
    line: int | None = Field(default=None, ge=1, exclude=True)

    @model_validator(mode="after")
    def _in_force_for_a_time(self) -> Self:
        start, end = self.effective_from, self.effective_to
        if start is not None and end is not None and start >= end:
            raise ValueError("`effective_from` is not before `effective_to`: give a later end")
        return self

    @property
    def effective_from_us(self) -> int | None:
        """The first instant in force, microseconds since 1970 UTC; None = always was."""
        return _microseconds(self.effective_from)

    @property
    def effective_to_us(self) -> int | None:
        """The first instant no longer in force, microseconds since 1970 UTC; None = open."""
        return _microseconds(self.effective_to)


def _microseconds(time: datetime | None) -> int | None:
    return None if time is None else (time - EPOCH) // timedelta(microseconds=1)


Mistake = tuple[int, str]
"""The line of a mistake in a rule file, from 1, and what is wrong and how to mend it."""


class RuleFileError(ValueError):
    """A rule file with mistakes: ``mistakes`` has one line each, with place, value and remedy."""

    def __init__(self, name: str, mistakes: Iterable[Mistake]) -> None:
        in_order = sorted(mistakes, key=lambda mistake: mistake[0])
        self.mistakes = tuple(f"{name}:{line}: {text}" for line, text in in_order)
        super().__init__("\n".join(self.mistakes))
