"""The tables in PostgreSQL: made and brought up to date by whichever process comes first."""

from typing import Final

from connectors.contract import SettingsError
from connectors.postgres.rows import SQL_TYPES
from connectors.postgres.server import Connection, Server
from connectors.statements import create, extend
from connectors.tables import AUDIT_LOG, RULES, TABLES, ZONES

SCHEMA_VERSION: Final = 5
"""Kept in ``farwatch_schema``; raised whenever a table changes."""
CHANNEL: Final = "farwatch_registry"
"""NOTIFY channel of new versions of zones and rules; the payload is ``KIND:ID:VERSION``."""

# Held while tables are made: any number of ours, so that no other application holds it.
_LOCK: Final = 0x46574348
_ORDER_TYPE: Final = "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
_VERSIONS: Final = (
    "CREATE TABLE IF NOT EXISTS farwatch_schema (version INTEGER PRIMARY KEY, "
    "applied TIMESTAMPTZ NOT NULL DEFAULT now())"
)
_NOTIFY: Final = f"""
CREATE OR REPLACE FUNCTION farwatch_registry_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('{CHANNEL}', TG_TABLE_NAME || ':' || NEW.id || ':' || NEW.version);
    RETURN NULL;
END
$$"""
_RIGHTS: Final = """
SELECT current_schema(), pg_is_in_recovery(),
    pg_encoding_to_char(encoding),
    has_database_privilege(oid, 'TEMP'),
    has_schema_privilege(current_schema(), 'CREATE')
FROM pg_database WHERE datname = current_database()"""
_TABLE_RIGHTS: Final = """
SELECT name FROM unnest(%s::text[]) AS name
WHERE NOT ((name = ANY(%s) OR has_table_privilege(quote_ident(name), 'INSERT'))
    AND has_table_privilege(quote_ident(name), 'SELECT')
    AND (name <> ALL(%s) OR has_table_privilege(quote_ident(name), 'UPDATE')))"""


def make_tables(server: Server) -> None:
    """Bring the tables to ``SCHEMA_VERSION``; does nothing where they are.

    Any number of processes may do so at once. May raise what ``check_ours`` raises.
    """
    with server.first_transaction() as connection:
        if _version(connection) == SCHEMA_VERSION:
            return
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        check_ours(connection, server.name)
        if _version(connection) != SCHEMA_VERSION:
            _bring_up_to_date(connection)


def check_ours(connection: Connection, name: str) -> None:
    """Raise ``SettingsError`` for tables of another application or of a later farwatch."""
    # Tables first: another process may be making them, and the version comes with them.
    present = _present(connection)
    version = _version(connection)
    if version is None and present:
        raise SettingsError(
            f"`{name}`: has a table `{min(present)}` of another application; name another database"
        )
    if version is not None and version > SCHEMA_VERSION:
        raise SettingsError(
            f"`{name}`: has tables of version {version}, this farwatch knows {SCHEMA_VERSION}; "
            "update farwatch or name another database"
        )


def check_rights(connection: Connection, name: str) -> None:
    """Raise ``SettingsError`` if the user may not do what a flow will; changes nothing."""
    [found] = connection.execute(_RIGHTS).fetchall()
    schema, standby, encoding, may_stage, may_create = found
    made = _version(connection) == SCHEMA_VERSION
    missing = _missing_rights(connection) if made else ""
    wrong = {
        "is a standby, which takes no writes; name the primary": standby,
        f"has the encoding {encoding}; make a database with ENCODING 'UTF8'": encoding != "UTF8",
        "has none of the schemas of its search_path; make one or name another": schema is None,
        "this user may make no temporary tables; GRANT TEMPORARY ON DATABASE": not may_stage,
        f"this user may make no tables; GRANT CREATE ON SCHEMA {schema}": not (made or may_create),
        f"this user may not write {missing}; GRANT SELECT, INSERT, UPDATE ON these": missing,
    }
    for told, true in wrong.items():
        if true:
            raise SettingsError(f"`{name}`: {told}")


def _missing_rights(connection: Connection) -> str:
    # A flow adds zones and rules, with lines in the audit log, only where they are not there yet.
    written = sorted(TABLES.keys() - {AUDIT_LOG.name})
    read = [ZONES.name, RULES.name]
    updated = [table.name for table in TABLES.values() if table.newest]
    found = connection.execute(_TABLE_RIGHTS, (written, read, updated)).fetchall()
    return ", ".join(f"`{name}`" for (name,) in found)


def check_made(connection: Connection, name: str) -> None:
    """Raise ``SettingsError`` where there are no tables that this farwatch can read."""
    check_ours(connection, name)
    if _version(connection) is None:
        raise SettingsError(
            f"`{name}`: has no tables of farwatch; name one that a flow has written"
        )


def _version(connection: Connection) -> int | None:
    [(there,)] = connection.execute("SELECT to_regclass('farwatch_schema')").fetchall()
    if there is None:
        return None
    [(version,)] = connection.execute("SELECT max(version) FROM farwatch_schema").fetchall()
    return int(version)


def _present(connection: Connection) -> set[str]:
    found = connection.execute(
        "SELECT name FROM unnest(%s::text[]) AS name WHERE to_regclass(quote_ident(name)) "
        "IS NOT NULL",
        (sorted(TABLES),),
    )
    return {name for (name,) in found}


def _bring_up_to_date(connection: Connection) -> None:
    # Making what is absent and adding the columns an older version lacks is all that a change of
    # tables.py may ask for: columns are never renamed, changed or dropped.
    for table in TABLES.values():
        for statement in create(table, SQL_TYPES, _ORDER_TYPE):
            connection.execute(statement.encode())
        columns = connection.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0",
            (table.name,),
        )
        for statement in extend(table, SQL_TYPES, {name for (name,) in columns}):
            connection.execute(statement.encode())
    connection.execute(_NOTIFY.encode())
    for table in (ZONES, RULES):
        trigger = f'"{table.name}_changed"'
        connection.execute(f'DROP TRIGGER IF EXISTS {trigger} ON "{table.name}"'.encode())
        connection.execute(
            f'CREATE TRIGGER {trigger} AFTER INSERT ON "{table.name}" '
            "FOR EACH ROW EXECUTE FUNCTION farwatch_registry_changed()".encode()
        )
    connection.execute(_VERSIONS)
    connection.execute("INSERT INTO farwatch_schema (version) VALUES (%s)", (SCHEMA_VERSION,))
