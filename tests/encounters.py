"""Encounters the slow way: every pair, tick by tick, in plain Python; to hold the columns against.

Nothing here is shared with ``rules/proximity`` but the meaning: the way between two vehicles has
the length of the geodesic (by PROJ) and its bearing, and changes linearly from tick to tick.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from math import cos, hypot, isclose, radians, sin, sqrt
from typing import Any, NamedTuple

import numpy as np

from rules.geodesy import inverse
from rules.proximity.limits import Limits
from schemas.frame import BODIES

NEAR, FAR = "nearby", "faraway"


class Told(NamedTuple):
    pair: tuple[str, str]
    what: str
    reason: str
    time_s: float
    separation_m: float


class DoubtfulError(Exception):
    """A distance lies so near to a limit that rounding decides."""


def encounters(
    limits: Limits, records: Sequence[Mapping[str, Any]], *, doubt_m: float = 0.05
) -> list[Told]:
    """What is to be told of records of one body, by pair, then time."""
    fixes: dict[str, dict[float, Mapping[str, Any]]] = {}
    for record in records:
        fixes.setdefault(record["vehicle_id"], {})[record["time_s"]] = record
    every_s = limits.every_us / 1e6
    # As at the end of the input: judged up to the oldest newest fix of those that may go on.
    newest = max(record["time_s"] for record in records)
    ends = [max(of) for of in fixes.values() if max(of) >= newest - limits.max_age_us / 1e6]
    last = int(min(ends) // every_s)
    first = int(min(record["time_s"] for record in records) // every_s)
    told = []
    for one, other in combinations(sorted(fixes), 2):
        ways = [
            (tick, _way(_at(limits, fixes[one], tick), _at(limits, fixes[other], tick)))
            for tick in range(first, last + 1)
        ]
        told += list(_course(limits, (one, other), ways, doubt_m))
    return told


def _at(limits: Limits, fixes: Mapping[float, Any], tick: int) -> dict[str, Any] | None:
    time_s = tick * limits.every_us / 1e6
    if time_s in fixes:
        return dict(fixes[time_s])
    before = [t for t in fixes if t < time_s]
    after = [t for t in fixes if t > time_s]
    if not before or not after or min(after) - max(before) > limits.max_age_us / 1e6:
        return None
    a, b = fixes[max(before)], fixes[min(after)]
    share = (time_s - max(before)) / (min(after) - max(before))
    place = {"body": a.get("body", "earth")}
    for name in ("longitude", "latitude", "depth_m", "altitude_m"):
        if a.get(name) is not None and b.get(name) is not None:
            step = b[name] - a[name]
            if name == "longitude":
                step = (step + 180) % 360 - 180
            place[name] = a[name] + step * share
    return place


class _Way(NamedTuple):
    plan: tuple[float, float]
    down_m: float | None
    up_m: float | None


def _way(one: dict[str, Any] | None, other: dict[str, Any] | None) -> _Way | None:
    if one is None or other is None:
        return None
    body = np.array([BODIES.index(one.get("body", "earth"))], np.int8)
    [[metres], [bearing]] = inverse(
        body, one["longitude"], one["latitude"], other["longitude"], other["latitude"]
    )
    plan = metres * sin(radians(bearing)), metres * cos(radians(bearing))

    def apart(name: str) -> float | None:
        if one.get(name) is None or other.get(name) is None:
            return None
        return other[name] - one[name]

    return _Way(plan, apart("depth_m"), apart("altitude_m"))


def _course(
    limits: Limits, pair: tuple[str, str], ways: Sequence[tuple[int, _Way | None]], doubt_m: float
) -> Iterator[Told]:
    every_s = limits.every_us / 1e6
    course = _Course(limits, pair, doubt_m)
    before: _Way | None = None
    for tick, way in ways:
        end_s = tick * every_s
        if way is not None:
            yield from course.pass_by(before or way, way, end_s - every_s * bool(before), end_s)
        elif before is not None and course.near:
            course.lost = True
            yield Told(pair, NEAR, "lost", end_s - every_s, _length(before, before, 1.0))
        before = way


class _Course:
    def __init__(self, limits: Limits, pair: tuple[str, str], doubt_m: float) -> None:
        self.near_m, self.far_m = limits.nearby_m, limits.faraway_m
        self.pair, self.doubt_m = pair, doubt_m
        self.near = self.lost = False

    def pass_by(self, begin: _Way, way: _Way, start_s: float, end_s: float) -> Iterator[Told]:
        at_begin, at_end = _length(begin, way, 0.0), _length(begin, way, 1.0)
        least = min(at_begin, at_end, _length(begin, way, _least_at(begin, way)))
        self.refuse_doubtful(at_begin, at_end, least)
        if self.near and at_begin > self.far_m:
            self.near = self.lost = False
            yield Told(self.pair, FAR, "found", start_s, at_begin)
        if self.lost or (not self.near and at_begin < self.near_m):
            self.near, self.lost = True, False
            yield Told(self.pair, NEAR, "found", start_s, at_begin)
        if not self.near and least < self.near_m:
            self.near = True
            share = min(_crossings(begin, way, self.near_m))
            yield Told(self.pair, NEAR, "crossed", start_s + share * (end_s - start_s), self.near_m)
        if self.near and at_end > self.far_m:
            self.near = False
            share = max(_crossings(begin, way, self.far_m))
            yield Told(self.pair, FAR, "crossed", start_s + share * (end_s - start_s), self.far_m)

    def refuse_doubtful(self, *distances_m: float) -> None:
        for value in distances_m:
            for limit in (self.near_m, self.far_m):
                if isclose(value, limit, abs_tol=self.doubt_m):
                    raise DoubtfulError


def _vector(begin: _Way, end: _Way, share: float) -> tuple[float, float, float]:
    def part(a: float, b: float) -> float:
        return a * (1 - share) + b * share

    vertical = 0.0
    if begin.down_m is not None and end.down_m is not None:
        vertical = part(begin.down_m, end.down_m)
    elif begin.up_m is not None and end.up_m is not None:
        vertical = part(begin.up_m, end.up_m)
    return part(begin.plan[0], end.plan[0]), part(begin.plan[1], end.plan[1]), vertical


def _length(begin: _Way, end: _Way, share: float) -> float:
    return hypot(*_vector(begin, end, share))


def _quadratic(begin: _Way, end: _Way) -> tuple[float, float, float]:
    """distance² as a s² + b s + c, from its values at three places."""
    c, half, full = (_length(begin, end, s) ** 2 for s in (0.0, 0.5, 1.0))
    a = 2 * (full + c - 2 * half)
    return a, full - c - a, c


def _least_at(begin: _Way, end: _Way) -> float:
    a, b, _ = _quadratic(begin, end)
    return min(max(-b / (2 * a), 0.0), 1.0) if a > 1e-9 else 0.0


def _crossings(begin: _Way, end: _Way, limit_m: float) -> list[float]:
    a, b, c = _quadratic(begin, end)
    root = sqrt(b * b - 4 * a * (c - limit_m**2))
    found = [(-b - root) / (2 * a), (-b + root) / (2 * a)]
    return [share for share in found if 0 <= share <= 1]
