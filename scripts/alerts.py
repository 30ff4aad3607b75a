"""`farwatch alerts`: alarms as they are now, and commands on them."""

import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

import msgspec
from pydantic import TypeAdapter, ValidationError

from connectors.alarms import KNOWN, AlertRow, keeps_alerts, read_alarm, read_alarms
from connectors.contract import ConnectorSettings, SettingsError
from connectors.definitions import who
from connectors.registry import open_publisher
from flows.settings import Settings
from schemas.command import Command
from schemas.frame import rfc3339
from schemas.rule import Duration
from scripts.listing import write_listing

NORMAL: Final = "normal"
_SHOWN_ID: Final = 12
_HEAD: Final = ("alarm", "state", "severity", "vehicle", "rule", "zone", "since", "message")


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which alarms are listed: None = any; ``all``: those that are normal, too."""

    state: str | None = None
    severity: str | None = None
    vehicle: str | None = None
    zone: str | None = None
    all: bool = False

    def holds(self, row: AlertRow) -> bool:
        """Whether an alarm is listed."""
        state = row.data["state"]
        if self.state is not None:
            return bool(state == self.state)
        return self.all or state != NORMAL


def store_of(settings: Settings) -> str:
    """The first of the results that keeps alerts.

    Raises:
        SettingsError: none does.
    """
    for url in settings.results:
        if keeps_alerts(url):
            return url
    raise SettingsError(f"no results that keep alerts; give --from, {KNOWN}")


def show_alarms(url: str, chosen: Chosen, *, as_json: bool) -> int:
    """Write a line an alarm to standard output; returns how many.

    Raises:
        SettingsError: the store keeps no alerts or cannot be read.
        ConnectorError: it is in trouble.
    """
    found = read_alarms(
        url, vehicle_id=chosen.vehicle, severity=chosen.severity, zone_id=chosen.zone
    )
    rows = [row for row in found if chosen.holds(row)]
    if as_json:
        for row in rows:
            line = {"type": row.type, **row.data}
            sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
    else:
        write_listing([_HEAD, *map(_cells, rows)])
    return len(rows)


@dataclass(frozen=True, slots=True)
class Given:
    """What is said of a command besides the alarm; ``at``: when it counts from, None = now."""

    action: str
    reason: str = ""
    at: str | None = None
    for_: str | None = None
    until: str | None = None


def send_command(alarm_id: str, given: Given, to: str, store: str, vehicle: str | None) -> Command:
    """Publish a command on an alarm, which is looked up in a store unless its vehicle is given.

    Raises:
        SettingsError: there is no such alarm, or the command is none.
        ConnectorError: a far side is in trouble.
    """
    if vehicle is None:
        [alarm, *_] = read_alarm(store, alarm_id)
        alarm_id, vehicle = alarm.alarm_id, str(alarm.data["vehicle_id"])
    now_us = round(datetime.now(UTC).timestamp() * 1e6)
    time = given.at or rfc3339(now_us)
    asked = {
        "id": uuid4().hex,
        "action": given.action,
        "alarm_id": alarm_id,
        "vehicle_id": vehicle,
        "time": time,
        "who": who(),
        "reason": given.reason,
    }
    command = _command(asked | ({} if given.until is None else {"until": given.until}), given)
    body = command.model_dump_json(exclude_none=True).encode()
    with closing(open_publisher(to, ConnectorSettings())) as publisher:
        publisher.publish(body, vehicle)
        publisher.flush()
    return command


def _command(asked: dict[str, str], given: Given) -> Command:
    try:
        if given.for_ is not None:
            at = Command.model_validate(asked | {"action": "acknowledge"})
            asked = asked | {"until": rfc3339(at.time_us + round(_duration_s(given.for_) * 1e6))}
        return Command.model_validate(asked)
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"])) or given.action
        raise SettingsError(f"{field}: {first['msg'].removeprefix('Value error, ')}") from exc


def _duration_s(text: str) -> float:
    try:
        return _durations.validate_python(text)
    except ValidationError as exc:
        told = exc.errors()[0]["msg"].removeprefix("Value error, ")
        raise SettingsError(f"--for `{text}`: {told}") from exc


def _cells(row: AlertRow) -> Sequence[str]:
    data = row.data
    return (
        row.alarm_id[:_SHOWN_ID],
        data["state"],
        data["severity"],
        data["vehicle_id"],
        data["rule_id"],
        data["zone_id"] or "",
        data["decision"]["since"][:19] + "Z",
        data["message"],
    )


_durations: Final = TypeAdapter[float](Duration)
