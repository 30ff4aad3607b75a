"""What hazard reads of telemetry: a frame's records by profile and key group, narrow columns."""

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property

import numpy as np

from rules.assessment import KeyGroups
from rules.hazard.quantities import HOLDS, quantity_of
from rules.hazard.readings import DERIVED, READINGS
from rules.tracks import sort_key
from schemas.event import Event
from schemas.frame import (
    KINDS,
    NUMBER_FIELDS,
    Bools,
    Codes,
    Floats,
    Frame,
    Ints,
    Longs,
    Rows,
)
from schemas.hazard_profile import Profile

_ALWAYS = ("longitude", "latitude")


class Plan:
    """A profile with what is to be read for it.

    ``readings``: what its quantities rest on, and the fix, which is told with each score.
    ``order``: all signals. ``holds``: the entries of ``HOLDS`` that it has use for, each with its
    name.
    """

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.parts = tuple(profile.parts)
        self.quantities = tuple(quantity_of(profile.reads(name)) for name in self.parts)
        found = [*_ALWAYS, *(one for known in self.quantities for one in known.readings)]
        self.readings = tuple(dict.fromkeys(found))
        wanted = {one for known in self.quantities for one in known.holds}
        self.holds = tuple((name, *HOLDS[name]) for name in HOLDS if name in wanted)
        self.order = (*self.readings, *DERIVED)
        self._kinds = np.isin(KINDS, profile.kinds)

    def serves(self, frame: Frame) -> Bools:
        """(n,) the rows of a frame whose vehicles the profile is for."""
        mine = self._kinds[frame.kind]
        if self.profile.vehicles:
            named = np.array([self._names(one) for one in frame.vehicle_ids], np.bool_)
            mine &= named[frame.vehicle]
        return mine

    def _names(self, vehicle_id: str) -> bool:
        return any(fnmatchcase(vehicle_id, pattern) for pattern in self.profile.vehicles)

    @cached_property
    def weights(self) -> tuple[float, ...]:
        """The weight of each part."""
        return tuple(self.profile.parts[name].weight for name in self.parts)


@dataclass(frozen=True, slots=True)
class Part:
    """Records of key groups, each vehicle's in one run in event-time order.

    ``keys``: the groups' keys in the dataflow; ``start``: (keys + 1,) the first row of each, ending
    with n. ``vehicle``: (n,) index into ``vehicle_ids``, all of which occur, in
    order. ``time_us``, ``body``: (n,). ``columns``: (readings, n), NaN = absent. ``newest_us``:
    (n,) the newest time of the vehicle among the frame's records that came before. ``stamp``: of
    the frame, as of ``Served``.
    """

    keys: tuple[str, ...]
    start: Rows
    vehicle_ids: tuple[str, ...]
    vehicle: Ints
    time_us: Longs
    body: Codes
    columns: Floats
    newest_us: Longs
    stamp: int = 0

    def __len__(self) -> int:
        return len(self.time_us)

    def take(self, rows: Rows) -> "Part":
        """The part of some rows, in order; ids that no longer occur go."""
        vehicle = self.vehicle[rows]
        present, place = np.unique(vehicle, return_inverse=True)
        return Part(
            self.keys,
            np.searchsorted(rows, self.start),
            tuple(map(self.vehicle_ids.__getitem__, present.tolist())),
            place.astype(np.int32),
            self.time_us[rows],
            self.body[rows],
            self.columns[:, rows],
            self.newest_us[rows],
            self.stamp,
        )


@dataclass(frozen=True, slots=True)
class Served:
    """A frame and whom the profiles are for.

    ``rows``: by profile (n,) the rows that it is the first to serve. ``stamp``: a number that tells
    the frame from all others of the run, 0 = none.
    """

    frame: Frame
    rows: tuple[Bools, ...] = ()
    stamp: int = 0

    def profiles(self) -> Ints:
        """(ids,) how many profiles score each vehicle of the frame."""
        count = np.zeros(len(self.frame.vehicle_ids), np.int32)
        for mine in self.rows:
            seen = np.zeros(len(count), np.bool_)
            seen[self.frame.vehicle[mine]] = True
            count += seen
        return count


def serve(plans: Sequence[Plan], frame: Frame, stamp: int = 0) -> Served:
    """A frame with the rows that each profile is the first to serve."""
    left, found = np.ones(len(frame), np.bool_), []
    for plan in plans:
        mine = left & plan.serves(frame)
        left &= ~mine
        found.append(mine)
    return Served(frame, tuple(found), stamp)


@dataclass(frozen=True, slots=True)
class Scored:
    """That the records of some vehicles of a frame have been scored, and what was told.

    ``stamp``: of the frame. ``events``: may be none, and corrections of earlier ones.
    """

    stamp: int
    vehicle_ids: tuple[str, ...]
    events: tuple[Event, ...]


def split(
    plan: Plan, groups: KeyGroups, frame: Frame, rows: Bools | None = None, stamp: int = 0
) -> Part | None:
    """The records of a frame that a profile serves, by key group; None where there is none.

    ``rows``: (n,) those to take, None = all that the profile serves. ``stamp``: as of ``Served``.
    """
    group = groups.of_ids(frame.vehicle_ids)
    order = sort_key(group, frame)
    mine = plan.serves(frame) if rows is None else rows
    chosen = order if mine.all() else order[mine[order]]
    if not len(chosen):
        return None
    vehicle, time_us = frame.vehicle[chosen], frame.time_us[chosen]
    of_row = group[vehicle]
    start = np.concatenate([[0], np.flatnonzero(np.diff(of_row)) + 1, [len(chosen)]])
    fresh = np.ones(len(chosen), np.bool_)
    fresh[1:] = vehicle[1:] != vehicle[:-1]
    return Part(
        tuple(groups.key(int(one)) for one in of_row[start[:-1]].tolist()),
        start,
        tuple(map(frame.vehicle_ids.__getitem__, vehicle[fresh].tolist())),
        (np.cumsum(fresh) - 1).astype(np.int32),
        time_us,
        frame.body[chosen],
        np.stack([_column(frame, name)[chosen] for name in plan.readings]),
        _newest_before(frame)[chosen],
        stamp,
    )


class Whole:
    """A frame's part with all its key groups, which those of a worker share."""

    def __init__(self, part: Part) -> None:
        self.part, self.keys = part, part.keys

    def of(self, keys: Set[str]) -> Part:
        """The part of some of its key groups."""
        if len(keys) == len(self.keys):
            return self.part
        mine = np.array([key in keys for key in self.keys])
        rows = np.flatnonzero(np.repeat(mine, np.diff(self.part.start)))
        length = np.diff(self.part.start)[mine]
        return replace(
            self.part.take(rows),
            keys=tuple(key for key in self.keys if key in keys),
            start=np.concatenate([[0], np.cumsum(length)]),
        )

    def alone(self, key: str) -> "Whole":
        """The part of one key group, to be sent."""
        return Whole(self.of({key}))


def _newest_before(frame: Frame) -> Longs:
    """(n,) the newest time among the rows of the vehicle up to each row, in the order they came."""
    time_us = frame.time_us
    if len(frame) < 2 or bool((time_us[1:] >= time_us[:-1]).all()):
        return time_us
    order = np.argsort(frame.vehicle, kind="stable")
    vehicle, ordered = frame.vehicle[order], time_us[order]
    times, rank = np.unique(ordered, return_inverse=True)
    # A run's keys are all greater than those of the runs before.
    run = np.cumsum(np.diff(vehicle, prepend=vehicle[:1]) != 0)
    newest = np.empty(len(frame), np.int64)
    newest[order] = times[np.maximum.accumulate(run * len(times) + rank) - run * len(times)]
    return newest


def _column(frame: Frame, name: str) -> Floats:
    """(n,) a reading: a field of telemetry, or the first of its sensors that a record has."""
    if name in NUMBER_FIELDS:
        return frame.number(name)
    sensors = (name.removeprefix("sensors."),) if name.startswith("sensors.") else READINGS[name]
    found: Floats | None = None
    for sensor in sensors:
        column = frame.sensors.get(sensor)
        if column is not None:
            found = column if found is None else np.where(np.isnan(found), column, found)
    return np.full(len(frame), np.nan) if found is None else found
