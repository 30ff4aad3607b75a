"""The way to one PostgreSQL server: its address, its password, its errors."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import ceil
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from connectors.contract import (
    ConnectorError,
    FullError,
    RefusedError,
    SettingsError,
    UnavailableError,
)
from connectors.credentials import credential
from connectors.registry import masked

Connection = psycopg.Connection[tuple[Any, ...]]

_FORM: Final = "postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
# A server that vanished without a word is noticed within half a minute.
_KEEPALIVES: Final = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
# SQLSTATE: connection, serialisation and deadlock, resources, lock not there, cancelled by a
# timeout, being shut down or started, read-only while another server takes over.
_TRANSIENT: Final = re.compile("08...|40...|53...|55P03|57014|57P0[123]|25006")
_FULL: Final = re.compile("53...")
# SQLSTATE: what one row can be guilty of. Data, constraints, limits (of an index, of jsonb).
_OF_ROWS: Final = re.compile("2[23]...|54...")
# While a connection is made libpq tells no SQLSTATE: English text is all there is.
_REFUSALS: Final = (
    ("password authentication failed", "check FARWATCH_POSTGRESQL_PASSWORD or the URL"),
    ("no password supplied", "give it as FARWATCH_POSTGRESQL_PASSWORD"),
    ("role .* does not exist", "make it with `createuser` or name another user"),
    ("database .* does not exist", "make it with `createdb` or name another"),
    ("permission denied for database", "GRANT CONNECT ON DATABASE to the user"),
    ("no pg_hba.conf entry", "let this user in from here there"),
    ("SSL, but SSL was required|certificate", "set sslmode and sslrootcert in the URL"),
    ("invalid .* (connection option|value)", "correct it in the URL"),
)
_VARIABLES: Final = {
    "host": "PGHOST",
    "port": "PGPORT",
    "dbname": "PGDATABASE",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "passfile": "PGPASSFILE",
    "options": "PGOPTIONS",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
}
"""Parameter of libpq -> the variable that says the same."""
_UNKNOWN_HOST: Final = "failed to resolve host"


class Server:
    """A database of one server, and how long it may keep us waiting for one answer.

    ``name`` is the URL without its password, for messages. There is no pool: a sink keeps its one
    connection from epoch to epoch, a listener keeps its own, and a look at zones and rules makes
    one for the moment (4 ms of CPU every other second). A pool would connect in the background,
    where what the server says to it (a wrong password) is lost in "no connection in time".

    Raises:
        SettingsError: the URL lacks a part or cannot be understood.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        self.name = masked(url)
        self.timeout_s = timeout_s
        self._conninfo = _conninfo(url, self.name, timeout_s)

    def connect(self) -> Connection:
        """A new connection, which commits each statement outside of ``transaction``."""
        with self.translated():
            # No prepared statements: a pooler in between may give each transaction another session.
            return psycopg.connect(self._conninfo, autocommit=True, prepare_threshold=None)

    def variables(self) -> dict[str, str]:
        """The address as variables of libpq, for its programs: an argument everybody could read."""
        given = conninfo_to_dict(self._conninfo)
        return {_VARIABLES[name]: str(given[name]) for name in _VARIABLES if name in given}

    @contextmanager
    def transaction(self, connection: Connection | None = None) -> Iterator[Connection]:
        """A transaction whose statements give up after ``timeout_s``.

        On a connection of its own where none is given.

        Raises:
            ConnectorError: the server is in trouble or refuses.
        """
        if connection is None:
            with self.connect() as own, self.transaction(own):
                yield own
            return
        with self.translated(), connection.transaction():
            limit = f"SET LOCAL statement_timeout = {ceil(self.timeout_s * 1000)}"
            connection.execute(limit.encode())
            yield connection

    @contextmanager
    def translated(self) -> Iterator[None]:
        """The one border where errors of psycopg become ours."""
        try:
            yield
        except psycopg.Error as exc:
            raise _error(exc, self.name) from exc

    @contextmanager
    def first_transaction(self) -> Iterator[Connection]:
        """A transaction on a connection of its own, before a flow or a command starts.

        What the server refuses is a wrong setting then, and so is a host that nobody knows.

        Raises:
            SettingsError: it lets us not in, or not do this.
            UnavailableError: it does not answer.
        """
        try:
            with self.transaction() as connection:
                yield connection
        except RefusedError as exc:
            raise SettingsError(str(exc)) from exc
        except UnavailableError as exc:
            if _UNKNOWN_HOST not in str(exc):
                raise
            raise SettingsError(f"`{self.name}`: unknown host; check its name") from exc


def is_transient(error: psycopg.Error) -> bool:
    """Whether trying again later may succeed."""
    if error.sqlstate:
        return _TRANSIENT.fullmatch(error.sqlstate) is not None
    # Without a state it is about the connection.
    return isinstance(error, psycopg.OperationalError) and _refusal(error) is None


def is_of_rows(error: psycopg.Error) -> bool:
    """Whether single rows are to blame, so that the others can be stored."""
    return _OF_ROWS.fullmatch(error.sqlstate or "") is not None


def said(error: psycopg.Error) -> str:
    """What the server or libpq said, in one line."""
    told = error.diag.message_primary or str(error)
    return " ".join(told.rpartition("FATAL:")[2].split())


def _error(error: psycopg.Error, name: str) -> ConnectorError:
    if is_transient(error):
        if _FULL.fullmatch(error.sqlstate or ""):
            return FullError(f"`{name}`: has no room ({said(error)}); make some")
        return UnavailableError(f"`{name}`: does not answer as it should ({said(error)})")
    remedy = _refusal(error) or "allow it or mend it, then start again"
    return RefusedError(f"`{name}`: {said(error)}; {remedy}")


def _refusal(error: psycopg.Error) -> str | None:
    told = str(error)
    return next((remedy for text, remedy in _REFUSALS if re.search(text, told)), None)


def _conninfo(url: str, name: str, timeout_s: float) -> str:
    try:
        given = conninfo_to_dict(url)
    except psycopg.ProgrammingError as exc:
        # libpq may quote the whole URL, or a second one that follows the first.
        told = masked(said(exc).replace(url, name))
        raise SettingsError(f"`{name}`: cannot be understood ({told}); write `{_FORM}`") from exc
    except UnicodeError:
        # Without its cause: what cannot be decoded may be the password.
        raise SettingsError(
            f"`{name}`: what `%` stands for in it is not UTF-8; write `%` itself as `%25`"
        ) from None
    _check_parts(given, name)
    defaults: dict[str, Any] = dict(_KEEPALIVES)
    for part in ("user", "password"):
        if (value := credential(f"POSTGRESQL_{part.upper()}")) is not None:
            defaults[part] = value
    defaults |= {"connect_timeout": max(2, ceil(timeout_s)), "application_name": "farwatch"}
    return make_conninfo("", **(defaults | given | {"client_encoding": "UTF8"}))


def _check_parts(given: Mapping[str, Any], name: str) -> None:
    if "@" in str(given.get("host", "")):
        raise SettingsError(f"`{name}`: has two `@`; write the one in the password as `%40`")
    if not given.get("dbname"):
        raise SettingsError(f"`{name}`: names no database; write `{_FORM}`")
    for port in str(given.get("port", "5432")).split(","):
        if not (port.isdigit() and 0 < int(port) < 65_536):
            raise SettingsError(f"`{name}`: `{port}` is no port; give one of 1 to 65535")
