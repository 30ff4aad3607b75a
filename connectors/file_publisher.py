"""Telemetry messages appended to a file: what ``file:`` means as the target of a publisher."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from connectors.contract import ConnectorSettings, RefusedError
from connectors.paths import check_folder, url_path


class FilePublisher:
    """Appends each message as it is; confirmed when the file is on the disk.

    Raises SettingsError when made for a path that cannot be written.
    """

    def __init__(self, url: str, _settings: ConnectorSettings) -> None:
        self._url = url
        path = url_path(url)
        check_folder(url, path.parent)
        with self._translated():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab")

    def publish(self, body: bytes, key: str) -> None:
        """Append the message; ``key`` is not kept."""
        del key
        with self._translated():
            self._file.write(body if body.endswith(b"\n") else body + b"\n")

    def flush(self) -> None:
        """Return when everything is on the disk."""
        with self._translated():
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        with self._translated():
            self._file.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise RefusedError(
                f"`{self._url}`: cannot write ({exc.strerror}); make room or allow it"
            ) from exc
