"""``stdout:``: results as CloudEvents lines on standard output."""

import os
import sys
from typing import Final

from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from connectors.contract import Connector, ConnectorSettings, RefusedError, SettingsError
from connectors.seen import SeenIds
from schemas.delivery import Delivery
from schemas.event import cloud_event

_STDOUT: Final = 1


class StdoutSink:
    """Standard output, one CloudEvents line a delivery; the extension ``topic`` says which.

    Unit of parallelism: none; one worker writes all topics. Lines appear at the end of each epoch,
    complete. A line that was written cannot be unsaid: after a crash the lines of the last epoch
    may come again; within one run each event comes once a topic. Acknowledges when the lines were
    handed to the operating system.
    """

    def __init__(self, url: str) -> None:
        if rest := url.partition(":")[2]:
            raise SettingsError(f"`{url}`: takes no `{rest}`; write `stdout:`")

    def check(self) -> None:
        """Refuse a standard output that is closed."""
        if sys.__stdout__ is None:
            raise SettingsError("`stdout:`: standard output is closed; open it or use `dir:PATH`")

    def build(self, source: str) -> FixedPartitionedSink[Delivery, None]:
        """The Bytewax sink, of one partition."""
        return _Stdout(source)


class _Stdout(FixedPartitionedSink[Delivery, None]):
    def __init__(self, source: str) -> None:
        self._source = source

    def list_parts(self) -> list[str]:
        return ["stdout"]

    def part_fn(self, item_key: str) -> int:
        return 0

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> "_Lines":
        return _Lines(self._source)


class _Lines(StatefulSinkPartition[Delivery, None]):
    def __init__(self, source: str) -> None:
        self._source = source
        self._seen = SeenIds()
        self._lines: list[bytes] = []

    def write_batch(self, values: list[Delivery]) -> None:
        told = [value for value in values if not value.topic.startswith("_")]
        ids = [f"{value.topic} {value.event.message_id}".encode() for value in told]
        self._lines += [
            cloud_event(
                value.event, self._source, {**(value.extensions or {}), "topic": value.topic}
            )
            for value, new in zip(told, self._seen.first_time(ids), strict=True)
            if new
        ]

    def snapshot(self) -> None:
        text = memoryview(b"\n".join([*self._lines, b""]))
        self._lines = []
        # Not through sys.stdout: what it could not write to a closed pipe it would try again,
        # and complain about, when the interpreter ends.
        try:
            sys.stdout.flush()
            while text:
                text = text[os.write(_STDOUT, text) :]
        except OSError as exc:
            raise RefusedError(
                f"`stdout:`: nobody reads it any more ({exc.strerror}); use `dir:PATH`"
            ) from exc


def _open_sink(url: str, _settings: ConnectorSettings) -> StdoutSink:
    return StdoutSink(url)


CONNECTOR: Final = Connector(open_sink=_open_sink)
