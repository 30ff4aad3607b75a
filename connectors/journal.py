"""A journal of immutable records beside the recovery store: each is written once, then only named.

Bytewax stores a key's whole state at every epoch. What of it never changes can go here instead, and
the state that is stored names where. Layout: ``<folder>/<step>/<key>/<segment>``. A lane (one key
of one step) belongs to one process at a time, which appends to a segment of its own name and never
writes to one that an earlier execution began: that may hold more than its last committed snapshot
names, and those bytes stay unread. After a rescale a lane is another process's, so the processes of
a cluster share the folder as they share that of the recovery store.

A record is durable (fdatasync) before the snapshot that names it can be committed; Bytewax syncs
its own commits too, so both survive a power failure. Whoever can write to the recovery folder
can run code in the flow, here as in Bytewax's own files: what is read back is unpickled.
"""

import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from time import monotonic
from typing import IO, Final, NamedTuple
from urllib.parse import quote
from zlib import crc32

from connectors.contract import RefusedError, SettingsError

SEGMENT_BYTES: Final = 4 << 20
SYNC_THREADS: Final = 4
"""Files synced at once: 16 in turn take 40 ms where 4 at once take 15 (virtual disk, ext4)."""


class Place(NamedTuple):
    """Where a record is; persisted, so name and fields stay. ``file``: within the lane's folder."""

    number: int
    file: str
    offset: int
    size: int
    crc32: int


class Written(NamedTuple):
    """The places of records; ``sync`` returns when all of them are durable, raises where not."""

    places: tuple[Place, ...]
    sync: Callable[[], None]


class Journal:
    """All lanes in a folder, which is made with the first record.

    ``keep_s``: how long a segment outlives the last snapshot that names it, for recovery stores
    that keep old snapshots as long (Bytewax's backup interval). A segment takes no more records
    beyond ``segment_bytes``.
    """

    def __init__(
        self, folder: Path, *, keep_s: float = 0, segment_bytes: int = SEGMENT_BYTES
    ) -> None:
        self.folder = folder
        self.keep_s = keep_s
        self.segment_bytes = segment_bytes
        # Processes that share the folder, now or one after the other, never share a file name.
        self.execution = secrets.token_hex(8)
        self.syncing = ThreadPoolExecutor(SYNC_THREADS, "journal")

    def lane(self, step: str, key: str) -> "Lane":
        """The records of one key of a step; at most one lane object a key may be in use."""
        return Lane(self, key, self.folder / _file_name(step) / _file_name(key))


class Lane:
    """The records of one key, by numbers that are unique in it; for one thread."""

    def __init__(self, journal: Journal, key: str, folder: Path) -> None:
        self.key = key
        self._journal = journal
        self._folder = folder
        self._places: dict[int, Place] = {}
        # Bytes of every segment in the folder, those that no snapshot names included.
        self._sizes = _sizes(folder)
        self._current = ""
        self._begun = 0
        # Segments that the snapshot before names; none was taken yet by this execution.
        self._named: set[str] | None = None
        # When a segment was first found to be named by no snapshot that may be resumed from.
        self._unnamed_since: dict[str, float] = {}

    def read(self, places: Sequence[Place]) -> list[bytes]:
        """The records at ``places``, which from now on count as written.

        Raises:
            SettingsError: one is missing or damaged.
        """
        bodies = list(_read(self._folder, places))
        self._places = {place.number: place for place in places}
        return bodies

    def write(self, numbers: Sequence[int], body: Callable[[int], bytes]) -> Written:
        """The places of the records of these numbers, for a snapshot; new ones are appended.

        Call it once a snapshot, with all records that the state has: a segment that neither this
        snapshot nor the one before names is deleted. ``body`` gives the record at an index of
        ``numbers``; a number's record must never change.

        Raises:
            RefusedError: the journal cannot be written.
        """
        sync = _nothing
        with _translated(self._folder):
            if any(number not in self._places for number in numbers):
                with self._open(numbers) as file:
                    self._append(file, numbers, body)
                    sync = self._sync(file)
            self._places = {number: self._places[number] for number in numbers}
            places = tuple(self._places.values())
            self._delete_unnamed({place.file for place in places})
        return Written(places, sync)

    @contextmanager
    def _open(self, numbers: Sequence[int]) -> Iterator[IO[bytes]]:
        """The segment to append to; a new one also takes over the last records of sparse ones."""
        if self._current and self._sizes[self._current] < self._journal.segment_bytes:
            mode = "ab"
        else:
            self._forget_sparse(numbers)
            self._begun += 1
            self._current = f"{self._journal.execution}-{self._begun:06}"
            self._folder.mkdir(parents=True, exist_ok=True)
            mode = "xb"
        with (self._folder / self._current).open(mode) as file:
            yield file

    def _append(
        self, file: IO[bytes], numbers: Sequence[int], body: Callable[[int], bytes]
    ) -> None:
        offset = self._sizes.get(self._current, 0)
        for i, number in enumerate(numbers):
            if number not in self._places:
                data = body(i)
                file.write(data)
                self._places[number] = Place(number, self._current, offset, len(data), crc32(data))
                offset += len(data)
        file.flush()
        self._sizes[self._current] = offset

    def _sync(self, file: IO[bytes]) -> Callable[[], None]:
        # A new file is durable only with the entries that lead to it.
        folders = [self._folder, self._folder.parent, self._journal.folder]
        folders = [*folders, self._journal.folder.parent] if file.mode == "xb" else []
        synced = self._journal.syncing.submit(_sync, os.dup(file.fileno()), folders)
        return _Synced(self._folder, synced)

    def _forget_sparse(self, numbers: Sequence[int]) -> None:
        """Have records written anew where they are less than a quarter of their segment.

        So the files never hold more than four times what the state has, and two segments.
        """
        held = [self._places[number] for number in numbers if number in self._places]
        live: dict[str, int] = {}
        for place in held:
            live[place.file] = live.get(place.file, 0) + place.size
        for place in held:
            if live[place.file] * 4 < self._sizes[place.file]:
                del self._places[place.number]

    def _delete_unnamed(self, named: set[str]) -> None:
        # The snapshot before is of an earlier epoch, committed before this epoch's items came; so
        # a resume begins from that one or from this one. Before the first one of this execution it
        # may begin from any that Bytewax stored, so nothing is deleted.
        if self._named is not None:
            now = monotonic()
            for file in self._sizes.keys() - named - self._named - {self._current}:
                if now - self._unnamed_since.setdefault(file, now) >= self._journal.keep_s:
                    (self._folder / file).unlink(missing_ok=True)
                    del self._sizes[file], self._unnamed_since[file]
        self._named = named


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


def _sizes(folder: Path) -> dict[str, int]:
    try:
        return {path.name: path.stat().st_size for path in folder.iterdir()}
    except FileNotFoundError:
        return {}
    except OSError as exc:
        raise SettingsError(f"journal `{folder}`: {exc.strerror}; allow it") from exc


def _read(folder: Path, places: Sequence[Place]) -> Iterator[bytes]:
    """The record of each place, in their order; neighbours of one segment share its opening."""
    opened, file = "", None
    try:
        for place in places:
            if file is None or place.file != opened:
                if file is not None:
                    file.close()
                opened, file = place.file, (folder / place.file).open("rb")
            file.seek(place.offset)
            data = file.read(place.size)
            if len(data) != place.size or crc32(data) != place.crc32:
                raise _lacking(folder / place.file, f"is damaged at byte {place.offset}")
            yield data
    except OSError as exc:
        raise _lacking(folder / opened, exc.strerror or "cannot be read") from exc
    finally:
        if file is not None:
            file.close()


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
