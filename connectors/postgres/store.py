"""Encoded rows into their tables, each once; what cannot be stored comes back."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import psycopg

from connectors.postgres.rows import SQL_TYPES, copied
from connectors.postgres.server import Connection, is_of_rows, said
from connectors.statements import insert, names
from connectors.tables import TABLES, Table

CHUNK_BYTES: Final = 4_000_000
"""Rows are sent in statements of about this size, so that none takes as long as the timeout."""

EncodedRows = Mapping[str, Sequence[bytes]]
"""Table -> rows of ``rows.encode``, in the order they are to be stored in."""


@dataclass(frozen=True, slots=True)
class Unstorable:
    """A row that the database refuses whatever else is stored, and what it says about it."""

    table: Table
    row: bytes
    reason: str


def store(connection: Connection, rows: EncodedRows) -> None:
    """Add the rows as their tables say (``statements.insert``), in the transaction that is open."""
    for name, of_table in rows.items():
        for chunk in _chunks(of_table):
            _add(connection, TABLES[name], chunk)


def store_what_can_be(connection: Connection, rows: EncodedRows) -> list[Unstorable]:
    """As ``store``, but rows the database refuses are left out and returned.

    They are found by halving, each half behind a savepoint: about 2 log2(n) statements a bad row.
    """
    return [
        bad
        for name, of_table in rows.items()
        for chunk in _chunks(of_table)
        for bad in _halve(connection, TABLES[name], chunk)
    ]


def _halve(connection: Connection, table: Table, rows: Sequence[bytes]) -> list[Unstorable]:
    try:
        with connection.transaction():
            _add(connection, table, rows)
    except psycopg.Error as exc:
        if not is_of_rows(exc):
            raise
        if len(rows) == 1:
            return [Unstorable(table, rows[0], said(exc))]
    else:
        return []
    middle = len(rows) // 2
    return _halve(connection, table, rows[:middle]) + _halve(connection, table, rows[middle:])


def _add(connection: Connection, table: Table, rows: Sequence[bytes]) -> None:
    staged = f'"new_{table.name}"'
    columns = ", ".join(f'"{name}" {SQL_TYPES[column]}' for name, column in table.columns.items())
    # Dropped at the commit: measured, cheaper than emptying one that stays, and a pooler between
    # us and the server may give the next transaction another session.
    connection.execute(
        f"CREATE TEMPORARY TABLE IF NOT EXISTS {staged} ({columns}) ON COMMIT DROP".encode()
    )
    with connection.cursor() as cursor:
        with cursor.copy(f"COPY {staged} FROM STDIN (FORMAT BINARY)".encode()) as copy:
            copy.write(copied(rows))
        # A table filled by one COPY is read in that order, so dead letters keep the order of their
        # arrival.
        source = f"SELECT {names(table.columns)} FROM {staged}"  # noqa: S608 (names are ours)
        cursor.execute(insert(table, source).encode())
        cursor.execute(f"TRUNCATE {staged}".encode())


def _chunks(rows: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    start = size = 0
    for end, row in enumerate(rows, start=1):
        size += len(row)
        if size >= CHUNK_BYTES or end == len(rows):
            yield rows[start:end]
            start, size = end, 0
