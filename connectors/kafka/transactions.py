"""A producer whose messages of one epoch are there together or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from connectors.backoff import until_available
from connectors.contract import ConnectorError, ConnectorSettings, RefusedError, UnavailableError
from connectors.kafka.address import Address
from connectors.kafka.cluster import settings_refused
from connectors.kafka.errors import MESSAGE_TOO_LARGE, Trouble, cause_of, said, translated
from connectors.kafka.publisher import (
    CONTENT_TYPE,
    Headers,
    headers_of,
    producer_settings,
    too_large,
)
from schemas.message import Reject

LEAST_OPEN_S: Final = 60.0
MOST_OPEN_S: Final = 900.0
"""The longest that brokers allow as they come (``transaction.max.timeout.ms``)."""

_FENCED: Final = frozenset({"_FENCED", "PRODUCER_FENCED", "INVALID_PRODUCER_EPOCH"})


@dataclass(frozen=True, slots=True)
class _Sent:
    topic: str
    key: str | None
    body: bytes
    headers: Headers


class Transactions:
    """One transaction an epoch, under an id that stays the same from run to run.

    Messages are kept until ``finish``, which sends and commits them: what goes wrong on the way is
    aborted and done again as a whole. ``begin`` ends what an earlier run with this id left open,
    and shuts out a process that still runs with it.

    Raises:
        SettingsError: the client does not take the options of the address.
    """

    def __init__(
        self, address: Address, max_bytes: int, settings: ConnectorSettings, id_: str
    ) -> None:
        self._where = address.shown
        self._settings = settings
        self._id = id_
        self._trouble = Trouble(address.shown)
        self._epoch: list[_Sent] = []
        self._failed: list[tuple[KafkaError, str, bytes]] = []
        # What the next try has to bring to its end first: "abort", "commit" or nothing.
        self._pending = ""
        try:
            self._producer = Producer(
                {
                    **producer_settings(address, max_bytes, self._trouble),
                    "transactional.id": id_,
                    "transaction.timeout.ms": round(1000 * _open_s(settings.patience_s)),
                    "on_delivery": self._not_delivered,
                }
            )
        except KafkaException as exc:
            raise settings_refused(address, exc) from exc

    def begin(self) -> None:
        """Take the id over; raises ConnectorError."""
        until_available(self._where, self._take_over, self._settings.patience_s)

    def send(self, topic: str, key: str, body: bytes, message_id: str, *, trace: str = "") -> None:
        """Keep one event for the end of the epoch."""
        headers = headers_of(message_id, CONTENT_TYPE, trace)
        self._epoch.append(_Sent(topic, key or None, body, headers))

    def finish(self) -> list[Reject]:
        """Send and commit what was kept; the messages that no broker takes.

        Raises:
            ConnectorError: the brokers refuse it, or have been away for too long; nothing of the
                epoch is seen by who reads what is committed.
        """
        rejects: list[Reject] = []
        if self._epoch:
            until_available(
                self._where, lambda: self._commit_all(rejects), self._settings.patience_s
            )
            self._epoch.clear()
        return rejects

    def _take_over(self) -> None:
        with self._translating():
            self._producer.init_transactions(self._settings.timeout_s)

    def _commit_all(self, rejects: list[Reject]) -> None:
        # Each turn but the last leaves out messages that no broker takes.
        while not self._is_committed():
            oversize = {body for error, _, body in self._failed if _is_too_large(error)}
            for error, topic, body in self._failed:
                if not _is_too_large(error):
                    raise translated(error, self._where)
                rejects.append(too_large(topic, body))
            self._epoch = [sent for sent in self._epoch if sent.body not in oversize]

    def _is_committed(self) -> bool:
        """Try once; False where single messages are to blame, which are in ``_failed`` then."""
        with self._translating():
            if self._pending == "abort":
                self._abort()
            if self._pending != "commit":
                self._send_all()
                if self._failed:
                    self._abort()
                    return False
                self._pending = "commit"
            self._producer.commit_transaction(self._settings.timeout_s)
            self._pending = ""
        return True

    def _abort(self) -> None:
        self._producer.abort_transaction(self._settings.timeout_s)
        self._pending = ""

    def _send_all(self) -> None:
        self._failed.clear()
        self._producer.begin_transaction()
        self._pending = "abort"
        self._produce()
        left = self._producer.flush(self._settings.timeout_s)
        if left and not self._failed:
            self._trouble.raise_refused()
            waits = f"{left} events wait for the brokers{self._trouble.why}"
            raise UnavailableError(f"`{self._where}`: {waits}; start them")

    def _produce(self) -> None:
        for sent in self._epoch:
            while True:
                try:
                    self._producer.produce(sent.topic, sent.body, sent.key, headers=sent.headers)
                except BufferError:
                    if self._producer.flush(self._settings.timeout_s):
                        raise UnavailableError(
                            f"`{self._where}`: takes no more events{self._trouble.why}; start it"
                        ) from None
                    continue
                except KafkaException as exc:
                    if not _is_too_large(exc.args[0]):
                        raise
                    self._failed.append((exc.args[0], sent.topic, sent.body))
                break

    @contextmanager
    def _translating(self) -> Iterator[None]:
        try:
            yield
        except (KafkaException, SystemError) as exc:
            error = cause_of(exc)
            if error.txn_requires_abort():
                self._pending = "abort"
            raise self._translated(error) from exc

    def _translated(self, error: KafkaError) -> ConnectorError:
        if error.name() in _FENCED:
            return RefusedError(
                f"`{self._where}`: another process writes with the transactions `{self._id}`;"
                " stop one of them, or give each its own `transactions=ID`"
            )
        again = error.retriable() or error.txn_requires_abort()
        if again and not error.fatal() and not self._trouble.refused:
            return UnavailableError(f"`{self._where}`: {said(error)}; start the brokers")
        self._trouble.raise_refused()
        return translated(error, self._where)

    def _not_delivered(self, error: KafkaError, message: Message) -> None:
        # What an abort takes back is no failure of its own.
        if error.name() not in ("_PURGE_QUEUE", "_PURGE_INFLIGHT"):
            self._failed.append((error, message.topic() or "", message.value() or b""))


def _open_s(patience_s: float) -> float:
    """How long brokers leave a transaction open: through an outage that is waited for.

    As long do readers wait for one that a killed flow left open, until that flow runs again.
    """
    return min(max(patience_s, LEAST_OPEN_S), MOST_OPEN_S)


def _is_too_large(error: KafkaError) -> bool:
    return error.name() == MESSAGE_TOO_LARGE
