"""A copy of a recovery folder that is in use: the state of one moment, as a kill then would leave.

The parts of the store are written by the engine, each for itself, and name records of the journal,
whose segments are deleted when no snapshot needs them any more. So all parts are locked for writing
for as long as it takes to begin a reading transaction in each and to link every segment: no commit
falls in between. What is copied then is of that moment, however long it takes.
"""

import os
import pickle
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from shutil import ignore_patterns
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Final

from connectors.contract import SettingsError
from connectors.journal import Journal, Place
from flows.definitions import DEFINITIONS, EDITIONS
from flows.launch import JOURNAL, MARKER
from flows.steps.state import Journaled
from flows.uncommitted import OURS_ALONE, hold_store

LOCK_S: Final = 30.0
"""How long the engine may keep us waiting for a part."""
_NEWEST: Final = """
    SELECT step_id, state_key, ser_change, max(snap_epoch) FROM snaps
    GROUP BY step_id, state_key HAVING ser_change IS NOT NULL
"""


def copy_store(folder: Path, into: Path) -> float:
    """Copy a recovery folder, in use or not, to ``into``, which is made.

    Returns for how long the flow could not commit, in seconds.

    Raises:
        SettingsError: the folder cannot be read, or is none.
    """
    if not (folder / MARKER).is_file():
        raise SettingsError(f"recovery folder `{folder}`: has no {MARKER}; name one of a flow")
    into.mkdir(OURS_ALONE, parents=True)
    try:
        shutil.copy2(folder / MARKER, into / MARKER)
        with _moment(folder) as (parts, linked, held_s):
            for path, part in parts.items():
                with closing(sqlite3.connect(into / path.name)) as copy:
                    part.backup(copy)
            if linked is not None:
                shutil.copytree(linked, into / JOURNAL)
        # Zones and rules are noted before any state is judged by them: those of the moment are
        # there after it.
        if (folder / DEFINITIONS).is_file():
            shutil.copy2(folder / DEFINITIONS, into / DEFINITIONS)
        if (folder / EDITIONS).is_dir():
            shutil.copytree(folder / EDITIONS, into / EDITIONS, ignore=ignore_patterns("*.new"))
    except (OSError, sqlite3.Error) as exc:
        raise SettingsError(f"recovery folder `{folder}`: cannot be copied ({exc})") from exc
    # What the moment's epoch had not committed is taken out now: a check then sees what counts.
    os.close(hold_store(into))
    (into / "process-0.lock").unlink()
    return held_s


def check_store(folder: Path) -> int:
    """How many states a recovery folder that is not in use holds, all of them readable.

    Unpickles them: whoever can write to the folder can run code here, as in the flow itself.

    Raises:
        SettingsError: a part or a record of the journal is missing or damaged.
    """
    journal = Journal(folder / JOURNAL)
    count = 0
    for path in _part_paths(folder):
        try:
            with closing(sqlite3.connect(path)) as part:
                (verdict,) = part.execute("PRAGMA integrity_check(1)").fetchone()
                states = part.execute(_NEWEST).fetchall()
        except sqlite3.Error as exc:
            raise SettingsError(f"`{path}`: cannot be read ({exc})") from exc
        if verdict != "ok":
            raise SettingsError(f"`{path}`: is damaged ({verdict})")
        for step_id, key, state, _ in states:
            count += 1
            _read_history(journal, step_id, key, state)
    return count


def _read_history(journal: Journal, step_id: str, key: str, state: bytes) -> None:
    try:
        found = pickle.loads(state)  # noqa: S301 (as the engine does, from the same folder)
    except Exception as exc:
        raise SettingsError(f"state `{key}` of `{step_id}`: cannot be read ({exc!r})") from exc
    if isinstance(found, Journaled):
        kept = {n: r if isinstance(r, bytes) else Place(*r) for n, r in found.kept.items()}
        journal.lane(step_id.partition(".")[2], found.key).read(kept)


@contextmanager
def _moment(
    folder: Path,
) -> Iterator[tuple[dict[Path, sqlite3.Connection], Path | None, float]]:
    """All parts, each in a transaction that reads one moment, and the journal's files of then."""
    with ExitStack() as stack:
        paths = _part_paths(folder)
        readers = {path: stack.enter_context(closing(_connected(path))) for path in paths}
        staging = Path(stack.enter_context(TemporaryDirectory(dir=folder, prefix=".backup-")))
        with ExitStack() as locks:
            for path in paths:
                lock = locks.enter_context(closing(_connected(path)))
                lock.execute("BEGIN IMMEDIATE")
            began = monotonic()
            for reader in readers.values():
                reader.execute("BEGIN")
                reader.execute("SELECT count(*) FROM parts").fetchone()
            linked = _link(folder / JOURNAL, staging / JOURNAL)
            held_s = monotonic() - began
        yield readers, linked, held_s


def _connected(path: Path) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode=rw"
    return sqlite3.connect(uri, uri=True, timeout=LOCK_S, isolation_level=None)


def _part_paths(folder: Path) -> list[Path]:
    found = sorted(folder.glob("part-*.sqlite3"))
    if not found:
        raise SettingsError(f"recovery folder `{folder}`: holds no part of a store")
    return found


def _link(journal: Path, into: Path) -> Path | None:
    """Link every segment: a link outlives the deletion of what it was made from."""
    if not journal.is_dir():
        return None
    into.mkdir()
    for path in journal.rglob("*"):
        target = into / path.relative_to(journal)
        if path.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, target)
    return into
