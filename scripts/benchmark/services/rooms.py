"""Where a measured run has a broker for itself: a virtual host, or topics of a prefix."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import quote, urlsplit
from uuid import uuid4

import urllib3
from confluent_kafka.admin import AdminClient

from scripts.servers import SERVERS

EXCHANGE: Final = "auv_telemetry"
ECHO: Final = "echo"


class Room(ABC):
    """``telemetry``: URL of a source that never ends, of one queue or partition a process.

    ``results``: URL of a sink; ``alerts``: URL of a subscription to what it tells. ``publish``: URL
    for a publisher of that telemetry; ``echo``: one for the topic ``ECHO``, heard of by ``alerts``.
    """

    telemetry: str
    results: str
    alerts: str
    publish: str
    echo: str

    @property
    @abstractmethod
    def to_the_end(self) -> str:
        """URL of the source that ends when all was read."""

    @abstractmethod
    def open(self) -> None:
        """Make it."""

    @abstractmethod
    def close(self) -> None:
        """Delete it with all that it holds."""


class RabbitRoom(Room):
    """A virtual host of its own."""

    def __init__(self) -> None:
        server = SERVERS["rabbitmq"]
        self._host = f"bench-{uuid4().hex[:8]}"
        management = urlsplit(server.addresses["management"])
        self._login = f"{management.username}:{management.password}"
        self._api = f"http://{management.hostname}:{management.port}/api"
        self.results = self.alerts = f"{server.url.rstrip('/')}/{self._host}"
        self.telemetry = self.publish = f"{self.results}?exchange={EXCHANGE}&queues=1"
        self.echo = f"{self.results}?exchange={ECHO}&queues=1"

    @property
    def to_the_end(self) -> str:
        """URL of the source that ends when all was read."""
        return f"{self.telemetry}&until=end"

    @property
    def queue(self) -> str:
        """The queue of the telemetry."""
        return f"{EXCHANGE}.0"

    def open(self) -> None:
        """Make the virtual host and let the user in."""
        self._ask("PUT", f"/vhosts/{self._host}")
        user = quote(self._login.partition(":")[0])
        everything = '{"configure":".*","write":".*","read":".*"}'
        self._ask("PUT", f"/permissions/{self._host}/{user}", everything)

    def close(self) -> None:
        """Delete the virtual host."""
        self._ask("DELETE", f"/vhosts/{self._host}")

    def _ask(self, method: str, path: str, body: str = "{}") -> None:
        headers = urllib3.make_headers(basic_auth=self._login)
        headers["content-type"] = "application/json"
        answer = urllib3.request(method, self._api + path, body=body, headers=headers)
        if answer.status >= 300:
            raise OSError(f"RabbitMQ management: {method} {path}: {answer.status}")


class KafkaRoom(Room):
    """Topics whose names begin with a prefix of its own; one partition of telemetry."""

    def __init__(self) -> None:
        self._server = SERVERS["kafka"].url
        self._prefix = f"bench-{uuid4().hex[:8]}-"
        self.telemetry = f"{self._server}/{self.topic}?group={self._prefix}"
        self.alerts = f"{self._server}/{self._prefix}"
        self.results = f"{self.alerts}?create=1"
        self.publish = f"{self._server}/{self.topic}?create=1"
        self.echo = f"{self.alerts}{ECHO}?create=1"

    @property
    def topic(self) -> str:
        """The topic of the telemetry."""
        return f"{self._prefix}{EXCHANGE}"

    @property
    def brokers(self) -> str:
        """The brokers, as clients are told them."""
        return self._server.removeprefix("kafka://")

    @property
    def to_the_end(self) -> str:
        """URL of the source that ends when all was read."""
        return f"{self.telemetry}&until=end"

    def open(self) -> None:
        """Nothing: topics are made when they are first used."""

    def close(self) -> None:
        """Delete the topics."""
        client = AdminClient({"bootstrap.servers": self.brokers})
        topics = [name for name in client.list_topics(timeout=10).topics if self._prefix in name]
        for future in client.delete_topics(topics).values() if topics else ():
            future.result(30)


ROOMS: Final[dict[str, type[Room]]] = {"rabbitmq": RabbitRoom, "kafka": KafkaRoom}


@contextmanager
def room_of(broker: str) -> Iterator[Room]:
    """A room of the broker, deleted afterwards."""
    room = ROOMS[broker]()
    room.open()
    try:
        yield room
    finally:
        room.close()
