"""How soon a message is heard of without a watch: ``python -m ...services.echo URL ALERTS S``.

Publishes a message to the topic ``echo`` every 20 ms or so, through ``URL``, with confirms, and
hears it through ``ALERTS``, for ``S`` seconds: what broker, clients and machine alone make of a
latency at that time. Writes the milliseconds of each to standard output.
"""

import sys
from contextlib import closing
from threading import Event
from time import monotonic, perf_counter
from typing import Final

import msgspec

from connectors.contract import ConnectorSettings, Publisher, Subscription
from connectors.registry import open_publisher, open_subscription
from scripts.benchmark.services.rooms import ECHO

PAUSE_S: Final = 0.02
MISSED_S: Final = 2.0


def echo(publisher: Publisher, subscription: Subscription, seconds: float) -> list[float]:
    """Milliseconds from handing a message over to hearing it, one after the other."""
    bodies = subscription.bodies()
    took_ms: list[float] = []
    until, number = monotonic() + seconds, 0
    while monotonic() < until:
        number += 1
        body = b"%d" % number
        began = perf_counter()
        publisher.publish(body, ECHO)
        publisher.flush()
        # The first may be gone before the subscription begins.
        while perf_counter() - began < MISSED_S:
            if next(bodies) == body:
                took_ms.append((perf_counter() - began) * 1e3)
                break
        Event().wait(PAUSE_S)
    return took_ms


def main(url: str, alerts: str, seconds: str) -> None:
    """Echo and say how long it took."""
    settings = ConnectorSettings()
    with (
        closing(open_publisher(url, settings)) as publisher,
        closing(open_subscription(alerts, ECHO, settings)) as subscription,
    ):
        took_ms = echo(publisher, subscription, float(seconds))
    sys.stdout.buffer.write(msgspec.json.encode(took_ms))


if __name__ == "__main__":
    main(*sys.argv[1:])
