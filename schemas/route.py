"""Routes: which alerts go where besides their topics, to whom, and how often."""

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from schemas.rule import Duration, Kind, Name, Names, Severity
from schemas.schedule import Schedule

DEFAULT_RATE: Final = "60/1h"
_RATE: Final = re.compile(r"([1-9]\d{0,5})/(\d{0,4}(?:s|m|h|d))", re.ASCII)
_UNITS_S: Final = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}


def _rate(text: str) -> str:
    if not _RATE.fullmatch(text):
        raise ValueError("give a number and a time, such as 10/1m")
    return text


class _Shape(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True
    )


class Target(_Shape):
    """Where notifications go: a URL as apprise writes it, `rate` of them at most."""

    url: str = Field(min_length=4)
    rate: Annotated[str, AfterValidator(_rate)] = DEFAULT_RATE

    @property
    def at_most(self) -> tuple[int, float]:
        """How many notifications in how many seconds."""
        found = _RATE.fullmatch(self.rate)
        count, time = found.groups() if found else ("1", "1s")
        return int(count), float(time[:-1] or 1) * _UNITS_S[time[-1]]


class Match(_Shape):
    """Which alerts a route is for; an empty part leaves nothing out, of a part any will do.

    ``vehicles``, ``rules``, ``zones`` are patterns of ids as in a shell; of ``labels`` all must be
    the rule's.
    """

    severity: tuple[Severity, ...] = ()
    rules: Names = ()
    labels: dict[Name, Name] = {}
    vehicles: Names = ()
    kinds: tuple[Kind, ...] = ()
    zones: Names = ()
    missions: Names = ()


_GroupBy = Literal["vehicle", "zone", "rule", "severity"]


def _truth(value: object) -> object:
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


_Truth = Annotated[bool, BeforeValidator(_truth)]


class Route(_Shape):
    """One branch of the tree: alerts that match and that no branch below it takes.

    An alert goes down the first branch that matches, and on to the next if that says ``continue``.
    ``batch``: alerts of a group are notified together at the end of so many seconds of event time,
    but critical and emergency ones at once. ``repeat_interval``: notified again so long as one
    stands unacknowledged. ``mute``: names of times when nobody is notified. ``cleared``: also of
    alarms that cleared. ``topics``: where alerts go besides that of their severity. What a branch
    does not say it has from the one above.
    """

    match: Match = Match()
    to: Names | None = None
    topics: tuple[Literal["critical_alerts", "warning_alerts"], ...] = ()
    group_by: tuple[_GroupBy, ...] | None = None
    batch: Duration | None = None
    repeat_interval: Annotated[Duration, Field(ge=1)] | None = None
    mute: Names | None = None
    cleared: _Truth | None = None
    continue_: _Truth = Field(default=False, alias="continue")
    routes: tuple["Route", ...] = ()


class Routing(_Shape):
    """A file of routes: targets and times to be quiet by name, the branches of the tree."""

    targets: dict[Name, Target] = {}
    mute_times: dict[Name, Schedule] = {}
    routes: tuple[Route, ...] = Field(min_length=1)
