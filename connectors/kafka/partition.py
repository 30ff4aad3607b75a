"""One partition of a topic: where it was read up to, and what becomes of its messages."""

from collections import deque
from dataclasses import dataclass
from typing import cast

from confluent_kafka import KafkaError
from confluent_kafka import Message as KafkaMessage

from connectors.contract import SettingsError
from connectors.kafka.errors import OFFSET_GONE, PARTITION_END, is_transient, translated
from connectors.kafka.reader import Reader
from connectors.tracing import HEADER, TRACING, from_header
from schemas.message import Message, Reject


@dataclass(frozen=True, slots=True)
class Position:
    """How far a partition was read: state that outlives the process, so its name stays.

    ``offset`` is that of the next record. ``last_ms`` is the timestamp of the message before it,
    by which a topic is told from another of the same name; None where no message was seen.
    """

    offset: int
    last_ms: int | None = None


@dataclass(slots=True)
class Batch:
    """What is handed out at once; ``rows`` records in ``size`` bytes, at most."""

    items: list[Message | Reject]
    rows: int = 0
    size: int = 0


class Partition:
    """A partition that is read from ``position`` on; ``position`` is behind what was taken.

    Where it goes on behind a message that was seen, that message is read again as a witness: if it
    is another one, the topic was deleted and made anew.

    Raises:
        SettingsError: the topic was made anew, here and in ``take``.
        ConnectorError: the brokers refuse or do not answer in time, in both too.
    """

    def __init__(self, reader: Reader, number: int, position: Position) -> None:
        self.position = position
        self._reader = reader
        self._number = number
        self._queue: deque[KafkaMessage] = deque()
        self._witness_ms = position.last_ms if position.offset else None
        self._origin = f"kafka:{reader.address.name}[{number}]@"
        if number >= reader.partitions:
            raise self._another_topic("is not there any more")
        self._read_from(position.offset - (self._witness_ms is not None))

    def __bool__(self) -> bool:
        return bool(self._queue)

    def take(self, batch: Batch, most_rows: int) -> None:
        """Add what has arrived to the batch until it has ``most_rows`` records or some more."""
        queue = self._queue
        last: KafkaMessage | None = None
        while queue and batch.rows < most_rows:
            message = queue.popleft()
            error = message.error()
            if error is not None:
                self._advance(last)
                last = None
                # What names no topic is about the group, which we are never a member of.
                batch.items += self._judge(error) if message.topic() else []
            elif self._witness_ms is None or self._is_behind_witness(message):
                last = message
                origin, trace = f"{self._origin}{message.offset()}", ""
                if TRACING.tracer is not None:
                    trace = from_header(dict(message.headers() or ()).get(HEADER))
                _add(batch, message.value(), origin, trace)
        self._advance(last)

    def _advance(self, last: KafkaMessage | None) -> None:
        if last is not None:
            self.position = Position(_offset(last) + 1, last.timestamp()[1])

    def _read_from(self, offset: int) -> None:
        low, high = self._reader.bounds(self._number)
        if high < self.position.offset:
            raise self._another_topic(
                f"ends at offset {high}, but was read up to {self.position.offset}"
            )
        if low < high and self.position.offset < high:
            self._reader.unfinished.add(self._number)
        self._reader.read(self._number, offset, self._queue)

    def _judge(self, error: KafkaError) -> list[Reject]:
        """What an error that stands in the place of a message means."""
        if error.name() == PARTITION_END:
            self._reader.unfinished.discard(self._number)
        elif error.name() == OFFSET_GONE:
            return self._skip_gap()
        elif not is_transient(error.name()):
            raise translated(error, self._reader.address.shown)
        return []

    def _skip_gap(self) -> list[Reject]:
        """Go on at the first record there is; what was deleted unread is told."""
        low, _ = self._reader.bounds(self._number)
        wanted = self.position.offset
        self._witness_ms = None
        self.position = Position(max(low, wanted))
        self._read_from(self.position.offset)
        if low <= wanted:
            return []
        reason = (
            f"offset: the records {wanted} to {low - 1} were deleted by the topic's retention "
            "before they were read; keep them for longer"
        )
        return [Reject(reason=reason, field="offset", raw=b"", origin=f"{self._origin}{wanted}")]

    def _is_behind_witness(self, message: KafkaMessage) -> bool:
        """Whether the first message is new already; else it must be the witness."""
        expected_ms, self._witness_ms = self._witness_ms, None
        if _offset(message) >= self.position.offset:
            return True
        if message.timestamp()[1] != expected_ms:
            raise self._another_topic(f"holds another record at offset {message.offset()}")
        return False

    def _another_topic(self, what: str) -> SettingsError:
        return self._reader.address.wrong(
            f"partition {self._number} {what}: the topic was deleted and made anew",
            "start with a new recovery folder and another group",
        )


def _add(batch: Batch, body: bytes | None, origin: str, trace: str) -> None:
    if not body:
        reason = "message: it is empty; send one record, an array of records or NDJSON"
        batch.items.append(Reject(reason=reason, field="", raw=b"", origin=origin))
        batch.rows += 1
        return
    batch.items.append(Message(body, origin, trace=trace))
    # Records are objects, and some have an object inside: at most so many records.
    batch.rows += max(1, body.count(b"{"))
    batch.size += len(body)


def _offset(message: KafkaMessage) -> int:
    # The client's types allow for messages that were never sent; what was read has an offset.
    return cast("int", message.offset())
