"""Documents named by a URL: zones, rules and other files read whole at start."""

import json
from collections.abc import Iterable
from threading import Event
from typing import Any, Final

from connectors.contract import ConnectorSettings, SettingsError
from connectors.definitions import ChangeFeed, DefinitionStore, Kind
from connectors.listener import Listener
from connectors.paths import url_path
from connectors.registry import masked, open_sink
from schemas.rule import Rule

STORES: Final = ("postgresql", "postgres", "sqlite")
"""Schemes of the stores that keep zones and rules."""


def read_document(url: str, holds: Kind) -> tuple[bytes, str]:
    """The bytes of the document and the name to use in messages about it.

    ``file:PATH`` is the file's content; a store gives all its versions, zones as GeoJSON and rules
    as YAML, one a line.

    Raises:
        SettingsError: no such document, or it cannot be read.
        ConnectorError: the store does not answer.
    """
    if _scheme(url) in STORES:
        return written(open_definitions(url).versions(holds), holds), masked(url)
    if not url.startswith("file:"):
        stores = ", ".join(f"`{scheme}:`" for scheme in STORES)
        raise SettingsError(
            f"`{masked(url)}`: {holds} are read from a file or a store; write `file:PATH`"
            f" or use one of {stores}"
        )
    return read_file(url, holds)


def read_file(url: str, holds: str) -> tuple[bytes, str]:
    """The bytes of the file that ``file:PATH`` names, and its name in messages about it.

    Raises:
        SettingsError: it is no such URL, or cannot be read.
    """
    if not url.startswith("file:"):
        raise SettingsError(f"`{masked(url)}`: {holds} are read from a file; write `file:PATH`")
    path = url_path(url)
    try:
        return path.read_bytes(), str(path)
    except OSError as exc:
        raise SettingsError(
            f"`{url}`: cannot read {holds} ({exc.strerror}); check the path"
        ) from exc


def written(bodies: list[dict[str, Any]], holds: Kind) -> bytes:
    """The document that holds these zones or rules, given as stores keep them."""
    lines = ",\n".join(json.dumps(_named(body, holds), ensure_ascii=False) for body in bodies)
    if holds == "zones":
        return f'{{"type": "FeatureCollection", "features": [\n{lines}\n]}}\n'.encode()
    # JSON is YAML as well.
    return f"[\n{lines}\n]\n".encode()


def is_store(url: str) -> bool:
    """Whether the document is kept in a store, which may hold versions that end one another."""
    return _scheme(url) in STORES


def document_mark(url: str, holds: Kind) -> tuple[int, ...]:
    """What is different once the document is: cheap to look at, again and again.

    Raises:
        SettingsError, ConnectorError: as ``read_document``.
    """
    if is_store(url):
        return (open_definitions(url).count(holds),)
    try:
        found = url_path(url).stat()
    except OSError as exc:
        raise SettingsError(
            f"`{url}`: cannot read {holds} ({exc.strerror}); check the path"
        ) from exc
    return found.st_mtime_ns, found.st_size, found.st_ino


def listeners(urls: Iterable[str], heard: Event) -> list[Listener]:
    """Listeners to those of the stores among ``urls`` that tell of changes, one a store.

    Raises:
        SettingsError: as ``open_definitions``.
    """
    stores = [open_definitions(url) for url in dict.fromkeys(urls) if is_store(url)]
    return [Listener(store, heard) for store in stores if isinstance(store, ChangeFeed)]


def open_definitions(url: str) -> DefinitionStore:
    """The store of zones and rules that ``url`` names; nothing is read yet.

    Raises:
        SettingsError: it keeps none, or the URL lacks a part.
    """
    store: object = open_sink(url, ConnectorSettings()) if _scheme(url) in STORES else None
    if not isinstance(store, DefinitionStore):
        stores = ", ".join(f"`{scheme}:`" for scheme in STORES)
        raise SettingsError(f"`{masked(url)}`: keeps no zones and rules; use one of {stores}")
    return store


def _scheme(url: str) -> str:
    return url.partition(":")[0]


def _named(body: dict[str, Any], holds: Kind) -> dict[str, Any]:
    """The body with the names a file has: those of a rule's fields differ from the model's."""
    if holds == "zones":
        return body
    fields = Rule.model_fields
    return {(name in fields and fields[name].alias) or name: body[name] for name in body}
