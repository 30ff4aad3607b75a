"""Redis with its append-only file on, so that what it acknowledged outlives a kill."""

from collections.abc import Mapping
from typing import ClassVar

from redis import Redis, RedisError

from scripts.servers.contract import HOST, Server
from scripts.servers.processes import find_program


class RedisServer(Server):
    """One Redis server."""

    name = "redis"
    preferred_ports: ClassVar[Mapping[str, int]] = {"redis": 26379}
    programs = ("redis",)

    @property
    def url(self) -> str:
        """Database 0."""
        return f"redis://{HOST}:{self.port}/0"

    def packages(self) -> Mapping[str, bool]:
        """Debian's server."""
        return {"redis-server": find_program("redis-server") is not None}

    def launch(self) -> None:
        """Start it; all settings are words of the command."""
        self.spawn(
            "redis",
            [
                *(find_program("redis-server") or "", "--bind", HOST, "--port", str(self.port)),
                *("--dir", str(self.folder), "--appendonly", "yes", "--save", ""),
            ],
        )

    def answers(self) -> bool:
        """A ping comes back (not before its file is read)."""
        with Redis(host=HOST, port=self.port, socket_timeout=2) as client:
            try:
                return bool(client.ping())
            except RedisError:
                return False
