"""``dir:PATH``: results as NDJSON files, one ``<topic>.ndjson`` a topic."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

import msgspec
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from connectors.contract import (
    Connector,
    ConnectorSettings,
    RefusedError,
    SettingsError,
)
from connectors.directory_tail import DirectorySubscription
from connectors.paths import check_folder, url_path
from connectors.seen import SeenIds
from schemas.delivery import Delivery
from schemas.event import cloud_event
from schemas.topics import BETWEEN_TOPICS, RESULT_TOPICS

TOPICS: Final = tuple(sorted({*RESULT_TOPICS, *BETWEEN_TOPICS}))

_FIRST_BYTES: Final = b'{"specversion":'


class DirectorySink:
    """A folder of NDJSON files, one CloudEvents line an event.

    The files of all result topics are there from the start (an empty file says that nothing
    happened); those of topics between flows only when there is something.

    Unit of parallelism: the topic, whose lines are written by one worker in their order. After a
    restart from a recovery folder a file is cut back to the last committed epoch, so every event
    is in it once. Without one, lines are appended, and an event whose id is in the file already is
    not written again. Acknowledges at the end of the epoch, when its lines are on the disk.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._folder = url_path(url)

    def check(self) -> None:
        """Refuse a folder that cannot be written or files in it that are not ours."""
        check_folder(self._url, self._folder)
        for path in map(self._folder.joinpath, map(file_name, TOPICS)):
            if path.exists():
                _check_file(path)

    def build(self, source: str) -> FixedPartitionedSink[Delivery, int]:
        """The Bytewax sink; its partitions are the topics, its state is how long each file is."""
        return _Folder(self._folder, source)


def file_name(topic: str) -> str:
    """The name of the file that holds the events of ``topic``."""
    return f"{topic}.ndjson"


class _Folder(FixedPartitionedSink[Delivery, int]):
    def __init__(self, folder: Path, source: str) -> None:
        self._folder = folder
        self._source = source

    def list_parts(self) -> list[str]:
        # Called once, at the start; build_part only when a topic has its first event.
        with _refused(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            for topic in RESULT_TOPICS:
                (self._folder / file_name(topic)).touch()
        return list(TOPICS)

    def part_fn(self, item_key: str) -> int:
        # Bytewax takes this as an index into the sorted partition names. Internal topics have no
        # file: any partition will do to drop them.
        if item_key.startswith("_"):
            return 0
        if item_key not in _INDEX:
            raise RefusedError(f"`dir:{self._folder}`: has no file for the topic `{item_key}`")
        return _INDEX[item_key]

    def build_part(self, step_id: str, for_part: str, resume_state: int | None) -> "_TopicFile":
        path = self._folder / file_name(for_part)
        with _refused(path):
            file = path.open("a+b")
        try:
            _claim(file, path)
            with _refused(path):
                _cut(file, path, resume_state)
                seen = SeenIds(_ids(file, path))
        except BaseException:
            file.close()
            raise
        return _TopicFile(file, path, self._source, seen)


class _TopicFile(StatefulSinkPartition[Delivery, int]):
    def __init__(self, file: IO[bytes], path: Path, source: str, seen: SeenIds) -> None:
        self._file = file
        self._path = path
        self._source = source
        self._seen = seen

    def write_batch(self, values: list[Delivery]) -> None:
        told = [value for value in values if not value.topic.startswith("_")]
        first = self._seen.first_time([value.event.message_id.encode() for value in told])
        lines = [
            cloud_event(value.event, self._source, value.extensions)
            for value, new in zip(told, first, strict=True)
            if new
        ]
        with _refused(self._path):
            self._file.write(b"\n".join([*lines, b""]))

    def snapshot(self) -> int:
        with _refused(self._path):
            self._file.flush()
            os.fsync(self._file.fileno())
            return self._file.tell()

    def close(self) -> None:
        # What no snapshot has flushed is of no committed epoch: it need not reach the disk.
        with suppress(OSError):
            self._file.close()

    def __del__(self) -> None:
        # Bytewax does not promise to call close() when a run is cut short.
        self.close()


class _Line(msgspec.Struct):
    id: str


_INDEX: Final = {topic: index for index, topic in enumerate(TOPICS)}
_line: Final = msgspec.json.Decoder(_Line)


def _check_file(path: Path) -> None:
    try:
        with path.open("r+b") as file:
            first = file.readline()
    except OSError as exc:
        raise SettingsError(
            f"`{path}`: cannot be written ({exc.strerror}); allow it or name another folder"
        ) from exc
    # A killed run may leave the beginning of a first line; it is cut off when the flow starts.
    torn = not first.endswith(b"\n")
    if torn and not first.startswith(_FIRST_BYTES[: len(first)]):
        raise SettingsError(f"`{path}`: is not ours (line 1); move it away or name another folder")
    if not torn:
        _id(first, path, 1)


def _claim(file: IO[bytes], path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        raise RefusedError(
            f"`{path}`: another process is writing to it; stop that or name another folder"
        ) from exc


def _cut(file: IO[bytes], path: Path, resume_at: int | None) -> None:
    """Cut off what no committed epoch wrote: all past ``resume_at``, and half a line at the end."""
    # A file shorter than the committed offset lost lines by somebody's hand: go on at its end.
    size = file.seek(0, os.SEEK_END)
    keep = size if resume_at is None else min(size, resume_at)
    whole = _end_of_last_line(file, keep)
    if keep == resume_at and whole != keep:
        raise RefusedError(
            f"`{path}`: was changed since this recovery folder was written; "
            "restore it or start with a new recovery folder"
        )
    file.truncate(whole)


def _end_of_last_line(file: IO[bytes], end: int) -> int:
    """The offset just past the last newline before ``end``."""
    while end > 0:
        start = max(0, end - 65_536)
        file.seek(start)
        newline = file.read(end - start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def _ids(file: IO[bytes], path: Path) -> Iterator[bytes]:
    file.seek(0)
    for number, line in enumerate(file, start=1):
        yield _id(line, path, number)


def _id(line: bytes, path: Path, number: int) -> bytes:
    try:
        return _line.decode(line).id.encode()
    except msgspec.DecodeError as exc:
        raise SettingsError(
            f"`{path}:{number}`: is no event ({exc}); move the file away or name another folder"
        ) from exc


@contextmanager
def _refused(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise RefusedError(
            f"`{path}`: cannot write ({exc.strerror}); make room or allow it, then start again"
        ) from exc


def _open_sink(url: str, _settings: ConnectorSettings) -> DirectorySink:
    return DirectorySink(url)


CONNECTOR: Final = Connector(open_sink=_open_sink, open_subscription=DirectorySubscription)
