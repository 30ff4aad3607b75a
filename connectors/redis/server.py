"""The one border to the Redis client."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import parse_qs

import redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from connectors.contract import (
    ConnectorError,
    FullError,
    RefusedError,
    SettingsError,
    UnavailableError,
)
from connectors.credentials import credential, unknown_option
from connectors.redis.keys import state_key
from connectors.registry import masked, split
from schemas.frame import KINDS

# The server cannot write its own snapshot to its disk and therefore takes no writes.
_NO_DISK: Final = "MISCONF"

TLS_OPTIONS: Final = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
"""The authority to trust, our certificate and its key: PEM files."""

Call = tuple[str, list[str | bytes]]
"""A key and the arguments of one call of a script."""


def is_transient(exc: RedisError) -> bool:
    """Whether the same command may succeed later."""
    if isinstance(exc, (AuthenticationError, AuthorizationError)):
        return False
    away = (RedisConnectionError, RedisTimeoutError, BusyLoadingError)
    return isinstance(exc, (*away, OutOfMemoryError, ReadOnlyError)) or _has_no_disk(exc)


def _has_no_disk(exc: RedisError) -> bool:
    return isinstance(exc, ResponseError) and str(exc).startswith(_NO_DISK)


class Far:
    """What the URL says and what is known beside it; ``shown`` is the URL without secrets."""

    def __init__(self, url: str, timeout_s: float) -> None:
        self.shown = masked(url).partition("?")[0]
        self.url = url
        self.timeout_s = timeout_s
        parts = split(url)
        database = parts.path.removeprefix("/")
        try:
            named = bool(parts.hostname) and (parts.port is None or parts.port > 0)
        except ValueError as exc:
            raise SettingsError(f"`{self.shown}`: {exc}; write HOST:PORT") from exc
        if not named or not (database == "" or database.isdecimal()):
            raise SettingsError(f"`{self.shown}`: write `{parts.scheme}://HOST:PORT/DB`")
        given = parse_qs(parts.query).keys()
        if unknown := given - {*TLS_OPTIONS}:
            what, remedy = unknown_option(min(unknown), TLS_OPTIONS)
            raise SettingsError(f"`{self.shown}`: {what}; {remedy}")
        if given and parts.scheme != "rediss":
            raise SettingsError(f"`{self.shown}`: `{min(given)}` is for TLS; write `rediss:`")
        self.user = None if parts.username else credential("REDIS_USER")
        self.password = None if parts.password else credential("REDIS_PASSWORD")

    def client(self) -> redis.Redis:
        """A client that tries once and waits no longer than ``timeout_s``."""
        given = {"username": self.user, "password": self.password}
        client: redis.Redis = redis.Redis.from_url(
            self.url,
            socket_timeout=self.timeout_s,
            socket_connect_timeout=self.timeout_s,
            retry=Retry(NoBackoff(), 0),
            **{name: value for name, value in given.items() if value is not None},
        )
        return client


class Server:
    """The one border to the Redis client."""

    def __init__(self, far: Far) -> None:
        self._far = far
        with self._translated():
            self._client = far.client()

    def check(self) -> None:
        """Ask for the right to write, without writing."""
        with self._translated():
            info: Any = self._client.info("replication")
            if info.get("role") != "master":
                raise RefusedError(f"`{self._far.shown}`: is a replica; name its master")

    def vehicles(self) -> list[tuple[str, str]]:
        """Kind and id of every vehicle with a state, by id."""
        found = set()
        with self._translated():
            for key in self._client.scan_iter(state_key("*", "*"), count=1_000):
                kind, _, vehicle_id = key.decode().partition(state_key("", ""))
                if kind in KINDS:
                    found.add((kind, vehicle_id))
        return sorted(found, key=lambda vehicle: vehicle[::-1])

    def call(self, script: str, calls: list[Call]) -> list[Any]:
        """Run a script once for each call, in order, in one round trip; returns what each gives.

        Raises:
            UnavailableError: the server is away, loading, full or read-only.
            RefusedError: it says no for another reason.
        """
        if not calls:
            return []
        with self._translated():
            prepared = self._client.register_script(script)
            with self._client.pipeline(transaction=False) as pipe:
                for key, arguments in calls:
                    prepared(keys=[key], args=arguments, client=pipe)
                answers: list[Any] = pipe.execute()
        return answers

    def close(self) -> None:
        """Free the connection."""
        self._client.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except RedisError as exc:
            raise _error(self._far.shown, exc) from exc
        except (OSError, ValueError) as exc:
            # The client checks its own arguments only now: a certificate that is not there.
            raise SettingsError(f"`{self._far.shown}`: {exc}; check the URL") from exc


def _error(shown: str, exc: RedisError) -> ConnectorError:
    said = " ".join(str(exc).split())[:300]
    if not is_transient(exc):
        return RefusedError(f"`{shown}`: refuses ({said}); check user, password and rights")
    if isinstance(exc, OutOfMemoryError) or _has_no_disk(exc):
        return FullError(f"`{shown}`: has no room ({said}); make some")
    if isinstance(exc, ResponseError):
        return UnavailableError(f"`{shown}`: cannot be written now ({said})")
    return UnavailableError(f"`{shown}`: does not answer ({said}); start it or check the address")
