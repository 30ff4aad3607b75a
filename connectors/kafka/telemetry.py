"""Telemetry to a topic and messages from one, outside any flow."""

from collections.abc import Iterator
from typing import Final
from uuid import uuid4

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

from connectors.contract import ConnectorSettings, RefusedError
from connectors.kafka.address import Address
from connectors.kafka.cluster import create, settings_refused, topics
from connectors.kafka.errors import Trouble, translated, translating
from connectors.kafka.publisher import Publisher
from connectors.kafka.sink import MAX_MESSAGE_BYTES

CONTENT_TYPE: Final = b"application/json"
START: Final = ("latest", "earliest")
"""Values of the option ``start`` of a subscription, the default first."""
WAIT_S: Final = 0.1
AT_ONCE: Final = 500


class TelemetryPublisher:
    """Publishes to the topic of the URL; the vehicle is the key, so it keeps its partition.

    ``create=N`` makes a missing topic with N partitions; without it the topic must be there.

    Raises, when made: SettingsError for a URL without a topic, one that is not there, or brokers
    that cannot be used.
    """

    def __init__(self, url: str, settings: ConnectorSettings) -> None:
        self._address = address = Address.of(url, ("create", "max_message_bytes"))
        if not address.name:
            raise address.wrong("names no topic", "write `kafka://HOST:PORT/TOPIC`")
        partitions = address.count("create", 0)
        if address.name not in topics(address, settings.timeout_s):
            if not partitions:
                raise address.wrong(
                    f"there is no topic `{address.name}`",
                    "create it, or add `create=PARTITIONS` to the URL",
                )
            create(address, [address.name], partitions, settings.timeout_s)
        most = address.count("max_message_bytes", MAX_MESSAGE_BYTES)
        self._publisher = Publisher(address, most, settings)

    def publish(self, body: bytes, key: str) -> None:
        """Hand over one message; waits while the client's queue is full."""
        self._publisher.send(self._address.name, key, body, uuid4().hex, CONTENT_TYPE)

    def flush(self) -> None:
        """Return when all in-sync replicas have everything."""
        if too_large := self._publisher.finish():
            raise RefusedError(f"`{self._address.shown}`: {too_large[0].reason}")

    def close(self) -> None:
        """The client closes itself."""


class TopicSubscription:
    """The messages of a topic (its name behind the PREFIX of the URL), of all its partitions.

    From now on, or with ``start=earliest`` all there are; no group learns of it.

    Raises, when made: SettingsError for a topic that is not there or brokers that cannot be used.
    """

    def __init__(self, url: str, topic: str, settings: ConnectorSettings) -> None:
        address = Address.of(url, ("start",))
        name = address.name + topic
        from_now = address.choice("start", START) == "latest"
        partitions = topics(address, settings.timeout_s).get(name)
        if partitions is None:
            raise address.wrong(f"there is no topic `{name}`", "check its name")
        self._where = address.shown
        self._trouble = Trouble(address.shown)
        try:
            self._consumer = Consumer(
                {
                    **address.client(self._trouble),
                    "group.id": "farwatch",
                    "enable.auto.commit": False,
                    "auto.offset.reset": "latest",
                }
            )
        except KafkaException as exc:
            raise settings_refused(address, exc) from exc
        with translating(self._where):
            places = [
                TopicPartition(name, number, OFFSET_BEGINNING) for number in range(partitions)
            ]
            if from_now:
                # Asked for now: the client would look where the end is only some time later.
                for place in places:
                    place.offset = self._consumer.get_watermark_offsets(
                        place, timeout=settings.timeout_s
                    )[1]
            self._consumer.assign(places)

    def bodies(self) -> Iterator[bytes | None]:
        """Each message's body, in the order of its partition, for ever."""
        while True:
            with translating(self._where):
                # Waits until it has as many as asked for: for the first one only.
                messages = self._consumer.consume(1, WAIT_S)
                messages += self._consumer.consume(AT_ONCE, 0) if messages else []
            self._trouble.raise_refused()
            for message in messages:
                if (error := message.error()) is not None:
                    raise translated(error, self._where)
                yield message.value() or b""
            if not messages:
                yield None

    def close(self) -> None:
        """Close the client."""
        self._consumer.close()
