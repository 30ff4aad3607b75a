"""Where a broker is and how to log in: what the URL, the environment and files say together."""

import ssl
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

import pika

from connectors.contract import SettingsError
from connectors.credentials import credential, unknown_option

PORT: Final = {"amqp": 5672, "amqps": 5671}
TLS_OPTIONS: Final = ("ca", "cert", "key")

# A connection that nobody polls between two epochs cannot send heartbeats: the kernel's
# keep-alive tells a dead peer instead (seconds; after 60 s of silence 3 probes 10 s apart).
_KEEP_ALIVE: Final = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A broker and its virtual host. ``name`` is what messages call it: no password, no query."""

    name: str
    host: str
    port: int
    virtual_host: str
    user: str
    password: str = field(repr=False)
    tls: ssl.SSLContext | None = None

    def parameters(self, timeout_s: float, heartbeat_s: int | None) -> Any:
        """What pika asks for; ``heartbeat_s``: 0 = none, None = what the broker proposes."""
        return pika.ConnectionParameters(
            host=self.host,
            port=self.port,
            virtual_host=self.virtual_host,
            credentials=pika.PlainCredentials(self.user, self.password),
            heartbeat=heartbeat_s,
            socket_timeout=timeout_s,
            stack_timeout=timeout_s,
            connection_attempts=1,
            ssl_options=self.tls and pika.SSLOptions(self.tls, self.host),
            tcp_options=_KEEP_ALIVE,
            client_properties={"connection_name": "farwatch"},
        )


def read_url(url: str, options: Collection[str]) -> tuple[Address, dict[str, str]]:
    """The address in ``amqp[s]://USER:PASSWORD@HOST:PORT/VHOST?OPTION=...`` and its options.

    ``options`` are the names that may occur besides ``ca``, ``cert`` and ``key``. User and
    password default to FARWATCH_RABBITMQ_USER, FARWATCH_RABBITMQ_PASSWORD (or the files that
    these names with ``_FILE`` name), then to the broker's own ``guest``.

    Raises:
        SettingsError: no host, no such option, no password, or a file that cannot be read.
    """
    parts, port = _split(url)
    given = _options(parts, [*options, *TLS_OPTIONS])
    user = unquote(parts.username or "") or credential("RABBITMQ_USER") or "guest"
    host = parts.hostname or ""
    path = parts.path.removeprefix("/")
    name = f"{parts.scheme}://{quote(user)}@{host}:{port}/{path}"
    if not host:
        raise SettingsError(f"`{name}`: names no host; write `{parts.scheme}://HOST:PORT/VHOST`")
    address = Address(
        name=name,
        host=host,
        port=port,
        virtual_host=unquote(path) or "/",
        user=user,
        password=_password(parts, user, name),
        tls=_tls(parts.scheme, given, name),
    )
    return address, {key: value for key, value in given.items() if key not in TLS_OPTIONS}


def whole(options: dict[str, str], name: str, default: int, most: int) -> int:
    """The option ``name`` as a whole number of 1 to ``most``; raises SettingsError for others."""
    value = options.get(name)
    if value is None:
        return default
    if not (value.isdecimal() and 1 <= int(value) <= most):
        raise SettingsError(f"`{name}={value}`: is no whole number of 1 to {most}; write one")
    return int(value)


def one_of(options: dict[str, str], name: str, words: tuple[str, ...]) -> str:
    """The option ``name``, one of ``words``, the first where absent; raises SettingsError."""
    value = options.get(name, words[0])
    if value not in words:
        raise SettingsError(f"`{name}={value}`: is not one of {', '.join(words)}")
    return value


def _split(url: str) -> tuple[SplitResult, int]:
    scheme = url.partition(":")[0]
    try:
        parts = urlsplit(url)
        return parts, parts.port or PORT[scheme]
    except ValueError as exc:
        # Neither the URL nor what urllib says of it: both may hold the password.
        raise SettingsError(
            f"`{scheme}:` URL with a bad host or port; write `{scheme}://USER@HOST:PORT/VHOST` and "
            "percent-encode the password"
        ) from exc


def _options(parts: SplitResult, known: list[str]) -> dict[str, str]:
    options = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name not in known:
            what, remedy = unknown_option(name, known)
            raise SettingsError(f"`{parts.scheme}:` URL: {what}; {remedy}")
        if not value or name in options:
            what = "is given twice" if name in options else "has no value"
            raise SettingsError(f"`{parts.scheme}:` URL: `{name}` {what}; write `{name}=...` once")
        options[name] = value
    return options


def _password(parts: SplitResult, user: str, name: str) -> str:
    given = unquote(parts.password or "") or credential("RABBITMQ_PASSWORD")
    if given:
        return given
    if user == "guest":
        return "guest"
    raise SettingsError(
        f"`{name}`: no password for `{user}`; set FARWATCH_RABBITMQ_PASSWORD, or "
        "FARWATCH_RABBITMQ_PASSWORD_FILE to a file that holds it"
    )


def _tls(scheme: str, options: dict[str, str], name: str) -> ssl.SSLContext | None:
    if scheme != "amqps":
        for option in TLS_OPTIONS:
            if option in options:
                raise SettingsError(f"`{name}`: `{option}` is for TLS; write `amqps:`")
        return None
    try:
        context = ssl.create_default_context(cafile=options.get("ca"))
        if "cert" in options:
            context.load_cert_chain(options["cert"], options.get("key"))
    except (OSError, ValueError) as exc:  # ssl.SSLError is an OSError.
        files = ", ".join(f"`{key}={options[key]}`" for key in TLS_OPTIONS if key in options)
        raise SettingsError(f"{files}: cannot be used ({exc}); name PEM files") from exc
    return context
