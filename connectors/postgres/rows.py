"""Rows as PostgreSQL's COPY takes them in its binary format.

PostgreSQL 15, COPY, Binary Format: no value needs escaping, so no text can break out of its field.
"""

from collections.abc import Callable, Iterable, Mapping
from struct import Struct
from typing import Any, Final

import msgspec

from connectors.tables import Column, Table

SQL_TYPES: Final[Mapping[Column, str]] = {
    # Ids are compared byte by byte: quick, and no index breaks when the system's locales change.
    Column.TEXT: 'TEXT COLLATE "C"',
    Column.WHOLE: "BIGINT",
    Column.NUMBER: "DOUBLE PRECISION",
    Column.TRUTH: "BOOLEAN",
    Column.TIME: "TIMESTAMPTZ",
    Column.JSON: "JSONB",
    Column.BYTES: "BYTEA",
}

_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER: Final = b"\xff\xff"
_NULL: Final = b"\xff\xff\xff\xff"
_JSONB_VERSION: Final = b"\x01"
_EPOCH_2000_US: Final = 946_684_800_000_000

_count: Final = Struct("!h").pack
_length: Final = Struct("!i")
_whole: Final = Struct("!q").pack
_number: Final = Struct("!d").pack


def encode(table: Table, row: Iterable[Any]) -> bytes:
    """A row of ``tables.row``, its times in microseconds since 1970 UTC.

    PostgreSQL has no U+0000 in text: U+FFFD takes its place, there and in JSON.
    """
    parts = [_count(len(table.columns))]
    for column, value in zip(table.columns.values(), row, strict=True):
        if value is None:
            parts.append(_NULL)
        else:
            data = _ENCODE[column](value)
            parts += (_length.pack(len(data)), data)
    return b"".join(parts)


def copied(rows: Iterable[bytes]) -> bytes:
    """Encoded rows as the content of one COPY."""
    return b"".join([_HEADER, *rows, _TRAILER])


def fields(table: Table, row: bytes) -> dict[str, bytes | None]:
    """The values of an encoded row, as they are in it."""
    found: dict[str, bytes | None] = {}
    at = 2
    for name in table.columns:
        (size,) = _length.unpack_from(row, at)
        at += _length.size
        found[name] = None if size < 0 else row[at : at + size]
        at += max(size, 0)
    return found


def _encode_text(text: str) -> bytes:
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    return text.encode()


def _encode_json(text: str) -> bytes:
    if "\\u0000" in text:
        text = msgspec.json.encode(_without_nul(msgspec.json.decode(text))).decode()
    return _JSONB_VERSION + text.encode()


def _without_nul(value: Any) -> Any:
    if isinstance(value, dict):
        return {_without_nul(key): _without_nul(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_without_nul(each) for each in value]
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value


_ENCODE: Final[Mapping[Column, Callable[[Any], bytes]]] = {
    Column.TEXT: _encode_text,
    Column.WHOLE: _whole,
    Column.NUMBER: _number,
    Column.TRUTH: lambda value: b"\x01" if value else b"\x00",
    Column.TIME: lambda time_us: _whole(time_us - _EPOCH_2000_US),
    Column.JSON: _encode_json,
    Column.BYTES: bytes,
}
