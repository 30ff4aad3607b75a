"""Results into PostgreSQL: one transaction an epoch."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import Any

import psycopg
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from connectors.backoff import until_available
from connectors.contract import ConnectorSettings, Definition, RefusedError, SettingsError
from connectors.definitions import KEPT, Author, Kind, Ledger
from connectors.postgres.listening import Change, listen
from connectors.postgres.reading import select
from connectors.postgres.rows import encode, fields
from connectors.postgres.schema import check_made, check_ours, check_rights, make_tables
from connectors.postgres.server import Connection, Server, is_of_rows
from connectors.postgres.store import Unstorable, store, store_what_can_be
from connectors.statements import select_states
from connectors.states import NewestStates
from connectors.tables import REJECTED, STATES, UNKEPT, row, state_of, state_row, table_of
from schemas.delivery import Delivery
from schemas.live import VEHICLE_STATES, VehicleState
from schemas.message import Reject

Rejects = list[Reject]


class PostgresSink:
    """The tables of ``tables.py`` in one database, a row an event, those of ``UNKEPT`` left out.

    Of vehicle states the newest of each vehicle is kept, by event time.

    Unit of parallelism: none. One worker writes all tables, so that an epoch is one transaction:
    who reads sees an alert with its violation or neither. Events are rare beside records; one
    connection takes tens of thousands of rows a second.

    After a restart the events of the last epoch may be told again; a row whose event id and version
    are there is left alone, so each is in it once, with or without a recovery folder. Acknowledges
    at the end of the epoch, when the transaction is committed. Encoded rows are kept until then:
    when the server goes away in between they are sent again once it is back, for ``patience_s``.
    A row that the database refuses goes to the dead letters, the others are stored.
    """

    wants = frozenset({VEHICLE_STATES})
    leaves_out = UNKEPT

    def __init__(self, url: str, settings: ConnectorSettings) -> None:
        self._url = url
        self._server = Server(url, settings.timeout_s)
        self._settings = settings

    def check(self) -> None:
        """Refuse a server that lets us not in, tables that are not ours, and missing rights."""
        with self._server.first_transaction() as connection:
            check_ours(connection, self._server.name)
            check_rights(connection, self._server.name)

    def build(self, source: str) -> FixedPartitionedSink[Delivery, Rejects]:
        """The Bytewax sink; ``source`` is not kept: the table says what the event is."""
        del source
        return _Database(self._server, self._settings)

    def write_registry(self, zones: Iterable[Definition], rules: Iterable[Definition]) -> None:
        """Keep these versions of zones and rules; new ones are noted in the audit log."""
        kept: dict[Kind, Sequence[Definition]] = {"zones": [*zones], "rules": [*rules]}
        until_available(self._server.name, lambda: self.keep(kept, KEPT), self._settings.patience_s)

    def keep(
        self,
        definitions: Mapping[Kind, Sequence[Definition]],
        action: str,
        by: Author | None = None,
    ) -> int:
        """Keep versions; see ``DefinitionStore``."""
        make_tables(self._server)
        with self._server.transaction() as connection:
            ledger = self._ledger(connection)
            refused = ledger.refuse(definitions, action, by)
            kept = 0 if refused else ledger.keep(definitions, action, by)
        if refused:
            raise SettingsError(refused)
        return kept

    def versions(self, kind: Kind) -> list[dict[str, Any]]:
        """All versions; see ``DefinitionStore``."""
        with self._server.first_transaction() as connection:
            check_made(connection, self._server.name)
            return self._ledger(connection).versions(kind)

    def count(self, kind: Kind) -> int:
        """How many versions there are; see ``DefinitionStore``."""
        with self._server.first_transaction() as connection:
            check_made(connection, self._server.name)
            return self._ledger(connection).count(kind)

    def changes(self) -> Iterator[Change | None]:
        """New versions as they come; see ``ChangeFeed``."""
        return listen(self._url, replace(self._settings, patience_s=inf))

    def states(self, vehicle_id: str | None = None) -> Iterator[VehicleState]:
        """The newest states; see ``StateStore``."""
        return map(state_of, select(self._url, *select_states(vehicle_id, "%s")))

    def _ledger(self, connection: Connection) -> Ledger:
        return Ledger(
            lambda statement, values: connection.execute(statement.encode(), values),
            "%s",
            self._server.name,
        )


class _Database(FixedPartitionedSink[Delivery, Rejects]):
    def __init__(self, server: Server, settings: ConnectorSettings) -> None:
        self._server = server
        self._settings = settings

    def list_parts(self) -> list[str]:
        # Called once, at the start: the tables are there even if nothing happens.
        make_tables(self._server)
        return ["database"]

    def part_fn(self, item_key: str) -> int:
        return 0

    def build_part(self, step_id: str, for_part: str, resume_state: Rejects | None) -> "_Epochs":
        self._settings.refused.put(resume_state or [])
        return _Epochs(self._server, self._settings)


class _Epochs(StatefulSinkPartition[Delivery, Rejects]):
    def __init__(self, server: Server, settings: ConnectorSettings) -> None:
        self._server = server
        self._settings = settings
        self._connection: Connection | None = None
        # Table -> encoded rows of the open epoch.
        self._rows: dict[str, list[bytes]] = defaultdict(list)
        self._newest = NewestStates()

    def write_batch(self, values: list[Delivery]) -> None:
        for value in values:
            if value.topic == VEHICLE_STATES:
                self._newest.take(value)
                continue
            try:
                table = table_of(value.topic)
            except KeyError as exc:
                raise RefusedError(
                    f"`{self._server.name}`: has no table for the topic `{value.topic}`"
                ) from exc
            if table is not None:
                self._rows[table.name].append(encode(table, row(table, value, int)))

    def snapshot(self) -> Rejects:
        if states := self._newest.drain():
            self._rows[STATES.name] = [encode(STATES, state_row(each, int)) for each in states]
        if self._rows:
            name, patience_s = self._server.name, self._settings.patience_s
            unstorable = until_available(name, self._commit, patience_s)
            self._settings.refused.put([self._reject(each) for each in unstorable])
            self._rows.clear()
        return self._settings.refused.waiting()

    def close(self) -> None:
        # What no snapshot has committed was not sent.
        if self._connection is not None:
            self._connection.close()

    def __del__(self) -> None:
        # Bytewax drops partitions without closing them when another step fails.
        self.close()

    def _commit(self) -> list[Unstorable]:
        if self._connection is None or self._connection.closed:
            self._connection = self._server.connect()
        try:
            with self._server.transaction(self._connection):
                store(self._connection, self._rows)
        except RefusedError as exc:
            if not (isinstance(exc.__cause__, psycopg.Error) and is_of_rows(exc.__cause__)):
                raise
        else:
            return []
        with self._server.transaction(self._connection):
            return store_what_can_be(self._connection, self._rows)

    def _reject(self, unstorable: Unstorable) -> Reject:
        table, name = unstorable.table, self._server.name
        if table is REJECTED:
            raise RefusedError(f"`{name}`: cannot store a dead letter: {unstorable.reason}")
        found = fields(table, unstorable.row)
        body = (found["record" if table is STATES else "data"] or b"")[
            1:
        ]  # The first byte is the version of JSONB.
        reason = f"`{table.name}` of `{name}` cannot store it: {unstorable.reason}"
        return Reject(reason, "", body, f"{name}/{table.name}")


def open_sink(url: str, settings: ConnectorSettings) -> PostgresSink:
    """The sink that ``url`` names; nothing is written yet."""
    return PostgresSink(url, settings)
