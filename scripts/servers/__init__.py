"""Servers for development and tests, as containers or from the machine's own packages."""

from pathlib import Path

from scripts.servers.containers import Container, engine_runs
from scripts.servers.contract import Server
from scripts.servers.influxdb import InfluxdbServer
from scripts.servers.kafka import KafkaServer
from scripts.servers.postgresql import PostgresqlServer
from scripts.servers.rabbitmq import RabbitmqServer
from scripts.servers.redis import RedisServer

_FOLDER = Path(__file__).resolve().parents[2] / ".services"
_KINDS = (RabbitmqServer, KafkaServer, PostgresqlServer, RedisServer, InfluxdbServer)

SERVERS: dict[str, Server] = {
    kind.name: Container(kind(_FOLDER)) if engine_runs() else kind(_FOLDER) for kind in _KINDS
}
