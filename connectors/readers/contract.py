"""What every reader offers: a file in, chunks of telemetry and rejects out, resumable.

A reader is one module for one file format. It streams, it never judges values the decoder judges
anyway (limits, ranges), and it accounts for each record of the file: it is in a message, or it is
a ``Reject`` with its raw bytes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from schemas.message import Message, Reject


@dataclass(frozen=True, slots=True)
class Chunk:
    """The next part of a file.

    ``message``: NDJSON of telemetry objects, or None where no record of this part could be read.
    Where a line of the file is a record, line i of the body is line ``first_line + i`` of the
    file, blank where the file's line gave no record. ``rejects``: records the reader could not
    turn into telemetry. ``resume``: picklable; handed back to ``Reader.read`` it continues after
    this chunk. ``bytes_done``: bytes read so far of the file as it is stored.
    """

    message: Message | None
    rejects: tuple[Reject, ...]
    resume: object
    bytes_done: int


class Reader(Protocol):
    """Turns files of one format into telemetry records of the contract."""

    def read(self, path: Path, resume: object | None, rows: int) -> Iterator[Chunk]:
        """Chunks of at most ``rows`` records in file order, from ``resume`` or the beginning.

        Boundaries depend on the file and ``rows`` alone: a read from the ``resume`` of chunk k
        gives chunks k+1, k+2, ... again. Raises SourceFileError when the file as a whole cannot
        be read or is not of this format.
        """
        ...


class SourceFileError(ValueError):
    """A source file that cannot be read at all; one line: path, what is wrong, remedy."""

    def __init__(self, path: Path, what: str, remedy: str) -> None:
        super().__init__(f"{path}: {what}; {remedy}")


class FormatError(ValueError):
    """A format that does not exist or is asked for wrongly; one line with the remedy."""


def origin_of(path: Path) -> str:
    """What names the file in messages and rejects."""
    return f"file:{path.name}"


def total_bytes(path: Path) -> int:
    """The size of the file as it is stored: where ``Chunk.bytes_done`` ends."""
    return path.stat().st_size


def check(path: Path, reader: Reader | None = None) -> None:
    """Raise SourceFileError unless ``path`` is a readable file with something in it.

    With a ``reader`` its first record is read too, so that a file of another format is found
    before anything starts.
    """
    if path.is_dir():
        raise SourceFileError(path, "is a folder", "name one file in it")
    if path.exists() and not path.is_file():
        # Resuming means going back in the file.
        raise SourceFileError(path, "is a pipe or a device", "write it to a file first")
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except FileNotFoundError:
        raise SourceFileError(path, "there is no such file", "check the path") from None
    except OSError as exc:
        raise SourceFileError(
            path, f"cannot be read ({exc.strerror})", "check its permissions"
        ) from exc
    if empty:
        raise SourceFileError(path, "is empty", "name a file that holds records")
    if reader is not None:
        next(reader.read(path, None, 1), None)
