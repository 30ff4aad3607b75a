"""A certificate authority of our own, for servers and clients of development and tests."""

import fcntl
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scripts.servers.errors import ServerError
from scripts.servers.processes import find_program

_KEY: Final = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650"
_NAMES: Final = "-addext subjectAltName=IP:127.0.0.1,DNS:localhost"
# Without these extensions a server that is strict takes a certificate for one of an authority.
_LEAF: Final = "-addext basicConstraints=critical,CA:FALSE"


@dataclass(frozen=True, slots=True)
class Authority:
    """Certificates and keys, all PEM files of ``folder``, made where absent.

    ``ca`` signed all; ``server``, ``server_key``: of 127.0.0.1 and localhost; ``client``,
    ``client_key``: of the user ``farwatch``; ``server_chain``: key and certificates in one file.
    """

    folder: Path

    @property
    def ca(self) -> Path:
        """The certificate to trust."""
        return self.folder / "ca.pem"

    @property
    def server(self) -> Path:
        """The servers' certificate."""
        return self.folder / "server.pem"

    @property
    def server_key(self) -> Path:
        """The servers' key."""
        return self.folder / "server.key"

    @property
    def server_chain(self) -> Path:
        """The servers' key, their certificate and the authority's, as Kafka takes them."""
        return self.folder / "server-chain.pem"

    @property
    def client(self) -> Path:
        """The clients' certificate."""
        return self.folder / "client.pem"

    @property
    def client_key(self) -> Path:
        """The clients' key."""
        return self.folder / "client.key"

    def make(self) -> "Authority":
        """Make what is not there.

        Raises:
            ServerError: openssl is absent or fails.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        # Servers are started side by side, and each asks for it.
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self.server_chain.exists():
                self._make()
        return self

    def _make(self) -> None:
        ca_key = self.folder / "ca.key"
        _openssl(f"req -x509 {_KEY} -subj /CN=farwatch-authority -keyout {ca_key} -out {self.ca}")
        signed = f"req -x509 -CA {self.ca} -CAkey {ca_key} {_KEY} {_LEAF}"
        for name, more in (("localhost", _NAMES), ("farwatch", "")):
            key, pem = (
                (self.server_key, self.server)
                if name == "localhost"
                else (self.client_key, self.client)
            )
            _openssl(f"{signed} -subj /CN={name} {more} -keyout {key} -out {pem}")
        parts = (self.server_key, self.server, self.ca)
        self.server_chain.touch(mode=0o600)
        self.server_chain.write_text("".join(path.read_text() for path in parts))


def _openssl(words: str) -> None:
    openssl = find_program("openssl")
    if openssl is None:
        raise ServerError("openssl: install it first")
    done = subprocess.run(  # noqa: S603 (the system's own program, no shell)
        [openssl, *words.split()], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ServerError(f"openssl failed: {done.stderr[-300:]}")
