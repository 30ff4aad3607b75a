"""Telemetry to an exchange and messages from a topic's, outside any flow."""

from collections import deque
from collections.abc import Iterator
from functools import cache, partial
from time import monotonic
from typing import Any, Final
from uuid import uuid4

from connectors.contract import ConnectorSettings, RefusedError, SettingsError
from connectors.rabbitmq.address import read_url
from connectors.rabbitmq.errors import AbsentError
from connectors.rabbitmq.link import Link
from connectors.rabbitmq.options import read_source_url
from connectors.rabbitmq.publisher import Outgoing, Publisher
from connectors.rabbitmq.topology import (
    EVERYTHING,
    declare_hash,
    declare_results,
    declare_telemetry,
)
from schemas.topics import BETWEEN_TOPICS, RESULT_TOPICS

CONTENT_TYPE: Final = "application/json"
WAIT_S: Final = 0.1

# A send costs a system call, whatever it holds: messages that come fast go out together, and none
# waits for the next longer than this.
TOGETHER: Final = 64
TOGETHER_S: Final = 0.01


class TelemetryPublisher:
    """Publishes to the exchange of the URL, which is that of the source that reads it.

    Exchange and queues are declared as the source declares them. A message's routing key is the
    exchange's name with dots, then the vehicle (``auv.telemetry.<id>``); its message id is its own.

    Raises, when made: SettingsError for a URL that names no one exchange or differs from what is
    declared; ConnectorError for a broker that cannot be used.
    """

    def __init__(self, url: str, settings: ConnectorSettings) -> None:
        address, options = read_source_url(url)
        if len(options.exchanges) != 1:
            raise SettingsError(
                f"`{address.name}`: name one exchange to publish to, `?exchange=auv_telemetry`"
            )
        [self._exchange] = options.exchanges
        self._prefix = self._exchange.replace("_", ".")
        self._patience_s = settings.patience_s
        self._together: list[Outgoing] = []
        self._sent_at = monotonic()
        max_age = options.max_age if options.streams else None
        hashing = partial(
            declare_hash, address, settings.timeout_s, self._exchange, streams=options.streams
        )
        hash_kind = cache(hashing)  # Once known it stays, whichever connection is lost.

        def declare(link: Link) -> None:
            declare_telemetry(link, self._exchange, options.queues, hash_kind(), max_age)

        self._publisher = Publisher(address, settings.timeout_s, declare, mandatory=True)
        try:
            self._publisher.connect()
        except RefusedError as exc:
            raise SettingsError(str(exc)) from exc

    def publish(self, body: bytes, key: str) -> None:
        """Hand over one message; waits while too many are not confirmed."""
        self._together.append(
            Outgoing(self._exchange, f"{self._prefix}.{key}", uuid4().hex, CONTENT_TYPE, body)
        )
        if len(self._together) >= TOGETHER or monotonic() - self._sent_at >= TOGETHER_S:
            self._send()

    def flush(self) -> None:
        """Return when the broker has confirmed everything."""
        self._send()
        self._publisher.flush(self._patience_s)

    def close(self) -> None:
        """Close the connection."""
        self._publisher.close()

    def _send(self) -> None:
        together, self._together = self._together, []
        self._publisher.publish(together, self._patience_s)
        self._sent_at = monotonic()


class TopicSubscription:
    """What is published to the exchange of ``topic`` from now on, over a queue of its own.

    The queue goes when the subscription does, and takes nothing from anybody else's.

    Raises, when made: SettingsError for an exchange that is not there, unless it is one of results,
    which is declared; ConnectorError for a broker that cannot be used.
    """

    def __init__(self, url: str, topic: str, settings: ConnectorSettings) -> None:
        address, _ = read_url(url, ())
        self._waiting: deque[bytes] = deque()
        self._link = Link(address, settings.timeout_s)
        try:
            self._consume(self._link.open(), topic)
        except AbsentError as exc:
            self._link.close()
            raise SettingsError(
                f"`{address.name}`: there is no exchange `{topic}`; check the name, or start the "
                "flow that declares it"
            ) from exc
        except BaseException:
            self._link.close()
            raise

    def bodies(self) -> Iterator[bytes | None]:
        """Each message's body, for ever; raises ConnectorError when the broker goes away."""
        while True:
            self._link.poll(WAIT_S)
            if not self._waiting:
                yield None
            while self._waiting:
                yield self._waiting.popleft()
            if self._link.failure is not None:
                raise self._link.failure

    def close(self) -> None:
        """Close the connection."""
        self._link.close()

    def _consume(self, link: Link, topic: str) -> None:
        channel, call = link.channel, link.call
        if topic in (*RESULT_TOPICS, *BETWEEN_TOPICS):
            declare_results(link, [topic], keep=False)
        else:
            call(channel.exchange_declare, exchange=topic, passive=True)
        queue = call(channel.queue_declare, queue="", exclusive=True).method.queue
        call(channel.queue_bind, queue=queue, exchange=topic, routing_key=EVERYTHING)
        call(channel.basic_consume, queue=queue, on_message_callback=self._came, auto_ack=True)

    def _came(self, _channel: object, _method: Any, _properties: Any, body: bytes) -> None:
        self._waiting.append(body)
