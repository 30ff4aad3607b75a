"""How fast programs read what a broker holds, each from a room of its own."""

from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final, Literal

import msgspec

from scripts.benchmark.services.feed import AT_ONCE, Fed, Pace
from scripts.benchmark.services.programs import Charts, said_by, start
from scripts.benchmark.services.read import Reading
from scripts.benchmark.services.rooms import RabbitRoom, Room, room_of

Program = Literal["farwatch", "bytewax", "pika", "watch"]

NO_ALARM: Final = 10**9


@dataclass(frozen=True, slots=True)
class Speed:
    """A program that reads ``messages`` of ``records`` records each from a broker.

    ``step_s``: event time between a vehicle's messages; 0: that of their publication.
    """

    name: str
    broker: str
    program: Program
    records: int
    messages: int
    step_s: float = 0.0

    @property
    def pace(self) -> Pace:
        """How the broker is filled."""
        seconds = self.messages * self.records / AT_ONCE
        return Pace(AT_ONCE, self.records, seconds, NO_ALARM, self.step_s)


class Measured(msgspec.Struct, frozen=True):
    """What a row took: messages and records a second, CPU a record, peak memory."""

    messages_per_s: float
    records_per_s: float
    cpu_us_per_record: float
    peak_mb: float

    @classmethod
    def of(cls, readings: list[Reading], records: int) -> "Measured":
        """The median of each figure; ``records`` a message."""
        per_s = median(reading.messages / reading.took_s for reading in readings)
        cpu_s = median(reading.cpu_s / reading.messages for reading in readings)
        peak_mb = median(reading.peak_mb for reading in readings)
        return cls(per_s, per_s * records, cpu_s / records * 1e6, peak_mb)


def read_once(speed: Speed, charts: Charts) -> Reading:
    """Fill a room and let the program read it to its end.

    Raises:
        RunFailedError: a program ended with another status than 0.
    """
    with room_of(speed.broker) as room, TemporaryDirectory() as folder:
        said_by(start("scripts.benchmark.services.feed", room.publish, *speed.pace.words()), Fed)
        settings: dict[str, str] = {}
        if speed.program == "watch":
            settings = charts.settings(room.results, Path(folder, "recovery"))
        words = (speed.program, _address(speed, room), speed.messages)
        return said_by(start("scripts.benchmark.services.read", *words, settings=settings), Reading)


def _address(speed: Speed, room: Room) -> str:
    if speed.program == "pika" and isinstance(room, RabbitRoom):
        return f"{room.alerts}#{room.queue}"
    return room.to_the_end
