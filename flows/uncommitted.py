"""The recovery store as it must be when the engine resumes from it: committed snapshots only.

The engine (Bytewax 0.21.1) writes the snapshots of an epoch before it commits the epoch, and a run
that is killed in between leaves them in the store. The next run repeats that epoch, with fewer
records in it, or none; snapshots of keys it does not touch stay as they were, and from its commit
on they count as committed: a run after that resumes with states ahead of what its source has read.
"""

import fcntl
import logging
import os
import sqlite3
import stat
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

from connectors.contract import SettingsError

OURS_ALONE: Final = 0o700
"""Mode of a folder that holds pickled state: who may write there runs code in the flow."""
_log: Final = logging.getLogger(__name__)
_FIRST_EPOCH: Final = 1
_ANY: Final = "SELECT 1 FROM snaps WHERE snap_epoch >= ? LIMIT 1"
_RESUME_AT: Final = "INSERT INTO exs (ex_num, worker_count, resume_epoch) VALUES (?, ?, ?)"


def hold_store(folder: Path, process: int = 0) -> int:
    """Take the recovery store for one process of a flow and forget what no epoch committed.

    To be called before the engine opens the store. Returns the descriptor of a lock: closing it,
    or the end of the process, lets the store go. Every process of a cluster calls it; that the
    others of a killed run may still be ending does no harm. A folder of this user that others may
    enter is closed to them; of somebody else's that all may write to, the log has a warning.

    Raises:
        SettingsError: another process has the store, or it is not whole.
    """
    try:
        _close_to_others(folder)
        lock = os.open(folder / f"process-{process}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as exc:
        raise SettingsError(
            f"recovery folder `{folder}`: {exc.strerror}; make it with `python -m bytewax.recovery`"
        ) from exc
    try:
        _lock(lock, folder, process)
        _forget(folder)
    except sqlite3.Error as exc:
        os.close(lock)
        raise SettingsError(
            f"recovery folder `{folder}`: cannot be read ({exc}); restore it or start with a new"
            " folder"
        ) from exc
    except BaseException:
        os.close(lock)
        raise
    return lock


def _close_to_others(folder: Path) -> None:
    found = folder.stat()
    if stat.S_IMODE(found.st_mode) & 0o077 and found.st_uid == os.geteuid():
        folder.chmod(OURS_ALONE)
    elif found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
        _log.warning(
            "recovery folder `%s`: all may write to it, and who does runs code in the flow;"
            " give it to the flow's user, mode 0700",
            folder,
        )


def _lock(lock: int, folder: Path, process: int) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        raise SettingsError(
            f"recovery folder `{folder}`: process {process} of a flow is using it; stop that or"
            " name another folder"
        ) from exc


def _forget(folder: Path) -> None:
    with ExitStack() as stack:
        parts = [
            stack.enter_context(closing(sqlite3.connect(path, timeout=30, isolation_level=None)))
            for path in sorted(folder.glob("*.sqlite3"))
        ]
        for part in parts:
            part.execute("BEGIN IMMEDIATE")
        _refuse_partial(parts, folder)
        execution, workers, epoch = _resume_from(parts)
        if not any(part.execute(_ANY, (epoch,)).fetchone() for part in parts):
            return
        # An execution of its own: where processes of the killed run are still ending, commits they
        # write from now on, under their own number, move nothing.
        if execution is not None:
            parts[0].execute(_RESUME_AT, (execution + 1, workers, epoch))
        for part in parts:
            part.execute("DELETE FROM snaps WHERE snap_epoch >= ?", (epoch,))
            part.execute("COMMIT")


def _refuse_partial(parts: list[sqlite3.Connection], folder: Path) -> None:
    found = [
        row for part in parts for row in part.execute("SELECT part_index, part_count FROM parts")
    ]
    there, count = {index for index, _ in found}, max((count for _, count in found), default=0)
    if len(there) < max(count, 1):
        raise SettingsError(
            f"recovery folder `{folder}`: holds {len(there)} of {max(count, 1)} parts; every"
            " process needs all of them, in one folder they share"
        )


def _resume_from(parts: list[sqlite3.Connection]) -> tuple[int | None, int, int]:
    """Number and workers of the last execution, and the epoch the engine will resume from.

    As the engine reckons: what the slowest worker of that execution reached.
    """
    executions = [
        row
        for part in parts
        for row in part.execute("SELECT ex_num, worker_count, resume_epoch FROM exs")
    ]
    if not executions:
        return None, 0, _FIRST_EPOCH
    execution, workers, resumed_at = max(executions)
    reached = dict.fromkeys(range(workers), resumed_at)
    for part in parts:
        for worker, epoch in part.execute(
            "SELECT worker_index, worker_frontier FROM fronts WHERE ex_num = ?", (execution,)
        ):
            reached[worker] = max(epoch, reached.get(worker, epoch))
    return execution, workers, min(reached.values())
