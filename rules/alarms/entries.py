"""What the course of a vehicle's alarms is made from, and what is remembered of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from rules.alarms.alarm import Alarm, Point
from schemas.command import Command
from schemas.event import ALARM_CLEARED, Event


@dataclass(frozen=True, slots=True)
class Handling:
    """How alarms are handled where their rules say nothing else.

    ``patience_us``: how long after its time a command waits for the alarm it is about, and how far
    the clock of the alarms stays behind the newest record. ``flaps``: alarms that are raised or
    cleared so many times within ``flaps_us`` are told as one, 0 = never.
    """

    patience_us: int = 120_000_000
    flaps: int = 0
    flaps_us: int = 0


class Entry(NamedTuple):
    """A violation or a command; entries sort by their first three fields.

    ``what``: None for a violation that was retracted.
    """

    time_us: int
    rank: int
    id: str
    version: int
    what: Event | Command | None


_INHIBITOR, _VIOLATION, _END_OF_INHIBITOR, _COMMAND = range(4)


def entry_of(what: Event | Command) -> Entry:
    """The entry for a violation or a command.

    At one instant alarms that inhibit others are raised first and cleared last; then commands.
    """
    if isinstance(what, Command):
        return Entry(what.time_us, _COMMAND, what.id, 1, what)
    rank = _VIOLATION
    if (what.data.get("handling") or {}).get("inhibits"):
        rank = _END_OF_INHIBITOR if what.type == ALARM_CLEARED else _INHIBITOR
    return Entry(what.happened_us, rank, what.event_id, what.version, what)


class Shelf(NamedTuple):
    """Until when alarms of a point are shelved, by which command."""

    until_us: int
    by: str


class Flap(NamedTuple):
    """When alarms of a point were raised or cleared lately; ``notice``: what told that they flap.

    ``within_us``: how long they must rest to be steady. ``alarm``: the latest, as it was then.
    """

    times_us: tuple[int, ...]
    within_us: int
    alarm: Alarm
    notice: str = ""


@dataclass(frozen=True, slots=True)
class Alarms:
    """The alarms of a vehicle that are not normal, and what is to come of them, at ``time_us``.

    ``waiting``: commands on alarms that have not been raised by then.
    """

    time_us: int = 0
    alarms: Mapping[str, Alarm] = field(default_factory=dict)
    shelves: Mapping[Point, Shelf] = field(default_factory=dict)
    flaps: Mapping[Point, Flap] = field(default_factory=dict)
    waiting: tuple[Command, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.alarms or self.shelves or self.flaps or self.waiting)
