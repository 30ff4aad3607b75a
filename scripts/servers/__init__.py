"""Servers for development and tests, each from the machine's own packages; see ``__main__``."""

from pathlib import Path

from scripts.servers.contract import Server
from scripts.servers.postgresql import PostgresqlServer
from scripts.servers.rabbitmq import RabbitmqServer
from scripts.servers.redis import RedisServer

FOLDER = Path(__file__).resolve().parents[2] / ".services"

SERVERS: dict[str, Server] = {
    kind.name: kind(FOLDER) for kind in (RabbitmqServer, PostgresqlServer, RedisServer)
}
