"""Versions of zones and rules in an SQL store: only ever added, each addition noted with who."""

import getpass
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, Protocol, runtime_checkable

from connectors.contract import Definition, SettingsError
from connectors.policy import policy_in_force
from connectors.statements import insert, row_values
from connectors.tables import AUDIT_LOG, RULES, ZONES, Table
from schemas.frame import rfc3339
from schemas.policy import Action

Kind = Literal["zones", "rules"]

KEPT: Final = "kept"
"""The action of a flow that keeps, beside its results, what it judges by."""

USER_VARIABLE: Final = "FARWATCH_USER"

_TABLES: Final[Mapping[Kind, Table]] = {"zones": ZONES, "rules": RULES}
_VERBS: Final = {"removed": "remove", "zone.deleted": "remove", "rule.deleted": "remove"}
"""What people do, on the command line and by notices, as the policy calls it; else `put`."""
_ACTIONS: Final[Mapping[tuple[Kind, str], Action]] = {
    ("zones", "put"): "zones.put",
    ("zones", "remove"): "zones.remove",
    ("rules", "put"): "rules.put",
    ("rules", "remove"): "rules.remove",
}


@dataclass(frozen=True, slots=True)
class Author:
    """Who changes zones or rules, and the reason given for it.

    Raises:
        SettingsError: nobody is named.
    """

    name: str
    why: str | None = None

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise SettingsError("nobody is named who changes this: give a name, as --by NAME")


@runtime_checkable
class DefinitionStore(Protocol):
    """A store whose zones and rules can be read back and added to."""

    def keep(
        self,
        definitions: Mapping[Kind, Sequence[Definition]],
        action: str,
        by: "Author | None" = None,
    ) -> int:
        """Keep these versions, all or none; returns how many are new.

        The store is made where absent. Those already kept are left alone. Each new one is noted
        in the audit log as ``action`` ``by`` somebody, else by ``who``.

        Raises:
            SettingsError: an (id, version) is already kept with another body, or the policy does
                not let us do this.
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


@runtime_checkable
class ChangeFeed(Protocol):
    """A store that tells of new zones and rules as they come."""

    def changes(self) -> Iterator[object | None]:
        """Something for each new version; None when it begins to listen and every second or so.

        Waits for a store that goes away, and then tells what was missed.

        Raises:
            SettingsError: the store cannot be used.
            ConnectorError: it refuses, or does not answer at the start.
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

    def refuse(
        self,
        definitions: Mapping[Kind, Sequence[Definition]],
        action: str,
        by: Author | None = None,
    ) -> str:
        """Why the policy does not let them do this, "" where it does; each refusal is noted.

        The caller ends the transaction, so that the notes stay, and keeps nothing then. What a
        flow keeps is no change that anybody makes.

        Raises:
            SettingsError: the policy cannot be read.
        """
        if action == KEPT or (policy := policy_in_force()) is None:
            return ""
        by, verb, reasons = by or Author(who()), _VERBS.get(action, "put"), []
        for kind, of_kind in definitions.items():
            for one in of_kind:
                if reason := policy.refusal(by.name, _ACTIONS[kind, verb], one.id):
                    self._audit(f"{kind} version {action} refused", (one.id, one.version), by)
                    reasons.append(reason)
        return "; ".join(reasons)

    def keep(
        self,
        definitions: Mapping[Kind, Sequence[Definition]],
        action: str,
        by: Author | None = None,
    ) -> int:
        """Keep these versions; see ``DefinitionStore``. The caller ends the transaction."""
        by = by or Author(who())
        return sum(
            self._keep(_TABLES[kind], definition, action, by)
            for kind, of_kind in definitions.items()
            for definition in of_kind
        )

    def _audit(self, what: str, key: tuple[str, int], by: Author) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        self._insert(AUDIT_LOG, (now, what, *key, by.name, by.why, None))

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

    def _keep(self, table: Table, definition: Definition, action: str, by: Author) -> bool:
        key = (definition.id, definition.version)
        span = (_time(definition.effective_from_us), _time(definition.effective_to_us))
        body = json.dumps(definition.body, sort_keys=True, ensure_ascii=False)
        # Looked at first: whoever adds nothing needs no right to. Another process may be adding
        # the same meanwhile.
        kept = self._body(table, key)
        if kept is None:
            if self._insert(table, (*key, *span, body)):
                self._audit(f"{table.name} version {action}", key, by)
                return True
            kept = self._body(table, key) or ""
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

    def _body(self, table: Table, key: tuple[str, int]) -> str | None:
        mark = self.placeholder
        found = self.execute(
            f'SELECT CAST(definition AS TEXT) FROM "{table.name}" '  # noqa: S608
            f"WHERE id = {mark} AND version = {mark}",
            key,
        ).fetchall()
        return found[0][0] if found else None

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
