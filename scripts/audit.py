"""`farwatch audit` and `history`: who changed which zone, rule or alarm, when, why and how."""

import json
from collections import deque
from collections.abc import Iterator
from typing import Any

from connectors import sqlite
from connectors.contract import SettingsError
from connectors.definitions import Kind
from connectors.documents import open_definitions
from connectors.paths import url_path
from connectors.registry import masked
from scripts.listing import write_listing

_TITLES = ("time", "who", "action", "subject", "version", "reason")


def show_audit(url: str, subject: str, by: str, limit: int) -> int:
    """Write the latest entries of the audit log that fit, oldest first; returns how many.

    Raises:
        SettingsError: the store is absent or keeps none. ConnectorError: it is in trouble.
    """
    found = deque(
        (
            entry
            for entry in _entries(url)
            if (not subject or entry["subject"] == subject) and (not by or entry["who"] == by)
        ),
        maxlen=limit,
    )
    rows = [tuple(_text(entry.get(name)) for name in _TITLES) for entry in found]
    write_listing([_TITLES, *rows])
    return len(rows)


def show_history(kind: Kind, name: str, url: str) -> int:
    """Write the versions of a zone or rule, a line each; returns how many.

    Raises:
        SettingsError: the store has none of that id. ConnectorError: it is in trouble.
    """
    bodies = [body for body in open_definitions(url).versions(kind) if body["id"] == name]
    if not bodies:
        raise SettingsError(
            f"`{masked(url)}`: has no `{name}` among its {kind}; `farwatch {kind} list` tells all"
        )
    noted = {
        entry["version"]: entry
        for entry in _entries(url)
        if entry["subject"] == name and str(entry["action"]).startswith(f"{kind} version ")
    }
    rows: list[tuple[str, ...]] = [("version", "time", "who", "reason", "change")]
    before: dict[str, Any] = {}
    for body in bodies:
        now = _flat(body)
        version = int(now.get("version", 1))
        entry = noted.get(version, {})
        told = (_text(entry.get(key)) for key in ("time", "who", "reason"))
        rows.append((str(version), *told, "; ".join(_changes(before, now)) or "new"))
        before = now
    write_listing(rows)
    return len(bodies)


def _entries(url: str) -> Iterator[dict[str, Any]]:
    """The entries of the audit log, oldest first."""
    open_definitions(url)  # Refuses what keeps none.
    if url.startswith("sqlite:"):
        return sqlite.read_events(url_path(url), "audit_log")
    from connectors.postgres.reading import read_events  # noqa: PLC0415 (slow import)

    return read_events(url, "audit_log")


def _flat(body: dict[str, Any]) -> dict[str, Any]:
    """What a version says, by name; a zone's properties stand beside its geometry."""
    return {**{k: v for k, v in body.items() if k != "properties"}, **body.get("properties", {})}


def _changes(before: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    if not before:
        return
    for name in sorted(before.keys() | now.keys()):
        old, new = before.get(name), now.get(name)
        if old != new and name != "version":
            yield f"{name}: {_short(old)} -> {_short(new)}"


def _short(value: Any) -> str:
    text = "none" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _text(value: Any) -> str:
    return "" if value is None else str(value)
