"""Draining: nothing more is read, and when what was read is committed the flow may end.

The end of the input would not do: there a flow tells what it holds back, and windows as they
stand, which one that goes on later would not have told.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

from connectors.epoch import Intake
from schemas.message import Message, Reject

_IDLE: Final = timedelta(milliseconds=5)


class Drained(Exception):  # noqa: N818 (no error: how a drained flow leaves the engine)
    """All that was read is committed, and nothing more will be."""


class Drain:
    """Closes the intake of a flow in this process and tells when it is drained.

    ``on_drained`` is called once, from within the source or from ``request``; by default it raises
    ``Drained``, which ends an engine that runs in this process alone.
    """

    def __init__(self, intake: Intake | None = None) -> None:
        self.intake = intake or Intake()
        self.on_drained: Callable[[], None] = _leave
        self._open: set[str] = set()
        self._told = False

    @property
    def requested(self) -> bool:
        """Whether the flow is to be drained."""
        return self.intake.closed

    def request(self) -> None:
        """Close the intake; safe in a signal handler, and when called again."""
        self.intake.closed = True
        self._tell()

    def opened(self, part: str) -> None:
        """A partition may hand something out from now on."""
        self._open.add(part)

    def settled(self, part: str) -> None:
        """All that a partition has handed out is committed, and it hands out nothing more."""
        self._open.discard(part)
        if self.requested:
            self._tell()

    def _tell(self) -> None:
        if not self._open and not self._told:
            self._told = True
            self.on_drained()


class DrainingSource(FixedPartitionedSource[Message | Reject, Any]):
    """A source that can be drained; all else is that of the source within."""

    def __init__(self, inner: FixedPartitionedSource[Message | Reject, Any], drain: Drain) -> None:
        self.inner = inner
        self.drain = drain

    def list_parts(self) -> list[str]:
        """The parts of the source within."""
        return self.inner.list_parts()

    def build_part(self, step_id: str, for_part: str, resume_state: Any) -> "_DrainingPart":
        """The part of the source within, which can be drained."""
        inner = self.inner.build_part(step_id, for_part, resume_state)
        return _DrainingPart(inner, f"{step_id} {for_part}", self.drain)


class _DrainingPart(StatefulSourcePartition[Message | Reject, Any]):
    # The first next_batch() after snapshot() comes once that epoch is committed, cluster-wide; the
    # source within has acknowledged it when its own next_batch() returns.
    def __init__(
        self, inner: StatefulSourcePartition[Message | Reject, Any], part: str, drain: Drain
    ) -> None:
        self.inner = inner
        self.part = part
        self.drain = drain
        # Whether it may have handed out what is not committed, and whether that is in a snapshot.
        self.unsettled = True
        self.in_snapshot = False
        # What a settled partition is asked for again at each further epoch.
        self.last_snapshot: Any = None
        self.settled = False
        drain.opened(part)

    def next_batch(self) -> Iterable[Message | Reject]:
        if self.settled:
            return []
        if self.in_snapshot:
            self.in_snapshot = self.unsettled = False
        try:
            batch = list(self.inner.next_batch())
        except StopIteration:
            self.drain.settled(self.part)
            raise
        if batch:
            self.unsettled = True
        elif self.drain.requested and not self.unsettled:
            self.settled = True
            self.inner.close()
            self.drain.settled(self.part)
        return batch

    def next_awake(self) -> datetime | None:
        return datetime.now(UTC) + _IDLE if self.settled else self.inner.next_awake()

    def snapshot(self) -> Any:
        if not self.settled:
            self.in_snapshot = True
            self.last_snapshot = self.inner.snapshot()
        return self.last_snapshot

    def close(self) -> None:
        if not self.settled:
            self.inner.close()


def _leave() -> None:
    raise Drained
