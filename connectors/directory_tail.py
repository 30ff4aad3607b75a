"""The events of one topic of a results folder, those that are there and those that follow."""

from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Final

from connectors.contract import ConnectorSettings, SettingsError
from connectors.paths import url_path
from connectors.registry import masked
from schemas.topics import BETWEEN_TOPICS, RESULT_TOPICS

POLL_S: Final = 0.1


class DirectorySubscription:
    """The whole lines of ``<topic>.ndjson`` from its beginning, then as they are added.

    The file need not be there yet. One that is cut back (a flow that was killed begins its last
    epoch again) goes on at its new end, so lines may come twice.
    """

    def __init__(self, url: str, topic: str, _settings: ConnectorSettings) -> None:
        folder = url_path(url)
        if not folder.is_dir():
            raise SettingsError(f"`{masked(url)}`: no such folder; name one that a flow writes to")
        topics = (*RESULT_TOPICS, *BETWEEN_TOPICS)
        path = folder / f"{topic}.ndjson"
        if topic not in topics and not path.is_file():
            raise SettingsError(f"`{topic}`: no such topic; known are {', '.join(topics)}")
        self._path = path

    def bodies(self) -> Iterator[bytes | None]:
        """Each line, without its end, for ever; None while there is none."""
        at = 0
        while True:
            lines, at = _whole_lines(self._path, at)
            yield from lines
            if not lines:
                yield None
                Event().wait(POLL_S)

    def close(self) -> None:
        """The file is not held open."""


def _whole_lines(path: Path, at: int) -> tuple[list[bytes], int]:
    """Lines from offset ``at`` on, at most a few, and the offset behind them."""
    if not path.is_file():
        return [], 0
    with path.open("rb") as file:
        at = min(at, path.stat().st_size)
        file.seek(at)
        part = file.read(1 << 20)
        end = part.rfind(b"\n") + 1
        if not end and len(part) == 1 << 20:
            part += file.readline()
            end = len(part) if part.endswith(b"\n") else 0
    return part[:end].splitlines(), at + end
