"""A file as it is stored: plain or gzip, read by its content, with the stored bytes counted."""

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from connectors.readers.contract import SourceFileError

_GZIP_MAGIC: Final = b"\x1f\x8b"
WHOLE_LIMIT: Final = 64 * 1024 * 1024
"""The most bytes that are taken as one piece: a JSON document, one line."""
MOST_TIMES: Final = 250
"""How many times its stored size a gzip file may be unpacked; telemetry packs 5 to 50 times."""
FREE_BYTES: Final = 64 * 1024 * 1024
"""Content up to here may be packed in any way."""


class StoredFile:
    """A plain or gzip file as a stream of its content.

    Whether it is compressed is told by its first bytes, not by its name. Raises SourceFileError
    when it cannot be opened, read or unpacked.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._raw = path.open("rb")
            compressed = self._raw.peek(2)[:2] == _GZIP_MAGIC
        except OSError as exc:
            raise self._unreadable(exc) from exc
        self._content: io.BufferedIOBase = self._raw
        if compressed:
            self._content = io.BufferedReader(gzip.GzipFile(fileobj=self._raw), 1 << 18)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._content.close()
        self._raw.close()

    def stored_bytes(self, offset: int) -> int:
        """Bytes of the stored file that its content up to ``offset`` took.

        Exact for a plain file; of a gzip file, whatever was read of it so far.
        """
        return offset if self._content is self._raw else self._raw.tell()

    def seek(self, offset: int) -> None:
        """Go to a byte of the content; in a gzip file everything before it is unpacked again."""
        try:
            self._content.seek(offset)
        except (OSError, EOFError, zlib.error) as exc:
            raise self._unreadable(exc) from exc

    def read(self, size: int) -> bytes:
        """The next bytes of the content, at most ``size``; empty at the end."""
        try:
            content = self._content.read(size)
        except (OSError, EOFError, zlib.error) as exc:
            raise self._unreadable(exc) from exc
        self._refuse_bomb()
        return content

    def lines(self) -> Iterator[bytes]:
        """The lines of the content, each with its line end (the last may have none)."""
        try:
            while line := self._content.readline(WHOLE_LIMIT):
                self._refuse_bomb()
                if len(line) == WHOLE_LIMIT:
                    raise SourceFileError(
                        self.path, "has a line of 64 MiB or more", "check that it is a text file"
                    )
                yield line
        except (OSError, EOFError, zlib.error) as exc:
            raise self._unreadable(exc) from exc

    def whole(self) -> bytes:
        """The whole content; SourceFileError when it is larger than ``WHOLE_LIMIT``."""
        content = self.read(WHOLE_LIMIT + 1)
        if len(content) > WHOLE_LIMIT:
            raise SourceFileError(
                self.path,
                "is one JSON document of more than 64 MiB",
                "convert it to NDJSON, one record a line",
            )
        return content

    def _refuse_bomb(self) -> None:
        if self._content is self._raw:
            return
        unpacked = self._content.tell()
        if unpacked > FREE_BYTES and unpacked > MOST_TIMES * self._raw.tell():
            raise SourceFileError(
                self.path,
                f"unpacks to more than {MOST_TIMES} times its size",
                "check where it comes from; unpack it by hand if it is what you want",
            )

    def _unreadable(self, exc: Exception) -> SourceFileError:
        if isinstance(exc, FileNotFoundError):
            return SourceFileError(self.path, "there is no such file", "check the path")
        return SourceFileError(
            self.path, f"cannot be read ({exc})", "check that it is complete and readable"
        )
