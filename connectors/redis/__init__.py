"""``redis://HOST:PORT/DB``: the newest state of each vehicle and who is in which zone."""

from typing import Final

from connectors.contract import Connector
from connectors.redis.sink import RedisSink, open_sink

__all__ = ["CONNECTOR", "RedisSink"]

CONNECTOR: Final = Connector(open_sink=open_sink)
