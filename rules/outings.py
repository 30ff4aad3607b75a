"""Outings: stays of vehicles outside the zones that they are to keep in.

A zone of kind ``keep_in`` is the other way round: rules about it are judged while a vehicle is
outside. An outing begins with the first record that shows the vehicle outside (of a vehicle never
seen inside, its first fix outside) and ends with the one that shows its entry; what is not known
begins none and ends none.
"""

from dataclasses import dataclass, field, fields

import numpy as np

from rules.fences import OUT, Fences, Presence
from rules.legs import Legs
from rules.tracks import Tracks
from rules.visits import Stays
from schemas.event import identity
from schemas.frame import BODIES, Bools, Longs, Rows, where


@dataclass(frozen=True, slots=True)
class Outings:
    """Outings that go on; o of them.

    ``slot``, ``zone``: (o,). ``since_us``: (o,) int64 event time of the first record of each.
    ``outing_id``: (o,) object, text.
    """

    slot: Rows = field(default_factory=lambda: np.empty(0, np.intp))
    zone: Rows = field(default_factory=lambda: np.empty(0, np.intp))
    since_us: Longs = field(default_factory=lambda: np.empty(0, np.int64))
    outing_id: np.ndarray = field(default_factory=lambda: np.empty(0, object))

    def take(self, rows: Rows | slice) -> "Outings":
        """The outings at the given positions."""
        return Outings(*(getattr(self, column.name)[rows] for column in fields(self)))

    def plus(self, other: "Outings") -> "Outings":
        """These outings and the other ones after them."""
        pairs = ((getattr(self, c.name), getattr(other, c.name)) for c in fields(self))
        return Outings(*(np.concatenate(pair) for pair in pairs))


def follow(
    fences: Fences, outings: Outings, tracks: Tracks, legs: Legs, seen: tuple[Presence, Stays]
) -> tuple[Outings, Stays]:
    """The outings now, and the stays that rules are judged on: outings in place of keep-in visits.

    ``outings``: the group's, as they were before these rows. ``seen``: presence in these rows and
    the stays that touch them.
    """
    stays = seen[1]
    keep_in = where(fences.keep_in)
    if not len(keep_in) or not len(tracks.slot):
        return outings, stays
    slots = int(max(tracks.slot.max(), outings.slot.max(initial=-1))) + 1
    run = tracks.run_of_slot(slots)[outings.slot]
    known, known_run = outings.take(where(run >= 0)), run[run >= 0]
    spans = _spans(tracks, _outside(fences, tracks, legs, seen, (keep_in, known, known_run)))
    at, column = spans[0], keep_in[spans[2]]
    began = _began(fences, tracks, (at, column), known, known_run)
    goes_on = where(spans[1] == tracks.start[tracks.run[at] + 1])
    away = Stays(tracks.slot[tracks.run[at]], column, began[0], began[1], at, spans[1])
    still = Outings(*(c[goes_on] for c in (away.slot, away.zone, away.entered_us, away.visit_id)))
    kept = stays.take(where(~fences.keep_in[stays.zone]))
    return outings.take(where(run < 0)).plus(still), kept.plus(away)


def _outside(
    fences: Fences,
    tracks: Tracks,
    legs: Legs,
    seen: tuple[Presence, Stays],
    of: tuple[Rows, Outings, Rows],
) -> Bools:
    """(rows, keep-in zones) whether the vehicle is known to be outside in each row."""
    (presence, stays), (keep_in, known, known_run) = seen, of
    column = np.full(len(fences.zones) + 1, -1, np.intp)
    column[keep_in] = np.arange(len(keep_in))
    # held[leg, column]: the fix is in the zone, or may be.
    held = np.zeros((len(legs), len(keep_in)), np.bool_)
    pair = where((presence.code != OUT) & (presence.zone < presence.zones))
    of_keep_in = pair[column[presence.zone[pair]] >= 0]
    leg = np.searchsorted(legs.row, presence.row[of_keep_in])
    held[leg, column[presence.zone[of_keep_in]]] = True
    rows = len(tracks.frame)
    # in_force[row, column]: nobody is to keep in a zone that is not in force.
    every = np.tile(keep_in, rows), np.repeat(tracks.frame.time_us, len(keep_in))
    in_force = fences.in_force(*every).reshape(rows, len(keep_in))
    held |= ~in_force[legs.row]
    # first[run, column]: the row from which on the vehicle is outside, unless a visit says more.
    first = np.full((len(tracks.slot), len(keep_in)), rows)
    np.minimum.at(first, legs.run, np.where(held, rows, legs.row[:, np.newaxis]))
    first[known_run, column[known.zone]] = tracks.start[known_run]
    elsewhere = np.array([BODIES.index(fences.zones[z].body) for z in keep_in])
    outside = np.arange(rows)[:, np.newaxis] >= first[tracks.run]
    outside &= in_force & (tracks.frame.body[:, np.newaxis] == elsewhere)
    # Visits as steps up at their first row and down behind their last, summed along the rows.
    visits = where(column[stays.zone] >= 0)
    steps = np.zeros((rows + 1, len(keep_in)), np.int64)
    np.add.at(steps, (stays.start[visits], column[stays.zone[visits]]), 1)
    np.add.at(steps, (stays.stop[visits], column[stays.zone[visits]]), -1)
    outside &= np.cumsum(steps, axis=0)[:rows] == 0
    return outside


def _spans(tracks: Tracks, outside: Bools) -> tuple[Rows, Rows, Rows]:
    """Stretches of rows of one run that are outside: first row, row behind, column."""
    begins = np.zeros(len(outside), np.bool_)
    begins[tracks.start[:-1]] = True
    before = np.zeros_like(outside)
    before[1:] = outside[:-1]
    after = np.zeros_like(outside)
    after[:-1] = outside[1:]
    last = np.append(begins[1:], [True])[: len(outside)]
    first = (outside & (~before | begins[:, np.newaxis])).T.nonzero()
    end = (outside & (~after | last[:, np.newaxis])).T.nonzero()
    # Both by column, then row: the i-th beginning and the i-th end are of one stretch.
    return first[1], end[1] + 1, first[0]


def _began(
    fences: Fences,
    tracks: Tracks,
    spans: tuple[Rows, Rows],
    known: Outings,
    known_run: Rows,
) -> tuple[Longs, np.ndarray]:
    """When each stretch's outing began, and its id."""
    at, zone = spans
    since_us, outing_id = tracks.frame.time_us[at], np.empty(len(at), object)
    goes_on = {
        (int(tracks.start[run]), int(zone_)): i
        for i, (run, zone_) in enumerate(zip(known_run, known.zone, strict=True))
    }
    for i, (row, z) in enumerate(zip(at.tolist(), zone.tolist(), strict=True)):
        if (before := goes_on.get((row, z))) is not None:
            since_us[i], outing_id[i] = known.since_us[before], known.outing_id[before]
        else:
            vehicle_id = tracks.vehicle_id(int(tracks.run[row]))
            outing_id[i] = identity("outing", fences.zones[z].id, vehicle_id, tracks.moment(row))
    return since_us, outing_id
