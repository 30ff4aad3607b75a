"""Results to exchanges, one a topic, confirmed by the broker before the epoch ends."""

from typing import Final

from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from connectors.contract import ConnectorSettings, RefusedError, SettingsError
from connectors.rabbitmq.address import Address
from connectors.rabbitmq.link import Link, opened
from connectors.rabbitmq.options import read_sink_url
from connectors.rabbitmq.publisher import Outgoing, Publisher
from connectors.rabbitmq.topology import declare_results, is_there
from connectors.seen import SeenIds
from schemas.delivery import Delivery
from schemas.event import cloud_event
from schemas.topics import BETWEEN_TOPICS, RESULT_TOPICS

CONTENT_TYPE: Final = "application/cloudevents+json"


class RabbitSink:
    """Results as CloudEvents, each published to the durable topic exchange of its topic's name.

    Events are kept in a quorum queue of the topic's name until somebody reads them, unless the URL
    says ``keep=no``: then only who has bound a queue gets them. Topics between flows are kept by
    the queues of the flow that reads them, which has to be started first.

    Unit of parallelism: none; one worker writes all topics, each in its order. After a restart the
    events of the last epoch may be published again, with the same ``message_id``; within one run
    each event comes once a topic. Acknowledges at the end of the epoch, when the broker has
    confirmed all of it.
    """

    def __init__(self, url: str, settings: ConnectorSettings) -> None:
        self._address, self._keep = read_sink_url(url)
        self._settings = settings

    def check(self) -> None:
        """Refuse a broker that cannot be used, or exchanges and queues there of another form."""
        try:
            for topic in RESULT_TOPICS:
                with opened(self._address, self._settings.timeout_s) as link:
                    # What is not there is declared only when the flow starts.
                    if not self._keep or is_there(link, topic):
                        declare_results(link, [topic], keep=self._keep)
        except RefusedError as exc:
            raise SettingsError(str(exc)) from exc

    def build(self, source: str) -> FixedPartitionedSink[Delivery, None]:
        """The Bytewax sink, of one partition; its exchanges and queues are declared at start."""
        return _Exchanges(self._address, self._settings, source, keep=self._keep)


class _Exchanges(FixedPartitionedSink[Delivery, None]):
    def __init__(
        self, address: Address, settings: ConnectorSettings, source: str, *, keep: bool
    ) -> None:
        self._address = address
        self._settings = settings
        self._source = source
        self._keep = keep

    def list_parts(self) -> list[str]:
        # Called once, at the start: the topics are there even if nothing happens.
        with opened(self._address, self._settings.timeout_s) as link:
            self._declare(link)
        return ["rabbitmq"]

    def part_fn(self, item_key: str) -> int:
        return 0

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> "_Told":
        settings = self._settings
        publisher = Publisher(
            self._address, settings.timeout_s, self._declare, mandatory=self._keep
        )
        publisher.connect(settings.patience_s)
        return _Told(publisher, settings.patience_s, self._source)

    def _declare(self, link: Link) -> None:
        declare_results(link, RESULT_TOPICS, keep=self._keep)
        declare_results(link, BETWEEN_TOPICS, keep=False)


class _Told(StatefulSinkPartition[Delivery, None]):
    def __init__(self, publisher: Publisher, patience_s: float, source: str) -> None:
        self._publisher = publisher
        self._patience_s = patience_s
        self._source = source
        self._seen = SeenIds()

    def write_batch(self, values: list[Delivery]) -> None:
        told = [value for value in values if not value.topic.startswith("_")]
        ids = [f"{value.topic} {value.event.message_id}".encode() for value in told]
        messages = [
            self._message(value)
            for value, new in zip(told, self._seen.first_time(ids), strict=True)
            if new
        ]
        self._publisher.publish(messages, self._patience_s)

    def snapshot(self) -> None:
        self._publisher.flush(self._patience_s)

    def close(self) -> None:
        # What no snapshot has flushed is of no committed epoch: it will be told again.
        self._publisher.close()

    def __del__(self) -> None:
        # Bytewax drops partitions without closing them when another step fails.
        self.close()

    def _message(self, delivery: Delivery) -> Outgoing:
        event = delivery.event
        # Frames between flows are of no one vehicle, but those of a key group must keep together.
        about = event.vehicle_id or event.data.get("group")
        return Outgoing(
            exchange=delivery.topic,
            routing_key=f"{delivery.topic}.{about}" if about else delivery.topic,
            message_id=event.message_id,
            content_type=CONTENT_TYPE,
            body=cloud_event(event, self._source, delivery.extensions),
            trace=delivery.trace,
        )
