"""A queue being consumed: deliveries arrive, wait their turn, and are acknowledged when told to.

Keeps the connection: when it is lost, deliveries not yet taken are forgotten (the broker has them
still) and it is opened again, later and later, as long as patience lasts. Nothing here blocks.
"""

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

from connectors.backoff import delays_s, note_answer, note_refusal, note_waiting
from connectors.contract import ConnectorError, UnavailableError
from connectors.metrics import QUEUE_MESSAGES
from connectors.rabbitmq.address import Address
from connectors.rabbitmq.frames import Delivered
from connectors.rabbitmq.link import Link
from connectors.tracing import HEADER, from_header

LONGEST_S: Final = 0.05
"""How long one call may go on receiving while more keeps coming."""

QUIET_S: Final = 0.1
STREAM_QUIET_S: Final = 1.0
LINE_UP_S: Final = 1.0
"""How often to ask whether those who consumed before us are gone."""
BEHIND_S: Final = 90.0
"""For so long a broken connection may keep messages: then its heartbeats have been missed."""

ANSWER_S: Final = 60.0
"""For so long a question may go unanswered: a queue without a leader leaves it so for ever."""
DEPTH_EVERY_S: Final = 5.0
"""How often to ask how many messages the queue holds, for the metrics."""

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """What to consume and how: ``arguments`` may depend on how far reading has come."""

    address: Address
    queue: str
    stream: bool
    timeout_s: float
    patience_s: float
    arguments: Callable[[], dict[str, Any]]


class Consumer:
    """The deliveries of one queue, in order.

    ``on_connected`` is called with each new channel, before anything comes over it: all that was
    un-acked will come again.
    """

    def __init__(
        self, subscription: Subscription, prefetch: int, on_connected: Callable[[], None]
    ) -> None:
        self.prefetch = prefetch
        self.waiting: deque[Delivered] = deque()
        self._to = subscription
        self._on_connected = on_connected
        self.acked = 0
        """The tag up to which this channel's deliveries are acknowledged."""
        self._link: Link | None = None
        # What to stop consuming by; whether that was asked for, whether all that may be un-acked
        # had come then, and whether it was answered.
        self._tag = ""
        self._leaving = self._all_came = self._left = False
        # When the last delivery came, or consuming began; None while not consuming.
        self._quiet_since: float | None = None
        # Whether the queue was asked what it holds and has not answered, and how often in a row it
        # said nothing.
        self._asking = False
        self._empty_answers = 0
        # Since when an answer is awaited, to opening, consuming or asking; None while none is.
        self._awaiting_since: float | None = None
        # Since when others, who consumed before us, may have what the queue holds.
        self._behind_since: float | None = None
        self._lost_at: float | None = None
        self._delays_s = delays_s()
        self._try_at = 0.0
        self._asked_depth_s = monotonic()
        self._depth = QUEUE_MESSAGES.labels(subscription.address.name, subscription.queue)

    def receive(self, enough: int) -> None:
        """Take in what has come, until ``enough`` deliveries wait or nothing more comes.

        Raises:
            RefusedError: the broker says no.
            UnavailableError: it has been away for longer than patience lasts.
        """
        if self._link is None:
            if monotonic() < self._try_at:
                return
            # Of a stream the offset is wanted, a header: there pika reads.
            fast = None if self._to.stream else self.waiting.append
            self._link = Link(self._to.address, self._to.timeout_s, self._consume, fast)
            self._awaiting_since = monotonic()
        until, had = monotonic() + LONGEST_S, -1
        while had < len(self.waiting) < enough and monotonic() < until:
            had = len(self.waiting)
            self._link.poll()
        if self.waiting:
            self._not_quiet()
            self._behind_since = None
        if self._link.failure is not None:
            self._lost(self._link.failure)
        elif self._unanswered():
            self._lost(
                UnavailableError(
                    f"`{self._to.address.name}`: queue `{self._to.queue}` did not answer for"
                    f" {ANSWER_S:g} s; see that it has a leader"
                )
            )
        elif self._quiet_since is not None and monotonic() >= self._asked_depth_s + DEPTH_EVERY_S:
            self._ask_depth()

    def ack(self, tag: int) -> None:
        """Acknowledge all deliveries up to ``tag``, 0 = none."""
        if tag > self.acked and self._link is not None and self._link.channel is not None:
            self._link.channel.basic_ack(tag, multiple=True)
            self._link.poll()  # `receive` sends nothing while enough waits.
            self.acked = tag
            self._not_quiet()  # There is room for more.

    def flush(self) -> None:
        """Send what was acknowledged, now."""
        if self._link is not None:
            self._link.poll()

    def drained(self) -> bool:
        """Whether nothing more comes: it has been quiet, and the queue says twice it holds nothing.

        What the broker counts as delivered may still be on its way behind the first answer, never
        behind the second. Where others consumed before us, a process that was killed among them,
        they may still have all there is: we line up anew until they are gone.

        Asks without waiting for the answer. A stream cannot say so: there only the quiet tells.
        """
        if self._quiet_since is None or self._link is None:
            return False
        now = monotonic()
        if self._to.stream:
            return now - self._quiet_since >= STREAM_QUIET_S
        if self._behind_since is not None and now < self._behind_since + BEHIND_S:
            if now >= self._quiet_since + LINE_UP_S:
                self.close()
                self._forget()
            return False
        if not self._asking and now >= self._quiet_since + QUIET_S:
            self._asking = True
            self._ask(self._link.channel, self._answered)
        return self._empty_answers >= 2

    def fit(self, prefetch: int, taken: int) -> None:
        """Come to consume with another ``prefetch``; ``taken`` is the last tag taken, 0 = none.

        Call it before ``ack``. What was un-acked a quorum queue gives to the next consumer first,
        and behind that what it had of it and did not ack either: the order changes where one takes
        fewer than were un-acked. So we stop consuming, and begin anew once nothing is un-acked. We
        stop when all that may be un-acked has come: what is on its way then stays un-acked until
        the connection is closed. To take fewer we do not wait for that, which may be too much.
        """
        fits = prefetch == self.prefetch and not self._leaving
        if fits or self._link is None or self._quiet_since is None:
            return
        channel = self._link.channel
        if self._to.stream:
            self._begin_anew(prefetch)
        elif not self._leaving:
            last = self.waiting[-1].tag if self.waiting else taken
            self._all_came = last - self.acked == self.prefetch
            if self._all_came or prefetch < self.prefetch:
                self._leaving = True
                channel.basic_cancel(self._tag, callback=self._gone)
        elif self._left and not self.waiting and self.acked >= taken:
            if not self._all_came:
                self._begin_anew(prefetch)
                return
            self._leaving = self._left = False
            self.prefetch = prefetch
            self._begin(channel)

    def _begin_anew(self, prefetch: int) -> None:
        """Consume over another connection: what is un-acked will come again."""
        self.prefetch = prefetch
        self.close()
        self._forget()

    def close(self) -> None:
        """Cut the connection; acknowledges nothing."""
        if self._link is not None:
            self._link.drop()
            self._link = None

    def _consume(self, channel: Any) -> None:
        self._forget()
        self._on_connected()
        # Pipelined: the broker takes them in order, and a refusal closes the channel.
        if not self._to.stream:
            channel.queue_declare(self._to.queue, passive=True, callback=self._lined_up)
        self._begin(channel)

    def _begin(self, channel: Any) -> None:
        channel.basic_qos(prefetch_count=self.prefetch)
        self._tag = channel.basic_consume(
            self._to.queue,
            self._delivered,
            arguments=self._to.arguments(),
            callback=self._consuming,
        )

    def _lined_up(self, before: Any) -> None:
        if not before.method.consumer_count:
            self._behind_since = None
        elif self._behind_since is None:
            self._behind_since = monotonic()

    def _consuming(self, _method: object) -> None:
        self._awaiting_since = None
        self._not_quiet()
        if self._lost_at is not None:
            self._lost_at, self._delays_s = None, delays_s()
        note_answer(self._to.address.name)

    def _gone(self, _method: object) -> None:
        self._left = True

    def _delivered(self, channel: Any, method: Any, properties: Any, body: bytes) -> None:
        del channel
        key = properties.headers["x-stream-offset"] if self._to.stream else properties.message_id
        trace = from_header((properties.headers or {}).get(HEADER))
        self.waiting.append(Delivered(method.delivery_tag, key, body, trace=trace))

    def _lost(self, failure: ConnectorError) -> None:
        self.close()
        self._forget()
        if not isinstance(failure, UnavailableError):
            note_refusal(self._to.address.name)
            raise failure
        now = monotonic()
        if self._lost_at is None:
            self._lost_at = now
            _log.warning("%s; waiting for it", failure)
        note_waiting(self._to.address.name, failure, now - self._lost_at)
        if now - self._lost_at >= self._to.patience_s:
            raise failure
        self._try_at = now + next(self._delays_s)

    def _forget(self) -> None:
        self.waiting.clear()
        self.acked = 0
        self._quiet_since = None
        self._asking = self._leaving = self._left = False

    def _not_quiet(self) -> None:
        self._quiet_since = monotonic()
        self._empty_answers = 0

    def _ask_depth(self) -> None:
        self._asked_depth_s = monotonic()
        if self._link is not None and not self._to.stream:
            self._ask(self._link.channel, self._told_depth)

    def _ask(self, channel: Any, on_answer: Callable[[Any], None]) -> None:
        """Ask how many messages the queue holds."""
        if self._awaiting_since is None:
            self._awaiting_since = monotonic()
        channel.queue_declare(self._to.queue, passive=True, callback=on_answer)

    def _unanswered(self) -> bool:
        # While deliveries come the answer may be behind them.
        since = self._awaiting_since
        return not self.waiting and since is not None and monotonic() >= since + ANSWER_S

    def _told_depth(self, answer: Any) -> None:
        self._awaiting_since = None
        self._depth.set(answer.method.message_count)

    def _answered(self, answer: Any) -> None:
        self._asking = False
        self._awaiting_since = None
        if answer.method.message_count:
            self._not_quiet()  # They are on their way.
        else:
            self._empty_answers += 1
