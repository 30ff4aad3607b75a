"""What a program found, in a form that can be compared: zone events and alarms.

A benchmark of two programs that give different answers is void. The per-message program sees a
zone's edge crossed at the next record, the watch at the crossing, and also where a vehicle passes
through a zone between two records: zone events are compared without their times, and passages
that only the watch sees are no difference.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

ZONE_EVENTS, ALARMS = "geofencing_events", "compliance_violations"
ENCOUNTERS = "proximity_events"
_PREFIXES = ("farwatch.zone.", "farwatch.alarm.")
_KINDS = ("entered", "exited", "raised", "cleared")


@dataclass(frozen=True, slots=True)
class Answers:
    """Counts of (what, vehicle, rule or "", zone or "", time); a count above 1 is a double.

    ``encounters``: the number of proximity events.
    """

    zone_events: Counter[tuple[Any, ...]]
    alarms: Counter[tuple[Any, ...]]
    encounters: int = 0


def read_answers(results: Path) -> Answers:
    """The answers in a folder of results, written by the watch or by the per-message program."""
    return Answers(
        Counter(_found(results / f"{ZONE_EVENTS}.ndjson")),
        Counter(_found(results / f"{ALARMS}.ndjson")),
        _lines(results / f"{ENCOUNTERS}.ndjson"),
    )


def difference(a: Counter[tuple[Any, ...]], b: Counter[tuple[Any, ...]]) -> str:
    """The empty string where both are the same, else how many differ and the first that does."""
    only_a, only_b = a - b, b - a
    if not only_a and not only_b:
        return ""
    first = min(only_a or only_b, key=lambda key: key[-1])
    return f"{only_a.total()} only in the one, {only_b.total()} only in the other: {first}"


def zone_difference(at_records: Counter[tuple[Any, ...]], found: Counter[tuple[Any, ...]]) -> str:
    """As ``difference``, without times and without passages that only ``found`` has."""
    a, b = _timeless(at_records), _timeless(found)
    surplus = b - a
    for what, *who in list(surplus):
        passages = min(surplus["entered", *who], surplus["exited", *who])
        if what == "entered":
            b["entered", *who] -= passages
            b["exited", *who] -= passages
    return difference(a, +b)


def _timeless(counts: Counter[tuple[Any, ...]]) -> Counter[tuple[Any, ...]]:
    found: Counter[tuple[Any, ...]] = Counter()
    for key, count in counts.items():
        found[key[:-1]] += count
    return found


def _lines(path: Path) -> int:
    if not path.exists():
        return 0
    with path.open("rb") as lines:
        return sum(1 for _ in lines)


def _found(path: Path) -> Iterator[tuple[Any, ...]]:
    if not path.exists():
        return
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    with path.open("rb") as lines:
        for line in lines:
            event = decode(line)
            # A CloudEvents envelope or, from the per-message program, the bare event.
            what = str(event["type"])
            for prefix in _PREFIXES:
                what = what.removeprefix(prefix)
            what = what.removesuffix(".v1")
            data = event.get("data", event)
            if what in _KINDS:
                yield (
                    what,
                    data["vehicle_id"],
                    data.get("rule_id") or "",
                    data.get("zone_id") or "",
                    datetime.fromisoformat(data["time"]),
                )
