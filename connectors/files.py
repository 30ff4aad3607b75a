"""``file:PATH``: telemetry from files of any format that has a reader."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Final

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

from connectors.contract import (
    Connector,
    ConnectorSettings,
    Progress,
    RefusedError,
    SettingsError,
)
from connectors.epoch import EpochRows
from connectors.file_publisher import FilePublisher
from connectors.paths import url_path
from connectors.readers.contract import (
    Chunk,
    FormatError,
    Reader,
    SourceFileError,
    check,
    total_bytes,
)
from connectors.readers.registry import reader_for
from schemas.message import Message, Reject

HEAD_BYTES: Final = 4096


class FileSource:
    """The files that ``PATH`` names (a glob pattern may name many), each read once to its end.

    Unit of parallelism: the file; its records keep their order, files are read side by side.
    After a restart from a recovery folder each file goes on behind the last committed epoch, so
    every record is handed out once; without one, from the beginning. Acknowledges nothing: the
    position is part of the recovery state. A file that grew between two runs goes on where it
    ended; one that shrank or whose first 4096 bytes changed is refused.
    """

    def __init__(self, url: str, settings: ConnectorSettings) -> None:
        self._url = url
        self._pattern = url_path(url)
        self._settings = settings
        try:
            self._reader = reader_for(settings.format)
        except FormatError as exc:
            raise SettingsError(str(exc)) from exc

    def check(self) -> None:
        """Refuse a pattern without files, and any file that is empty or not of the format."""
        if not self._paths:
            raise SettingsError(f"`{self._url}`: no such file; check the path or the pattern")
        try:
            for path in self._paths:
                check(path, self._reader)
        except SourceFileError as exc:
            raise SettingsError(str(exc)) from exc

    def build(
        self, on_progress: Progress | None = None
    ) -> FixedPartitionedSource[Message | Reject, "FilePosition"]:
        """The Bytewax source; its partitions are the paths."""
        return _Files(self._paths, self._reader, self._settings, on_progress)

    @property
    def total_bytes(self) -> int:
        """The size of all files as they are stored."""
        return sum(map(total_bytes, self._paths))

    @cached_property
    def _paths(self) -> list[Path]:
        if self._pattern.exists():
            return [self._pattern]
        root = self._pattern.anchor
        found = Path(root).glob(str(self._pattern.relative_to(root)))
        return sorted(path for path in found if not path.is_dir())


@dataclass(frozen=True, slots=True)
class FilePosition:
    """How far a file was read: state that outlives the process, so its name and place stay.

    ``resume`` is the reader's own; ``bytes_done`` of the stored file were read for it.
    ``head_digest`` is the hash of the first ``head_bytes``, which tell the file from another.
    """

    resume: object
    bytes_done: int
    head_bytes: int
    head_digest: bytes


class _Files(FixedPartitionedSource[Message | Reject, FilePosition]):
    def __init__(
        self,
        paths: list[Path],
        reader: Reader,
        settings: ConnectorSettings,
        on_progress: Progress | None,
    ) -> None:
        self._paths = {str(path): path for path in paths}
        self._reader = reader
        self.batch_rows = settings.batch_rows
        self.epoch = EpochRows(settings.epoch_rows, settings.intake)
        self._on_progress = on_progress

    def list_parts(self) -> list[str]:
        return list(self._paths)

    def build_part(
        self, step_id: str, for_part: str, resume_state: FilePosition | None
    ) -> "_FilePart":
        path = self._paths[for_part]
        if resume_state is None:
            position = FilePosition(None, 0, *_head(path, HEAD_BYTES))
        else:
            position = resume_state
            _check_same(path, position)
        return _FilePart(self, for_part, path, position)

    def read(self, path: Path, resume: object, rows: int) -> Iterator[Chunk]:
        return self._reader.read(path, resume, rows)

    def report(self, part: str, bytes_done: int, size: int) -> None:
        if self._on_progress is not None:
            self._on_progress(part, bytes_done, size)


class _FilePart(StatefulSourcePartition[Message | Reject, FilePosition]):
    def __init__(self, files: _Files, part: str, path: Path, position: FilePosition) -> None:
        self._files = files
        self._part = part
        self._path = path
        self._size = total_bytes(path)
        self._position = position
        # How many records a chunk holds as it is read now; ``_most_rows`` may be none at all.
        self._most_rows = self._chunk_rows = files.batch_rows
        self._chunks = files.read(path, position.resume, self._chunk_rows)

    def next_batch(self) -> list[Message | Reject]:
        if self._files.epoch.full() or not self._most_rows:
            return []
        try:
            chunk = next(self._chunks)  # Its StopIteration tells Bytewax the end of the file.
        except SourceFileError as exc:
            raise RefusedError(str(exc)) from exc
        self._position = replace(self._position, resume=chunk.resume, bytes_done=chunk.bytes_done)
        self._files.epoch.add(self._part, _rows(chunk))
        self._files.report(self._part, chunk.bytes_done, self._size)
        return [*chunk.rejects] if chunk.message is None else [chunk.message, *chunk.rejects]

    def snapshot(self) -> FilePosition:
        self._files.epoch.end(self._part)
        return self._position

    def ration(self, records: int | None) -> None:
        most = self._files.batch_rows
        rows = most if records is None else min(records, most)
        if rows and rows != self._chunk_rows:
            self.close()
            self._chunks = self._files.read(self._path, self._position.resume, rows)
            self._chunk_rows = rows
        self._most_rows = rows

    def close(self) -> None:
        if isinstance(self._chunks, Generator):
            self._chunks.close()


def _rows(chunk: Chunk) -> int:
    """How many records the chunk holds: lines, so an array on one line counts as one."""
    body = b"" if chunk.message is None else chunk.message.body
    return body.count(b"\n") + (body[-1:] not in b"\n") + len(chunk.rejects)


def _head(path: Path, size: int) -> tuple[int, bytes]:
    with path.open("rb") as file:
        head = file.read(size)
    return len(head), blake2b(head, digest_size=16).digest()


def _check_same(path: Path, position: FilePosition) -> None:
    if total_bytes(path) < position.bytes_done:
        what = f"is shorter than the {position.bytes_done} bytes already read of it"
    elif _head(path, position.head_bytes)[1] != position.head_digest:
        what = "begins otherwise than the file already read in part"
    else:
        return
    raise SettingsError(f"`{path}`: {what}; put that file back or start with a new recovery folder")


def _open_source(url: str, settings: ConnectorSettings) -> FileSource:
    return FileSource(url, settings)


CONNECTOR: Final = Connector(open_source=_open_source, open_publisher=FilePublisher)
