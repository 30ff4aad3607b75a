"""The course of one vehicle's visits to one zone: candidate, confirmed once, ending, ended.

Two boundaries and two times keep a vehicle at the edge from flapping: it comes in at the zone's
edge and goes out at the edge of the exit buffer; it must stay in for ``min_inside_s`` and out for
``min_outside_s`` of event time before either is told, with the time of the first crossing. A fix
with a stated accuracy shows an exit only when its error circle is outside too, of which no more
than the exit buffer's width counts.

Everything is decided from fixes, in order of event time, at the first fix that shows it: so frames
of any size give the same course.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from rules.dwell import dwell_due_us, still_counted
from rules.fences import IN, NEAR, OUT, UNKNOWN, Fences
from rules.legs import Legs
from rules.tracks import FOREVER, Tracks
from rules.visits import AWAY, ENTERING, INSIDE, LEAVING, Crossing
from rules.zone_events import dwell_event, entered_event, exited_event, visit_identity
from schemas.event import Event

NO_VISIT: Final = -1
_BEYOND: Final = int(np.iinfo(np.intp).max)


@dataclass(frozen=True, slots=True)
class Scene:
    """What courses are followed through: the records, the zones, names given before.

    ``leg_row``, ``leg_us``, ``first``: of the legs their row and the time of the fix they lead to,
    of the runs their first leg. Lists, as they are looked into one by one.
    """

    fences: Fences
    tracks: Tracks
    legs: Legs
    names: Mapping[str, str]
    leg_row: list[int]
    leg_us: list[int]
    first: list[int]
    clear_of: Callable[[int, int, float], bool]
    """Whether the fix at the end of a leg lies farther than a distance (m) from a zone."""

    def first_from(self, run: int, row: int, time_us: int) -> int:
        """The first leg of ``run`` from a row on whose fix has the time or a later one, else -1."""
        begin, end = self.first[run], self.first[run + 1]
        leg = bisect_left(self.leg_row, row, begin, end)
        leg = bisect_left(self.leg_us, time_us, leg, end)
        return leg if leg < end else -1


@dataclass(frozen=True, slots=True)
class Change:
    """One of ``rules.changes.Changes``; ``at_fix``: its record has a position."""

    row: int
    at_fix: bool
    what: int
    time_us: int
    crossing: Crossing


@dataclass(slots=True)
class Told:
    """An event with the record that shows it, and what sorts it among others of that record."""

    row: int
    order: int
    event: Event


class Course:
    """One vehicle and one zone through the records of one ``Tracks``."""

    def __init__(self, scene: Scene, run: int, zone: int, known: tuple[Any, ...] | None) -> None:
        self.scene, self.run, self.zone = scene, run, zone
        self.slot = int(scene.tracks.slot[run])
        self.told: list[Told] = []
        self.stays: list[tuple[int, int, int, str, int, int]] = []
        self.lost_at: list[int] = []
        self.moment: Crossing | None
        self.spent: tuple[tuple[int, int], ...]
        self._begin()
        if known is not None:
            (self.phase, self.code, self.lost, self.entered_us, self.since_us,
             self.dwell_due_us, self.visit_id, self.moment, self.spent) = known[2:]  # fmt: skip
        # The record that shows the entry (of a visit told before: the first one), and the one that
        # showed the latest change.
        self.start = self.seen = int(scene.tracks.start[run])

    def _begin(self) -> None:
        self.phase, self.code, self.lost = NO_VISIT, OUT, False
        self.entered_us = self.since_us = 0
        self.dwell_due_us = FOREVER
        self.visit_id = ""
        self.moment = None
        self.spent = ()

    def take(self, change: Change) -> None:
        """Take in the next change."""
        sure = change.what in (IN, NEAR, OUT)
        self._settle(change.row, change.time_us if sure else None)
        self.seen = change.row
        if change.what == IN:
            self._come_in(change)
        elif change.what == NEAR:
            self._come_near(change)
        elif change.what == OUT:
            self._go_out(change)
            if not change.at_fix:
                self._settle(change.row, change.time_us)
        else:
            self._lose(change)

    def finish(self) -> None:
        """Judge what the records behind the last change show."""
        self._settle(_BEYOND, None)
        if self.phase in (INSIDE, LEAVING):
            self._stay(int(self.scene.tracks.start[self.run + 1]))
        elif self.phase == AWAY:
            # A visit of no length counts until time has passed, without a window too.
            kept_us = self.since_us + max(self._window_us(), 1)
            if self._latest_us(_BEYOND) >= kept_us:
                self.phase = NO_VISIT

    def state(self) -> tuple[Any, ...] | None:
        """The course as a row of ``Visits``, None where there is nothing to remember."""
        if self.phase == NO_VISIT:
            return None
        return (self.slot, self.zone, self.phase, self.code, self.lost, self.entered_us,
                self.since_us, self.dwell_due_us, self.visit_id, self.moment,
                self.spent)  # fmt: skip

    def _come_in(self, change: Change) -> None:
        self.code = IN
        if self.phase in (NO_VISIT, AWAY):
            self.phase = ENTERING
            self.entered_us, self.moment = change.time_us, change.crossing
            zone = self.scene.fences.zones[self.zone]
            again = self.spent.count((change.time_us, change.time_us))
            fresh = visit_identity(zone, self.vehicle_id, change.time_us, again)
            self.visit_id = self.scene.names.get(fresh, fresh)
            self.since_us = change.time_us
        elif self.phase == ENTERING and self.lost:
            self.since_us = change.time_us
        elif self.phase == LEAVING:
            self.phase, self.moment = INSIDE, None
        self.lost = False

    def _come_near(self, change: Change) -> None:
        self.code = NEAR
        if self.phase == LEAVING:
            self.phase, self.moment = INSIDE, None
        elif self.phase == ENTERING and self.lost:
            self.since_us = change.time_us
        self.lost = False

    def _go_out(self, change: Change) -> None:
        self.code = OUT
        if self.phase == ENTERING:
            self._end_visit(())
        elif self.phase == INSIDE:
            self.phase = LEAVING
            self.moment, self.since_us = change.crossing, change.time_us
        elif self.phase == LEAVING and self.lost:
            self.since_us = change.time_us
        self.lost = False

    def _lose(self, change: Change) -> None:
        if change.what == UNKNOWN:
            self.code = UNKNOWN
        elif self.phase in (INSIDE, LEAVING):
            self.lost_at.append(change.row)
        self.lost = True

    def _settle(self, next_row: int, next_us: int | None) -> None:
        """Confirm what has held long enough before the next change."""
        fences = self.scene.fences
        if self.phase == ENTERING:
            row = self._shown(fences.min_inside_us[self.zone], next_row, next_us)
            if row is not None:
                self._enter(row)
        elif self.phase == LEAVING:
            row = self._shown(fences.min_outside_us[self.zone], next_row, next_us)
            if row is not None:
                self._exit(row)
        if self.phase == INSIDE and self.dwell_due_us != FOREVER and not self.lost:
            known_us = self._latest_us(next_row) if next_us is None else next_us
            if known_us >= self.dwell_due_us:
                self._tell_dwell(next_row)

    def _shown(self, hold_us: np.int64, next_row: int, next_us: int | None) -> int | None:
        """The record that shows that the phase has held for its time, None = none does yet."""
        if self.lost:
            return None
        scene, due_us = self.scene, self.since_us + int(hold_us)
        leg = scene.first_from(self.run, self.seen, due_us)
        while 0 <= leg < scene.first[self.run + 1] and scene.leg_row[leg] < next_row:
            if self.phase == ENTERING or self._is_clear(leg):
                return scene.leg_row[leg]
            leg += 1
        if next_us is None or next_us < due_us:
            return None
        return next_row if self.phase == ENTERING or self._is_sure(next_row) else None

    def _is_sure(self, row: int) -> bool:
        """Whether an exit shown by a record is sure although its fix may be near the zone."""
        rows = self.scene.legs.row
        leg = int(np.searchsorted(rows, row))
        return leg == len(rows) or rows[leg] != row or self._margin_m(leg) == 0

    def _is_clear(self, leg: int) -> bool:
        margin_m = self._margin_m(leg)
        buffer_m = self.scene.fences.zones[self.zone].exit_buffer_m or 0.0
        return margin_m == 0 or self.scene.clear_of(leg, self.zone, buffer_m + margin_m)

    def _margin_m(self, leg: int) -> float:
        """How far the error circle of a fix keeps an exit from being sure, metres."""
        zone = self.scene.fences.zones[self.zone]
        if not zone.exit_buffer_m:
            return 0.0
        cap_m = zone.exit_buffer_m if zone.accuracy_cap_m is None else zone.accuracy_cap_m
        accuracy_m = float(self.scene.legs.after.value("position_accuracy_m")[leg])
        return 0.0 if np.isnan(accuracy_m) else min(accuracy_m, cap_m)

    def _enter(self, row: int) -> None:
        crossing = self._pending()
        self.phase, self.start, self.moment = INSIDE, row, None
        fences = self.scene.fences
        self.dwell_due_us = dwell_due_us(
            self.entered_us, self.spent, int(fences.max_dwell_us[self.zone]), self._window_us()
        )
        zone = fences.zones[self.zone]
        event = entered_event(zone, self.vehicle_id, self.visit_id, crossing)
        self.told.append(Told(row, 1, event))

    def _exit(self, row: int) -> None:
        crossing = self._pending()
        self._stay(row)
        zone = self.scene.fences.zones[self.zone]
        event = exited_event(zone, self.vehicle_id, self.visit_id, crossing, self.entered_us)
        self.told.append(Told(row, 0, event))
        self._end_visit(((self.entered_us, crossing.time_us),))

    def _end_visit(self, spent: tuple[tuple[int, int], ...]) -> None:
        """Forget the visit but for what counts for the dwell limit over several.

        Visits of no length are kept as long as another one may begin at the same time.
        """
        since_us, code, spent = self.since_us, self.code, self.spent + spent
        kept = still_counted(spent, since_us, self._window_us())
        kept = kept or tuple(span for span in spent if span == (since_us, since_us))
        self._begin()
        self.code = code
        if kept:
            self.phase, self.since_us, self.spent = AWAY, since_us, kept

    def _tell_dwell(self, next_row: int) -> None:
        leg = self.scene.first_from(self.run, self.seen, self.dwell_due_us)
        row = min(next_row, self.scene.leg_row[leg] if leg >= 0 else next_row)
        zone = self.scene.fences.zones[self.zone]
        event = dwell_event(zone, self.vehicle_id, self.visit_id, self.dwell_due_us,
                            self.entered_us)  # fmt: skip
        self.told.append(Told(row, 2, event))
        self.dwell_due_us = FOREVER

    def _stay(self, stop: int) -> None:
        self.stays.append((self.slot, self.zone, self.entered_us, self.visit_id, self.start, stop))

    def _latest_us(self, next_row: int) -> int:
        end = int(self.scene.tracks.start[self.run + 1])
        return self.scene.legs.latest_fix_us(min(next_row, end), self.run)

    def _window_us(self) -> int:
        return int(self.scene.fences.dwell_window_us[self.zone])

    def _pending(self) -> Crossing:
        if self.moment is None:
            raise ValueError(f"visit {self.visit_id}: no crossing waits to be told")
        return self.moment

    @property
    def vehicle_id(self) -> str:
        """The vehicle's id."""
        return self.scene.tracks.vehicle_id(self.run)
