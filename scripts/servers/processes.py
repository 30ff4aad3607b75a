"""Processes that outlive the command that starts them, found again by their pid files.

A pid file holds the process id and the moment it started (in clock ticks since boot), so that a
number that another process got later is never taken for ours. Linux only (/proc).
"""

import os
import shutil
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"


class Process(NamedTuple):
    """One process, told from a later one of the same number by its start."""

    pid: int
    started_ticks: int


def find_program(name: str) -> str | None:
    """Path of a program; also where only root's search path looks."""
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:{_SBIN}")


def spawn(
    words: Sequence[str], pid_file: Path, log: Path, environment: Mapping[str, str] | None = None
) -> None:
    """Start a process in a session of its own, its output appended to ``log``.

    Not ``subprocess``: its objects insist on being waited for, and these processes outlive us.
    """
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    pid = os.posix_spawn(
        words[0],
        list(words),
        {**os.environ, **(environment or {})},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), append, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
    started = _stat(pid)
    pid_file.write_text(f"{pid} {started.started_ticks if started else 0}\n")


def running(pid_file: Path) -> Process | None:
    """The process of a pid file, or None when it has ended."""
    try:
        pid, started_ticks = map(int, pid_file.read_text().split())
    except (FileNotFoundError, ValueError):
        return None
    process = Process(pid, started_ticks)
    return process if _lives(process) else None


def has_ended(pid: int) -> bool:
    """Whether a process is gone, or only an entry that nobody has cleared."""
    found = _stat(pid)
    return found is None or found.ended


def stop(pid_file: Path, signal_number: int, patience_s: float) -> None:
    """Ask a process to end; after ``patience_s`` kill it and all its children."""
    process = running(pid_file)
    if process is not None:
        family = _family(process)
        os.kill(process.pid, signal_number)
        wait_until(lambda: not any(map(_lives, family)), patience_s)
        _kill(family)
    pid_file.unlink(missing_ok=True)


def kill(pid_file: Path) -> None:
    """End a process and all its children at once, as a power cut would."""
    process = running(pid_file)
    if process is not None:
        _kill(_family(process))


def wait_until(done: Callable[[], bool], patience_s: float, step_s: float = 0.05) -> bool:
    """Look again and again; False when it is not so after ``patience_s``."""
    deadline = time.monotonic() + patience_s
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(step_s)  # noqa: TID251 (a command that waits for a server, no dataflow)
    return True


def _kill(family: Sequence[Process]) -> None:
    for process in filter(_lives, family):
        os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: not any(map(_lives, family)), 10, 0.01)


def _family(process: Process) -> list[Process]:
    """A process and everything it started that is still its child, parents first."""
    children: dict[int, list[Process]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (found := _stat(int(entry.name))):
            child = Process(int(entry.name), found.started_ticks)
            children.setdefault(found.parent, []).append(child)
    family = [process]
    for member in family:  # grows while it is walked
        family += children.get(member.pid, [])
    return family


def _lives(process: Process) -> bool:
    found = _stat(process.pid)
    if found is None or found.started_ticks != process.started_ticks:
        return False
    if found.ended and found.parent == os.getpid():
        os.waitpid(process.pid, os.WNOHANG)  # a child of ours: its entry is ours to clear
    return not found.ended


class _Stat(NamedTuple):
    ended: bool  # only its entry is left, which its parent has not cleared
    parent: int
    started_ticks: int


def _stat(pid: int) -> _Stat | None:
    """What /proc tells of a process; None when it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text[text.rindex(")") + 2 :].split()  # the name before it may hold blanks
    state, parent, threads, started_ticks = fields[0], *map(int, (fields[1], *fields[17:20:2]))
    # The first thread of a killed process may be gone while others still hold its ports.
    return _Stat(state == "Z" and threads <= 1, parent, started_ticks)
