"""Triggers: when to ask for a new plan, on telemetry, forecasts and the plan in force.

``schemas.trigger_file`` reads files of them.
"""

from datetime import datetime, timedelta
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from schemas.frame import EPOCH
from schemas.rule import Duration, Scheduled, Scope, Severity
from schemas.zone import Time

MAX_FORECASTS: Final = 8

Positive = Annotated[Duration, Field(gt=0)]
Until = Literal[
    "horizon", "next_charge", "goal", "window_opens", "window_closes", "sunrise", "sunset"
]


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Forecast(_Shape):
    """What is looked ahead at: where a quantity will be, and when it will reach a limit.

    ``of``: a numeric telemetry field, ``sensors.NAME``, ``goal.distance_m`` or ``hazard.score``.
    ``method``: ``linear``, least squares, or ``robust``, Theil and Sen's, which a fourth of the
    samples may mislead. ``look_back_s``: how far back samples count. ``horizon_s``: how far ahead
    it looks, at most; ``until``: less where the plan or the sun says when. ``confidence``: of the
    interval from ``low`` to ``high``, both sides together. ``limit``: what ``reaches_s`` is about,
    a number or ``reserve`` or ``max_temperature`` of the plan.
    """

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    of: str = Field(pattern=r"^(?:[a-z_]+|goal\.distance_m|hazard\.score|sensors\.[^\s.][^\s]*)$")
    method: Literal["linear", "robust"] = "linear"
    look_back_s: Positive = Field(default=3_600.0, alias="look_back")
    horizon_s: Positive = Field(alias="horizon")
    until: Until = "horizon"
    confidence: float = Field(default=0.9, ge=0.5, le=0.999)
    limit: float | Literal["reserve", "max_temperature"] | None = None


class Trigger(_Shape):
    """A trigger, one version of it.

    It is judged at the first record in each ``every_s`` of event time; where that is not given at
    all records that triggers are judged on. It fires at the first at which ``when`` (CEL) has been
    true for ``consecutive`` judged records and for ``for_s`` seconds, or at which the vehicle has
    been silent for ``absent_for_s``; then it is passive until it is armed again: ``rearm``
    ``clear``, once ``clear_when`` is true (without one, once ``when`` is false); ``time``,
    ``rearm_after_s`` after it fired; ``command``, when it is told to. A command arms every trigger.
    It never fires twice within ``cooldown_s``. ``priority``: 1 to 9, of a request that of its most
    urgent reason. ``deadline_s``: how long an answer may take; then an alarm of ``severity`` is
    raised. ``look_ahead_s``: how far ahead ``ahead`` looks for the zones of ``scope``.
    ``schedule``: in force in its windows alone. ``mode`` shadow: judged and recorded, nobody is
    asked. Durations are event time.
    """

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    id: str = Field(pattern=r"^[A-Za-z0-9._:-]{1,128}$")
    when: str = ""
    absent_for_s: Positive | None = Field(default=None, alias="absent_for")
    forecasts: dict[str, Forecast] = Field(default={}, max_length=MAX_FORECASTS)
    every_s: Positive | None = Field(default=None, alias="every")
    consecutive: int = Field(default=1, ge=1, le=1_000)
    for_s: Duration = Field(default=0.0, alias="for")
    rearm: Literal["clear", "time", "command"] = "clear"
    clear_when: str | None = Field(default=None, min_length=1)
    rearm_after_s: Positive | None = Field(default=None, alias="rearm_after")
    cooldown_s: Duration = Field(default=0.0, alias="cooldown")
    priority: int = Field(default=5, ge=1, le=9)
    deadline_s: Positive = Field(default=3_600.0, alias="deadline")
    severity: Severity = "warning"
    look_ahead_s: Positive = Field(default=600.0, alias="look_ahead")
    scope: Scope = Scope()
    message: str = ""
    source: str = ""
    effective_from: Time | None = None
    effective_to: Time | None = None
    schedule: Scheduled | None = None
    mode: Literal["active", "shadow"] = "active"
    version: int = Field(default=1, ge=1)
    line: int | None = Field(default=None, ge=1, exclude=True)

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if not self.when and self.absent_for_s is None:
            raise ValueError("nothing is asked: give `when` or `absent_for`")
        if self.absent_for_s is not None and (self.consecutive > 1 or self.for_s):
            raise ValueError("`absent_for` waits by itself: leave out `consecutive` and `for`")
        if self.absent_for_s is not None and self.every_s is not None:
            raise ValueError("`absent_for` is looked for at its time: leave out `every`")
        if self.rearm == "time" and self.rearm_after_s is None:
            raise ValueError("`rearm: time` needs `rearm_after`, such as 2h")
        if self.rearm != "time" and self.rearm_after_s is not None:
            raise ValueError("`rearm_after` is for `rearm: time`: give that or leave it out")
        if self.rearm != "clear" and self.clear_when is not None:
            raise ValueError("`clear_when` is for `rearm: clear`: give that or leave it out")
        return self

    @model_validator(mode="after")
    def _in_force_for_a_time(self) -> Self:
        start, end = self.effective_from, self.effective_to
        if start is not None and end is not None and start >= end:
            raise ValueError("`effective_from` is not before `effective_to`: give a later end")
        return self

    @field_validator("forecasts")
    @classmethod
    def _named(cls, value: dict[str, Forecast]) -> dict[str, Forecast]:
        for name in value:
            if not name.isidentifier():
                raise ValueError(f"forecast `{name}`: name it by letters, digits and `_`")
        return value

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
