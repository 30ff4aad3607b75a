"""PostgreSQL: the newest of Debian's that is installed, with its own durable settings."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import psycopg

from scripts.servers.contract import HOST, Server, drop_rights
from scripts.servers.errors import ServerError
from scripts.servers.processes import find_program, has_ended

_USER = "postgres"
_VERSIONS = Path("/usr/lib/postgresql")


class PostgresqlServer(Server):
    """One PostgreSQL cluster; root runs it as the user postgres, since it refuses root."""

    name = "postgresql"
    preferred_ports: ClassVar[Mapping[str, int]] = {"postgresql": 25432}
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
        if not (self._data / "PG_VERSION").exists():
            self._make()
        data = self._data
        self._clear_lock(data / "postmaster.pid")
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

    def _clear_lock(self, lock: Path) -> None:
        """Remove the lock of a killed server.

        PostgreSQL itself would take an ended process that nobody has cleared (a container without
        an init process) for one that runs.
        """
        if lock.exists() and has_ended(int(lock.read_text().split()[0])):
            lock.unlink()

    def delete(self) -> None:
        """Delete the cluster too where it lies elsewhere."""
        shutil.rmtree(self._data, ignore_errors=True)
        super().delete()

    @property
    def _data(self) -> Path:
        return (self.folder / "data").resolve()

    def _make(self) -> None:
        shutil.rmtree(self._data, ignore_errors=True)  # what a start cut short left
        if _may_enter(self.folder):
            self._data.mkdir(mode=0o700)
        else:  # a checkout below a private folder, such as root's home
            elsewhere = tempfile.mkdtemp(prefix="farwatch-postgresql-", dir="/var/tmp")
            (self.folder / "data").unlink(missing_ok=True)
            (self.folder / "data").symlink_to(elsewhere)
        data = self._data
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


def _may_enter(folder: Path) -> bool:
    """Whether the user the server runs as gets into a folder of this checkout."""
    probe = [*drop_rights(_USER), find_program("test") or "test", "-x", str(folder)]
    return subprocess.run(probe, check=False, cwd="/").returncode == 0  # noqa: S603 (the same)


def _versions() -> list[Path]:
    """Folders of programs, the newest version last."""
    found = _VERSIONS.glob("*/bin/postgres")
    return sorted((path.parent for path in found), key=lambda path: float(path.parent.name))
