"""Which deliveries were handed out already: what makes a redelivery harmless."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

import numpy as np

IDENTITY_BYTES: Final = 8


def identity_of(message_id: str | None, body: bytes) -> int:
    """A 64-bit hash of the message id, else of the body; the same in every process."""
    of = body if message_id is None else message_id.encode(errors="surrogateescape")
    return int.from_bytes(blake2b(of, digest_size=IDENTITY_BYTES).digest(), "little")


class Window:
    """The identities of the latest deliveries, at least twice as many as can be un-acked.

    A broker may deliver again whatever was un-acked when the connection or the process died, and
    also what was acked just before, had the ack not arrived. It never has more than ``prefetch``
    deliveries un-acked, so all of these are among the latest ``prefetch``. Redeliveries come in
    any mix with new ones, hence twice that.

    One of 60,000 identities kept equals that of another message with probability 3e-15. A message
    id that comes twice is one message. A body that comes twice without one is a redelivery only if
    the first came over an earlier connection: over one, two equal messages are two.
    """

    def __init__(self, kept: bytes = b"") -> None:
        # identity -> number of the connection it came over, the latest delivery last.
        self._connection_of = dict.fromkeys(np.frombuffer(kept, np.uint64).tolist(), 0)
        self._connection = 1
        self._size = len(self._connection_of)

    def unacked_at_most(self, prefetch: int) -> None:
        """So many deliveries may be un-acked from now on; never keeps fewer than before."""
        self._size = max(self._size, 2 * prefetch)

    def reconnected(self) -> None:
        """Deliveries come over a new connection from now on."""
        self._connection += 1

    def known(self, message_id: str | None, body: bytes) -> bool:
        """Whether the delivery was handed out before."""
        came_over = self._connection_of.get(identity_of(message_id, body))
        return self._is_known(message_id, came_over)

    def first_time(self, message_id: str | None, body: bytes) -> bool:
        """Whether the delivery was not handed out before; it counts as handed out now."""
        identity = identity_of(message_id, body)
        came_over = self._connection_of.pop(identity, None)
        self._connection_of[identity] = self._connection
        return not self._is_known(message_id, came_over)

    def _is_known(self, message_id: str | None, came_over: int | None) -> bool:
        return came_over is not None and (message_id is not None or came_over < self._connection)

    def kept(self) -> bytes:
        """The window as bytes for a snapshot, cut to its size."""
        over = len(self._connection_of) - self._size
        if over > 0:
            for identity in list(self._connection_of)[:over]:
                del self._connection_of[identity]
        identities: Sequence[int] = list(self._connection_of)
        return np.array(identities, np.uint64).tobytes()
