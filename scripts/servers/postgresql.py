"""PostgreSQL: the newest of Debian's that is installed, with its own durable settings."""

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

import psycopg

from scripts.servers.contract import HOST, Server, ServerError, drop_rights

_USER = "postgres"
_VERSIONS = Path("/usr/lib/postgresql")


class PostgresqlServer(Server):
    """One PostgreSQL cluster; root runs it as the user postgres, since it refuses root."""

    name = "postgresql"
    preferred_ports = {"postgresql": 25432}
    programs = ("postgresql",)
    stop_signal = signal.SIGINT  # its fast way: open sessions are ended

    @property
    def url(self) -> str:
        """The database postgres for its superuser, without password."""
        return f"postgresql://{_USER}@{HOST}:{self.port}/postgres"

    def packages(self) -> Mapping[str, bool]:
        """Debian's server of whichever version."""
        return {"postgresql": bool(_versions())}

    def launch(self) -> None:
        """Make the cluster where there is none and start it."""
        data = self.folder / "data"
        if not (data / "PG_VERSION").exists():
            self._make(data)
        self.spawn(
            "postgresql",
            [
                *drop_rights(_USER),
                *(str(_versions()[-1] / "postgres"), "-D", str(data), "-p", str(self.port)),
                *("-c", f"listen_addresses={HOST}", "-c", "unix_socket_directories="),
            ],
        )

    def answers(self) -> bool:
        """A query is answered (not before recovery is done)."""
        try:
            with psycopg.connect(self.url, connect_timeout=2) as connection:
                return connection.execute("SELECT 1").fetchone() == (1,)
        except psycopg.OperationalError:
            return False

    def _make(self, data: Path) -> None:
        shutil.rmtree(data, ignore_errors=True)  # what a start cut short left
        data.mkdir(mode=0o700)
        if os.getuid() == 0:
            shutil.chown(data, _USER, _USER)
        made = subprocess.run(  # noqa: S603 (Debian's own program, no shell)
            [
                *drop_rights(_USER),
                *(str(_versions()[-1] / "initdb"), "-D", str(data), "-U", _USER, "-A", "trust"),
                *("--no-sync", "-E", "UTF8", "--locale=C.UTF-8"),
            ],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
        )
        if made.returncode:
            raise ServerError(f"{self.name}: initdb failed: {made.stderr.strip()}")


def _versions() -> list[Path]:
    """Folders of programs, the newest version last."""
    found = _VERSIONS.glob("*/bin/postgres")
    return sorted((path.parent for path in found), key=lambda path: float(path.parent.name))
