"""Rows read back from PostgreSQL, a bounded number at a time."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from psycopg.rows import dict_row

from connectors.contract import ConnectorSettings
from connectors.postgres.schema import check_made
from connectors.postgres.server import Server
from connectors.statements import in_order
from connectors.tables import TABLES
from schemas.frame import EPOCH, rfc3339

_MICROSECOND: Final = timedelta(microseconds=1)


def select(url: str, statement: str, values: Sequence[Any] = ()) -> Iterator[dict[str, Any]]:
    """What a query finds, times as RFC 3339 text; ``%s`` in it stand for ``values``.

    Raises:
        SettingsError: the database has no tables of ours, or lets us not in.
        ConnectorError: the server is in trouble or refuses.
    """
    server = Server(url, ConnectorSettings().timeout_s)
    with server.first_transaction() as connection:
        check_made(connection, server.name)
        # A named cursor stays on the server, which sends what is asked for.
        with connection.cursor("select_", row_factory=dict_row) as cursor:
            cursor.execute(statement.encode(), values)
            for found in cursor:
                yield {name: _plain(value) for name, value in found.items()}


def read_events(url: str, table: str) -> Iterator[dict[str, Any]]:
    """The rows of a table as dicts in order of event time (of arrival where that is kept).

    JSON columns come parsed. May raise what ``select`` raises, and KeyError for a table that does
    not exist.
    """
    shape = TABLES[table]
    # The names come from TABLES, not from outside.
    return select(url, f'SELECT * FROM "{shape.name}" ORDER BY {in_order(shape)}')  # noqa: S608


def _plain(value: Any) -> Any:
    return rfc3339((value - EPOCH) // _MICROSECOND) if isinstance(value, datetime) else value
