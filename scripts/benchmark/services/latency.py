"""From the moment a record is handed to the publisher to the moment its alert is heard of."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import count
from threading import Event
from time import monotonic, time
from typing import Final

import msgspec
import numpy as np

from connectors.contract import ConnectorSettings, SettingsError, Subscription
from connectors.registry import open_publisher, open_subscription
from schemas.event import ALARM_RAISED
from schemas.timestamps import time_us
from schemas.topics import CRITICAL_ALERTS
from scripts.benchmark.measure import RunFailedError
from scripts.benchmark.services.feed import Fed, Pace
from scripts.benchmark.services.matrix import Latency
from scripts.benchmark.services.programs import Charts, check_alive, said_by, start, watching
from scripts.benchmark.services.read import cpu_s, peak_mb
from scripts.benchmark.services.rooms import Room
from scripts.benchmark.services.telemetry import ALARM_RULE

WARM_S: Final = 5.0
ALARMS_A_SECOND: Final = 50
READY_S: Final = 60.0
PATIENCE_S: Final = 60.0
PROBE_S: Final = 0.2


class Heard(msgspec.Struct, frozen=True):
    """Alerts of one run.

    ``latency_ms``: of those after the warm-up; ``echo_ms``: of messages that went through the same
    broker meanwhile, without a watch. ``cpu_us``: the watch's CPU time a record.
    """

    fed: Fed
    alarms: int
    latency_ms: list[float]
    echo_ms: list[float]
    cpu_us: float
    peak_mb: float

    @property
    def lost(self) -> int:
        """Alarms that were caused and not heard of until none came for ``PATIENCE_S``."""
        return self.fed.alarms - self.alarms


def alarm_every(rate: float) -> int:
    """One record in so many raises an alarm: some 50 a second."""
    return max(2, round(rate / ALARMS_A_SECOND))


def hear(room: Room, charts: Charts, row: Latency, seconds: float) -> Heard:
    """Feed the watch as the row says and hear its alerts.

    Raises:
        RunFailedError: the watch or the publisher ended, or no alert came.
    """
    # The publisher makes what the watch reads.
    open_publisher(room.publish, ConnectorSettings()).close()
    pace = Pace(row.rate, row.records, seconds + WARM_S, alarm_every(row.rate))
    with (
        watching(room, charts, row.key_groups) as watch,
        listening(room, watch) as alerts,
    ):
        cpu_before_s = cpu_s(watch.pid)
        feed = start("scripts.benchmark.services.feed", room.publish, *pace.words())
        echo = start("scripts.benchmark.services.echo", room.echo, room.alerts, seconds)
        try:
            while feed.poll() is None:
                alerts.hear()
                check_alive(watch)
            fed = said_by(feed, Fed)
            echo_ms = said_by(echo, list[float])
            alerts.hear_rest(fed.alarms, PATIENCE_S)
        finally:
            for process in (feed, echo):
                process.kill()
                process.communicate()
        peak, took_s = peak_mb(watch.pid), cpu_s(watch.pid) - cpu_before_s
    counted = np.array(alerts.times_s) >= fed.began_s + WARM_S
    if not counted.any():
        raise RunFailedError("no alert came in time")
    latency_ms = np.array(alerts.latencies_s)[counted] * 1e3
    cpu_us = took_s / fed.records * 1e6
    return Heard(fed, len(alerts.times_s), latency_ms.tolist(), echo_ms, cpu_us, peak)


class _Envelope(msgspec.Struct):
    class Data(msgspec.Struct):
        rule_id: str = ""

    type: str
    time: str
    data: Data


_envelope: Final = msgspec.json.Decoder(_Envelope)


class Alerts:
    """Alerts of ``ALARM_RULE`` as they come: event time and latency of each, in seconds."""

    def __init__(self, subscription: Subscription) -> None:
        self._bodies = subscription.bodies()
        self.times_s: list[float] = []
        self.latencies_s: list[float] = []

    def hear(self) -> bool:
        """Take in what comes next; whether it was an alert."""
        body = next(self._bodies)
        if body is None:
            return False
        now_s = time()
        said = _envelope.decode(body)
        if said.type != ALARM_RAISED or said.data.rule_id != ALARM_RULE:
            return False
        at_s = time_us(said.time) / 1e6
        self.times_s.append(at_s)
        self.latencies_s.append(now_s - at_s)
        return True

    def hear_until(self, done: Callable[[], bool], within_s: float) -> bool:
        """Take in what comes until ``done``; False when it is not so in time."""
        until = monotonic() + within_s
        while not done() and monotonic() < until:
            self.hear()
        return done()

    def hear_rest(self, count: int, patience_s: float) -> None:
        """Take in what comes until there are ``count`` alerts, or none for so long."""
        while (have := len(self.times_s)) < count:
            if not self.hear_until(lambda: len(self.times_s) > have, patience_s):
                return

    def forget(self) -> None:
        """Forget what came so far."""
        self.times_s.clear()
        self.latencies_s.clear()


@contextmanager
def listening(room: Room, watch: subprocess.Popen[bytes]) -> Iterator[Alerts]:
    """The alerts of a watch that has told one: it was sent records until it did.

    Raises:
        RunFailedError: the watch ended, or told nothing in time.
    """
    until = monotonic() + READY_S
    with closing(_subscribed(room, watch)) as subscription:
        alerts = Alerts(subscription)
        with closing(open_publisher(room.publish, ConnectorSettings())) as publisher:
            depth_m = (100, 6_000)
            for number in count():
                line = (
                    f'{{"vehicle_id":"probe","timestamp":{time()},"depth_m":{depth_m[number % 2]}}}'
                )
                publisher.publish(line.encode(), "probe")
                publisher.flush()
                if alerts.hear_until(lambda: bool(alerts.times_s), PROBE_S):
                    break
                check_alive(watch)
                if monotonic() > until:
                    raise RunFailedError(f"the watch told nothing within {READY_S:g} s")
        alerts.hear_until(lambda: False, 1.0)
        alerts.forget()
        yield alerts


def _subscribed(room: Room, watch: subprocess.Popen[bytes]) -> Subscription:
    until = monotonic() + READY_S
    while True:
        try:
            return open_subscription(room.alerts, CRITICAL_ALERTS, ConnectorSettings())
        except SettingsError:  # The watch has not made its topics yet.
            check_alive(watch)
            if monotonic() > until:
                raise
        Event().wait(PROBE_S)
