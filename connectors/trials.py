"""What a flow tried last, kept beside its recovery store so that it outlives even ``kill -9``.

A part of the input has a file here from the moment it hands out records until their epoch is
committed. A file that is found at the start says that a life of the flow ended in between.
"""

import fcntl
import os
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from threading import Lock
from typing import Final

import msgspec

from connectors.contract import RefusedError

SUSPECT_AFTER: Final = 5
"""Lives that ended at the same place from which on records are handed out with caution."""
TRIALS: Final = 5
"""How often what may be deadly is handed out alone."""
GROWTH: Final = 4
"""How many times as much may be handed out after an epoch that was survived."""
ENOUGH: Final = 10_000
"""Records (or messages) in one epoch that it survived: caution ends."""

_TURN: Final = "turn.lock"


class Tried(msgspec.Struct, frozen=True):
    """``place``: what names the position a part handed out from; ``lives``: how many in a row did.

    ``alone``: how many of these handed out one message there, and nothing else was in the flow.
    """

    part: str
    place: str
    lives: int
    alone: int = 0


class Trials:
    """The files of one flow in ``folder``, which is made when there is something to keep."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = Lock()
        self._turn: int | None = None
        self._whose = ""

    def found(self) -> Mapping[str, Tried]:
        """What is kept, by part; what cannot be read, as after a power cut, counts as not kept."""
        kept = {}
        for path in self.folder.glob("*.json"):
            try:
                tried = msgspec.json.decode(path.read_bytes(), type=Tried)
            except (OSError, msgspec.DecodeError):
                continue
            kept[tried.part] = tried
        return kept

    def keep(self, tried: Tried) -> None:
        """Keep this of its part, durably; raises RefusedError where it cannot be written."""
        path = self._path(tried.part)
        new = path.with_suffix(".new")
        try:
            self.folder.mkdir(exist_ok=True)
            with new.open("wb") as file:
                file.write(msgspec.json.encode(tried))
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
        except OSError as exc:
            raise self._refused(exc) from exc

    def drop(self, part: str) -> None:
        """Keep nothing of the part any more."""
        try:
            self._path(part).unlink(missing_ok=True)
        except OSError as exc:
            raise self._refused(exc) from exc

    def take_turn(self, part: str) -> bool:
        """Whether the part may hand out now: of all parts, in all processes, one at a time may."""
        with self._lock:
            if self._turn is None and not self._lock_file():
                return False
            self._whose = self._whose or part
            return self._whose == part

    def end_turn(self, part: str) -> None:
        """Let another part have its turn; nothing where it was not that of ``part``."""
        with self._lock:
            if self._turn is not None and self._whose == part:
                os.close(self._turn)
                self._turn, self._whose = None, ""

    def _lock_file(self) -> bool:
        try:
            self.folder.mkdir(exist_ok=True)
            turn = os.open(self.folder / _TURN, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as exc:
            raise self._refused(exc) from exc
        try:
            fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(turn)
            return False
        self._turn = turn
        return True

    def _path(self, part: str) -> Path:
        # Parts are named by whole paths, which are too long for a file name.
        return self.folder / f"{blake2b(part.encode(), digest_size=16).hexdigest()}.json"

    def _refused(self, exc: OSError) -> RefusedError:
        return RefusedError(f"`{self.folder}`: {exc.strerror}; make it writable, or make room")


def place_of(position: object) -> str:
    """What names a position of a part, the same in every life."""
    return blake2b(repr(position).encode(), digest_size=16).hexdigest()
