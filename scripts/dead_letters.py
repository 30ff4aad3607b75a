"""`farwatch dead-letters`: look at rejected records, and publish them again."""

import sys
from collections.abc import Mapping
from contextlib import closing
from typing import Final

import msgspec

from connectors.contract import ConnectorSettings
from connectors.dead_letters import DeadLetter, read_dead_letters
from connectors.registry import open_publisher
from schemas.telemetry import KIND_OF_ID
from scripts.listing import printable

RAW_CHARACTERS: Final = 200
"""How much of a record `list` shows."""

_ID_NAMES: Final = ("vehicle_id", *KIND_OF_ID)


def show_dead_letters(url: str, reason: str, limit: int) -> int:
    """Write the latest dead letters to standard output, a line each; returns how many.

    Raises:
        SettingsError: they cannot be read.
        ConnectorError: the store is in trouble.
    """
    lines = [_line(letter) for letter in read_dead_letters(url, reason, limit)]
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return len(lines)


def retry_dead_letters(source: str, target: str, reason: str) -> int:
    """Publish the raw bytes of dead letters, a record a message; returns how many.

    All are confirmed when this returns. A line end inside a record becomes a space, which means
    the same to JSON.

    Raises:
        SettingsError: they cannot be read, or nothing can be published there.
        ConnectorError: a far side is in trouble.
    """
    letters = read_dead_letters(source, reason)
    given = 0
    with closing(open_publisher(target, ConnectorSettings())) as publisher:
        for letter in letters:
            if record := b" ".join(letter.raw.splitlines()):
                publisher.publish(record, _vehicle(record))
                given += 1
        publisher.flush()
    return given


def _vehicle(record: bytes) -> str:
    """The id the record gives, "" where it gives none that can be read."""
    try:
        found = msgspec.json.decode(record)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return ""
    if not isinstance(found, Mapping):
        return ""
    ids = (found.get(name) for name in _ID_NAMES)
    return next((each for each in ids if isinstance(each, str)), "")


def _line(letter: DeadLetter) -> str:
    raw = letter.raw.decode(errors="backslashreplace")
    shown = raw if len(raw) <= RAW_CHARACTERS else raw[:RAW_CHARACTERS] + "…"
    return printable(f"{letter.origin}: {letter.reason}: {shown}")
