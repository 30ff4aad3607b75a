"""``sqlite:PATH``: results in one SQLite file, with the tables of ``tables.py``."""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from connectors.contract import (
    Connector,
    ConnectorError,
    ConnectorSettings,
    Definition,
    RefusedError,
    SettingsError,
    UnavailableError,
)
from connectors.definitions import KEPT, Author, Kind, Ledger
from connectors.paths import check_folder, url_path
from connectors.statements import (
    create,
    extend,
    in_order,
    insert,
    row_values,
    select_states,
)
from connectors.states import NewestStates
from connectors.tables import (
    STATES,
    TABLES,
    UNKEPT,
    Column,
    Table,
    row,
    state_of,
    state_row,
    table_of,
)
from schemas.delivery import Delivery
from schemas.frame import rfc3339
from schemas.live import VEHICLE_STATES, VehicleState

APPLICATION_ID: Final = 0x46574348
"""Marks a SQLite file as ours (``FWCH``), in its header."""
SCHEMA_VERSION: Final = 6
"""Kept as ``user_version``; raised whenever a table changes."""

_TYPES: Final = {
    Column.TEXT: "TEXT",
    Column.WHOLE: "INTEGER",
    Column.NUMBER: "REAL",
    Column.TRUTH: "INTEGER",
    Column.TIME: "TEXT",
    Column.JSON: "TEXT",
    Column.BYTES: "BLOB",
}
_INSERT: Final = {table.name: insert(table, row_values(table, "?")) for table in TABLES.values()}


class SqliteSink:
    """One SQLite file with a table a kind of result, a row an event, those of ``UNKEPT`` left out.

    Of vehicle states the newest of each vehicle is kept, by event time.

    Unit of parallelism: the file; one worker writes it. Each epoch is one transaction. After a
    restart the events of the last epoch may be told again; a row whose event id and version are
    there is left alone, so each is in it once, with or without a recovery folder. Acknowledges at
    the end of the epoch, when the transaction is on the disk. Others may read at any time.
    """

    wants = frozenset({VEHICLE_STATES})
    leaves_out = UNKEPT

    def __init__(self, url: str, timeout_s: float) -> None:
        self._url = url
        self._path = url_path(url)
        self._timeout_s = timeout_s

    def check(self) -> None:
        """Refuse a file that is not ours, that cannot be written, or that another has locked."""
        check_folder(self._url, self._path.parent)
        if self._path.is_dir():
            raise SettingsError(f"`{self._url}`: is a folder; name a file in it")
        if self._path.exists():
            try:
                self._check_file()
            except RefusedError as exc:
                raise SettingsError(str(exc)) from exc

    def build(self, source: str) -> FixedPartitionedSink[Delivery, None]:
        """The Bytewax sink; ``source`` is not kept: the table says what the event is."""
        del source
        return _File(self._path, self._timeout_s)

    def write_registry(self, zones: Iterable[Definition], rules: Iterable[Definition]) -> None:
        """Keep these versions of zones and rules; new ones are noted in the audit log."""
        self.keep({"zones": [*zones], "rules": [*rules]}, KEPT)

    def keep(
        self,
        definitions: Mapping[Kind, Sequence[Definition]],
        action: str,
        by: Author | None = None,
    ) -> int:
        """Keep versions; see ``DefinitionStore``."""
        check_folder(self._url, self._path.parent)
        with _translated(self._path), closing(_open(self._path, self._timeout_s)) as file:
            file.execute("BEGIN IMMEDIATE")
            ledger = Ledger(file.execute, "?", self._url)
            refused = ledger.refuse(definitions, action, by)
            kept = 0 if refused else ledger.keep(definitions, action, by)
            file.execute("COMMIT")
        if refused:
            raise SettingsError(refused)
        return kept

    def versions(self, kind: Kind) -> list[dict[str, Any]]:
        """All versions; see ``DefinitionStore``."""
        with _translated(self._path), closing(open_readonly(self._path)) as file:
            return Ledger(file.execute, "?", self._url).versions(kind)

    def count(self, kind: Kind) -> int:
        """How many versions there are; see ``DefinitionStore``."""
        with _translated(self._path), closing(open_readonly(self._path)) as file:
            return Ledger(file.execute, "?", self._url).count(kind)

    def states(self, vehicle_id: str | None = None) -> Iterator[VehicleState]:
        """The newest states; see ``StateStore``."""
        query, values = select_states(vehicle_id, "?")
        with _translated(self._path), closing(open_readonly(self._path)) as file:
            (version,) = file.execute("PRAGMA user_version").fetchone()
            if version < SCHEMA_VERSION:
                raise SettingsError(
                    f"`{self._url}`: was written by an older farwatch and has no states of"
                    " vehicles; let a flow write to it first"
                )
            for found in file.execute(query, values):
                yield state_of(_parsed(STATES, found))

    def _check_file(self) -> None:
        with _translated(self._path), closing(_connect(self._path, "rw", self._timeout_s)) as file:
            _check_ours(file, self._path)
            file.execute("BEGIN IMMEDIATE")
            file.execute("ROLLBACK")


def open_readonly(path: Path) -> sqlite3.Connection:
    """The results file for reading; rows are ``sqlite3.Row``. The caller closes it.

    Raises:
        SettingsError: the file is absent or not ours.
    """
    with _translated(path):
        if not path.is_file():
            raise SettingsError(f"`sqlite:{path}`: no such file; name one that a flow has written")
        # SQLite's own read-only mode would leave its -wal and -shm files lying about.
        file = _connect(path, "rw", timeout_s=5.0)
        try:
            file.execute("PRAGMA query_only = ON")
            _check_ours(file, path)
        except BaseException:
            file.close()
            raise
        file.row_factory = sqlite3.Row
        return file


def read_events(path: Path, table: str) -> Iterator[dict[str, Any]]:
    """The rows of a table as dicts in order of event time (of arrival where that is kept).

    JSON columns come parsed. May raise what ``open_readonly`` raises, and KeyError for a table
    that does not exist.
    """
    shape = TABLES[table]
    with closing(open_readonly(path)) as file:
        # The names come from TABLES, not from outside.
        query = f'SELECT * FROM "{shape.name}" ORDER BY {in_order(shape)}'  # noqa: S608
        for found in file.execute(query):
            yield _parsed(shape, found)


def _parsed(table: Table, found: sqlite3.Row) -> dict[str, Any]:
    parsed = dict(found)
    for name, column in table.columns.items():
        if column is Column.JSON:
            parsed[name] = json.loads(parsed[name])
    return parsed


class _File(FixedPartitionedSink[Delivery, None]):
    def __init__(self, path: Path, timeout_s: float) -> None:
        self._path = path
        self._timeout_s = timeout_s

    def list_parts(self) -> list[str]:
        # Called once, at the start: the tables are there even if nothing happens.
        with _translated(self._path):
            _open(self._path, self._timeout_s).close()
        return ["file"]

    def part_fn(self, item_key: str) -> int:
        return 0

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> "_Transactions":
        with _translated(self._path):
            return _Transactions(_open(self._path, self._timeout_s), self._path)


class _Transactions(StatefulSinkPartition[Delivery, None]):
    def __init__(self, file: sqlite3.Connection, path: Path) -> None:
        self._file = file
        self._path = path
        self._newest = NewestStates()

    def write_batch(self, values: list[Delivery]) -> None:
        rows = defaultdict(list)
        for value in values:
            if value.topic == VEHICLE_STATES:
                self._newest.take(value)
                continue
            try:
                table = table_of(value.topic)
            except KeyError as exc:
                raise RefusedError(
                    f"`sqlite:{self._path}`: has no table for the topic `{value.topic}`"
                ) from exc
            if table is not None:
                rows[table.name].append(row(table, value, rfc3339))
        self._add(rows)

    def _add(self, rows: Mapping[str, list[tuple[object, ...]]]) -> None:
        with _translated(self._path):
            if not self._file.in_transaction:
                self._file.execute("BEGIN IMMEDIATE")
            for name, added in rows.items():
                self._file.executemany(_INSERT[name], added)

    def snapshot(self) -> None:
        if states := [state_row(state, rfc3339) for state in self._newest.drain()]:
            self._add({STATES.name: states})
        with _translated(self._path):
            if self._file.in_transaction:
                self._file.execute("COMMIT")

    def close(self) -> None:
        # What no snapshot has committed is rolled back.
        self._file.close()

    def __del__(self) -> None:
        # Bytewax does not promise to call close() when a run is cut short.
        self._file.close()


def _connect(path: Path, mode: str, timeout_s: float) -> sqlite3.Connection:
    # One thread at a time uses a connection, but Bytewax may drop it on another than it was made.
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=timeout_s,
        isolation_level=None,
        check_same_thread=False,
    )


def _open(path: Path, timeout_s: float) -> sqlite3.Connection:
    """The file for writing, made with its folder and tables where absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = _connect(path, "rwc", timeout_s)
    try:
        _check_ours(file, path)
        _make_tables(file)
        _let_others_read(file)
        # A commit has to survive a power cut: the source forgets what the epoch was made from.
        file.execute("PRAGMA synchronous = FULL")
    except BaseException:
        file.close()
        raise
    return file


def _let_others_read(file: sqlite3.Connection) -> None:
    """Switch to a write-ahead log, which the file keeps from then on."""
    try:
        file.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as exc:
        # Processes that start at once keep each other from it: the next to open the file does it.
        if exc.sqlite_errorcode != sqlite3.SQLITE_BUSY:
            raise


def _check_ours(file: sqlite3.Connection, path: Path) -> None:
    # One statement sees one state: another process may be making the tables.
    application_id, version, objects = file.execute(
        "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_master)"
        " FROM pragma_application_id, pragma_user_version"
    ).fetchone()
    if application_id != APPLICATION_ID and (objects or application_id):
        raise SettingsError(
            f"`sqlite:{path}`: holds the tables of another application; name another file"
        )
    if version > SCHEMA_VERSION:
        raise SettingsError(
            f"`sqlite:{path}`: has tables of version {version}, this farwatch knows "
            f"{SCHEMA_VERSION}; update farwatch or name another file"
        )


def _make_tables(file: sqlite3.Connection) -> None:
    file.execute("BEGIN IMMEDIATE")
    (version,) = file.execute("PRAGMA user_version").fetchone()
    if version < SCHEMA_VERSION:
        for table in TABLES.values():
            for statement in create(table, _TYPES, "INTEGER PRIMARY KEY"):
                file.execute(statement)
            columns = file.execute("SELECT name FROM pragma_table_info(?)", (table.name,))
            for statement in extend(table, _TYPES, [name for (name,) in columns.fetchall()]):
                file.execute(statement)
        file.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        file.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    file.execute("COMMIT")


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """The one border where errors of SQLite and the file system become ours."""
    try:
        yield
    except (sqlite3.Error, OSError) as exc:
        raise _error(exc, path) from exc


def _error(exc: sqlite3.Error | OSError, path: Path) -> ConnectorError | SettingsError:
    name = getattr(exc, "sqlite_errorname", "")
    if name == "SQLITE_NOTADB":
        return SettingsError(f"`sqlite:{path}`: is no SQLite file; name another file")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return UnavailableError(
            f"`sqlite:{path}`: another process keeps it locked; end that or try again"
        )
    return RefusedError(f"`sqlite:{path}`: cannot be used ({exc}); make room or allow it")


def _open_sink(url: str, settings: ConnectorSettings) -> SqliteSink:
    return SqliteSink(url, settings.timeout_s)


CONNECTOR: Final = Connector(open_sink=_open_sink)
