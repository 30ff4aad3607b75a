"""The one consumer of a process, shared by all that read the same topic in it."""

import logging
from collections import deque
from collections.abc import Mapping
from threading import Lock
from time import monotonic
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from connectors.backoff import note_answer, note_refusal, note_waiting, until_available
from connectors.contract import UnavailableError
from connectors.kafka.address import Address, ClientSettings
from connectors.kafka.cluster import group_offsets, settings_refused
from connectors.kafka.errors import Trouble, is_transient, translated, translating

PREFETCH_KB: Final = 32 * 1024
"""What the client fetches ahead of us, all partitions together."""
DISCOVER_S: Final = 30.0
"""How often partitions are looked for that the topic did not have before."""
DISCOVER_WHEN_DOWN_S: Final = 1.0

START: Final = ("earliest", "latest")
UNTIL: Final = ("", "end")
"""Values of the options ``start`` and ``until``, the default first."""

_log: Final = logging.getLogger(__name__)


class Reader:
    """Reads the partitions of one topic for all lanes of this process, each lane its own.

    Partitions are assigned by us: nothing is ever rebalanced away. ``partitions`` is how many the
    topic has, as far as we know; ``unfinished`` are those read here whose end, where one was asked
    for, is not reached. Workers of one process may call all methods at the same time.

    Raises:
        SettingsError: the client does not take the options of the address.
        ConnectorError: the brokers refuse or do not answer in time, here and in every method.
    """

    def __init__(self, address: Address, timeout_s: float, patience_s: float) -> None:
        self.address = address
        self.group = address.options.get("group", "")
        self.ends = address.choice("until", UNTIL) == "end"
        self.unfinished: set[int] = set()
        self._latest = address.choice("start", START) == "latest"
        self._timeout_s, self._patience_s = timeout_s, patience_s
        self._trouble = Trouble(address.shown)
        self._lock = Lock()
        self._lanes = 0
        self._queues: dict[int | None, deque[Message]] = {}
        self._down_since_s: float | None = None
        self._discovered_s = monotonic()
        try:
            self._consumer = Consumer(self._settings())
            # Questions have a connection of their own: on that of the consumer a broker answers
            # them only after the fetch that waits there for records.
            self._asking = Consumer(self._login(Trouble(address.shown)))
        except KafkaException as exc:
            raise settings_refused(address, exc) from exc
        self.partitions = self._count(timeout_s)
        note_answer(address.shown)
        self._committed = group_offsets(address, self.group, self.partitions, timeout_s)

    def start(self, partition: int, *, added: bool) -> int:
        """The offset at which to begin with a partition that was never read.

        ``added``: since the flow read the topic first, so that nothing in it is old.
        """
        low, high = self.bounds(partition)
        if added:
            return low
        if partition in self._committed:
            return self._committed[partition]
        # Where a group has read other partitions, this one was added since, too.
        return high if self._latest and not self._committed else low

    def bounds(self, partition: int) -> tuple[int, int]:
        """The offset of the first record there is, and that of the next one to come.

        Waits for a partition that has no leader yet, as one that was just made or whose broker was
        killed.
        """
        return until_available(
            self.address.shown, lambda: self._ask_bounds(partition), self._patience_s
        )

    def _ask_bounds(self, partition: int) -> tuple[int, int]:
        with translating(self.address.shown):
            low, high = self._asking.get_watermark_offsets(
                self._place(partition), timeout=self._timeout_s
            )
        return low, high

    def ahead(self, partition: int, offset: int) -> int:
        """How many records lie behind ``offset``, as far as the client knows without asking."""
        known: tuple[int, int] | None = self._consumer.get_watermark_offsets(
            self._place(partition), cached=True
        )
        return 0 if known is None else max(known[1] - offset, 0)

    def read(self, partition: int, offset: int, queue: deque[Message]) -> None:
        """Fill ``queue`` with the messages of a partition from ``offset`` on."""
        with self._lock, translating(self.address.shown):
            if partition in self._queues:
                self._consumer.incremental_unassign([self._place(partition)])
            self._queues[partition] = queue
            self._consumer.incremental_assign([self._place(partition, offset)])

    def fill(self, most: int) -> None:
        """Give each lane what has arrived, ``most`` messages in all; waits for nothing.

        Does nothing while any lane has messages left, so that memory stays bounded.
        """
        with self._lock:
            if any(self._queues.values()):
                return
            self._discover()
            with translating(self.address.shown):
                messages = self._consumer.consume(most, 0)
            for message in messages:
                # What is left of a partition that was let go belongs to nobody.
                if (queue := self._queues.get(message.partition())) is not None:
                    queue.append(message)
        if self._trouble.refused:
            note_refusal(self.address.shown)
            self._trouble.raise_refused()

    def commit(self, offsets: Mapping[int, int]) -> None:
        """Tell the group, if there is one, the next offsets; sent within half a second."""
        if self.group:
            places = [self._place(partition, offset) for partition, offset in offsets.items()]
            with translating(self.address.shown):
                self._consumer.store_offsets(offsets=places)

    def enter(self) -> None:
        """Count one more lane that reads through this reader."""
        with self._lock:
            self._lanes += 1

    def leave(self) -> None:
        """Count one lane less; with the last one the consumer is closed."""
        with self._lock:
            self._lanes -= 1
            if not self._lanes:
                self._consumer.close()
                self._asking.close()

    def _login(self, trouble: Trouble) -> ClientSettings:
        # The client insists on a group; without one of ours it is never made known.
        return {**self.address.client(trouble), "group.id": self.group or "farwatch"}

    def _settings(self) -> ClientSettings:
        return {
            **self._login(self._trouble),
            "enable.auto.commit": bool(self.group),
            "enable.auto.offset.store": False,
            "auto.commit.interval.ms": 500,
            "on_commit": self._on_commit,
            # An offset that is not there is for us to judge, never skipped.
            "auto.offset.reset": "error",
            "enable.partition.eof": self.ends,
            # Nothing else is answered while a fetch waits for records: not for long, and least
            # where an answer without any tells the end.
            "fetch.wait.max.ms": 20 if self.ends else 100,
            "queued.max.messages.kbytes": PREFETCH_KB,
            "fetch.queue.backoff.ms": 10,
            # A sink may keep the flow waiting for long; with partitions of our own that is fine.
            "max.poll.interval.ms": 86_400_000,
        }

    def _on_commit(self, error: KafkaError | None, _places: object) -> None:
        if error is not None and not is_transient(error.name()):
            self._trouble.refuse(error)

    def _place(self, partition: int, offset: int | None = None) -> TopicPartition:
        if offset is None:
            return TopicPartition(self.address.name, partition)
        return TopicPartition(self.address.name, partition, offset)

    def _count(self, timeout_s: float) -> int:
        name = self.address.name
        with translating(self.address.shown):
            topic = self._asking.list_topics(name, timeout_s).topics[name]
        if topic.error is not None:
            raise translated(topic.error, self.address.shown)
        return len(topic.partitions)

    def _discover(self) -> None:
        """Ask from time to time how many partitions there are, and whether brokers are back."""
        since_s = monotonic() - self._discovered_s
        if since_s < (DISCOVER_WHEN_DOWN_S if self._trouble.all_down else DISCOVER_S):
            return
        try:
            self.partitions = max(self.partitions, self._count(timeout_s=1.0))
        except UnavailableError as exc:
            self._note_down(exc)
        else:
            self._note_up()
        self._asking.poll(0)  # It complains, too, and keeps it until somebody listens.
        self._discovered_s = monotonic()

    def _note_down(self, why: UnavailableError) -> None:
        if self._down_since_s is None:
            self._down_since_s = monotonic()
            _log.warning(
                "`%s`: no broker answers%s; waiting", self.address.shown, self._trouble.why
            )
        note_waiting(self.address.shown, why, monotonic() - self._down_since_s)

    def _note_up(self) -> None:
        self._trouble.all_down = False
        self._down_since_s = None
        note_answer(self.address.shown)
