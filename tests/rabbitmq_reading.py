"""Reading RabbitMQ as the engine would, for tests of the source and of what lies behind it."""

import json
import pickle
import socket
import struct
import time
from contextlib import closing, suppress
from urllib.parse import urlsplit

from prometheus_client import REGISTRY

from connectors.contract import ConnectorSettings
from connectors.rabbitmq.address import read_url
from connectors.registry import open_source
from tests.tcp_proxy import TcpProxy

SETTINGS = ConnectorSettings(batch_rows=50, patience_s=30)


def record(number: int, vehicles: int = 5) -> bytes:
    return json.dumps({"vehicle_id": f"auv-{number % vehicles}", "timestamp": number}).encode()


def number(body: bytes) -> int:
    return json.loads(body)["timestamp"]


RECORDS = [record(n) for n in range(600)]


def through(url: str, proxy: TcpProxy) -> str:
    parts = urlsplit(url)
    return url.replace(f"{parts.hostname}:{parts.port}", f"127.0.0.1:{proxy.port}")


class Reading:
    """A partition driven as Bytewax would: epochs end, and are committed, where the test says."""

    def __init__(self, url, state=None, settings=SETTINGS, part=0):
        self.source = open_source(url, settings)
        self.source.check()
        built = self.source.build()
        self.name = built.list_parts()[part]
        self.part = built.build_part("telemetry", self.name, state)
        self.longest_s = 0.0

    def take(self, at_least: int, in_one_epoch: bool = False) -> list[bytes]:
        """Bodies until there are so many, or the source ends.

        An epoch ends, and is committed, whenever nothing comes for a moment, unless all are to be
        of one.
        """
        found: list[bytes] = []
        deadline = time.monotonic() + 20
        while len(found) < at_least:
            began = time.monotonic()
            try:
                batch = [message.body for message in self.part.next_batch()]
            except StopIteration:
                return found
            self.longest_s = max(self.longest_s, time.monotonic() - began)
            found += batch
            if not batch and not in_one_epoch:
                self.part.snapshot()
            assert time.monotonic() < deadline, f"only {len(found)} messages came"
        return found

    def take_all(self) -> list[bytes]:
        """Bodies to the end of the source."""
        return self.take(1_000_000)

    def snapshot(self):
        return pickle.loads(pickle.dumps(self.part.snapshot()))

    def die(self):
        self.part.close()


def eventually(holds, within_s: float = 60.0) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)  # noqa: TID251 (a test that waits for the broker)


class SilentProxy(TcpProxy):
    """Keeps from the client the methods (class, method) of AMQP that are in ``kept``."""

    kept: frozenset[tuple[int, int]] = frozenset()

    def _pass_back(self, read, write):
        with closing(read), suppress(OSError), read.makefile("rb") as frames:
            while head := frames.read(7):
                rest = frames.read(int.from_bytes(head[3:], "big") + 1)
                method = struct.unpack_from(">HH", rest) if head[0] == 1 else None
                if method not in self.kept:
                    write.sendall(head + rest)
            write.shutdown(socket.SHUT_RDWR)


def shown(url: str, state: str) -> bool:
    """Whether the metrics show the broker in this state."""
    labels = {"target": read_url(url, ())[0].name, "state": state}
    return REGISTRY.get_sample_value("farwatch_far_side_state", labels) == 1
