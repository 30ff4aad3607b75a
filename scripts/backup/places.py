"""How each kind of place is copied, and put back where there is none."""

import filecmp
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from types import MappingProxyType
from typing import Final

from connectors.contract import RefusedError, SettingsError
from connectors.paths import url_path
from connectors.postgres.server import Server

TIMEOUT_S: Final = 30.0
_DUMP: Final = "database.dump"


def copy_place(url: str, into: Path) -> str:
    """Copy what a URL names to the folder ``into``; why not, empty where it is done.

    Raises:
        SettingsError: it cannot be read.
        RefusedError: a program of PostgreSQL says no.
    """
    scheme = url.partition(":")[0]
    if scheme in WHY_NOT:
        return WHY_NOT[scheme]
    into.mkdir(parents=True)
    _COPY[scheme](url, into)
    return ""


def restore_place(url: str, source: Path) -> None:
    """Put back what ``copy_place`` wrote to where a URL names, where there must be nothing yet.

    Raises:
        SettingsError: there is something, or it cannot be written.
        RefusedError: a program of PostgreSQL says no.
    """
    _RESTORE[url.partition(":")[0]](url, source)


def _copy_sqlite(url: str, into: Path) -> None:
    path = url_path(url)
    if not path.is_file():
        return
    try:
        with (
            closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)) as source,
            closing(sqlite3.connect(into / "database.sqlite")) as target,
        ):
            source.backup(target)
    except sqlite3.Error as exc:
        raise SettingsError(f"`{url}`: cannot be copied ({exc})") from exc


def _restore_sqlite(url: str, source: Path) -> None:
    path = url_path(url)
    _refuse_there(url, path, there=path.exists())
    if (source / "database.sqlite").is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source / "database.sqlite", path)


def _copy_folder(url: str, into: Path) -> None:
    path = url_path(url)
    if path.is_dir():
        shutil.copytree(path, into, dirs_exist_ok=True)


def _restore_folder(url: str, source: Path) -> None:
    path = url_path(url)
    _refuse_there(url, path, there=path.is_dir() and any(path.iterdir()))
    shutil.copytree(source, path, dirs_exist_ok=True)


def _copy_file(url: str, into: Path) -> None:
    path = url_path(url)
    try:
        shutil.copy2(path, into / "document")
    except OSError as exc:
        raise SettingsError(f"`{url}`: cannot be copied ({exc.strerror})") from exc


def _restore_file(url: str, source: Path) -> None:
    path = url_path(url)
    there = path.exists()
    # Zones and rules are often deployed before: the same is no hindrance.
    if there and filecmp.cmp(path, source / "document", shallow=False):
        return
    _refuse_there(url, path, there=there)
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source / "document", path)


def _refuse_there(url: str, path: Path, *, there: bool) -> None:
    if there:
        raise SettingsError(f"`{url}`: `{path}` is there; restore to where there is nothing")


def _copy_postgresql(url: str, into: Path) -> None:
    words = [
        "pg_dump",
        "--format=custom",
        "--no-owner",
        "--no-privileges",
        f"--file={into / _DUMP}",
    ]
    _run(url, words)


def _restore_postgresql(url: str, source: Path) -> None:
    server = Server(url, TIMEOUT_S)
    words = ["pg_restore", "--single-transaction", "--exit-on-error", "--no-owner"]
    database = server.variables()["PGDATABASE"]
    _run(url, [*words, "--no-privileges", f"--dbname={database}", str(source / _DUMP)])


def _run(url: str, words: list[str]) -> None:
    server = Server(url, TIMEOUT_S)
    program = shutil.which(words[0])
    if program is None:
        raise SettingsError(f"`{words[0]}`: no such program; install PostgreSQL's client programs")
    done = subprocess.run(  # noqa: S603 (PostgreSQL's own program, no shell, no secret in words)
        [program, *words[1:]],
        env=os.environ | server.variables(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = "; ".join(done.stderr.strip().splitlines()[:2])
        raise RefusedError(f"`{server.name}`: {words[0]}: {said}")


_COPY: Final[Mapping[str, Callable[[str, Path], None]]] = MappingProxyType(
    {
        "dir": _copy_folder,
        "file": _copy_file,
        "postgres": _copy_postgresql,
        "postgresql": _copy_postgresql,
        "sqlite": _copy_sqlite,
    }
)
_RESTORE: Final[Mapping[str, Callable[[str, Path], None]]] = MappingProxyType(
    {
        "dir": _restore_folder,
        "file": _restore_file,
        "postgres": _restore_postgresql,
        "postgresql": _restore_postgresql,
        "sqlite": _restore_sqlite,
    }
)
_BROKER: Final = "what a broker holds is its own to keep: replicate it"
WHY_NOT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "amqp": _BROKER,
        "amqps": _BROKER,
        "kafka": _BROKER,
        "influxdb": "use `influx backup`; points that are told again are the same points",
        "redis": "live state: it is shown anew as vehicles report",
        "rediss": "live state: it is shown anew as vehicles report",
        "stdout": "nothing is kept there",
        "memory": "nothing is kept there",
    }
)
"""Scheme -> why no copy is made."""
