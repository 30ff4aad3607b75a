"""``amqp://USER@HOST:PORT/VHOST`` and ``amqps://``: telemetry and results over RabbitMQ."""

from typing import Final

from connectors.contract import Connector
from connectors.rabbitmq.sink import RabbitSink
from connectors.rabbitmq.source import RabbitSource
from connectors.rabbitmq.telemetry import TelemetryPublisher, TopicSubscription

CONNECTOR: Final = Connector(
    open_source=RabbitSource,
    open_sink=RabbitSink,
    open_publisher=TelemetryPublisher,
    open_subscription=TopicSubscription,
)
