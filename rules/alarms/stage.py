"""The alarm stage of a key group: alarms of its vehicles, commands on them, what is told and when.

Violations of a vehicle are kept as long as a late record may still revise them. What comes in
order moves the alarms on; what does not makes them run again from where they are final, and the
difference to what was said is told: the same ``event_id`` with a higher ``version``, or retracted.
"""

from bisect import bisect
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from msgspec import structs

from rules.alarms import batches
from rules.alarms.batches import Pending, Said
from rules.alarms.course import Course
from rules.alarms.entries import Alarms, Entry, Handling, entry_of
from schemas.command import Command
from schemas.delivery import Delivery
from schemas.event import COMMAND_JUDGED, Event
from schemas.live import progress_delivery
from schemas.topics import COMMAND_OUTCOMES

KEPT_COMMANDS_US: Final = 31 * 86_400_000_000
"""How far back, in the time of the commands, one that comes twice is known."""
_TIDY_FROM: Final = 16
"""Entries of a vehicle from which on those that are final are folded away."""


@dataclass(frozen=True, slots=True)
class Alerting:
    """How the stage works.

    ``batch_us``: length of a batch of warnings. ``follow``: alarms have a state here; False: every
    violation is an alert and nothing is remembered of it. ``lateness_us``: how late a record may
    revise a violation. ``mark``: tell behind all else how far event time has come.
    """

    batch_us: int = 300_000_000
    follow: bool = False
    lateness_us: int = 120_000_000
    handling: Handling = field(default_factory=Handling)
    mark: bool = False

    @property
    def kept_us(self) -> int:
        """How long violations are kept: the history they are revised from spans up to two."""
        return 3 * self.lateness_us


class News(NamedTuple):
    """What the stage is told: violations, commands, how far event time has come.

    ``trace``: the trace context of the latest violation, as ``traceparent``, "" = none.
    """

    violations: tuple[Event, ...] = ()
    newest_us: int = 0
    commands: tuple[Command, ...] = ()
    trace: str = ""


class Told(NamedTuple):
    """The latest version of a thing said; ``loud`` as in ``Said``."""

    event: Event
    loud: bool


class Watched(NamedTuple):
    """A vehicle's alarms: as they were before ``log``, and as they are after it.

    ``told``: what the log's entries said, by event id. ``newest_us``: of the violations.
    ``ahead``: something was told that the alarms do not know of yet (``finish``).
    """

    base: Alarms = Alarms()
    log: tuple[Entry, ...] = ()
    tip: Alarms = Alarms()
    told: Mapping[str, Told] = {}
    newest_us: int = 0
    due_us: int | None = None
    ahead: bool = False


@dataclass(frozen=True, slots=True)
class AlarmState:
    """What the stage remembers of a key group.

    ``vehicles``: those with alarms. ``commands``: time of each command taken, by id. ``now_us``:
    how far the alarms' own time has come.
    """

    pending: Pending = field(default_factory=Pending)
    vehicles: Mapping[str, Watched] = field(default_factory=dict)
    commands: Mapping[str, int] = field(default_factory=dict)
    now_us: int = 0


def advance(by: Alerting, state: AlarmState, news: News) -> tuple[AlarmState, list[Delivery]]:
    """Take in what is new: the state after it, what there is to tell."""
    if not by.follow:
        said = [Said(event, loud=True) for event in news.violations if _active(event)]
        return _routed(by, state, said, news.newest_us)
    entries: dict[str, list[Entry]] = defaultdict(list)
    for event in filter(_active, news.violations):
        entries[event.vehicle_id].append(entry_of(event))
    state, commands = _new_commands(state, news.commands)
    for command in commands:
        entries[command.vehicle_id].append(entry_of(command))
    now_us = max(state.now_us, news.newest_us - by.handling.patience_us)
    vehicles, said = dict(state.vehicles), []
    forgotten_us = max(state.commands.values(), default=0) - KEPT_COMMANDS_US
    due = {v for v, w in vehicles.items() if w.due_us is not None and w.due_us <= now_us}
    for vehicle_id in [*entries, *sorted(due - entries.keys())]:
        watched = vehicles.pop(vehicle_id, Watched())
        moved = _Move(by.handling, vehicle_id, watched, now_us)
        watched, told = moved.take(entries.get(vehicle_id, []))
        said += told
        watched = _tidied(by, vehicle_id, watched, forgotten_us)
        if watched.log or watched.base:
            vehicles[vehicle_id] = watched
    state = replace(state, vehicles=vehicles, now_us=now_us)
    return _routed(by, state, said, news.newest_us)


def release(by: Alerting, state: AlarmState) -> tuple[AlarmState, list[Delivery]]:
    """Tell now what waits for event time: warnings, and that nobody knows a command's alarm.

    Should the alarm come after all, the refusal is retracted.
    """
    vehicles, refused = dict(state.vehicles), []
    for vehicle_id, watched in state.vehicles.items():
        if not watched.tip.waiting:
            continue
        course = Course(by.handling, vehicle_id, watched.tip)
        said = [course.refuse(command) for command in watched.tip.waiting]
        known = {i for i, told in watched.told.items() if not told.event.retracted}
        said = [one for one in said if one.event.event_id not in known]
        told, versions = _versioned(watched.told, said)
        vehicles[vehicle_id] = watched._replace(told=told, ahead=True)
        refused += versions
    state, deliveries = _routed(by, replace(state, vehicles=vehicles), refused, 0)
    pending, batched = batches.release(state.pending, by.batch_us)
    return replace(state, pending=pending), deliveries + batched


def _active(event: Event) -> bool:
    """Alarms of rules in shadow mode are recorded as violations, but nobody is told."""
    return bool(event.data["mode"] != "shadow")


def _routed(
    by: Alerting, state: AlarmState, said: Sequence[Said], newest_us: int
) -> tuple[AlarmState, list[Delivery]]:
    outcomes = [Delivery(COMMAND_OUTCOMES, e) for e, _ in said if e.type == COMMAND_JUDGED]
    alarms = [one for one in said if one.event.type != COMMAND_JUDGED] if outcomes else said
    pending, deliveries = batches.route(state.pending, alarms, newest_us, by.batch_us)
    if by.mark and newest_us:
        outcomes.append(progress_delivery(newest_us))
    return replace(state, pending=pending), deliveries + outcomes


def _new_commands(
    state: AlarmState, commands: Iterable[Command]
) -> tuple[AlarmState, list[Command]]:
    """The commands that were not taken before, noted in the state."""
    known, new = dict(state.commands), []
    for command in commands:
        if command.id not in known:
            known[command.id] = command.time_us
            new.append(command)
    if not new:
        return state, []
    oldest_us = max(known.values()) - KEPT_COMMANDS_US
    return replace(state, commands={i: t for i, t in known.items() if t >= oldest_us}), new


class _Move:
    """A vehicle's alarms and what comes to them."""

    def __init__(self, handling: Handling, vehicle_id: str, watched: Watched, now_us: int) -> None:
        self.handling, self.vehicle_id = handling, vehicle_id
        self.watched, self.now_us = watched, now_us

    def take(self, entries: Sequence[Entry]) -> tuple[Watched, list[Said]]:
        """The alarms after the entries, and what to tell."""
        old = self.watched
        log, changed_from = _logged(old.log, entries)
        newest = [e.time_us for e in entries if isinstance(e.what, Event)]
        moved = old._replace(log=log, newest_us=max(old.newest_us, *newest, 0))
        new = log[len(old.log) :]
        appended = changed_from >= len(old.log) and (not new or new[0].time_us >= old.tip.time_us)
        if appended and not old.ahead:
            course = self._run(old.tip, new)
            told, said = _versioned(old.told, course.said)
        else:
            course = self._run(old.base, log)
            told, said = _corrected(old.told, course)
        # What was told ahead of time stands until the alarms themselves come to it.
        ahead = any(course.refuse(c).event.event_id in told for c in course.now().waiting)
        return moved._replace(
            tip=course.now(), due_us=course.due_us(), told=told, ahead=ahead
        ), said

    def _run(self, before: Alarms, entries: Iterable[Entry]) -> Course:
        course = Course(self.handling, self.vehicle_id, before)
        for entry in entries:
            course.take(entry)
        course.run_to(self.now_us)
        return course


def _logged(log: tuple[Entry, ...], entries: Iterable[Entry]) -> tuple[tuple[Entry, ...], int]:
    """The log with the entries in their places, and the first place that is not as it was.

    A later version of a violation takes the place of the one before, also one that is retracted.
    """
    known = {entry.id: entry for entry in log}
    added, changed_from = list(log), len(log)
    for entry in entries:
        was = known.get(entry.id)
        if was is not None:
            if entry.version <= was.version:
                continue
            place = added.index(was)
            del added[place]
            changed_from = min(changed_from, place)
        now = entry
        if was is not None and isinstance(entry.what, Event) and entry.what.retracted:
            now = entry._replace(what=None)
        known[entry.id] = now
        place = bisect(added, _place(now), key=_place)
        added.insert(place, now)
        changed_from = min(changed_from, place)
    return tuple(added), changed_from


def _place(entry: Entry) -> tuple[int, int, str]:
    return entry[:3]


def _versioned(
    before: Mapping[str, Told], said: Iterable[Said]
) -> tuple[dict[str, Told], list[Said]]:
    """What has been told after saying more; each thing in the version after the latest."""
    told, now = dict(before), []
    for event, loud in said:
        known = told.get(event.event_id)
        version = 1 if known is None else known.event.version + 1
        one = Said(structs.replace(event, version=version, retracted=False), loud)
        told[event.event_id] = Told(*one)
        now.append(one)
    return told, now


def _corrected(before: Mapping[str, Told], course: Course) -> tuple[dict[str, Told], list[Said]]:
    """What has been told and is to be told where all of it is said anew."""
    stands = {said.event.event_id for said in map(course.refuse, course.now().waiting)}
    after = {said.event.event_id: said for said in course.said}
    gone = [
        Said(structs.replace(told.event, version=told.event.version + 1, retracted=True), told.loud)
        for event_id, told in before.items()
        if event_id not in after and event_id not in stands and not told.event.retracted
    ]
    changed = [
        said
        for event_id, said in after.items()
        if event_id not in before or not _same(before[event_id], said)
    ]
    told, now = _versioned(before, changed)
    told |= {event.event_id: Told(event, loud) for event, loud in gone}
    return told, gone + now


def _same(told: Told, said: Said) -> bool:
    old, new = told.event, said.event
    return not old.retracted and (old.time_us, old.data, told.loud) == (
        *(new.time_us, new.data),
        said.loud,
    )


def _tidied(by: Alerting, vehicle_id: str, watched: Watched, forgotten_us: int) -> Watched:
    """The vehicle's alarms with what is final folded away, if that is worth while.

    ``forgotten_us``: until when commands on a vehicle that nothing was heard of are forgotten.
    """
    final_us = watched.newest_us - by.kept_us if watched.newest_us else forgotten_us
    log = watched.log
    settled = not watched.tip and log and log[-1].time_us <= final_us
    if not settled and (len(log) < _TIDY_FROM or log[_TIDY_FROM // 2].time_us > final_us):
        return watched
    course = Course(by.handling, vehicle_id, watched.base)
    kept = 0
    for entry in log:
        if entry.time_us > final_us:
            break
        course.take(entry)
        kept += 1
    course.run_to(final_us)
    told = {i: t for i, t in watched.told.items() if t.event.happened_us > final_us}
    return watched._replace(base=course.now(), log=log[kept:], told=told)
