"""Ports of the loopback address for servers that tests start."""

import random
import socket
from contextlib import ExitStack, suppress

HOST = "127.0.0.1"
# Below the ports that Linux and the IANA give to outgoing connections (from 32,768): none of
# those can take a port between the moment it is found here and that a server listens on it.
_FIRST, _LAST = 26_000, 32_000


def unused_ports(count: int) -> list[int]:
    """Ports that follow one another and nothing listens on.

    Where it starts is drawn, so that tests that run at once do not find the same.
    """
    drawn = random.SystemRandom()
    while True:
        first = drawn.randrange(_FIRST, _LAST)
        ports = list(range(first, first + count))
        with ExitStack() as held, suppress(OSError):
            for port in ports:
                held.enter_context(socket.socket()).bind((HOST, port))
            return ports
