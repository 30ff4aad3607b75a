"""Real telemetry files to records of the contract: one module a format, chosen by name."""

from connectors.readers.contract import (
    Chunk,
    FormatError,
    Reader,
    SourceFileError,
    check,
    total_bytes,
)
from connectors.readers.registry import FORMATS, reader_for

__all__ = [
    "FORMATS",
    "Chunk",
    "FormatError",
    "Reader",
    "SourceFileError",
    "check",
    "reader_for",
    "total_bytes",
]
