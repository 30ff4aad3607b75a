"""The floor: nothing but reading and decoding. ``python decode_only.py TELEMETRY FRAME_ROWS``.

Reads the file in blocks of whole lines, about ``FRAME_ROWS`` records each, and hands each block to
the decoder as one message, as the watch's file source does.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from schemas.decoding import TelemetryDecoder
from schemas.message import Message

_BYTES_A_RECORD = 186


def blocks(path: Path, size: int) -> Iterator[bytes]:
    """The file as blocks of whole lines, about ``size`` bytes each."""
    with path.open("rb") as file:
        while block := file.read(size):
            yield block + file.readline()


def main(telemetry: str, frame_rows: str) -> None:
    """Decodes the file; ends with status 1 where a record was rejected."""
    decoder = TelemetryDecoder()
    size = int(frame_rows) * _BYTES_A_RECORD
    for body in blocks(Path(telemetry), size):
        decoded = decoder.decode([Message(body, f"file:{telemetry}")])
        if decoded.rejects:
            sys.exit(f"rejected: {decoded.rejects[0].reason}")


if __name__ == "__main__":
    main(*sys.argv[1:])
