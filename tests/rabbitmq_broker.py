"""What tests do to a RabbitMQ broker with plain pika: fill, look, and clean up."""

import json
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from uuid import uuid4

import pika

from connectors.contract import ConnectorSettings
from connectors.registry import open_sink
from schemas.topics import BETWEEN_TOPICS, RESULT_TOPICS

LIMIT_S, ANSWER_S = 600.0, 60.0
"""How long a connection may last that moves messages, and one that asks for little."""


class Broker:
    """A broker by its URL, and names that no other test uses."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/") + "/%2f"
        self.exchange = f"test-{uuid4().hex[:8]}"

    def source(self, queues: int = 1, **options: object) -> str:
        """The URL of a source behind this test's exchange."""
        given = {"exchange": self.exchange, "queues": queues, **options}
        return f"{self.url}?" + "&".join(f"{name}={value}" for name, value in given.items())

    def connect(self, limit_s: float = LIMIT_S) -> pika.BlockingConnection:
        """A connection for so long at most: pika waits for ever for a queue without a leader."""
        connection = pika.BlockingConnection(pika.URLParameters(self.url))
        # Not the timers of the connection: those do not run while it waits for an answer.
        _give_up_after(limit_s, connection._impl)
        return connection

    def publish(
        self,
        bodies: Iterable[bytes],
        exchange: str | None = None,
        ids: Iterable[str] | None = None,
    ) -> None:
        """Send messages in order, with message ids where given; each by its vehicle's key.

        Returns when the broker has them: until then a queue may say that it holds nothing.
        """
        ids = iter(ids) if ids is not None else None
        with closing(self.connect()) as connection:
            channel = connection.channel()
            confirmed, sent = _Confirmed(channel._impl), 0
            for body in bodies:
                properties = pika.BasicProperties(
                    delivery_mode=2, message_id=next(ids) if ids is not None else None
                )
                channel.basic_publish(
                    self.exchange if exchange is None else exchange, _key(body), body, properties
                )
                sent += 1
            while confirmed.count < sent:
                connection.process_data_events(time_limit=0.01)

    def take(self, queue: str) -> list[tuple[pika.BasicProperties, str, bytes]]:
        """Take all messages out of a queue: properties, routing key, body."""
        with closing(self.connect()) as connection:
            channel = connection.channel()
            taking = channel.consume(queue, auto_ack=True, inactivity_timeout=0.5)
            return [
                (properties, method.routing_key, body)
                for method, properties, body in iter(lambda: next(taking), (None, None, None))
            ]

    def count(self, queue: str) -> int:
        """How many messages of the queue are ready to be delivered."""
        with closing(self.connect(ANSWER_S)) as connection:
            return connection.channel().queue_declare(queue, passive=True).method.message_count

    def forget(self, *queues: str, exchanges: Iterable[str] = ()) -> None:
        """Delete queues and exchanges, those that are there."""
        with closing(self.connect(ANSWER_S)) as connection:
            channel = connection.channel()
            for queue in queues:
                channel.queue_delete(queue)
            for exchange in exchanges:
                channel.exchange_delete(exchange)


@contextmanager
def new_broker(url: str) -> Iterator[Broker]:
    """The broker with an exchange name of its own; what it names is deleted after."""
    broker = Broker(url)
    try:
        yield broker
    finally:
        stems = [broker.exchange, f"{broker.exchange}.stream"]
        queues = [f"{stem}.{number}" for stem in stems for number in range(5)]
        broker.forget(*queues, exchanges=[broker.exchange, *(f"{stem}.hash" for stem in stems)])


def empty_topics(broker: Broker) -> None:
    """Delete the queues and exchanges of all results."""
    topics = [*RESULT_TOPICS, *BETWEEN_TOPICS]
    broker.forget(*topics, exchanges=topics)


def make_topics(broker: Broker) -> None:
    """Declare the exchanges and queues of all results, as a flow does when it starts."""
    built = open_sink(broker.url, ConnectorSettings()).build("/farwatch/test")
    [name] = built.list_parts()
    built.build_part("results", name, None).close()


class _Confirmed:
    """The confirms of a channel, which the blocking one would wait for after each message."""

    def __init__(self, channel: pika.channel.Channel) -> None:
        self._all_to = 0
        self._beyond: set[int] = set()
        channel.confirm_delivery(self._settle)

    @property
    def count(self) -> int:
        return self._all_to + len(self._beyond)

    def _settle(self, answer: pika.frame.Method) -> None:
        assert isinstance(answer.method, pika.spec.Basic.Ack), "the broker did not take a message"
        if not answer.method.multiple:
            self._beyond.add(answer.method.delivery_tag)
        elif answer.method.delivery_tag > self._all_to:
            self._all_to = answer.method.delivery_tag
            self._beyond = {tag for tag in self._beyond if tag > self._all_to}


def _give_up_after(limit_s: float, connection: pika.SelectConnection) -> None:
    error = pika.exceptions.StreamLostError(f"the broker has not answered after {limit_s:g} s")
    connection.ioloop.call_later(limit_s, lambda: connection._terminate_stream(error))


def _key(body: bytes) -> str:
    try:
        record = json.loads(body.splitlines()[0])
    except (ValueError, IndexError):
        return "auv.telemetry"
    return f"auv.telemetry.{record.get('vehicle_id')}" if isinstance(record, dict) else "auv"
