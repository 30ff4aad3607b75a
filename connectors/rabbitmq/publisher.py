"""Messages to exchanges, many in flight, each kept until the broker has confirmed it."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import pika

from connectors.backoff import until_available
from connectors.contract import FullError, RefusedError, UnavailableError
from connectors.rabbitmq.address import Address
from connectors.rabbitmq.link import Link
from connectors.tracing import HEADER

MOST_UNCONFIRMED: Final = 10_000
MOST_UNCONFIRMED_BYTES: Final = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message on its way: persistent; ``message_id`` tells it from any other.

    ``trace``: the trace context that a header names, "" = none.
    """

    exchange: str
    routing_key: str
    message_id: str
    content_type: str
    body: bytes
    trace: str = ""


class Publisher:
    """Publishes in order and forgets nothing: what was not confirmed goes out again.

    After a lost connection all that is unconfirmed is sent again, in order; the broker may then
    have a message twice, with one message id. ``declare`` is called with each new link.
    ``mandatory``: a message that reaches no queue is an error, else it is dropped.
    """

    def __init__(
        self,
        address: Address,
        timeout_s: float,
        declare: Callable[[Link], None],
        *,
        mandatory: bool,
    ) -> None:
        self._address = address
        self._timeout_s = timeout_s
        self._declare = declare
        self._mandatory = mandatory
        self._link: Link | None = None
        # Sent over this link and not confirmed, by delivery tag, ascending from 1. Ordered: the
        # first of a plain dict is slow to find once many before it are gone.
        self._sent: OrderedDict[int, Outgoing] = OrderedDict()
        self._next_tag = 1
        self._unsent: list[Outgoing] = []
        self.unconfirmed_bytes = 0
        self._returned: str | None = None

    def connect(self, patience_s: float | None = None) -> None:
        """Open the connection ahead of the first flush: what is published then leaves at once.

        Raises:
            UnavailableError: the broker was away for all of ``patience_s``, None = at one try.
            RefusedError: it says no.
        """
        if patience_s is None:
            self._open()
        else:
            until_available(self._address.name, self._open, patience_s)

    def publish(self, messages: list[Outgoing], patience_s: float) -> None:
        """Send messages, waiting only where too many are in flight; may raise what flush does."""
        for message in messages:
            self._unsent.append(message)
            self.unconfirmed_bytes += len(message.body)
            if self._full():
                self.flush(patience_s)
        if self._link is not None and self._link.failure is None:
            self._send(self._link)
            self._link.poll()

    def flush(self, patience_s: float) -> None:
        """Wait until all is confirmed, over new connections where one is lost.

        Raises:
            UnavailableError: the broker was away, or did not confirm, for all of ``patience_s``.
            RefusedError: it says no, or a message reached no queue.
        """
        if self._sent or self._unsent:
            until_available(self._address.name, self._attempt, patience_s)

    def close(self) -> None:
        """Close the connection; waits for no confirm."""
        if self._link is not None:
            self._link.close()
            self._link = None

    def _full(self) -> bool:
        count = len(self._sent) + len(self._unsent)
        return count >= MOST_UNCONFIRMED or self.unconfirmed_bytes >= MOST_UNCONFIRMED_BYTES

    def _attempt(self) -> None:
        if self._link is not None and self._link.failure is not None:
            failure = self._link.failure
            self._drop_link()
            if not isinstance(failure, UnavailableError):
                raise failure
        link = self._link or self._open()
        try:
            self._send(link)
            link.wait(lambda: self._returned is not None or not self._sent, "confirm in time")
        except UnavailableError:
            # A broker that said it is blocked will go on where it was; sent again over another
            # connection, all would be there twice.
            if link.blocked is None:
                self._drop_link()
            raise
        if self._returned is not None:
            raise RefusedError(self._returned)
        if self._unsent:  # Nacked: the broker could not keep them.
            raise FullError(f"`{self._address.name}`: could not keep a message; see its log")

    def _open(self) -> Link:
        link = Link(self._address, self._timeout_s, heartbeat_s=0)
        try:
            channel = link.open().channel
            self._declare(link)
            link.call(channel.confirm_delivery, ack_nack_callback=self._answered)
        except BaseException:
            link.close()
            raise
        channel.add_on_return_callback(self._came_back)
        self._link = link
        self._next_tag = 1
        return link

    def _send(self, link: Link) -> None:
        for message in self._unsent:
            properties = pika.BasicProperties(
                content_type=message.content_type,
                delivery_mode=pika.DeliveryMode.Persistent.value,
                message_id=message.message_id,
                headers={HEADER: message.trace} if message.trace else None,
            )
            link.channel.basic_publish(
                message.exchange, message.routing_key, message.body, properties, self._mandatory
            )
            self._sent[self._next_tag] = message
            self._next_tag += 1
        self._unsent = []

    def _answered(self, frame: Any) -> None:
        """The broker confirms (ack) or could not keep (nack) one message, or all up to it."""
        method, sent = frame.method, self._sent
        answered = [sent.pop(method.delivery_tag)]
        while method.multiple and sent and next(iter(sent)) < method.delivery_tag:
            answered.append(sent.popitem(last=False)[1])
        if isinstance(method, pika.spec.Basic.Nack):
            self._unsent += answered
        else:
            self.unconfirmed_bytes -= sum(len(message.body) for message in answered)

    def _came_back(self, _channel: object, method: Any, _properties: object, _body: bytes) -> None:
        self._returned = (
            f"`{self._address.name}`: nobody keeps what goes to exchange `{method.exchange}`; "
            "start the flow that reads it first, or bind a queue"
        )

    def _drop_link(self) -> None:
        if self._link is not None:
            self._link.drop()
            self._link = None
        self._unsent = [*self._sent.values(), *self._unsent]
        self._sent = OrderedDict()
