"""A lane: what Bytewax sees as one partition, whatever partitions the topic has."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from bytewax.inputs import StatefulSourcePartition

from connectors.contract import Progress
from connectors.epoch import EpochRows
from connectors.kafka.partition import Batch, Partition, Position
from connectors.kafka.reader import Reader
from connectors.metrics import LAG
from schemas.message import Message, Reject

LANES: Final = 32
"""Lanes of a source. State is kept by them: another number would lose it."""

_IDLE: Final = timedelta(milliseconds=5)
_IDLE_WITHOUT_PARTITIONS: Final = timedelta(milliseconds=50)

Positions = dict[int, Position]
"""By the number of the Kafka partition."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What the lanes of one process share."""

    reader: Reader
    epoch: EpochRows
    batch_rows: int
    on_progress: Progress | None


class Lane(StatefulSourcePartition[Message | Reject, Positions]):
    """Reads the Kafka partitions whose number modulo ``LANES`` is ``number``."""

    def __init__(self, shared: Shared, number: int, resumed: Positions | None) -> None:
        shared.reader.enter()
        self._shared = shared
        self._reader = shared.reader
        self._number = number
        self._name = name(shared.reader.address.name, number)
        self._closed: Positions | None = None
        self._committed: Positions = {}
        self._bytes_done = 0
        self._idle = False
        self._most_rows = shared.batch_rows
        self._partitions = {
            partition: Partition(self._reader, partition, position)
            for partition, position in (resumed or {}).items()
        }
        self._looked_at = 0
        self._open_new(added=resumed is not None)

    def next_batch(self) -> list[Message | Reject]:
        """What has arrived, about a batch at most; nothing when the epoch has had its share."""
        self._commit()
        self._open_new(added=True)
        self._idle = False
        if self._shared.epoch.full() or not self._most_rows:
            return []
        if not any(self._partitions.values()):
            self._reader.fill(self._shared.batch_rows)
        items = self._take()
        if not items:
            self._idle = True
            self._stop_at_end()
        return items

    def next_awake(self) -> datetime | None:
        """Soon: an input that sleeps would hold up the epochs of all others."""
        if not self._idle:
            return None
        return datetime.now(UTC) + (_IDLE if self._partitions else _IDLE_WITHOUT_PARTITIONS)

    def snapshot(self) -> Positions:
        """The positions behind all that was handed out."""
        self._shared.epoch.end(self._name)
        self._closed = self._positions()
        for number, at in self._closed.items():
            ahead = self._reader.ahead(number, at.offset)
            LAG.labels(self._reader.address.shown, str(number)).set(ahead)
        return self._closed

    def ration(self, records: int | None) -> None:
        """At most so many records at once, or one message of more; None = a batch."""
        most = self._shared.batch_rows
        self._most_rows = most if records is None else min(records, most)

    def close(self) -> None:
        """Let go of the partitions; acknowledges nothing."""
        self._reader.leave()

    def _open_new(self, *, added: bool) -> None:
        """Begin with those of our partitions that are not read yet.

        ``added``: they were added to the topic since this flow read it first.
        """
        if self._looked_at == self._reader.partitions:
            return
        self._looked_at = self._reader.partitions
        for number in range(self._number, self._looked_at, LANES):
            if number not in self._partitions:
                offset = self._reader.start(number, added=added)
                self._partitions[number] = Partition(self._reader, number, Position(offset))

    def _positions(self) -> Positions:
        return {number: partition.position for number, partition in self._partitions.items()}

    def _commit(self) -> None:
        # The first next_batch() after snapshot() comes once that epoch is committed.
        closed, self._closed = self._closed, None
        if closed is not None and closed != self._committed:
            self._reader.commit({number: at.offset for number, at in closed.items()})
            self._committed = closed

    def _take(self) -> list[Message | Reject]:
        batch = Batch([])
        for partition in self._partitions.values():
            partition.take(batch, self._most_rows)
        if batch.rows:
            self._shared.epoch.add(self._name, batch.rows)
            self._bytes_done += batch.size
            if self._shared.on_progress is not None:
                self._shared.on_progress(self._name, self._bytes_done, self._bytes_done)
        return batch.items

    def _stop_at_end(self) -> None:
        if not self._reader.ends or self._reader.unfinished:
            return
        # The group is to know of the last records too, so wait until their epoch is committed.
        if not self._reader.group or self._committed == self._positions():
            raise StopIteration


def name(topic: str, number: int) -> str:
    """The name of a lane: it keys the recovery state."""
    return f"{topic}:{number:02}"
