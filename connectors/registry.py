"""Which module serves which URL scheme."""

import re
from importlib import import_module
from typing import Final

from connectors.contract import Connector, ConnectorSettings, SettingsError, Sink, Source

SCHEMES: Final = {
    "dir": "connectors.directory",
    "file": "connectors.files",
    "memory": "connectors.memory",
    "sqlite": "connectors.sqlite",
    "stdout": "connectors.stdout",
}
"""Scheme -> module. A module is imported when first asked for: some clients are slow to load."""


def open_source(url: str, settings: ConnectorSettings) -> Source:
    """The source that ``url`` names; nothing is read yet.

    Raises:
        SettingsError: no connector reads such a URL, or the URL lacks a part.
    """
    connector = _connector(url)
    if connector.open_source is None:
        raise SettingsError(f"`{masked(url)}`: takes results, holds no telemetry; {_known('read')}")
    return connector.open_source(url, settings)


def open_sink(url: str, settings: ConnectorSettings) -> Sink:
    """The sink that ``url`` names; nothing is written yet.

    Raises:
        SettingsError: no connector writes to such a URL, or the URL lacks a part.
    """
    connector = _connector(url)
    if connector.open_sink is None:
        raise SettingsError(
            f"`{masked(url)}`: holds telemetry, takes no results; {_known('write')}"
        )
    return connector.open_sink(url, settings)


def masked(url: str) -> str:
    """The URL with its password, if any, hidden."""
    return re.sub(r"(://[^:/@]*:).*@", r"\1***@", url)


def _connector(url: str) -> Connector:
    scheme, colon, _ = url.partition(":")
    if not colon:
        raise SettingsError(f"`{url}`: has no scheme; for a file write `file:{url}`")
    if scheme not in SCHEMES:
        raise SettingsError(
            f"`{masked(url)}`: unknown scheme `{scheme}`; known are {', '.join(SCHEMES)}"
        )
    connector: Connector = import_module(SCHEMES[scheme]).CONNECTOR
    return connector


def _known(can: str) -> str:
    offers = "open_source" if can == "read" else "open_sink"
    able = [s for s in SCHEMES if getattr(_connector(f"{s}:"), offers) is not None]
    return f"use one of {', '.join(able)}"
