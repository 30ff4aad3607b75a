"""Telemetry from queues and streams: acknowledged once its epoch is committed, never earlier."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Final

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

from connectors.contract import ConnectorSettings, Progress, RefusedError, SettingsError
from connectors.epoch import EpochRows
from connectors.metrics import UNACKED
from connectors.rabbitmq.address import Address
from connectors.rabbitmq.caution import Caution
from connectors.rabbitmq.consumer import Consumer, Subscription
from connectors.rabbitmq.frames import Delivered
from connectors.rabbitmq.link import opened
from connectors.rabbitmq.marks import Mark, Offset, Position, Seen
from connectors.rabbitmq.options import SourceOptions, read_source_url
from connectors.rabbitmq.topology import (
    RING,
    declare_hash,
    declare_telemetry,
    hash_name,
    is_there,
    shard_names,
)
from connectors.trials import TRIALS
from schemas.message import Message, Reject

ROW_BYTES: Final = 200
"""A message counts as one record for each so many bytes begun: what it costs in memory."""
EPOCH_BYTES: Final = 64 * 2**20
FIRST_PREFETCH: Final = 256
LEAST_PREFETCH: Final = 16
MOST_PREFETCH: Final = 30_000
IDLE: Final = timedelta(milliseconds=2)

_log: Final = logging.getLogger(__name__)


class RabbitSource:
    """Telemetry from the quorum queues (or streams) behind an exchange, or from one queue.

    Unit of parallelism: the queue; its messages keep their order, and so does a vehicle's
    telemetry, whose routing key hashes to one queue. Acknowledges when Bytewax asks for the next
    batch after a snapshot: the epoch is then committed on all processes. After a restart the
    broker delivers again what was not acknowledged; what the committed state has seen of it is
    dropped, so every message counts once. Without a recovery folder: at least once.
    """

    def __init__(self, url: str, settings: ConnectorSettings) -> None:
        self._address, self._options = read_source_url(url)
        self._settings = settings

    def check(self) -> None:
        """Declare the exchange and its queues; refuse what is there in another form."""
        options = self._options
        try:
            if options.queue:
                self._demand(options.queue)
                return
            for exchange in options.exchanges:
                self._declare(exchange)
            for exchange in options.exchanges:
                self._refuse_more(exchange)
        except RefusedError as exc:
            raise SettingsError(str(exc)) from exc

    def _declare(self, exchange: str) -> None:
        options, timeout_s = self._options, self._settings.timeout_s
        kind = declare_hash(self._address, timeout_s, exchange, streams=options.streams)
        if kind == RING and options.queues > 1:
            _log.warning(
                "`%s`: the queues of `%s` share a ring that changes when the broker restarts, and"
                " with it the order of a vehicle's records; run `rabbitmq-plugins enable"
                " rabbitmq_sharding`, drain the queues and delete the exchange `%s`",
                self._address.name,
                exchange,
                hash_name(exchange, streams=options.streams),
            )
        max_age = options.max_age if options.streams else None
        with opened(self._address, timeout_s) as link:
            declare_telemetry(link, exchange, options.queues, kind, max_age)

    def build(
        self, on_progress: Progress | None = None
    ) -> FixedPartitionedSource[Message | Reject, Position]:
        """The Bytewax source; its partitions are the queues."""
        return _Queues(self._address, self._options, self._settings, on_progress)

    @property
    def total_bytes(self) -> None:
        """None: more may always come."""
        return

    def _demand(self, queue: str) -> None:
        if not self._is_there(queue):
            raise SettingsError(
                f"`{self._address.name}`: no queue `{queue}`; check `queue=`, or let the flow that "
                "fills it declare it"
            )

    def _refuse_more(self, exchange: str) -> None:
        options = self._options
        [*_, one_more] = shard_names(exchange, options.queues + 1, streams=options.streams)
        if self._is_there(one_more):
            raise SettingsError(
                f"`{self._address.name}`: there is a queue `{one_more}` that `queues="
                f"{options.queues}` would never read; raise `queues`, or drain and delete it"
            )

    def _is_there(self, queue: str) -> bool:
        with opened(self._address, self._settings.timeout_s) as link:
            return is_there(link, queue)


class _Queues(FixedPartitionedSource[Message | Reject, Position]):
    def __init__(
        self,
        address: Address,
        options: SourceOptions,
        settings: ConnectorSettings,
        on_progress: Progress | None,
    ) -> None:
        self._address = address
        self.options = options
        self.settings = settings
        self.epoch = EpochRows(settings.epoch_rows, settings.intake)
        self._on_progress = on_progress

    @property
    def name(self) -> str:
        return self._address.name

    def list_parts(self) -> list[str]:
        return self.options.queue_names()

    def build_part(self, step_id: str, for_part: str, resume_state: Position | None) -> "_Queue":
        position = resume_state or Position(None, FIRST_PREFETCH)
        kind = _Stream if self.options.streams else _Queue
        return kind(self, for_part, position)

    def subscription(self, queue: str, mark: Mark) -> Subscription:
        return Subscription(
            address=self._address,
            queue=queue,
            stream=self.options.streams,
            timeout_s=self.settings.timeout_s,
            patience_s=self.settings.patience_s,
            arguments=mark.arguments,
        )

    def mark(self, kept: bytes | int | None) -> Mark:
        return Offset(kept, self.options.since) if self.options.streams else Seen(kept)

    def report(self, part: str, done_bytes: int) -> None:
        if self._on_progress is not None:
            self._on_progress(part, done_bytes, done_bytes)


class _Queue(StatefulSourcePartition[Message | Reject, Position]):
    def __init__(self, queues: _Queues, part: str, position: Position) -> None:
        self._queues = queues
        self._part = part
        self._origin = f"amqp:{part}"
        self._mark = queues.mark(position.mark)
        self._caution = Caution(position.trial)
        # Never fewer than may be un-acked from the life before: see `Consumer.fit`.
        wanted = queues.options.prefetch or position.prefetch
        prefetch = wanted if position.mark is None else max(wanted, position.prefetch)
        self._mark.unacked_at_most(prefetch)
        subscription = queues.subscription(part, self._mark)
        self._consumer = Consumer(subscription, prefetch, self._connected)
        # Tags of this channel: the last taken, and the last of the epoch that has just ended.
        self._taken_tag = self._closed_tag = 0
        self._unacked = UNACKED.labels(queues.name, part)
        self._wanted_prefetch = wanted
        self._epoch_messages = self._epoch_bytes = self._done_bytes = 0
        self._most_rows = queues.settings.batch_rows

    def next_batch(self) -> list[Message | Reject]:
        self._consumer.fit(self._wanted_prefetch, self._taken_tag)
        # The first call after snapshot(): that epoch is committed cluster-wide.
        self._consumer.ack(self._closed_tag)
        if self._queues.epoch.full() or not self._most_rows:
            if self._queues.epoch.intake.closed:
                self._consumer.flush()
            return []
        self._consumer.receive(self._queues.settings.batch_rows)
        batch = self._take()
        if not batch and self._ended():
            raise StopIteration
        return batch

    def next_awake(self) -> datetime | None:
        if self._consumer.waiting or self._queues.epoch.full():
            return None
        return datetime.now(UTC) + IDLE

    def snapshot(self) -> Position:
        self._queues.epoch.end(self._part)
        self._unacked.set(self._taken_tag - self._consumer.acked)
        self._closed_tag = self._taken_tag
        if self._wanted_prefetch == self._consumer.prefetch and not self._queues.options.prefetch:
            messages, size = self._epoch_messages, self._epoch_bytes
            self._wanted_prefetch = fitting_prefetch(self._wanted_prefetch, messages, size)
        self._epoch_messages = self._epoch_bytes = 0
        self._caution.epoch_ended()
        prefetch = max(self._wanted_prefetch, self._consumer.prefetch)
        self._mark.unacked_at_most(prefetch)
        return Position(self._mark.kept(), prefetch, self._caution.trial)

    def close(self) -> None:
        # Not acknowledged: the last epoch may never be committed.
        self._consumer.close()

    def __del__(self) -> None:
        # Bytewax drops partitions without closing them when another step fails.
        self.close()

    def _connected(self) -> None:
        self._mark.reconnected()
        self._taken_tag = self._closed_tag = 0

    def _ended(self) -> bool:
        """Whether all that is there was read and acknowledged, where that is to be the end."""
        if not self._queues.options.ends or self._consumer.acked < self._taken_tag:
            return False
        return self._consumer.drained()

    def _take(self) -> list[Message | Reject]:
        taken: list[Message | Reject] = []
        waiting, rows, size = self._consumer.waiting, 0, 0
        while waiting and rows < self._most_rows:
            if not (self._caution.over or self._may_take(waiting[0])):
                break
            delivered = waiting.popleft()
            self._taken_tag = delivered.tag
            if self._mark.first_time(delivered):
                taken.append(self._handed_out(delivered))
                rows += 1 + len(delivered.body) // ROW_BYTES
                size += len(delivered.body)
        if taken:
            self._queues.epoch.add(self._part, rows)
            self._epoch_messages += len(taken)
            self._epoch_bytes += size
            self._done_bytes += size
            self._queues.report(self._part, self._done_bytes)
        return taken

    def _may_take(self, head: Delivered) -> bool:
        """With caution: whether the head may be taken in this epoch."""
        if self._mark.known(head):
            return True
        self._caution.begin(self._mark.identity(head), head.deliveries)
        return self._caution.over or self._caution.left > 0

    def _handed_out(self, delivered: Delivered) -> Message | Reject:
        refused = self._caution.refuse
        self._caution.took()
        if refused:
            reason = f"the flow ended {TRIALS} times while this was all that it had of its queue"
            return Reject(reason, "", delivered.body, self._origin)
        return Message(delivered.body, self._origin, trace=delivered.trace)


class _Stream(_Queue):
    """A stream says of no message how often it was delivered: others have to take care."""

    def ration(self, records: int | None) -> None:
        """At most so many records at once, or one message of more; None = a batch."""
        most = self._queues.settings.batch_rows
        self._most_rows = most if records is None else min(records, most)


def fitting_prefetch(now: int, messages: int, size: int) -> int:
    """The prefetch for messages such as came in an epoch: ``messages`` of ``size`` bytes in all.

    So many that an epoch may bring 64 MiB: small messages come by the ten thousand, and large
    ones do not fill the memory of the broker and of this process. Stays as it is unless it held
    the epoch back or was far too large.
    """
    if not messages:
        return now
    fits = min(max(EPOCH_BYTES * messages // max(size, 1), LEAST_PREFETCH), MOST_PREFETCH)
    held_back = 2 * messages >= now and fits >= 2 * now
    far_too_large = 4 * size >= EPOCH_BYTES and 4 * fits <= now
    return fits if held_back or far_too_large else now
