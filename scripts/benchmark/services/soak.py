"""Memory of a watch that is fed at a steady pace for long."""

from collections.abc import Callable
from time import monotonic
from typing import Final

import msgspec
import numpy as np

from connectors.contract import ConnectorSettings
from connectors.registry import open_publisher
from scripts.benchmark.services.feed import Fed, Pace
from scripts.benchmark.services.latency import PATIENCE_S, alarm_every, listening
from scripts.benchmark.services.programs import Charts, check_alive, said_by, start, watching
from scripts.benchmark.services.read import cpu_s, memory_mb, peak_mb
from scripts.benchmark.services.rooms import Room

SAMPLE_S: Final = 10.0
RECORDS: Final = 10
"""A message: what is soaked is the watch, not the publisher."""


class Soaked(msgspec.Struct, frozen=True):
    """``minutes``, ``resident_mb``: the watch's memory as time went by; ``heard``: alerts."""

    fed: Fed
    heard: int
    minutes: list[float]
    resident_mb: list[float]
    latency_ms: list[float]
    cpu_us: float
    peak_mb: float

    @property
    def growth_mb_per_minute(self) -> float:
        """Slope of the memory over the second half, when all that is kept for a while is there."""
        half = len(self.minutes) // 2
        return float(np.polyfit(self.minutes[half:], self.resident_mb[half:], 1)[0])


class Memory:
    """Resident memory of a process every ten seconds; ``show`` is told each."""

    def __init__(self, process: int, show: Callable[[float, float], None]) -> None:
        self._process, self._show, self._began_s = process, show, monotonic()
        self.minutes, self.resident_mb = [0.0], [memory_mb(process)]

    def look(self) -> None:
        """Take note of it where it is time."""
        minutes = (monotonic() - self._began_s) / 60
        if minutes - self.minutes[-1] >= SAMPLE_S / 60:
            self.minutes.append(minutes)
            self.resident_mb.append(memory_mb(self._process))
            self._show(minutes, self.resident_mb[-1])


def soak(
    room: Room, charts: Charts, rate: float, minutes: float, show: Callable[[float, float], None]
) -> Soaked:
    """Feed the watch for so long; ``show`` is told minutes and memory now and then.

    Raises:
        RunFailedError: the watch or the publisher ended.
    """
    open_publisher(room.publish, ConnectorSettings()).close()
    pace = Pace(rate, RECORDS, minutes * 60, alarm_every(rate))
    with (
        watching(room, charts) as watch,
        listening(room, watch) as alerts,
    ):
        cpu_before_s = cpu_s(watch.pid)
        memory = Memory(watch.pid, show)
        feed = start("scripts.benchmark.services.feed", room.publish, *pace.words())
        try:
            while feed.poll() is None:
                alerts.hear()
                check_alive(watch)
                memory.look()
            fed = said_by(feed, Fed)
            alerts.hear_rest(fed.alarms, PATIENCE_S)
        finally:
            feed.kill()
            feed.communicate()
        return Soaked(
            fed,
            len(alerts.times_s),
            memory.minutes,
            memory.resident_mb,
            [latency_s * 1e3 for latency_s in alerts.latencies_s],
            (cpu_s(watch.pid) - cpu_before_s) / fed.records * 1e6,
            peak_mb(watch.pid),
        )
