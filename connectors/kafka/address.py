"""What a ``kafka://`` URL says, and the client settings that follow from it.

``kafka://[USER[:PASSWORD]@]BROKER[:PORT][,BROKER...]/NAME[?OPTION=VALUE&...]``
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

from confluent_kafka import KafkaError

from connectors.contract import SettingsError
from connectors.credentials import credential, unknown_option
from connectors.paths import from_home
from connectors.registry import masked, split

ClientSettings = dict[str, Any]
"""What a client of confluent-kafka is made with."""

SECURITY: Final = ("tls", "ca", "certificate", "key", "sasl")
"""Options of every URL; user and password besides from FARWATCH_KAFKA_USER and _PASSWORD."""

_BROKER: Final = re.compile(r"(\[[0-9a-fA-F:.%]+\]|[^\s:/\[\]]+)(:[0-9]{1,5})?")
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{0,249}")
_MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_FILES: Final = {
    "ca": "ssl.ca.location",
    "certificate": "ssl.certificate.location",
    "key": "ssl.key.location",
}


@dataclass(frozen=True, slots=True)
class Address:
    """A URL taken apart; ``shown`` is the URL without its secret, fit for messages."""

    shown: str
    brokers: str
    user: str
    password: str
    name: str
    options: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Address({self.shown!r})"

    @classmethod
    def of(cls, url: str, options: tuple[str, ...]) -> "Address":
        """The address in ``url``, which may have ``options`` besides those of security.

        Raises:
            SettingsError: it has no brokers, or a part that is not understood.
        """
        parts = split(url)
        userinfo, _, brokers = parts.netloc.rpartition("@")
        user, _, password = userinfo.partition(":")
        address = cls(
            shown=masked(url),
            brokers=brokers,
            user=unquote(user),
            password=unquote(password),
            name=unquote(parts.path).strip("/"),
            options=dict(parse_qsl(parts.query, keep_blank_values=True)),
        )
        if not all(map(_BROKER.fullmatch, brokers.split(","))):
            raise address.wrong("names no broker", "write `kafka://HOST:PORT,HOST:PORT/TOPIC`")
        if not _NAME.fullmatch(address.name):
            raise address.wrong(
                f"`{address.name}` cannot name a topic", "use letters, digits, `.`, `_` and `-`"
            )
        address._refuse_unknown((*options, *SECURITY))
        return address

    def wrong(self, what: str, remedy: str) -> SettingsError:
        """The error for a URL that cannot be used as it stands."""
        return SettingsError(f"`{self.shown}`: {what}; {remedy}")

    def choice(self, option: str, choices: tuple[str, ...]) -> str:
        """The value of an option; the first of ``choices`` where it is not given."""
        value = self.options.get(option, choices[0])
        if value not in choices:
            raise self.wrong(
                f"`{option}` is `{value}`", "write " + " or ".join(f"`{one}`" for one in choices)
            )
        return value

    def count(self, option: str, default: int) -> int:
        """The value of an option that is a number, at least 1 where it is given."""
        value = self.options.get(option)
        if value is None:
            return default
        if not (value.isascii() and value.isdigit() and int(value)):
            raise self.wrong(f"`{option}` is `{value}`", "write a whole number, at least 1")
        return int(value)

    def client(self, on_error: Callable[[KafkaError], None]) -> ClientSettings:
        """The settings of any client of these brokers.

        The client's own log is off: what it has to say comes to ``on_error``, whenever the client
        is polled, and is told by us.

        Raises:
            SettingsError: user, password or an option of security is missing or wrong.
        """
        return {
            "bootstrap.servers": self.brokers,
            "client.id": "farwatch",
            "error_cb": on_error,
            "log_level": 0,
            "reconnect.backoff.max.ms": 2_000,
            **self._security(),
        }

    def _security(self) -> ClientSettings:
        files = {
            setting: self._file(option)
            for option, setting in _FILES.items()
            if option in self.options
        }
        tls = self.choice("tls", ("true" if files else "false", "true", "false")) == "true"
        user, password = self._login()
        if "sasl" in self.options and not user:
            raise self.wrong("`sasl` without a user", "set FARWATCH_KAFKA_USER and _PASSWORD")
        if not user:
            return {"security.protocol": "ssl" if tls else "plaintext", **files}
        if not password:
            raise self.wrong(f"no password for user `{user}`", "set FARWATCH_KAFKA_PASSWORD")
        return {
            "security.protocol": "sasl_ssl" if tls else "sasl_plaintext",
            "sasl.mechanism": self.choice("sasl", _MECHANISMS),
            "sasl.username": user,
            "sasl.password": password,
            **files,
        }

    def _login(self) -> tuple[str, str]:
        user = self.user or credential("KAFKA_USER") or ""
        return user, self.password or credential("KAFKA_PASSWORD") or ""

    def _file(self, option: str) -> str:
        path = from_home(f"{option}={self.options[option]}", self.options[option])
        if not path.is_file():
            raise self.wrong(f"`{option}` names `{path}`, which is no file", "check the path")
        return str(path)

    def _refuse_unknown(self, known: tuple[str, ...]) -> None:
        for option in self.options:
            if option not in known:
                raise self.wrong(*unknown_option(option, known))
