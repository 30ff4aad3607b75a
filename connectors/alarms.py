"""Alarms read back from where alerts are kept: each as it is now, and what was told of one."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from connectors import postgres
from connectors.contract import SettingsError
from connectors.paths import url_path
from connectors.registry import masked
from connectors.sqlite import open_readonly
from connectors.tables import ALERTS, Table

KNOWN: Final = "use one of `sqlite:PATH`, `postgresql://...`"
_SHORTEST_ID: Final = 6


@dataclass(frozen=True, slots=True)
class AlertRow:
    """An event of an alarm as it is kept: its type, event time (RFC 3339) and payload."""

    type: str
    time: str
    data: Mapping[str, Any]

    @property
    def alarm_id(self) -> str:
        """The alarm it is of."""
        return str(self.data["alarm_id"])


def read_alarms(url: str, **wanted: str | None) -> list[AlertRow]:
    """The newest event of each alarm, of those that may still be there, by time.

    Of alarms of one rule, vehicle and zone only the newest one is: it takes the place of those
    before. ``wanted``: columns of the table and the value they must have, None = any.

    Raises:
        SettingsError: alerts are not kept there or cannot be read.
        ConnectorError: the store does not answer.
    """
    newest: dict[tuple[Any, ...], AlertRow] = {}
    for row in sorted(_read(url, wanted), key=_order):
        data = row.data
        newest[data["vehicle_id"], data["rule_id"], data["zone_id"]] = row
    return sorted(newest.values(), key=_order)


def read_alarm(url: str, alarm_id: str, table: Table = ALERTS) -> list[AlertRow]:
    """All that was told of an alarm, its newest versions, by time; the id may be cut short.

    ``table``: that of the alerts or of the violations.

    Raises:
        SettingsError: there is no such alarm, or several; and as ``read_alarms``.
        ConnectorError: the store does not answer.
    """
    if len(alarm_id) < _SHORTEST_ID:
        raise SettingsError(f"alarm `{alarm_id}`: give {_SHORTEST_ID} characters of it at least")
    found = sorted(_read(url, {}, alarm_id, table), key=_order)
    ids = sorted({row.alarm_id for row in found})
    if not ids:
        raise SettingsError(
            f"`{masked(url)}`: knows no alarm `{alarm_id}`; `farwatch alerts list --all` tells all"
        )
    if len(ids) > 1:
        raise SettingsError(f"alarm `{alarm_id}`: may be {', '.join(ids[:5])}; give more of it")
    return found


def keeps_alerts(url: str) -> bool:
    """Whether alarms can be read from the URL."""
    return url.partition(":")[0] in _READ


def _read(
    url: str, wanted: Mapping[str, str | None], alarm_id: str = "", of: Table = ALERTS
) -> Iterator[AlertRow]:
    scheme = url.partition(":")[0]
    if scheme not in _READ:
        raise SettingsError(f"`{masked(url)}`: keeps no alerts that can be read; {KNOWN}")
    mark = "%s" if scheme.startswith("postgres") else "?"
    chosen = {name: value for name, value in wanted.items() if value is not None}
    where = [f'a."{name}" = {mark}' for name in chosen if name in of.columns]
    values: list[Any] = list(chosen.values())
    if alarm_id:
        where.append(f'substr(a."alarm_id", 1, {len(alarm_id)}) = {mark}')
        values.append(alarm_id)
    table = f'"{of.name}"'
    query = (
        f'SELECT a."type", a."time", a."data" FROM {table} AS a '  # noqa: S608 (names are ours)
        f"WHERE {' AND '.join([*where, 'NOT a.retracted'])} AND NOT EXISTS "
        f"(SELECT 1 FROM {table} AS b WHERE b.event_id = a.event_id AND b.version > a.version)"
    )
    yield from _READ[scheme](url, query, values)


def _in_sqlite(url: str, query: str, values: Sequence[Any]) -> Iterator[AlertRow]:
    with closing(open_readonly(url_path(url))) as file:
        for kind, time, data in file.execute(query, values):
            yield AlertRow(kind, time, msgspec.json.decode(data))


def _in_postgres(url: str, query: str, values: Sequence[Any]) -> Iterator[AlertRow]:
    for row in postgres.select(url, query, values):
        yield AlertRow(row["type"], row["time"], row["data"])


_READ: Final[Mapping[str, Callable[[str, str, Sequence[Any]], Iterable[AlertRow]]]] = {
    "sqlite": _in_sqlite,
    "postgresql": _in_postgres,
    "postgres": _in_postgres,
}
_BY_TIME: Final = frozenset({"shelf_expired", "acknowledgement_expired", "steady"})
_BY_COMMAND: Final = frozenset({"acknowledged", "shelved", "unshelved", "reset"})


def _order(row: AlertRow) -> tuple[str, int, str]:
    """At one instant: what time brought, what the vehicle did, what was commanded."""
    reason = row.data.get("reason")
    rank = 0 if reason in _BY_TIME else 2 if reason in _BY_COMMAND else 1
    return row.time, rank, row.alarm_id
