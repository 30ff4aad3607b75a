"""RabbitMQ with streams, the consistent-hash exchange, the management API and its metrics."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pika
from pika.exceptions import AMQPError

from scripts.servers.contract import HOST, Server
from scripts.servers.errors import ServerError
from scripts.servers.processes import find_program

# Debian's programs themselves: the ones on the search path switch to the user rabbitmq.
_PROGRAMS = Path("/usr/lib/rabbitmq/bin")
_PLUGINS = (
    "rabbitmq_management",
    "rabbitmq_prometheus",
    "rabbitmq_stream",
    "rabbitmq_stream_management",
    "rabbitmq_consistent_hash_exchange",
    "rabbitmq_sharding",
)
# Schedulers that sleep when idle instead of spinning, and a distribution port on loopback only.
_ERLANG = "+sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}"

MEMORY = "1GB"
"""From so much memory on the node takes no messages."""


class RabbitmqServer(Server):
    """One RabbitMQ node and the Erlang port mapper it registers with."""

    name = "rabbitmq"
    preferred_ports: ClassVar[Mapping[str, int]] = {
        "amqp": 25672,
        "management": 25673,
        "metrics": 25674,
        "stream": 25552,
        "distribution": 25692,
        "epmd": 24369,
        "tls": 25671,
    }
    programs = ("epmd", "rabbitmq")

    @property
    def url(self) -> str:
        """The virtual host / for the user guest."""
        return f"amqp://guest:guest@{HOST}:{self.port}/"

    @property
    def addresses(self) -> Mapping[str, str]:
        """The other protocols."""
        ports = self.ports
        return {
            "management": f"http://guest:guest@{HOST}:{ports['management']}/",
            "metrics": f"http://{HOST}:{ports['metrics']}/metrics",
            "tls": f"amqps://guest:guest@{HOST}:{ports['tls']}/",
            "stream": f"rabbitmq-stream://guest:guest@{HOST}:{ports['stream']}/",
        }

    def packages(self) -> Mapping[str, bool]:
        """Debian's server, which brings Erlang."""
        server = (_PROGRAMS / "rabbitmq-server").exists()
        return {"rabbitmq-server": server and find_program("epmd") is not None}

    def launch(self) -> None:
        """Write its settings, start the port mapper and the node."""
        ports = self.ports
        trust = self.authority.make()
        (self.folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = {HOST}:{ports['amqp']}\n"
            f"management.tcp.ip = {HOST}\nmanagement.tcp.port = {ports['management']}\n"
            f"prometheus.tcp.ip = {HOST}\nprometheus.tcp.port = {ports['metrics']}\n"
            f"stream.listeners.tcp.1 = {HOST}:{ports['stream']}\n"
            f"stream.advertised_host = {HOST}\nstream.advertised_port = {ports['stream']}\n"
            f"listeners.ssl.1 = {HOST}:{ports['tls']}\n"
            f"ssl_options.cacertfile = {trust.ca}\nssl_options.certfile = {trust.server}\n"
            f"ssl_options.keyfile = {trust.server_key}\nssl_options.verify = verify_peer\n"
            "ssl_options.fail_if_no_peer_cert = true\n"
            f"disk_free_limit.absolute = 50MB\nvm_memory_high_watermark.absolute = {MEMORY}\n"
            "log.console = true\nlog.console.level = info\nlog.file = false\n"
        )
        (self.folder / "enabled_plugins").write_text(f"[{','.join(_PLUGINS)}].\n")
        # Without -daemon it stays in the foreground, as a process of ours that ends with `down`.
        mapper = [find_program("epmd") or "", "-port", str(ports["epmd"]), "-address", HOST]
        self.spawn("epmd", mapper)
        self.spawn("rabbitmq", [str(_PROGRAMS / "rabbitmq-server")], self._environment())

    def answers(self) -> bool:
        """A channel opens."""
        try:
            with pika.BlockingConnection(pika.URLParameters(self.url)) as connection:
                connection.channel()
        except (AMQPError, OSError):
            return False
        return True

    def control(self, *words: str) -> None:
        """Run `rabbitmqctl` at this node.

        Raises:
            ServerError: it fails; what it says is in the message.
        """
        done = subprocess.run(  # noqa: S603 (the broker's own program, no shell)
            [str(_PROGRAMS / "rabbitmqctl"), *words],
            env={**os.environ, **self._environment()},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        if done.returncode:
            raise ServerError(f"{self.name}: rabbitmqctl {words[0]}: {done.stderr[-300:]}")

    def limit_memory(self, size: str = MEMORY) -> None:
        """The memory from which on it takes no messages, such as `1MB`."""
        self.control("set_vm_memory_high_watermark", "absolute", size)

    def _environment(self) -> dict[str, str]:
        folder = str(self.folder)
        return {
            "HOME": folder,  # holds the Erlang cookie
            "RABBITMQ_NODENAME": "farwatch@localhost",
            "RABBITMQ_DIST_PORT": str(self.ports["distribution"]),
            "ERL_EPMD_PORT": str(self.ports["epmd"]),
            "ERL_EPMD_ADDRESS": HOST,
            "RABBITMQ_MNESIA_BASE": f"{folder}/data",
            "RABBITMQ_LOG_BASE": folder,
            "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/enabled_plugins",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": _ERLANG,
            # Makes the script become the node, so that signals reach it and not a shell.
            "RUNNING_UNDER_SYSTEMD": "true",
        }
