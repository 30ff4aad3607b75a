"""Publishes at a steady pace: ``python -m ...services.feed URL RATE RECORDS S EVERY``.

``RATE`` records a second for ``S`` seconds, ``RECORDS`` a message, each of which carries the time
at which it was handed to the publisher; of each vehicle's records one in ``EVERY`` raises an alarm.
With ``STEP`` behind that, a vehicle's messages hold ``STEP`` seconds of event time each.
Writes what it did to standard output once everything is confirmed.
"""

import sys
from contextlib import closing
from dataclasses import dataclass
from threading import Event
from time import perf_counter, time
from typing import Final

import msgspec

from connectors.contract import ConnectorSettings, Publisher
from connectors.registry import open_publisher
from scripts.benchmark.services.telemetry import VEHICLES, Messages

TICK_S: Final = 0.002
AT_ONCE: Final = 1e9
"""A rate that no publisher keeps: everything as fast as it goes."""


class Fed(msgspec.Struct, frozen=True):
    """What was published, from ``began_s`` (epoch seconds) on, within ``took_s``.

    ``late_s``: how far the publisher was behind its pace at the worst moment.
    """

    began_s: float
    took_s: float
    records: int
    alarms: int
    late_s: float


@dataclass(frozen=True, slots=True)
class Pace:
    """``rate`` records a second for ``seconds``, ``records`` a message, one in ``every`` an alarm.

    ``step_s``: event time between a vehicle's messages, over which its records are spread; 0: all
    of them are of the time the message leaves, a microsecond apart.
    """

    rate: float
    records: int
    seconds: float
    every: int
    step_s: float = 0.0

    @property
    def messages(self) -> int:
        """How many messages there are."""
        return round(self.rate * self.seconds / self.records)

    @property
    def apart_s(self) -> float:
        """Event time between two records of a message."""
        return self.step_s / self.records or 1e-6

    def words(self) -> tuple[float, ...]:
        """As this program is told it."""
        return self.rate, self.records, self.seconds, self.every, self.step_s

    def time_s(self, number: int, began_s: float) -> float:
        """Event time of a message that leaves now."""
        return began_s + number // VEHICLES * self.step_s if self.step_s else time()


def feed(publisher: Publisher, pace: Pace) -> Fed:
    """Publish at the pace; everything is confirmed when this returns."""
    rate, records, total = pace.rate, pace.records, pace.messages
    messages = Messages(records, pace.every)
    sent = alarms = 0
    late_s = 0.0
    began_s, began = time(), perf_counter()
    while sent < total:
        now_s = perf_counter() - began
        due = min(total, int(now_s * rate / records) + 1)
        if sent < due:
            late_s = max(late_s, now_s - sent * records / rate)
        while sent < due:
            message = messages.make(pace.time_s(sent, began_s), pace.apart_s)
            publisher.publish(message.body, message.vehicle_id)
            alarms += message.alarms
            sent += 1
        Event().wait(TICK_S)
    took_s = perf_counter() - began
    publisher.flush()
    return Fed(began_s, took_s, sent * records, alarms, late_s)


def main(url: str, rate: str, records: str, seconds: str, every: str, step_s: str = "0") -> None:
    """Feed and say what was fed."""
    pace = Pace(float(rate), int(records), float(seconds), int(every), float(step_s))
    with closing(open_publisher(url, ConnectorSettings())) as publisher:
        fed = feed(publisher, pace)
    sys.stdout.buffer.write(msgspec.json.encode(fed))


if __name__ == "__main__":
    main(*sys.argv[1:])
