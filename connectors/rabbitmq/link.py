"""One AMQP connection with one channel, driven by whoever holds it: no thread of its own."""

import logging
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from time import monotonic
from typing import Any, Final

import pika
from pika.adapters.select_connection import IOLoop

from connectors.contract import ConnectorError, FullError, UnavailableError
from connectors.rabbitmq.address import Address
from connectors.rabbitmq.errors import translated
from connectors.rabbitmq.frames import (
    OVERHEAD,
    Delivered,
    FrameError,
    frame_end,
    is_deliver,
    read_delivery,
)

GOOD_BYE_S: Final = 1.0
CUT_S: Final = 0.2

# What pika logs comes back as an error here, and is told as one line; without a handler of its own
# Python would print it as well.
logging.getLogger("pika").addHandler(logging.NullHandler())
logging.getLogger("pika").propagate = False


class _Connection(pika.SelectConnection):  # type: ignore[misc]  # pika is not typed
    """Pika's connection, which can be cut, and which reads deliveries in a sixth of the time.

    Once ``on_delivery`` is set, deliveries go there and pika sees only what else comes.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        self.on_delivery: Callable[[Delivered], None] | None = None
        # What has come of a frame, or of the frames of a delivery, and how long it has to be.
        self._pieces: list[bytes] = []
        self._have = self._need = 0
        super().__init__(*args, **options)

    def cut(self) -> None:
        """Close the socket; what was not sent yet is not sent."""
        if self.is_open or self.is_closing:
            self._terminate_stream(pika.exceptions.ConnectionClosedByClient(200, "cut"))
        elif not self.is_closed:
            self.close()

    def _on_data_available(self, data_in: bytes) -> None:
        if self.on_delivery is None:
            super()._on_data_available(data_in)
            return
        if self._frame_buffer:  # Come while pika still read by itself.
            data_in = self._frame_buffer + data_in
            self._frame_buffer: bytes = b""
        self._pieces.append(data_in)
        self._have += len(data_in)
        if self._have >= self._need:
            buffer = b"".join(self._pieces)
            at, need = self._read(buffer, self.on_delivery)
            self._pieces = [buffer[at:]]
            self._have, self._need = len(buffer) - at, need - at

    def _read(self, buffer: bytes, on_delivery: Callable[[Delivered], None]) -> tuple[int, int]:
        """Read what is whole; how far that goes, and how long the buffer must be for more."""
        at = 0
        while (end := frame_end(buffer, at)) and end <= len(buffer):
            if is_deliver(buffer, at):
                found = read_delivery(buffer, at)
                if isinstance(found, int):
                    return at, found
                delivered, end = found
                self.bytes_received += end - at
                on_delivery(delivered)
            else:
                super()._on_data_available(buffer[at:end])
            at = end
        return at, end or at + OVERHEAD


class Link:
    """A connection being opened, open, or failed for good.

    Opening starts at once and goes on with each ``poll``; ``on_channel`` is then told the channel.
    Deliveries go to ``on_delivery`` where it is given, else to the callbacks of pika's consumers.
    ``failure`` is why connection or channel cannot be used any more, None while they can be: open
    another link then. ``blocked`` is why the broker takes no messages now, None where it does.
    """

    def __init__(
        self,
        address: Address,
        timeout_s: float,
        on_channel: Callable[[Any], None] = lambda _channel: None,
        on_delivery: Callable[[Delivered], None] | None = None,
        heartbeat_s: int | None = None,
    ) -> None:
        self.channel: Any = None
        self.failure: ConnectorError | None = None
        self.blocked: str | None = None
        self._name = address.name
        self._timeout_s = timeout_s
        self._on_channel = on_channel
        self._on_delivery = on_delivery
        self._loop = IOLoop()
        self._loop.activate_poller()
        self._ended = False
        self._connection = _Connection(
            address.parameters(timeout_s, heartbeat_s),
            on_open_callback=self._opened,
            on_open_error_callback=self._failed,
            on_close_callback=self._failed,
            custom_ioloop=self._loop,
        )

    def poll(self, wait_s: float = 0.0) -> None:
        """Send and receive what can be, waiting at most ``wait_s`` for something to come."""
        timer = self._loop.call_later(wait_s, _nothing)
        try:
            self._loop.poll()
        except FrameError as exc:
            self.failure = self.failure or UnavailableError(
                f"`{self._name}`: what it sends is no AMQP ({exc}); see what stands between"
            )
        self._loop.remove_timeout(timer)
        self._loop.process_timeouts()

    def wait(self, done: Callable[[], bool], what: str) -> None:
        """Poll until ``done``, which is ``what``.

        Raises:
            ConnectorError: connection or channel failed, or ``done`` did not come in time.
        """
        deadline = monotonic() + self._timeout_s
        while not done():
            if self.failure is not None:
                raise self.failure
            left_s = deadline - monotonic()
            if left_s <= 0:
                if self.blocked:
                    raise FullError(f"`{self._name}`: did not {what} ({self.blocked})")
                why = f"waited {self._timeout_s:g} s; see that the broker is well"
                raise UnavailableError(f"`{self._name}`: did not {what} ({why})")
            self.poll(left_s)

    def open(self) -> "Link":
        """Wait until the channel is open; raises as ``wait`` does."""
        self.wait(lambda: self.channel is not None, "open a channel")
        return self

    def call(self, method: Callable[..., Any], **arguments: Any) -> Any:
        """Call a method of the channel and wait for its answer; raises as ``wait`` does."""
        answers: list[Any] = []
        method(callback=answers.append, **arguments)
        self.wait(lambda: bool(answers), f"answer {method.__name__}")
        return answers[0]

    def close(self) -> None:
        """Say good-bye where the broker listens, and free the sockets."""
        if not (self._ended or self._connection.is_closed or self._connection.is_closing):
            self._connection.close()
            self._poll_until_closed(GOOD_BYE_S)
        self.drop()

    def drop(self) -> None:
        """Cut the connection without a word, as a crash would, and free the sockets.

        For consumers: RabbitMQ 3.10 gives what is un-acked back in random order when a channel is
        closed in good form shortly after an ack, and in its own order when the connection is lost.
        """
        if self._ended:
            return
        self._ended = True
        self._connection.cut()
        self._poll_until_closed(CUT_S)
        self._loop.close()

    def _poll_until_closed(self, most_s: float) -> None:
        deadline = monotonic() + most_s
        while not self._connection.is_closed and (left_s := deadline - monotonic()) > 0:
            self.poll(left_s)

    def _opened(self, connection: Any) -> None:
        connection.add_on_connection_blocked_callback(self._on_blocked)
        connection.add_on_connection_unblocked_callback(self._on_unblocked)
        connection.channel(on_open_callback=self._channel_opened)

    def _channel_opened(self, channel: Any) -> None:
        channel.add_on_close_callback(self._channel_closed)
        # Told when a queue is deleted or its leader moves: the consumer is gone.
        channel.add_on_cancel_callback(self._cancelled)
        self.channel = channel
        self._connection.on_delivery = self._on_delivery
        self._on_channel(channel)

    def _channel_closed(self, _channel: object, reason: Exception) -> None:
        self._failed(self._connection, reason)

    def _cancelled(self, _method: object) -> None:
        self.failure = self.failure or UnavailableError(
            f"`{self._name}`: the queue went away; see that it is there"
        )

    def _failed(self, _connection: object, reason: Exception) -> None:
        self.failure = self.failure or translated(reason, self._name)

    def _on_blocked(self, _connection: object, method: Any) -> None:
        self.blocked = f"it is blocked: {method.method.reason}"

    def _on_unblocked(self, _connection: object, _method: object) -> None:
        self.blocked = None


@contextmanager
def opened(address: Address, timeout_s: float) -> Iterator[Link]:
    """A link whose channel is open, closed at the end; raises as ``Link.wait`` does."""
    with closing(Link(address, timeout_s)) as link:
        yield link.open()


def _nothing() -> None:
    """What a timer does whose only use is to end a wait."""
