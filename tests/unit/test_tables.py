"""The tables as SQL: what databases that are out there were made with."""

from hashlib import blake2b

from connectors import sqlite
from connectors.postgres import schema
from connectors.statements import create
from connectors.tables import TABLES, Column


def test_a_change_of_the_tables_raises_the_version_of_every_database() -> None:
    """Databases in use get a new table or column only when the version is raised."""
    types = {column: column.name for column in Column}
    statements = [each for table in TABLES.values() for each in create(table, types, "ORDER")]
    digest = blake2b("\n".join(statements).encode(), digest_size=8).hexdigest()
    assert (digest, sqlite.SCHEMA_VERSION, schema.SCHEMA_VERSION) == ("2afaceda326a6c2c", 6, 5)
