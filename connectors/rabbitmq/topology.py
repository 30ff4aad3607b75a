"""Exchanges and queues, declared the same way every time: all durable, all safe to repeat.

Telemetry: a topic exchange of the topic's name, an exchange that hashes behind it, and N quorum
queues (or streams) behind that, so that a vehicle (its routing key) stays on one queue.
Results: a topic exchange of the topic's name, and a quorum queue of that name that keeps events
until somebody reads them.
"""

from collections.abc import Iterable
from typing import Any, Final

from connectors.rabbitmq.address import Address
from connectors.rabbitmq.errors import AbsentError, UnlikeError
from connectors.rabbitmq.link import Link, opened

STABLE, RING = "x-modulus-hash", "x-consistent-hash"
"""Exchanges that hash. The first numbers its queues by their names. The ring of the second is made
anew when the broker starts, in any order (RabbitMQ 3.10): vehicles then change queues, and what
comes next of them may be read before what waits in the queue before."""
EVERYTHING: Final = "#"
ONE_SHARE: Final = "1"
"""As the binding key of a ring: each queue gets the same share."""

QUORUM: Final[dict[str, Any]] = {"x-queue-type": "quorum"}
# One consumer at a time keeps the order while a process takes over from another. RabbitMQ 4
# throws messages away after 20 deliveries unless told otherwise; a flow that is killed often
# would lose what it has not taken yet.
SHARD: Final[dict[str, Any]] = QUORUM | {
    "x-single-active-consumer": True,
    "x-delivery-limit": 1_000_000,
}


def shard_names(exchange: str, queues: int, *, streams: bool) -> list[str]:
    """The names of the queues (or streams) behind a telemetry exchange."""
    return [f"{_stem(exchange, streams=streams)}.{number}" for number in range(queues)]


def hash_name(exchange: str, *, streams: bool) -> str:
    """The name of the exchange that hashes, behind a telemetry exchange."""
    return f"{_stem(exchange, streams=streams)}.hash"


def declare_hash(address: Address, timeout_s: float, exchange: str, *, streams: bool) -> str:
    """Declare the exchange that hashes; its type: stable where the broker knows that.

    One that is there keeps its type.

    Raises:
        ConnectorError: unavailable, or refused.
    """
    name = hash_name(exchange, streams=streams)
    with opened(address, timeout_s) as link:
        try:
            _declare_exchange(link, name, STABLE)
        except UnlikeError:
            pass
        else:
            return STABLE
    with opened(address, timeout_s) as link:
        _declare_exchange(link, name, RING)
    return RING


def declare_telemetry(
    link: Link, exchange: str, queues: int, hash_kind: str, stream_max_age: str | None = None
) -> None:
    """Declare exchange, hash exchange and queues; streams where ``stream_max_age`` is given.

    ``hash_kind``: as ``declare_hash`` says.

    Raises:
        ConnectorError: unavailable, or refused: what is there is not of this form.
    """
    streams = stream_max_age is not None
    hashing = hash_name(exchange, streams=streams)
    arguments = SHARD if stream_max_age is None else _stream(stream_max_age)
    names = shard_names(exchange, queues, streams=streams)
    channel = link.channel
    _declare_exchange(link, exchange, "topic")
    _declare_exchange(link, hashing, hash_kind)
    for name in names:
        link.call(channel.queue_declare, queue=name, durable=True, arguments=arguments)
        link.call(channel.queue_bind, queue=name, exchange=hashing, routing_key=ONE_SHARE)
    # Last, so that nothing is hashed before all queues take their share.
    link.call(
        channel.exchange_bind,
        destination=hashing,
        source=exchange,
        routing_key=EVERYTHING,
    )


def declare_results(link: Link, topics: Iterable[str], *, keep: bool) -> None:
    """Declare an exchange a topic and, with ``keep``, the queue that keeps its events."""
    for topic in topics:
        _declare_exchange(link, topic, "topic")
        if keep:
            call = link.call
            call(link.channel.queue_declare, queue=topic, durable=True, arguments=QUORUM)
            call(link.channel.queue_bind, queue=topic, exchange=topic, routing_key=EVERYTHING)


def is_there(link: Link, queue: str) -> bool:
    """Whether there is a queue of that name; the link is of no more use where there is none.

    Raises:
        ConnectorError: the broker does not say.
    """
    try:
        link.call(link.channel.queue_declare, queue=queue, passive=True)
    except AbsentError:
        return False
    return True


def _declare_exchange(link: Link, name: str, kind: str) -> None:
    link.call(link.channel.exchange_declare, exchange=name, exchange_type=kind, durable=True)


def _stem(exchange: str, *, streams: bool) -> str:
    return f"{exchange}.stream" if streams else exchange


def _stream(max_age: str) -> dict[str, Any]:
    return {"x-queue-type": "stream", "x-max-age": max_age}
