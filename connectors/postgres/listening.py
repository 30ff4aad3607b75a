"""New versions of zones and rules, as they come."""

from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Final

from connectors.backoff import until_available
from connectors.contract import ConnectorSettings, UnavailableError
from connectors.postgres.schema import CHANNEL, make_tables
from connectors.postgres.server import Connection, Server
from connectors.tables import RULES, ZONES

LOOK_S: Final = 1.0
"""How often a listener that hears nothing hands control back."""

_KINDS: Final = (ZONES.name, RULES.name)


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """A version that is there now; ``kind`` is ``zones`` or ``rules``."""

    kind: str
    id: str
    version: int


def listen(url: str, settings: ConnectorSettings | None = None) -> Iterator[Change | None]:
    """Each version that is added from the first ``next`` on, once, as soon as it is committed.

    None comes first, when it listens, and after each second without a change, so that the caller
    can do something else or stop. What is added while the server cannot be reached comes when it
    is back.

    Raises:
        SettingsError: the URL or the database cannot be used.
        ConnectorError: the server refuses, or is away for longer than ``patience_s``.
    """
    chosen = settings or ConnectorSettings()
    server = Server(url, chosen.timeout_s)
    make_tables(server)
    known: set[Change] | None = None
    while True:
        connection = until_available(server.name, lambda: _listening(server), chosen.patience_s)
        with closing(connection), suppress(UnavailableError):
            # Looked at only when it listens already, so that nothing falls in between.
            kept = _kept(server, connection)
            missed = set() if known is None else kept - known
            known = kept
            yield from sorted(missed)
            yield None
            while True:
                heard = _heard(server, connection)
                yield from (change for change in heard if change not in known)
                known.update(heard)
                if not heard:
                    yield None


def _listening(server: Server) -> Connection:
    connection = server.connect()
    with server.translated():
        connection.execute(f"LISTEN {CHANNEL}".encode())
    return connection


def _kept(server: Server, connection: Connection) -> set[Change]:
    with server.transaction(connection):
        return {
            Change(kind, *found)
            for kind in _KINDS
            for found in connection.execute(f'SELECT id, version FROM "{kind}"'.encode())  # noqa: S608
        }


def _heard(server: Server, connection: Connection) -> list[Change]:
    with server.translated():
        return [_change(one.payload) for one in connection.notifies(timeout=LOOK_S, stop_after=1)]


def _change(payload: str) -> Change:
    kind, _, rest = payload.partition(":")
    name, _, version = rest.rpartition(":")
    return Change(kind, name, int(version))
