"""The one border where errors of the Kafka client become ours."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from confluent_kafka import KafkaError, KafkaException

from connectors.contract import ConnectorError, FullError, RefusedError, UnavailableError

ALL_BROKERS_DOWN: Final = "_ALL_BROKERS_DOWN"
MESSAGE_TOO_LARGE: Final = "MSG_SIZE_TOO_LARGE"
OFFSET_GONE: Final = "_AUTO_OFFSET_RESET"
PARTITION_END: Final = "_PARTITION_EOF"
TOPIC_EXISTS: Final = "TOPIC_ALREADY_EXISTS"

TRANSIENT: Final = frozenset(
    {
        ALL_BROKERS_DOWN,
        "BROKER_NOT_AVAILABLE",
        "COORDINATOR_LOAD_IN_PROGRESS",
        "COORDINATOR_NOT_AVAILABLE",
        "FENCED_LEADER_EPOCH",
        "KAFKA_STORAGE_ERROR",
        "LEADER_NOT_AVAILABLE",
        "NETWORK_EXCEPTION",
        "NOT_CONTROLLER",
        "NOT_COORDINATOR",
        "NOT_ENOUGH_REPLICAS",
        "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
        "NOT_LEADER_FOR_PARTITION",
        "OFFSET_NOT_AVAILABLE",
        "REPLICA_NOT_AVAILABLE",
        "REQUEST_TIMED_OUT",
        "THROTTLING_QUOTA_EXCEEDED",
        "UNKNOWN_LEADER_EPOCH",
        "UNSTABLE_OFFSET_COMMIT",
        "_MSG_TIMED_OUT",
        "_QUEUE_FULL",
        "_RESOLVE",
        "_TIMED_OUT",
        "_TIMED_OUT_QUEUE",
        "_TRANSPORT",
        "_WAIT_COORD",
    }
)
"""Names of ``KafkaError`` after which the same thing may succeed; the client tries again itself."""

_FULL: Final = frozenset({"KAFKA_STORAGE_ERROR", "THROTTLING_QUOTA_EXCEEDED"})

_CREATE: Final = "create the topic or check its name"
_LOG_IN: Final = "check user, password and `sasl`"
REMEDIES: Final = {
    "CLUSTER_AUTHORIZATION_FAILED": "allow this user to write idempotently",
    "GROUP_AUTHORIZATION_FAILED": "allow this user to read with the group",
    "SASL_AUTHENTICATION_FAILED": _LOG_IN,
    "TOPIC_AUTHORIZATION_FAILED": "allow this user to read or write the topic",
    "UNKNOWN_TOPIC_OR_PART": _CREATE,
    "_AUTHENTICATION": _LOG_IN,
    "_SSL": "check `tls`, `ca`, `certificate` and `key`",
    "_UNKNOWN_PARTITION": _CREATE,
    "_UNKNOWN_TOPIC": _CREATE,
}

# `host:9092/bootstrap: Connect to ... failed: Connection refused (after 0ms in state CONNECT, ...)`
_CIRCUMSTANCES: Final = re.compile(r" ?\(after .*\)$")


def is_transient(name: str) -> bool:
    """Whether what failed with the error of this name may succeed later, done the same way."""
    return name in TRANSIENT


def said(error: KafkaError) -> str:
    """What the error says, in one line."""
    return " ".join(_CIRCUMSTANCES.sub("", error.str()).split())


def remedy(error: KafkaError) -> str:
    """What to do about it."""
    if is_transient(error.name()):
        return "start the brokers or check the address"
    return REMEDIES.get(error.name(), "see the log of the brokers")


def translated(error: KafkaError, where: str) -> ConnectorError:
    """The error as one of ours; ``where`` is the address without secrets."""
    again = is_transient(error.name()) and not error.fatal()
    kind = (FullError if error.name() in _FULL else UnavailableError) if again else RefusedError
    return kind(f"`{where}`: {said(error)}; {remedy(error)}")


@contextmanager
def translating(where: str) -> Iterator[None]:
    """Raise what the client raises as one of ours."""
    try:
        yield
    except (KafkaException, SystemError) as exc:
        raise translated(cause_of(exc), where) from exc


def cause_of(exc: KafkaException | SystemError) -> KafkaError:
    """What the client says went wrong; raises ``exc`` itself where it is none of the client's."""
    # After a fatal error the client goes on calling back with its exception already set, which
    # Python complains about.
    cause = exc if isinstance(exc, KafkaException) else exc.__cause__
    if not isinstance(cause, KafkaException):
        raise exc
    error: KafkaError = cause.args[0]
    return error


class Trouble:
    """What a client complains about in the background: its ``error_cb``.

    The client calls it in our own thread whenever it is polled, and tries again by itself for
    ever; a login that was refused and errors after which the client is of no use are raised.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._refused: KafkaError | None = None
        self.latest: KafkaError | None = None
        self.all_down = False

    def __call__(self, error: KafkaError) -> None:
        """Take note of a complaint."""
        if error.name() == ALL_BROKERS_DOWN:
            self.all_down = True
            return
        self.latest = error
        if error.fatal() or error.name() in ("_AUTHENTICATION", "SASL_AUTHENTICATION_FAILED"):
            self.refuse(error)

    def refuse(self, error: KafkaError) -> None:
        """Take note that trying on is of no use."""
        self._refused = error

    @property
    def refused(self) -> bool:
        """Whether trying on is of no use."""
        return self._refused is not None

    def raise_refused(self) -> None:
        """Raise RefusedError if trying on is of no use."""
        if self._refused is not None:
            raise RefusedError(f"`{self._where}`: {said(self._refused)}; {remedy(self._refused)}")

    @property
    def why(self) -> str:
        """The latest complaint in brackets, or nothing."""
        return f" ({said(self.latest)})" if self.latest else ""
