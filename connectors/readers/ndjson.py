"""NDJSON and JSON files of telemetry records, passed through byte for byte.

A file of lines is cut at line ends and never parsed here: the decoder does that in bulk. A file
that is one JSON document instead (an array over several lines, a pretty-printed object) becomes
one message.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from connectors.readers.contract import Chunk, SourceFileError, origin_of
from connectors.readers.stored import WHOLE_LIMIT, StoredFile
from schemas.message import Message

_BLOCK: Final = 4 * 1024 * 1024
# A chunk of long lines (each a batch of records) ends before `rows` lines: memory stays bounded.
_CHUNK_LIMIT: Final = 4 * 1024 * 1024
_SNIFF: Final = 64 * 1024
_BOM: Final = b"\xef\xbb\xbf"
_NEWLINE: Final = 10


class NdjsonReader:
    """Reads NDJSON, and files that hold one JSON document of up to 64 MiB.

    ``resume`` is (byte offset, line number from 1) of what comes next in the unpacked content.
    """

    def read(self, path: Path, resume: object | None, rows: int) -> Iterator[Chunk]:
        """Chunks of ``rows`` lines (fewer when they are long), or the one document."""
        with StoredFile(path) as file:
            if resume is None:
                head = file.read(_SNIFF)
                if _is_document(head):
                    file.seek(0)
                    yield _document(file)
                    return
                resume = (len(_BOM) if head.startswith(_BOM) else 0, 1)
            offset, line = msgspec.convert(resume, tuple[int, int])
            file.seek(offset)
            yield from _lines(file, offset, line, rows)


def _is_document(head: bytes) -> bool:
    """Whether a file that begins with ``head`` is one JSON document rather than lines.

    A line of NDJSON is a JSON value by itself. The first line of a document over several lines is
    none, and it ends where a value goes on. A broken first line of NDJSON seldom ends like that,
    and then only in a comma.
    """
    first, newline, _ = head.removeprefix(_BOM).lstrip().partition(b"\n")
    first = first.rstrip()
    if not newline or first[:1] not in {b"[", b"{"} or first[-1:] not in {b"[", b"{", b",", b":"}:
        return False
    try:
        msgspec.json.decode(first, type=msgspec.Raw)
    except msgspec.DecodeError:
        return True
    return False


def _document(file: StoredFile) -> Chunk:
    content = file.whole()
    message = Message(content.removeprefix(_BOM), origin_of(file.path), 1)
    end = (len(content), 1 + content.count(b"\n"))
    return Chunk(message, (), end, file.stored_bytes(len(content)))


def _lines(file: StoredFile, offset: int, line: int, rows: int) -> Iterator[Chunk]:
    """Chunks from where the file stands, which is ``offset`` and the start of ``line``."""
    origin = origin_of(file.path)
    rest = b""
    at_end = False
    while not at_end:
        block = file.read(_BLOCK)
        at_end = not block
        buffer = rest + block
        start = 0
        for end, count in _cuts(buffer, rows, at_end=at_end):
            body = buffer[start:end]
            message = Message(body, origin, line)
            offset, line, start = offset + len(body), line + count, end
            yield Chunk(message, (), (offset, line), file.stored_bytes(offset))
        rest = buffer[start:]
        if len(rest) > WHOLE_LIMIT:
            line += rest.count(b"\n")
            raise SourceFileError(
                file.path,
                f"line {line} is longer than 64 MiB",
                "check that it is NDJSON, one record a line",
            )


def _cuts(buffer: bytes, rows: int, *, at_end: bool) -> Iterator[tuple[int, int]]:
    """(end, lines) of each chunk that is complete in ``buffer``, which begins with a chunk.

    A chunk is complete with its ``rows``-th line end, or with the first at or beyond the byte
    limit: both are counted from its own start, so blocks have no part in where it ends. At the
    end of the file the rest is the last chunk.
    """
    # ends: (lines,) int64, offset just after each line end; sorted, so both limits are look-ups.
    ends = np.flatnonzero(np.frombuffer(buffer, np.uint8) == _NEWLINE) + 1
    start = first = 0
    while True:
        full = first + rows - 1
        long = int(ends.searchsorted(start + _CHUNK_LIMIT))
        last = min(full, long)
        if last >= len(ends):
            break
        end = int(ends[last])
        yield end, last + 1 - first
        start, first = end, last + 1
    if at_end and start < len(buffer):
        unended = not buffer.endswith(b"\n")
        yield len(buffer), len(ends) - first + unended
