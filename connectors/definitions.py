"""Versions of zones and rules in an SQL store: only ever added, each addition noted with who."""

import getpass
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, Protocol, runtime_checkable

from connectors.contract import Definition, SettingsError
from connectors.statements import insert, row_values
from connectors.tables import AUDIT_LOG, RULES, ZONES, Table
from schemas.frame import rfc3339

Kind = Literal["zones", "rules"]

KEPT: Final = "kept"
"""The action of a flow that keeps, beside its results, what it judges by."""

USER_VARIABLE: Final = "FARWATCH_USER"

_TABLES: Final[Mapping[Kind, Table]] = {"zones": ZONES, "rules": RULES}


@runtime_checkable
class DefinitionStore(Protocol):
    """A store whose zones and rules can be read back and added to."""

    def keep(self, definitions: Mapping[Kind, Iterable[Definition]], action: str) -> int:
        """Keep these versions, all or none; returns how many are new.

        The store is made where absent. Those already kept are left alone. Each new one is noted
        in the audit log as ``action``.

        Raises:
            SettingsError: an (id, version) is already kept with another body.
        """
        ...

    def versions(self, kind: Kind) -> list[dict[str, Any]]:
        """The bodies of all versions, in order of the ids, then the versions.

        Raises:
            SettingsError: the store is absent or not ours.
        """
        ...

    def count(self, kind: Kind) -> int:
        """How many versions there are: as none ever goes, another number tells of new ones.

        Raises:
            SettingsError: the store is absent or not ours.
        """
        ...


class Cursor(Protocol):
    """What executing a statement gives, in every SQL database."""

    @property
    def rowcount(self) -> int:
        """How many rows the statement added or changed."""
        ...

    def fetchall(self) -> list[Any]:
        """The rows it found."""
        ...


@dataclass(frozen=True, slots=True)
class Ledger:
    """The registry's tables in one open transaction.

    ``execute`` takes a statement and its values; ``placeholder`` is how the database marks one;
    ``name`` names the store in messages. Table names come from ``tables.py``, not from outside.
    """

    execute: Callable[[str, Sequence[Any]], Cursor]
    placeholder: str
    name: str

    def keep(self, definitions: Mapping[Kind, Iterable[Definition]], action: str) -> int:
        """Keep these versions; see ``DefinitionStore``. The caller ends the transaction."""
        return sum(
            self._keep(_TABLES[kind], definition, action)
            for kind, of_kind in definitions.items()
            for definition in of_kind
        )

    def versions(self, kind: Kind) -> list[dict[str, Any]]:
        """The bodies of all versions, in order of the ids, then the versions."""
        table = _TABLES[kind].name
        found = self.execute(
            f'SELECT id, version, CAST(definition AS TEXT) FROM "{table}"',  # noqa: S608
            (),
        ).fetchall()
        # Sorted here: databases differ in how they order text.
        return [json.loads(body) for _, _, body in sorted(map(tuple, found))]

    def count(self, kind: Kind) -> int:
        """How many versions there are."""
        table = _TABLES[kind].name
        [[count]] = self.execute(f'SELECT count(*) FROM "{table}"', ()).fetchall()  # noqa: S608
        return int(count)

    def _keep(self, table: Table, definition: Definition, action: str) -> bool:
        key = (definition.id, definition.version)
        span = (_time(definition.effective_from_us), _time(definition.effective_to_us))
        body = json.dumps(definition.body, sort_keys=True, ensure_ascii=False)
        # Added first and looked at afterwards: another process may be adding the same.
        if self._insert(table, (*key, *span, body)):
            now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            self._insert(AUDIT_LOG, (now, f"{table.name} version {action}", *key, who()))
            return True
        mark = self.placeholder
        [[kept]] = self.execute(
            f'SELECT CAST(definition AS TEXT) FROM "{table.name}" '  # noqa: S608
            f"WHERE id = {mark} AND version = {mark}",
            key,
        ).fetchall()
        # A flow that keeps what it judges by may know the end that a later version has set.
        known, given = json.loads(kept), json.loads(body)
        if action == KEPT:
            known, given = _endless(known), _endless(given)
        if known != given:
            raise SettingsError(
                f"`{self.name}`: keeps `{definition.id}` version {definition.version} of its "
                f"{table.name} with other content; raise the version or name another store"
            )
        return False

    def _insert(self, table: Table, row: tuple[object, ...]) -> int:
        return self.execute(insert(table, row_values(table, self.placeholder)), row).rowcount


def _endless(body: dict[str, Any]) -> dict[str, Any]:
    """The body of a zone or a rule without its end."""
    properties = body.get("properties", {})
    return {
        **{name: value for name, value in body.items() if name != "effective_to"},
        "properties": {k: v for k, v in properties.items() if k != "effective_to"},
    }


def who() -> str:
    """Who changes the registry: ``FARWATCH_USER``, else the user of the operating system."""
    if named := os.environ.get(USER_VARIABLE):
        return named
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"  # A container's user need not have a name.


def _time(time_us: int | None) -> str | None:
    return None if time_us is None else rfc3339(time_us)
