"""Publishes at a steady pace: ``python -m ...services.feed URL RATE RECORDS S EVERY``.

``RATE`` records a second for ``S`` seconds, ``RECORDS`` a message, each of which carries the time
at which it was handed to the publisher; of each vehicle's records one in ``EVERY`` raises an alarm.
Writes what it did to standard output once everything is confirmed.
"""

import sys
from contextlib import closing
from threading import Event
from time import perf_counter, time
from typing import Final

import msgspec

from connectors.contract import ConnectorSettings, Publisher
from connectors.registry import open_publisher
from scripts.benchmark.services.telemetry import Messages

TICK_S: Final = 0.002


class Fed(msgspec.Struct, frozen=True):
    """What was published, from ``began_s`` (epoch seconds) on, within ``took_s``.

    ``late_s``: how far the publisher was behind its pace at the worst moment.
    """

    began_s: float
    took_s: float
    records: int
    alarms: int
    late_s: float


def feed(publisher: Publisher, rate: float, records: int, seconds: float, every: int) -> Fed:
    """Publish at the pace; everything is confirmed when this returns."""
    messages = Messages(records, every)
    total = round(rate * seconds / records)
    sent = alarms = 0
    late_s = 0.0
    began_s, began = time(), perf_counter()
    while sent < total:
        now_s = perf_counter() - began
        due = min(total, int(now_s * rate / records) + 1)
        if sent < due:
            late_s = max(late_s, now_s - sent * records / rate)
        while sent < due:
            message = messages.make(time())
            publisher.publish(message.body, message.vehicle_id)
            alarms += message.alarms
            sent += 1
        Event().wait(TICK_S)
    took_s = perf_counter() - began
    publisher.flush()
    return Fed(began_s, took_s, sent * records, alarms, late_s)


def main(url: str, rate: str, records: str, seconds: str, every: str) -> None:
    """Feed and say what was fed."""
    with closing(open_publisher(url, ConnectorSettings())) as publisher:
        fed = feed(publisher, float(rate), int(records), float(seconds), int(every))
    sys.stdout.buffer.write(msgspec.json.encode(fed))


if __name__ == "__main__":
    main(*sys.argv[1:])
