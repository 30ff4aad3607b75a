"""PNG files of pixels (PNG, 3rd edition), with nothing but zlib."""

from pathlib import Path
from struct import pack
from typing import Final
from zlib import compress, crc32

import numpy as np
from numpy.typing import NDArray

_COLOUR_TYPES: Final = {2: 4, 4: 6}  # channels -> grey with alpha, colours with alpha


def png(pixels: NDArray[np.uint8]) -> bytes:
    """The file of (rows, columns, channels): grey and opacity, or red, green, blue and opacity.

    8 bits each.
    """
    rows, columns, channels = pixels.shape
    # A scan line is its filter (0, none), then the channels of each pixel in turn.
    lines = np.zeros((rows, 1 + channels * columns), dtype=np.uint8)
    lines[:, 1:] = pixels.reshape(rows, -1)
    header = pack(">IIBBBBB", columns, rows, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", compress(lines.tobytes(), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        pack(">I", len(body)) + name + body + pack(">I", crc32(name + body)) for name, body in parts
    )


def write_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write the file."""
    path.write_bytes(png(pixels))
