"""What a geofence answered, and whether two geofences answered the same.

A peer that looks at fixes alone tells an entry at the first fix inside. farwatch tells when the
edge was crossed on the way: brought to the next fix, and without what begins and ends between two
fixes, its answers must be those of the peer, one by one. A peer that knows crossings must give the
same times.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

import msgspec

Key = tuple[str, str, str]
"""What, vehicle, zone."""
Answers = Mapping[Key, list[int]]
"""The times of each, in microseconds since 1970 UTC, ascending."""

TOLERANCE_US: Final = 1_000


class _Answer(msgspec.Struct):
    """A line of answers; ``diff`` is Pathway's: -1 takes back what was told."""

    what: str
    vehicle_id: str
    zone_id: str
    time_us: int
    diff: int = 1


class _Fix(msgspec.Struct):
    vehicle_id: str
    timestamp: datetime


Line = TypeVar("Line", bound=msgspec.Struct)


def read_answers(path: Path) -> Answers:
    """The answers that stand at the end of a program."""
    count: Counter[tuple[Key, int]] = Counter()
    for answer in _lines(path, _Answer):
        key = (answer.what, answer.vehicle_id, answer.zone_id)
        count[key, answer.time_us] += answer.diff
    answers: dict[Key, list[int]] = defaultdict(list)
    for (key, time_us), times in sorted(count.items()):
        answers[key] += [time_us] * times
    return answers


def read_fixes(telemetry: Path) -> Mapping[str, list[int]]:
    """The times of each vehicle's records, ascending, in microseconds since 1970 UTC."""
    fixes: dict[str, list[int]] = defaultdict(list)
    for fix in _lines(telemetry, _Fix):
        fixes[fix.vehicle_id].append(round(fix.timestamp.timestamp() * 1e6))
    return {vehicle_id: sorted(times) for vehicle_id, times in fixes.items()}


def at_fixes(answers: Answers, fixes: Mapping[str, list[int]]) -> Answers:
    """The answers as one tells them who sees the fixes alone."""
    seen: dict[Key, list[int]] = defaultdict(list)
    balance: Counter[tuple[str, str, int]] = Counter()
    for (what, vehicle_id, zone_id), times in answers.items():
        for time_us in times:
            fix_us = fixes[vehicle_id][bisect_left(fixes[vehicle_id], time_us)]
            balance[vehicle_id, zone_id, fix_us] += 1 if what == "entered" else -1
    for (vehicle_id, zone_id, fix_us), change in sorted(balance.items()):
        what = "entered" if change > 0 else "exited"
        if change:
            seen[what, vehicle_id, zone_id] += [fix_us] * abs(change)
    return seen


def difference(one: Answers, other: Answers, tolerance_us: int = 0) -> str:
    """The empty string where both agree, else how many answers differ and the first that does."""
    differing = [
        key
        for key in sorted({*one, *other})
        if not _same(one.get(key, []), other.get(key, []), tolerance_us)
    ]
    if not differing:
        return ""
    key = differing[0]
    times = f"{one.get(key, [])} and {other.get(key, [])}"
    return f"{len(differing)} of {len({*one, *other})} differ: {' '.join(key)} at {times}"


def total(answers: Answers) -> int:
    """The number of answers."""
    return sum(map(len, answers.values()))


def _same(one: list[int], other: list[int], tolerance_us: int) -> bool:
    return len(one) == len(other) and all(
        abs(a - b) <= tolerance_us for a, b in zip(one, other, strict=True)
    )


def _lines(path: Path, kind: type[Line]) -> Iterator[Line]:
    decode = msgspec.json.Decoder(kind).decode
    with path.open("rb") as lines:
        yield from map(decode, lines)
