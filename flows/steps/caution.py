"""A source whose flow may be dying of a record: handed out with care, at last not at all.

A record that kills the process comes again at the next start, from the same position, and kills it
again. Once lives of the flow have ended so, records are handed out one part at a time and a few in
an epoch, so that each life gets further, until the deadly message comes first. It is then handed
out alone; when trial after trial was the flow's last, it becomes a dead letter. No other message is
refused for its neighbour's sake.
"""

import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any, Final

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

from connectors.contract import Rationed
from connectors.trials import ENOUGH, GROWTH, SUSPECT_AFTER, TRIALS, Trials, Tried, place_of
from schemas.message import Message, Reject

_LOOK: Final = timedelta(milliseconds=5)

_log: Final = logging.getLogger(__name__)

Part = StatefulSourcePartition[Message | Reject, Any]


class CautiousSource(FixedPartitionedSource[Message | Reject, Any]):
    """The source within, with caution once the flow seems to die of what it hands out.

    Parts that cannot be rationed are left as they are. Parallelism, delivery after a restart and
    acknowledgement are those of the source within, whose state it keeps unchanged.
    """

    def __init__(
        self, inner: FixedPartitionedSource[Message | Reject, Any], trials: Trials
    ) -> None:
        self.inner = inner
        self.trials = trials
        self._lock = Lock()
        self._found: Mapping[str, Tried] | None = None

    def list_parts(self) -> list[str]:
        """The parts of the source within."""
        return self.inner.list_parts()

    def build_part(self, step_id: str, for_part: str, resume_state: Any) -> Part:
        """The part of the source within, rationed where there is cause."""
        part = self.inner.build_part(step_id, for_part, resume_state)
        if not isinstance(part, Rationed):
            return part
        with self._lock:
            if self._found is None:
                self._found = self._look()
        cautious = any(tried.lives >= SUSPECT_AFTER for tried in self._found.values())
        return _CautiousPart(
            part, self.trials, for_part, resume_state, self._found.get(for_part), cautious=cautious
        )

    def _look(self) -> Mapping[str, Tried]:
        found = self.trials.found()
        for tried in found.values():
            if tried.lives >= SUSPECT_AFTER:
                _log.warning(
                    "`%s`: the flow ended %d times in a row or more with what it handed out there;"
                    " a few records are handed out at a time until it gets past them",
                    tried.part,
                    SUSPECT_AFTER,
                )
        return found


class _CautiousPart(Part):
    # The first next_batch() after snapshot() comes once that epoch is committed.
    def __init__(
        self,
        inner: Any,
        trials: Trials,
        name: str,
        resumed: Any,
        before: Tried | None,
        *,
        cautious: bool,
    ) -> None:
        self.inner = inner
        self.trials = trials
        self.name = name
        self.before = before
        # The position that is committed, and the one of the epoch that has ended since, if any.
        self.committed = resumed
        self.closed: tuple[Any] | None = None
        # How many records may be handed out in an epoch, at once; None = no limit.
        self.ration: int | None = 1 if cautious else None
        self.handed_out = self.noted = self.waits = False

    def next_batch(self) -> Iterable[Message | Reject]:
        if self.closed is not None:
            (self.committed,), self.closed = self.closed, None
            if self.handed_out:
                self._survived()
        if self.ration is not None:
            return self._with_caution(self.ration)
        batch = list(self.inner.next_batch())
        if batch and not self.noted:
            self.noted = self.handed_out = True
            self.trials.keep(self._tried())
        return batch

    def next_awake(self) -> datetime | None:
        return datetime.now(UTC) + _LOOK if self.waits else self.inner.next_awake()

    def snapshot(self) -> Any:
        position = self.inner.snapshot()
        if self.ration is not None or self.handed_out or not self.noted:
            self.closed = (position,)
        return position

    def close(self) -> None:
        self.inner.close()

    def _with_caution(self, ration: int) -> Iterable[Message | Reject]:
        """At most ``ration`` records if it is this part's turn and it had none in this epoch."""
        self.waits = self.handed_out or not self.trials.take_turn(self.name)
        self.inner.ration(0 if self.waits else ration)
        try:
            batch = list(self.inner.next_batch())
        except StopIteration:
            # There is no end before all that was handed out is committed.
            self.trials.drop(self.name)
            self.trials.end_turn(self.name)
            raise
        if self.waits:
            return batch
        if not batch:
            self.trials.end_turn(self.name)
            return batch
        self.handed_out = True
        return self._alone(batch) if ration == 1 else self._noted(batch)

    def _alone(self, batch: list[Message | Reject]) -> list[Message | Reject]:
        """The batch of one message, which is refused when it has had its trials."""
        if not isinstance(batch[0], Message) or len(batch) > 1:
            return self._noted(batch)
        before = self.before
        same = before is not None and before.place == place_of(self.committed)
        trial = before.alone + 1 if before is not None and same else 1
        if trial > TRIALS:
            message = batch[0]
            reason = f"the flow ended {TRIALS} times while this was all that it had of its input"
            _log.warning("`%s`: %s; it becomes a dead letter", message.origin, reason)
            return [Reject(reason, "", message.body, message.origin)]
        self.trials.keep(self._tried(alone=trial))
        return batch

    def _noted(self, batch: list[Message | Reject]) -> list[Message | Reject]:
        self.trials.keep(self._tried())
        return batch

    def _tried(self, alone: int = 0) -> Tried:
        place, before = place_of(self.committed), self.before
        lives = before.lives + 1 if before is not None and before.place == place else 1
        if self.ration is not None:
            lives = max(lives, SUSPECT_AFTER)
        return Tried(self.name, place, lives, alone)

    def _survived(self) -> None:
        """All that was handed out is committed."""
        self.handed_out = False
        self.before = None
        if self.ration is None:
            self.trials.drop(self.name)
            return
        self.ration *= GROWTH
        if self.ration < ENOUGH:
            # Who dies of what comes now is not to begin without caution.
            self.trials.keep(self._tried())
        else:
            self.ration, self.noted, self.waits = None, True, False
            self.inner.ration(None)
            self.trials.drop(self.name)
        self.trials.end_turn(self.name)
