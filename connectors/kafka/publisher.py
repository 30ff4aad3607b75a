"""A producer that loses nothing silently."""

from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from connectors.backoff import until_available
from connectors.contract import ConnectorSettings, UnavailableError
from connectors.kafka.address import Address, ClientSettings
from connectors.kafka.cluster import settings_refused
from connectors.kafka.errors import MESSAGE_TOO_LARGE, Trouble, translated, translating
from connectors.tracing import HEADER
from schemas.message import Reject

CONTENT_TYPE: Final = b"application/cloudevents+json; charset=UTF-8"

Headers = list[tuple[str, str | bytes | None]]

# So much of what no broker takes is kept: more would be too large again.
_RAW_BYTES: Final = 4096


def producer_settings(address: Address, max_bytes: int, trouble: Trouble) -> ClientSettings:
    """The settings of an idempotent producer that waits for all replicas, without deadline."""
    return {
        **address.client(trouble),
        "enable.idempotence": True,
        "acks": "all",
        # No deadline of the client's: how long to wait is for us to say.
        "message.timeout.ms": 0,
        "message.max.bytes": max_bytes,
        "queue.buffering.max.kbytes": 64 * 1024,
        "compression.type": "lz4",
        # As Java clients choose partitions, so that theirs and ours agree by key.
        "partitioner": "murmur2_random",
        "delivery.report.only.error": True,
    }


def too_large(topic: str, body: bytes) -> Reject:
    """The dead letter of a message that no broker takes."""
    return Reject(
        reason=f"message: {len(body)} bytes are too many for the topic `{topic}`; "
        "raise its `max.message.bytes` and `max_message_bytes` of the URL",
        field="message",
        raw=body[:_RAW_BYTES],
        origin=f"kafka:{topic}",
    )


def headers_of(message_id: str, content_type: bytes, trace: str) -> Headers:
    """The headers of a message; ``trace``: the trace context that one names, "" = none."""
    headers: Headers = [("message_id", message_id.encode()), ("content-type", content_type)]
    if trace:
        headers.append((HEADER, trace.encode()))
    return headers


class Publisher:
    """Sends events and knows which of them the brokers have.

    The producer is idempotent: what it sends again after a lost connection is there once and in
    order. It keeps what it was given for as long as it takes; only ``finish`` says that all is
    well. Workers of one process may share a publisher.

    Raises:
        SettingsError: the client does not take the options of the address.
    """

    def __init__(self, address: Address, max_bytes: int, settings: ConnectorSettings) -> None:
        self._where = address.shown
        self._settings = settings
        self._trouble = Trouble(address.shown)
        self._failure: KafkaError | None = None
        self._too_large: list[Reject] = []
        try:
            self._producer = Producer(
                {
                    **producer_settings(address, max_bytes, self._trouble),
                    "on_delivery": self._not_delivered,
                }
            )
        except KafkaException as exc:
            raise settings_refused(address, exc) from exc

    def send(
        self,
        topic: str,
        key: str,
        body: bytes,
        message_id: str,
        content_type: bytes = CONTENT_TYPE,
        *,
        trace: str = "",
    ) -> None:
        """Queue one event (or another message); waits where the queue is full.

        ``trace``: the trace context that a header names, "" = none.

        Raises:
            ConnectorError: the brokers have refused us, or have been away for too long.
        """

        def attempt() -> None:
            self._producer.produce(topic, body, key or None, headers=headers)

        headers = headers_of(message_id, content_type, trace)
        try:
            attempt()
        except BufferError:
            until_available(self._where, self._flush, self._settings.patience_s)
            attempt()
        except KafkaException as exc:
            if exc.args[0].name() != MESSAGE_TOO_LARGE:
                raise translated(exc.args[0], self._where) from exc
            self._too_large.append(too_large(topic, body))

    def finish(self) -> list[Reject]:
        """Wait until the brokers have all that was sent; the events no broker takes.

        Raises:
            ConnectorError: they refuse it, or have been away for too long.
        """
        until_available(self._where, self._flush, self._settings.patience_s)
        if self._failure is not None:
            raise translated(self._failure, self._where)
        refused, self._too_large = self._too_large, []
        return refused

    def _flush(self) -> None:
        with translating(self._where):
            left = self._producer.flush(self._settings.timeout_s)
        self._trouble.raise_refused()
        # What was not delivered for good is no reason to wait: ``finish`` tells it.
        if left and self._failure is None:
            waits = f"{left} events wait for the brokers{self._trouble.why}"
            raise UnavailableError(f"`{self._where}`: {waits}; start them")

    def _not_delivered(self, error: KafkaError, message: Message) -> None:
        if error.name() == MESSAGE_TOO_LARGE:
            self._too_large.append(too_large(message.topic() or "", message.value() or b""))
        else:
            self._failure = error
