"""A journal of immutable records beside the recovery store: each is written once, then only named.

Bytewax stores a key's whole state at every epoch. What of it never changes can go here instead, and
the state that is stored names where; a few records are stored with it. Layout:
``<folder>/<step>/<key>/<segment>``. A lane (one key of one step) belongs to one process at a time,
which appends to a segment of its own name and never writes to one that an earlier execution began:
that may hold more than its last committed snapshot names, and those bytes stay unread. After a
rescale a lane is another process's, so the processes of a cluster share the folder as they share
that of the recovery store.

A record is durable (fdatasync) before the snapshot that names it can be committed; Bytewax syncs
its own commits too, so both survive a power failure. Whoever can write to the recovery folder
can run code in the flow, here as in Bytewax's own files: what is read back is unpickled.
"""

import os
import secrets
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from hashlib import blake2b
from pathlib import Path
from time import monotonic
from typing import IO, Any, Final, NamedTuple
from urllib.parse import quote
from zlib import crc32

from connectors.contract import RefusedError, SettingsError
from connectors.metrics import Samples, on_scrape
from schemas.metrics import RECOVERY_BYTES

INLINE_BYTES: Final = 64 << 10
"""What a lane's snapshot may hold of records itself, so that small states need no file."""
PHASES: Final = 16
"""Points at which lanes begin to fill; of the first 16 key groups each has its own."""
SEGMENT_BYTES: Final = 4 << 20
SYNC_THREADS: Final = 4
"""Files synced at once: 16 in turn take 40 ms where 4 at once take 15 (virtual disk, ext4)."""


class Place(NamedTuple):
    """Where a record is; persisted, so the fields stay. ``file``: within the lane's folder."""

    file: str
    offset: int
    size: int
    crc32: int


Kept = Place | bytes
"""A record as a snapshot keeps it: where it is, or the record itself."""


class Written(NamedTuple):
    """Records by number; ``sync`` returns when all of them are durable, raises where not."""

    kept: Mapping[int, Kept]
    sync: Callable[[], None]


class Journal:
    """All lanes in a folder, which is made with the first record.

    ``keep_s``: how long a segment outlives the last snapshot that names it, for recovery stores
    that keep old snapshots as long (Bytewax's backup interval). A segment takes no more records
    beyond ``segment_bytes``.
    """

    def __init__(
        self,
        folder: Path,
        *,
        keep_s: float = 0,
        inline_bytes: int = INLINE_BYTES,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        self.folder = folder
        self.keep_s = keep_s
        self.inline_bytes = inline_bytes
        self.segment_bytes = segment_bytes
        # Processes that share the folder, now or one after the other, never share a file name.
        self.execution = secrets.token_hex(8)
        self.syncing = ThreadPoolExecutor(SYNC_THREADS, "journal")
        on_scrape(self, _sizes_of_recovery)

    def lane(self, step: str, key: str) -> "Lane":
        """The records of one key of a step; at most one lane object a key may be in use."""
        return Lane(self, key, self.folder / _file_name(step) / _file_name(key))


class Lane:
    """The records of one key, by numbers that are unique in it; for one thread."""

    def __init__(self, journal: Journal, key: str, folder: Path) -> None:
        self.key = key
        self._journal = journal
        self._folder = folder
        self._kept: dict[int, Kept] = {}
        # Bytes of every segment in the folder, those that no snapshot names included.
        self._sizes = _sizes(folder)
        self._current = ""
        self._begun = 0
        # Lanes of a step fill evenly: so that not all of them sync in the same epoch, each begins
        # at a point of its own.
        self._most_inline = journal.inline_bytes * (1 + crc32(key.encode()) % PHASES) // PHASES
        # Segments that the two snapshots before name, of this execution.
        self._named: deque[set[str]] = deque(maxlen=2)
        # When a segment was first found to be named by no snapshot that may be resumed from.
        self._unnamed_since: dict[str, float] = {}

    def read(self, kept: Mapping[int, Kept]) -> list[bytes]:
        """The records of a snapshot, which from now on count as written.

        Raises:
            SettingsError: one is missing or damaged.
        """
        bodies = list(_read(self._folder, kept.values()))
        self._kept = dict(kept)
        return bodies

    def write(self, records: Mapping[int, Any], body: Callable[[Any], bytes]) -> Written:
        """The records for a snapshot; new ones are appended when they are more than a few bytes.

        ``body`` tells the bytes of a record; it is asked about new ones alone. Call it once a
        snapshot, with all records that the state has, by number: a segment that none of three
        snapshots in a row names is deleted. A number's record must never change.

        Raises:
            RefusedError: the journal cannot be written.
        """
        known = self._kept
        kept = {n: known[n] if n in known else body(one) for n, one in records.items()}
        loose = {n: record for n, record in kept.items() if isinstance(record, bytes)}
        sync = _nothing
        with _translated(self._folder):
            if sum(map(len, loose.values())) > self._most_inline:
                self._most_inline = self._journal.inline_bytes
                with self._open() as file:
                    kept |= self._append(file, loose)
                    sync = self._sync(file)
            self._delete_unnamed({r.file for r in kept.values() if isinstance(r, Place)})
        self._kept = kept
        return Written(kept, sync)

    def _open(self) -> IO[bytes]:
        """The segment to append to."""
        if self._current and self._sizes[self._current] < self._journal.segment_bytes:
            return (self._folder / self._current).open("ab")
        self._begun += 1
        self._current = f"{self._journal.execution}-{self._begun:06}"
        self._folder.mkdir(parents=True, exist_ok=True)
        return (self._folder / self._current).open("xb")

    def _append(self, file: IO[bytes], records: Mapping[int, bytes]) -> dict[int, Place]:
        offset = self._sizes.get(self._current, 0)
        places = {}
        for number, record in records.items():
            places[number] = Place(self._current, offset, len(record), crc32(record))
            offset += len(record)
        file.write(b"".join(records.values()))
        file.flush()
        self._sizes[self._current] = offset
        return places

    def _sync(self, file: IO[bytes]) -> Callable[[], None]:
        # A new file is durable only with the entries that lead to it.
        folders = [self._folder, self._folder.parent, self._journal.folder]
        folders = [*folders, self._journal.folder.parent] if file.mode == "xb" else []
        synced = self._journal.syncing.submit(_sync, os.dup(file.fileno()), folders)
        return _Synced(self._folder, synced)

    def _delete_unnamed(self, named: set[str]) -> None:
        # A resume begins from this snapshot or from the one before: that is of an earlier epoch,
        # committed before the items of this one came. One more is kept, in case Bytewax should
        # ever end an epoch earlier. Before the first snapshots of this execution a resume may
        # begin from one of another execution, so nothing is deleted.
        if len(self._named) == self._named.maxlen:
            now = monotonic()
            for file in self._sizes.keys() - named.union({self._current}, *self._named):
                if now - self._unnamed_since.setdefault(file, now) >= self._journal.keep_s:
                    (self._folder / file).unlink(missing_ok=True)
                    del self._sizes[file], self._unnamed_since[file]
        self._named.append(named)


class _Synced:
    """Waits for a sync; ``sync`` of ``Written``."""

    def __init__(self, folder: Path, synced: Future[None]) -> None:
        self._folder = folder
        self._synced = synced

    def __call__(self) -> None:
        with _translated(self._folder):
            self._synced.result()


def _nothing() -> None:
    """Nothing was written, so there is nothing to wait for."""


def _sync(descriptor: int, folders: Iterable[Path]) -> None:
    try:
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
    for folder in folders:
        entries = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(entries)
        finally:
            os.close(entries)


def _sizes_of_recovery(journal: Journal) -> Samples:
    found = {
        "store": journal.folder.parent.glob("*.sqlite3*"),
        "journal": journal.folder.rglob("*"),
    }
    return {(RECOVERY_BYTES, (part,)): sum(map(_size, paths)) for part, paths in found.items()}


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:  # Deleted as no commit needs it.
        return 0


def _sizes(folder: Path) -> dict[str, int]:
    try:
        return {path.name: path.stat().st_size for path in folder.iterdir()}
    except FileNotFoundError:
        return {}
    except OSError as exc:
        raise SettingsError(f"journal `{folder}`: {exc.strerror}; allow it") from exc


def _read(folder: Path, kept: Iterable[Kept]) -> Iterator[bytes]:
    """Each record, in their order; neighbours of one segment share its opening."""
    with ExitStack() as opened:
        path, file = folder, None
        for record in kept:
            if isinstance(record, bytes):
                yield record
                continue
            try:
                if file is None or path.name != record.file:
                    opened.close()
                    path = folder / record.file
                    file = opened.enter_context(path.open("rb"))
                file.seek(record.offset)
                data = file.read(record.size)
            except OSError as exc:
                raise _lacking(path, exc.strerror or "cannot be read") from exc
            if len(data) != record.size or crc32(data) != record.crc32:
                raise _lacking(path, f"is damaged at byte {record.offset}")
            yield data


def _lacking(path: Path, what: str) -> SettingsError:
    return SettingsError(
        f"the recovery folder lacks its journal: `{path}`: {what}; restore it as it was, or start"
        " with a new recovery folder"
    )


@contextmanager
def _translated(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise RefusedError(
            f"journal `{folder}`: cannot write ({exc.strerror}); make room or allow it, then start"
            " again"
        ) from exc


def _file_name(name: str) -> str:
    """A file name of any string, readable, no longer than file systems allow, never of two."""
    return f"{quote(name, safe='')[:64]}-{blake2b(name.encode(), digest_size=6).hexdigest()}"
