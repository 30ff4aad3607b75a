"""The SQL about the tables that every SQL database says alike; names in it are our own."""

from collections.abc import Collection, Iterable, Iterator, Mapping

from connectors.tables import STATES, Column, Table


def select_states(vehicle_id: str | None, placeholder: str) -> tuple[str, tuple[str, ...]]:
    """The query for the states of all vehicles or of one id, and its values."""
    wanted = "" if vehicle_id is None else f' WHERE "vehicle_id" = {placeholder}'
    query = f'SELECT * FROM "{STATES.name}"{wanted} ORDER BY "vehicle_id", "kind"'  # noqa: S608
    return query, () if vehicle_id is None else (vehicle_id,)


def create(table: Table, types: Mapping[Column, str], order_type: str) -> Iterator[str]:
    """The statements that make ``table`` where absent, with these names for the column types."""
    columns = [f'"{name}" {types[column]}' for name, column in table.columns.items()]
    if table.order is not None:
        columns.insert(0, f'"{table.order}" {order_type}')
    if table.key:
        key = "UNIQUE" if table.order is not None else "PRIMARY KEY"
        columns.append(f"{key} ({names(table.key)})")
    yield f'CREATE TABLE IF NOT EXISTS "{table.name}" ({", ".join(columns)})'
    if table.index:
        name = f"{table.name}_by_{'_'.join(table.index)}"
        yield f'CREATE INDEX IF NOT EXISTS "{name}" ON "{table.name}" ({names(table.index)})'


def extend(table: Table, types: Mapping[Column, str], present: Collection[str]) -> Iterator[str]:
    """The statements that add the columns a table of an older version lacks to ``present``.

    And those that need all of them: what ``unique`` asks for.
    """
    for name, column in table.columns.items():
        if name not in present:
            yield f'ALTER TABLE "{table.name}" ADD COLUMN "{name}" {types[column]}'
    if table.unique:
        index = f"{table.name}_once_by_{'_'.join(table.unique)}"
        columns = names(table.unique)
        yield f'CREATE UNIQUE INDEX IF NOT EXISTS "{index}" ON "{table.name}" ({columns})'


def insert(table: Table, source: str) -> str:
    """The statement that adds rows; one with their key stays, or goes where ``newest`` says so.

    ``source``: ``VALUES (...)`` or a query that gives the table's columns in their order.
    """
    # Table and column names are constants of this module.
    added = f'INSERT INTO "{table.name}" ({names(table.columns)}) {source} ON CONFLICT'
    if table.newest is None:
        return f"{added} DO NOTHING"
    given = ", ".join(f'"{name}" = excluded."{name}"' for name in table.columns)
    newer = f'excluded."{table.newest}" >= "{table.name}"."{table.newest}"'
    return f"{added} ({names(table.key)}) DO UPDATE SET {given} WHERE {newer}"


def in_order(table: Table) -> str:
    """What to order rows by: their arrival where that is kept, else event time."""
    if table.order is not None:
        return f'"{table.order}"'
    return ('"time" NULLS FIRST, ' if "time" in table.columns else "") + names(table.key)


def row_values(table: Table, placeholder: str) -> str:
    """``VALUES (...)`` with a placeholder a column, for ``insert``."""
    return f"VALUES ({', '.join([placeholder] * len(table.columns))})"


def names(columns: Iterable[str]) -> str:
    """Column names as SQL lists them."""
    return ", ".join(f'"{name}"' for name in columns)
