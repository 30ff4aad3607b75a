"""``kafka://``: telemetry from a Kafka topic, results to Kafka topics."""

from typing import Final

from connectors.contract import Connector
from connectors.kafka.sink import KafkaSink
from connectors.kafka.source import KafkaSource
from connectors.kafka.telemetry import TelemetryPublisher, TopicSubscription

CONNECTOR: Final = Connector(
    open_source=KafkaSource,
    open_sink=KafkaSink,
    open_publisher=TelemetryPublisher,
    open_subscription=TopicSubscription,
)
