"""What an ``influxdb:`` URL says."""

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qs, unquote

from connectors.contract import SettingsError
from connectors.credentials import credential, unknown_option
from connectors.influxdb_points import Thinning
from connectors.registry import masked, split
from schemas.timestamps import LIMIT_US

OPTIONS: Final = ("token", "tls", "ca_file", "telemetry")

_INTERVAL: Final = re.compile(r"(\d+(?:\.\d+)?)s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What an ``influxdb:`` URL says; ``shown`` is the URL without secrets.

    ``thinning``: which telemetry is written.
    """

    shown: str
    server: str
    org: str
    bucket: str
    token: str = field(repr=False)
    ca_file: str | None
    thinning: Thinning


def read_url(url: str) -> Target:
    """The target of ``influxdb://[USER:PASSWORD@]HOST[:PORT]/ORG/BUCKET[?...]``.

    After ``?``: ``token`` (else FARWATCH_INFLUXDB_TOKEN, or the file FARWATCH_INFLUXDB_TOKEN_FILE
    names); ``tls=true``, ``ca_file``; ``telemetry``: ``all``, ``none``, or ``60s`` for about one
    record a vehicle in 60 s of event time.

    Raises:
        SettingsError: a part is missing or unknown.
    """
    shown = masked(url).partition("?")[0]
    parts = split(url)
    path = [unquote(part) for part in parts.path.split("/")[1:]]
    try:
        host, port = parts.hostname, parts.port or 8086
    except ValueError as exc:
        raise SettingsError(f"`{shown}`: {exc}; write HOST:PORT") from exc
    if not host or len(path) != 2 or not all(path):
        raise SettingsError(f"`{shown}`: write `influxdb://HOST:PORT/ORG/BUCKET`")
    given = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    if unknown := given.keys() - {*OPTIONS}:
        what, remedy = unknown_option(min(unknown), OPTIONS)
        raise SettingsError(f"`{shown}`: {what}; {remedy}")
    token = given.get("token") or credential("INFLUXDB_TOKEN") or ""
    if parts.password:
        token = f"{unquote(parts.username or '')}:{unquote(parts.password)}"
    return Target(
        shown=shown,
        server=f"{'https' if _truth(shown, given) else 'http'}://{_bracketed(host)}:{port}",
        org=path[0],
        bucket=path[1],
        token=token,
        ca_file=given.get("ca_file"),
        thinning=_thinning(shown, given.get("telemetry", "all")),
    )


def _truth(shown: str, given: dict[str, str]) -> bool:
    if (value := given.get("tls", "false")) not in ("true", "false"):
        raise SettingsError(f"`{shown}`: tls is `{value}`; write `true` or `false`")
    return value == "true"


def _thinning(shown: str, text: str) -> Thinning:
    if text in ("all", "none"):
        return Thinning(write=text == "all")
    interval = _INTERVAL.fullmatch(text)
    every_us = 0 if interval is None else round(float(interval[1]) * 1e6)
    if not 0 < every_us < LIMIT_US:
        raise SettingsError(f"`{shown}`: telemetry is `{text}`; write `all`, `none` or `60s`")
    return Thinning(every_us=every_us)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
