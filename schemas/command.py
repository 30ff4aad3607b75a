"""Commands: what an operator does to an alarm, from bytes."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Final, Literal, Self

import msgspec
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from schemas.message import Message, Reject
from schemas.policy import Action
from schemas.timestamps import time_us

_ACTIONS: Final[dict[str, Action]] = {
    "acknowledge": "alarms.acknowledge",
    "shelve": "alarms.shelve",
    "unshelve": "alarms.unshelve",
    "clear": "alarms.clear",
}
MAX_SHELF_US: Final = 31 * 86_400_000_000


def _time(value: str) -> str:
    try:
        time_us(value)
    except ValueError as exc:
        raise ValueError(f"{value} {exc}") from exc
    return value


Time = Annotated[str, AfterValidator(_time)]
"""RFC 3339 with a zone."""


class Command(BaseModel):
    """An operator's command on one alarm.

    ``id`` names it: one that comes twice counts once. ``time``: when it was given, from which on it
    counts. ``until``: when a shelved alarm comes back, 31 days later at most. ``clear`` resets a
    latched alarm whose condition no longer holds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=1, max_length=128)
    action: Literal["acknowledge", "shelve", "unshelve", "clear"]
    alarm_id: str = Field(pattern=r"^[0-9a-f]{32}$")
    vehicle_id: str = Field(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")
    time: Time
    who: str = Field(min_length=1, max_length=256)
    reason: str = Field(default="", max_length=2_000)
    until: Time | None = None

    @model_validator(mode="after")
    def _shelved_for_a_time(self) -> Self:
        if self.action != "shelve":
            if self.until is not None:
                raise ValueError("`until` is of `shelve` alone: leave it out")
        elif self.until_us is None:
            raise ValueError("`until` is missing: say when a shelved alarm comes back")
        elif not 0 < self.until_us - self.time_us <= MAX_SHELF_US:
            raise ValueError("`until` must be later than `time`, by 31 days at most")
        return self

    @property
    def time_us(self) -> int:
        """When it was given, microseconds since 1970 UTC."""
        return time_us(self.time)

    @property
    def until_us(self) -> int | None:
        """When a shelved alarm comes back, microseconds since 1970 UTC."""
        return None if self.until is None else time_us(self.until)


def asked(command: Command) -> tuple[str, Action, str]:
    """Who asks for which action, and on what: the vehicle, which stands for its alarms."""
    return command.who, _ACTIONS[command.action], command.vehicle_id


def decode_commands(messages: Sequence[Message]) -> Iterator[Command | Reject]:
    """The commands of messages, in order: objects, arrays of them, or lines of either."""
    for message in messages:
        for number, line in enumerate(message.body.splitlines(), message.first_line or 1):
            if line.strip():
                yield from _decode(line, f"{message.origin}:{number}")


def _decode(line: bytes, origin: str) -> Iterator[Command | Reject]:
    try:
        found = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        yield Reject(f"no command: {exc}", "", line, origin)
        return
    if not isinstance(found, list):
        yield _command(found, line, origin)
        return
    for place, each in enumerate(found):
        yield _command(each, msgspec.json.encode(each), f"{origin}[{place}]")


def _command(found: Any, raw: bytes, origin: str) -> Command | Reject:
    try:
        return Command.model_validate(found)
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        what = first["msg"].removeprefix("Value error, ")
        return Reject(f"{field or 'command'}: {what}", field, raw, origin)
