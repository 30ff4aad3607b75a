"""Which module serves which URL scheme."""

import re
from importlib import import_module
from typing import Final
from urllib.parse import SplitResult, urlsplit

from connectors.contract import (
    Connector,
    ConnectorSettings,
    Publisher,
    SettingsError,
    Sink,
    Source,
    Subscription,
)

SCHEMES: Final = {
    "amqp": "connectors.rabbitmq",
    "amqps": "connectors.rabbitmq",
    "dir": "connectors.directory",
    "file": "connectors.files",
    "influxdb": "connectors.influxdb",
    "kafka": "connectors.kafka",
    "memory": "connectors.memory",
    "notify": "connectors.notify",
    "postgres": "connectors.postgres",
    "postgresql": "connectors.postgres",
    "redis": "connectors.redis",
    "rediss": "connectors.redis",
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


def open_publisher(url: str, settings: ConnectorSettings) -> Publisher:
    """A publisher of telemetry to ``url``; the caller closes it.

    Raises:
        SettingsError: no connector publishes to such a URL, or it cannot be written.
        ConnectorError: the far side does not answer or refuses.
    """
    connector = _connector(url)
    if connector.open_publisher is None:
        raise SettingsError(f"`{masked(url)}`: takes no telemetry; {_known('publish')}")
    return connector.open_publisher(url, settings)


def open_subscription(url: str, topic: str, settings: ConnectorSettings) -> Subscription:
    """The messages of ``topic`` at ``url``; the caller closes it. Raises as ``open_publisher``."""
    connector = _connector(url)
    if connector.open_subscription is None:
        raise SettingsError(f"`{masked(url)}`: has no topics to follow; {_known('subscribe')}")
    return connector.open_subscription(url, topic, settings)


def masked(url: str) -> str:
    """The URL with its password and token, if any, hidden."""
    url = re.sub(r"(://[^:/@]*:).*@", r"\1***@", url)
    return re.sub(r"([?&](?:\w*password|token)=)[^&]*", r"\1***", url)


def split(url: str) -> SplitResult:
    """The parts of a URL.

    Raises:
        SettingsError: it cannot be taken apart; as nobody knows where a password would be, neither
            the URL nor what is wrong with it is told.
    """
    try:
        return urlsplit(url)
    except ValueError as exc:
        scheme = url.partition(":")[0]
        raise SettingsError(
            f"`{scheme}:` URL with a bad host; write `{scheme}://USER@HOST:PORT/...`, brackets only"
            " around IPv6, and percent-encode the password"
        ) from exc


def _connector(url: str) -> Connector:
    scheme, colon, _ = url.partition(":")
    if not colon:
        raise SettingsError(
            f"`{masked(url)}`: has no scheme; for a file write `file:{masked(url)}`"
        )
    if scheme not in SCHEMES:
        raise SettingsError(
            f"`{masked(url)}`: unknown scheme `{scheme}`; known are {', '.join(SCHEMES)}"
        )
    connector: Connector = import_module(SCHEMES[scheme]).CONNECTOR
    return connector


_OFFERS: Final = {
    "read": "open_source",
    "write": "open_sink",
    "publish": "open_publisher",
    "subscribe": "open_subscription",
}


def _known(can: str) -> str:
    offers = _OFFERS[can]
    able = [s for s in SCHEMES if getattr(_connector(f"{s}:"), offers) is not None]
    return f"use one of {', '.join(able)}"
