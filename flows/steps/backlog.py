"""The backlog of one source before another begins: commands that are there before telemetry."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any, Final

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

from schemas.message import Message, Reject

Messages = FixedPartitionedSource[Message | Reject, Any]
Part = StatefulSourcePartition[Message | Reject, Any]
_AGAIN: Final = timedelta(milliseconds=5)
QUIET_S: Final = 1.0
"""A source that never ends has no more for now when it has had nothing for so long."""


class Backlog:
    """What a source of this process holds at the start; read once a part has nothing more."""

    def __init__(self) -> None:
        self._unread: set[str] = set()

    @property
    def is_read(self) -> bool:
        """Whether every part of this process has been read as far as it went."""
        return not self._unread

    def opened(self, part: str) -> None:
        """A part that may have a backlog was opened."""
        self._unread.add(part)

    def was_read(self, part: str) -> None:
        """The part has nothing more, for now or for ever."""
        self._unread.discard(part)


class ReadFirst(Messages):
    """A source whose backlog others wait for; all else is that of the source within."""

    def __init__(self, inner: Messages, backlog: Backlog) -> None:
        self.inner, self.backlog = inner, backlog

    def list_parts(self) -> list[str]:
        """The parts of the source within."""
        return self.inner.list_parts()

    def build_part(self, step_id: str, for_part: str, resume_state: Any) -> Part:
        """The part of the source within, noting when its backlog is read."""
        name = f"{step_id}.{for_part}"
        self.backlog.opened(name)
        part = self.inner.build_part(step_id, for_part, resume_state)
        return _First(part, self.backlog, name)


class ReadAfter(Messages):
    """A source that begins when a backlog is read; all else is that of the source within."""

    def __init__(self, inner: Messages, backlog: Backlog) -> None:
        self.inner, self.backlog = inner, backlog

    def list_parts(self) -> list[str]:
        """The parts of the source within."""
        return self.inner.list_parts()

    def build_part(self, step_id: str, for_part: str, resume_state: Any) -> Part:
        """The part of the source within, waiting for the backlog."""
        return _After(self.inner.build_part(step_id, for_part, resume_state), self.backlog)


class _First(Part):
    def __init__(self, inner: Part, backlog: Backlog, name: str) -> None:
        self.inner, self.backlog, self.name = inner, backlog, name
        self.heard_s = monotonic()

    def next_batch(self) -> Iterable[Message | Reject]:
        try:
            batch = list(self.inner.next_batch())
        except StopIteration:
            self.backlog.was_read(self.name)
            raise
        if batch:
            self.heard_s = monotonic()
        elif monotonic() - self.heard_s >= QUIET_S:
            self.backlog.was_read(self.name)
        return batch

    def next_awake(self) -> datetime | None:
        return self.inner.next_awake()

    def snapshot(self) -> Any:
        return self.inner.snapshot()

    def close(self) -> None:
        self.inner.close()


class _After(Part):
    def __init__(self, inner: Part, backlog: Backlog) -> None:
        self.inner, self.backlog = inner, backlog

    def next_batch(self) -> Iterable[Message | Reject]:
        return self.inner.next_batch() if self.backlog.is_read else []

    def next_awake(self) -> datetime | None:
        return self.inner.next_awake() if self.backlog.is_read else datetime.now(UTC) + _AGAIN

    def snapshot(self) -> Any:
        return self.inner.snapshot()

    def close(self) -> None:
        self.inner.close()
