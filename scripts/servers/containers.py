"""The same servers as containers of Docker Compose, where an engine runs (``compose.yaml``).

The attached `docker compose up` of a server is its process here: its output is the server's log,
and its end, asked for with SIGTERM, is that of the container.
"""

import os
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import ClassVar, Final

from scripts.servers import processes
from scripts.servers.contract import Server
from scripts.servers.errors import ServerError

COMPOSE: Final = Path(__file__).with_name("compose.yaml")
PULL_S: Final = 600.0
"""How long the first start may take to fetch an image."""
_ASK_S: Final = 10.0


@cache
def engine_runs() -> bool:
    """Whether Docker Compose is there and its engine answers."""
    docker = processes.find_program("docker")
    if docker is None:
        return False
    return _succeeds([docker, "info"]) and _succeeds([docker, "compose", "version"])


class Container(Server):
    """A server that another class describes, run from its image on the same ports.

    What it stored lies in a volume of the engine, one a checkout.
    """

    programs: ClassVar[tuple[str, ...]] = ("compose",)

    def __init__(self, described: Server) -> None:
        # Instance attributes: the names that classes of other servers have for themselves.
        self.name = described.name  # type: ignore[misc]
        self.preferred_ports = described.preferred_ports  # type: ignore[misc]
        super().__init__(described.folder.parent)
        self._described = described
        owner = blake2b(str(self.folder.parent).encode(), digest_size=4).hexdigest()
        self.project = f"farwatch-{owner}"

    @property
    def url(self) -> str:
        """As of the server it stands for."""
        return self._described.url

    @property
    def addresses(self) -> Mapping[str, str]:
        """As of the server it stands for; the images are set up without TLS and SASL."""
        described = self._described.addresses
        return {what: address for what, address in described.items() if what not in {"tls", "sasl"}}

    def packages(self) -> Mapping[str, bool]:
        """None: the image has them."""
        return {}

    def start(self, patience_s: float = PULL_S) -> bool:
        """As of every server; the first start waits for the image."""
        return super().start(patience_s)

    def launch(self) -> None:
        """Bring the container up, attached."""
        self.spawn("compose", self._words("up", "--no-color", self.name), self._environment())

    def answers(self) -> bool:
        """As of the server it stands for."""
        return self._described.answers()

    def kill(self) -> None:
        """End the container at once (SIGKILL)."""
        self._compose("kill", "-s", "SIGKILL", self.name)
        super().kill()

    def delete(self) -> None:
        """Delete the container and what it stored."""
        self._compose("rm", "-s", "-f", "-v", self.name)
        docker = processes.find_program("docker") or "docker"
        _succeeds([docker, "volume", "rm", "-f", f"{self.project}_{self.name}"])
        super().delete()

    def _compose(self, *words: str) -> None:
        done = subprocess.run(  # noqa: S603 (the engine's own program, no shell)
            self._words(*words),
            env={**os.environ, **self._environment()},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            said = " ".join(done.stderr.split())[-300:]
            raise ServerError(f"{self.name}: `docker compose {words[0]}` failed: {said}")

    def _words(self, *words: str) -> list[str]:
        docker = processes.find_program("docker") or "docker"
        return [docker, "compose", "-p", self.project, "-f", str(COMPOSE), *words]

    def _environment(self) -> dict[str, str]:
        """The ports by name, as ``compose.yaml`` asks for them; those of no concern are 0."""
        names = ("amqp", "management", "metrics", "stream", "kafka", "postgresql", "redis", "v2")
        ports = dict.fromkeys(names, 0) | self.ports
        return {name.upper(): str(ports[name]) for name in names}


def _succeeds(words: Sequence[str]) -> bool:
    try:
        return (
            subprocess.run(  # noqa: S603 (the engine's own program, no shell)
                words, capture_output=True, timeout=_ASK_S, check=False
            ).returncode
            == 0
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
