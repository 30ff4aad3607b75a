"""Debian packages: what `up` installs where it may."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from scripts.servers.errors import ServerError
from scripts.servers.processes import find_program

# Debian asks this script before a package starts its daemon; 101 means: do not.
_POLICY = Path("/usr/sbin/policy-rc.d")


def can_install() -> bool:
    """Whether this user may install Debian packages here."""
    return os.getuid() == 0 and find_program("apt-get") is not None


def install(names: Sequence[str]) -> None:
    """Install packages without starting the daemons they bring.

    Raises:
        ServerError: apt-get failed; its last words are in the message.
    """
    with _no_daemons():
        for words in (
            ["update", "-qq"],
            ["install", "-y", "-qq", "--no-install-recommends", *names],
        ):
            done = subprocess.run(  # noqa: S603 (the system's own program, no shell)
                [find_program("apt-get") or "apt-get", *words],
                env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise ServerError(f"apt-get {' '.join(words)}: {done.stderr.strip()[-500:]}")


@contextmanager
def _no_daemons() -> Iterator[None]:
    if _POLICY.exists():
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        with suppress(FileNotFoundError):
            _POLICY.unlink()
