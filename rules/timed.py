"""Rules on time: counts, sequences, alarms that keep on or end by a condition of their own.

Each follows one vehicle (a rule on stays: one visit of it) record by record. Its condition holds
where `when` does; of a count, where enough of the latest records have it; of a sequence, where
`then` does soon enough after `when`. The alarm is raised at a record in which the condition holds
and has held for `for`. What ends it is that the condition does not hold, or that `clear_when` does
while `when` does not; it is cleared at a record in which that is so and has been for
`keep_firing_for`, and in any case where the vehicle has left the zone or the rule is not about the
record. What is unknown raises nothing, clears nothing, and neither begins nor ends a time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from rules.compliance import Held, Seen
from rules.conditions import Conditions
from rules.leads import leads_of
from rules.rulebook import RuleBook
from rules.timed_cells import cells_of
from rules.timed_course import Course
from rules.timers import Sightings, Timers
from rules.tracks import Tracks
from schemas.event import Event
from schemas.frame import Rows, where

Remembered = TypeVar("Remembered", Timers, Sightings)


@dataclass(frozen=True, slots=True)
class Timed:
    """What following made: what is remembered now, the alarms that were open, what to tell."""

    timers: Timers
    sightings: Sightings
    held: Held
    events: list[Event]


def follow(
    book: RuleBook, names: Mapping[str, str], timers: Timers, sightings: Sightings, seen: Seen
) -> Timed:
    """Follow the rules on time along the tracks.

    ``sightings``: of sequences alone. ``names``: as of ``rules.compliance.follow``.
    """
    tracks = seen.tracks
    touched, known_run = _touched(tracks, timers.slot)
    seen_here, _ = _touched(tracks, sightings.slot)
    leads = leads_of(book, sightings.take(seen_here), tracks, seen.on_stays)
    moved = _without(sightings, seen_here).plus(leads.sightings)
    known = timers.take(touched)
    cells = cells_of(book, known, known_run, leads, seen)
    if cells is None:
        nothing = Held(Conditions(), np.empty(0, np.int64), np.empty(0, object))
        return Timed(_without(timers, touched), moved, nothing, [])
    course = Course(book, names, known, leads, seen, cells)
    held, events = course.told()
    return Timed(_without(timers, touched).plus(course.remembered()), moved, held, events)


def _touched(tracks: Tracks, slot: Rows) -> tuple[Rows, Rows]:
    """The positions of those whose vehicle has rows here, and their runs."""
    slots = int(max(tracks.slot.max(initial=-1), slot.max(initial=-1))) + 1
    run = tracks.run_of_slot(slots)[slot]
    return where(run >= 0), run[run >= 0]


def _without(of: Remembered, rows: Rows) -> Remembered:
    left = np.ones(len(of), np.bool_)
    left[rows] = False
    return of.take(where(left))
