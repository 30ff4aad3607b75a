"""``postgresql://USER:PASSWORD@HOST:PORT/DATABASE``: results in the tables of ``tables.py``.

The URL is that of libpq, with its parameters (``?sslmode=verify-full&sslrootcert=...``); the
password may also be in FARWATCH_POSTGRESQL_PASSWORD, in the file that
FARWATCH_POSTGRESQL_PASSWORD_FILE names, or where libpq looks (PGPASSFILE).
"""

from typing import Final

from connectors.contract import Connector
from connectors.postgres.listening import Change, listen
from connectors.postgres.reading import read_events, select
from connectors.postgres.sink import PostgresSink, open_sink

__all__ = ["CONNECTOR", "Change", "PostgresSink", "listen", "read_events", "select"]

CONNECTOR: Final = Connector(open_sink=open_sink)
