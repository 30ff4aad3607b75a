"""How far a queue or a stream was read: what a snapshot keeps of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from connectors.rabbitmq.caution import Trial
from connectors.rabbitmq.frames import Delivered
from connectors.rabbitmq.window import Window, identity_of


@dataclass(frozen=True, slots=True)
class Position:
    """State that outlives the process, so its name and place stay.

    ``mark``: of a queue the identities of the latest deliveries, of a stream the offset to go on
    at (None: nothing read yet). ``prefetch``: un-acked messages at most, as found out so far.
    ``trial``: the message that the flow may be dying of, if any.
    """

    mark: bytes | int | None
    prefetch: int
    trial: Trial | None = None


class Mark(Protocol):
    """What is known of the deliveries so far; ``kept`` is the ``mark`` of a ``Position``."""

    def unacked_at_most(self, prefetch: int) -> None:
        """So many deliveries may be un-acked from now on."""
        ...

    def reconnected(self) -> None:
        """What was un-acked comes again."""
        ...

    def arguments(self) -> dict[str, Any]:
        """The arguments to consume with."""
        ...

    def identity(self, delivered: Delivered) -> int:
        """What names the message, here and after a restart."""
        ...

    def known(self, delivered: Delivered) -> bool:
        """Whether the message was handed out before."""
        ...

    def first_time(self, delivered: Delivered) -> bool:
        """Whether the message was not handed out before; it counts as handed out now."""
        ...

    def kept(self) -> bytes | int | None:
        """What a snapshot keeps."""
        ...


class Seen:
    """The mark of a queue: which of the latest deliveries were handed out."""

    def __init__(self, kept: bytes | int | None) -> None:
        self._window = Window(kept if isinstance(kept, bytes) else b"")

    def unacked_at_most(self, prefetch: int) -> None:
        """As many are kept as can come again."""
        self._window.unacked_at_most(prefetch)

    def reconnected(self) -> None:
        """Redeliveries are told by their identity."""
        self._window.reconnected()

    def arguments(self) -> dict[str, Any]:
        """None: the broker knows what is un-acked."""
        return {}

    def identity(self, delivered: Delivered) -> int:
        """The hash of its message id, else of its body."""
        return identity_of(_message_id(delivered), delivered.body)

    def known(self, delivered: Delivered) -> bool:
        """Whether its message id, else its body, was handed out before."""
        return self._window.known(_message_id(delivered), delivered.body)

    def first_time(self, delivered: Delivered) -> bool:
        """Whether its message id, else its body, was not handed out before."""
        return self._window.first_time(_message_id(delivered), delivered.body)

    def kept(self) -> bytes:
        """The window."""
        return self._window.kept()


class Offset:
    """The mark of a stream: the offset to go on at; ``since`` is where to begin, None = first.

    There is no beginning at the end: a restart before the first message would skip some.
    """

    def __init__(self, kept: bytes | int | None, since: datetime | None) -> None:
        self._next = kept if isinstance(kept, int) else None
        self._since = since

    def unacked_at_most(self, prefetch: int) -> None:
        """An offset stands for any number."""

    def reconnected(self) -> None:
        """Redeliveries are told by their offset."""

    def arguments(self) -> dict[str, Any]:
        """Where to go on."""
        begin = "first" if self._since is None else self._since
        return {"x-stream-offset": begin if self._next is None else self._next}

    def identity(self, delivered: Delivered) -> int:
        """Its offset."""
        return int(delivered.key or 0)

    def known(self, delivered: Delivered) -> bool:
        """Whether its offset lies before the one to go on at."""
        return self._next is not None and self.identity(delivered) < self._next

    def first_time(self, delivered: Delivered) -> bool:
        """Whether its offset lies at or behind the one to go on at."""
        if self.known(delivered):
            return False
        self._next = self.identity(delivered) + 1
        return True

    def kept(self) -> int | None:
        """The offset to go on at."""
        return self._next


def _message_id(delivered: Delivered) -> str | None:
    return None if delivered.key is None else str(delivered.key)
