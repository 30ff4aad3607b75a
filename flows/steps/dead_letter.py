"""The limit that stops a flow when everything is bad, and the source that obeys it.

A flow whose records all go to the dead letters is misconfigured or fed by something broken; it
must stop and say so. It stops between two epochs, when every dead letter so far is durable.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from time import monotonic, time
from typing import Any

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

from connectors.metrics import COMMIT_S, END_TO_END_S, LAST_COMMIT
from connectors.refused import RefusedItems
from flows.vitals import VITALS
from schemas.message import Message, Reject


class DeadLetterLimitError(Exception):
    """Too much of the input is bad; the message says how much and shows the latest reason."""


class DeadLetterLimit:
    """Counts good and bad records of this process, over all parts of its input.

    Exceeded when ``run`` records in a row are bad, or of the latest ``window`` (or more) records a
    share of more than ``ratio``, or at the end of the input when nothing was good.
    """

    def __init__(self, ratio: float = 0.5, run: int = 10_000, window: int = 10_000) -> None:
        self.ratio = ratio
        self.run = run
        self.window = window
        self.good = 0
        self.bad = 0
        self.parts_open = 0
        self._in_a_row = 0
        self._window_good = 0
        self._window_bad = 0
        self._latest: Reject | None = None
        self._broken = ""

    def count(self, good: int, rejects: Sequence[Reject]) -> None:
        """Count a batch; order inside a batch does not matter."""
        bad = len(rejects)
        self.good += good
        self.bad += bad
        self._in_a_row = 0 if good else self._in_a_row + bad
        self._window_good += good
        self._window_bad += bad
        if rejects:
            self._latest = rejects[-1]
        if self._in_a_row >= self.run:
            self._broken = f"{self._in_a_row} records in a row were rejected"
        total = self._window_good + self._window_bad
        if total >= self.window:
            if self._window_bad > self.ratio * total:
                self._broken = f"{self._window_bad} of {total} records were rejected"
            self._window_good = self._window_bad = 0

    def check(self) -> None:
        """Raise ``DeadLetterLimitError`` when a limit is exceeded.

        ``parts_open`` is how many parts of the input may still bring records.
        """
        broken = self._broken
        if not self.parts_open and self.bad and not self.good:
            broken = f"all {self.bad} records were rejected"
        if broken and self._latest is not None:
            raise DeadLetterLimitError(
                f"stopped by the dead-letter limit: {broken}; the latest, from"
                f" {self._latest.origin}: {self._latest.reason}"
            )


class GuardedSource(FixedPartitionedSource[Message | Reject, Any]):
    """A source that stops at the dead-letter limit, between two epochs.

    It also hands out, as rejects, what the sinks of this process had refused. Parallelism,
    delivery after a restart and acknowledgement are those of the source within.
    """

    def __init__(
        self,
        inner: FixedPartitionedSource[Message | Reject, Any],
        limit: DeadLetterLimit,
        refused: RefusedItems,
    ) -> None:
        self.inner = inner
        self.limit = limit
        self.refused = refused

    def list_parts(self) -> list[str]:
        """The parts of the source within."""
        VITALS.started(monotonic())
        return self.inner.list_parts()

    def build_part(self, step_id: str, for_part: str, resume_state: Any) -> "_GuardedPart":
        """The part of the source within, guarded."""
        inner = self.inner.build_part(step_id, for_part, resume_state)
        return _GuardedPart(inner, self.limit, self.refused, for_part)


class _GuardedPart(StatefulSourcePartition[Message | Reject, Any]):
    # The first next_batch() after snapshot() comes once all outputs of the epoch are written and
    # committed: only then may the limit stop the flow, and only then is the end of the input told.
    # By then the sinks have said what of the last epoch they could not write.
    def __init__(
        self,
        inner: StatefulSourcePartition[Message | Reject, Any],
        limit: DeadLetterLimit,
        refused: RefusedItems,
        name: str,
    ) -> None:
        self.inner = inner
        self.limit = limit
        self.refused = refused
        self.name = name
        self.epoch = _EpochTimes()
        VITALS.open_part(name)
        self.snapshot_taken = False
        self.ended = False
        limit.parts_open += 1

    def next_batch(self) -> Iterable[Message | Reject]:
        now_s = monotonic()
        VITALS.moved(now_s)
        if self.snapshot_taken:
            self.snapshot_taken = False
            self.epoch.committed(now_s)
            VITALS.committed(self.name, now_s)
            self.limit.check()
            if refused := self.refused.take():
                return refused
            if self.ended:
                raise StopIteration
        if self.ended:
            return []
        try:
            batch = self.inner.next_batch()
        except StopIteration:
            self.ended = True
            self.limit.parts_open -= 1
            return []
        if batch:
            self.epoch.handed_out(now_s)
        return batch

    def next_awake(self) -> datetime | None:
        return self.inner.next_awake()

    def snapshot(self) -> Any:
        self.snapshot_taken = True
        self.epoch.ended(monotonic())
        return self.inner.snapshot()

    def close(self) -> None:
        VITALS.close_part(self.name)
        self.inner.close()


class _EpochTimes:
    """When the epoch at hand began to hand out records, and when the one before it ended."""

    def __init__(self) -> None:
        self._first_s: float | None = None
        self._closed: tuple[float | None, float] | None = None

    def handed_out(self, now_s: float) -> None:
        if self._first_s is None:
            self._first_s = now_s

    def ended(self, now_s: float) -> None:
        self._closed, self._first_s = (self._first_s, now_s), None

    def committed(self, now_s: float) -> None:
        if self._closed is None:
            return
        first_s, ended_s = self._closed
        COMMIT_S.observe(now_s - ended_s)
        if first_s is not None:
            END_TO_END_S.observe(now_s - first_s)
        LAST_COMMIT.set(time())
