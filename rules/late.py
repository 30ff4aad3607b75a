"""Late records: what came after newer records of its vehicle is judged on its own and told."""

import msgspec
import numpy as np

from rules.expressions import TRUE
from rules.fences import IN, Presence
from rules.registry import Registry
from schemas.event import TELEMETRY_LATE, Event, identity
from schemas.frame import Frame, Longs, rfc3339


def late_events(
    registry: Registry, frame: Frame, newest_us: Longs, presence: Presence
) -> list[Event]:
    """One event a late record: the zones that certainly hold it, the rules that hold for it.

    ``frame``: n late records; ``newest_us``: (n,) event time of the newest record its vehicle had;
    ``presence``: on these rows. A rule with ``for`` or ``count`` counts as soon as its condition is
    true: one record alone has no duration.
    """
    certain = (presence.code == IN) & (presence.zone < presence.zones)
    row, zone = presence.row[certain], presence.zone[certain]
    zones: list[list[str]] = [[] for _ in range(len(frame))]
    for r, z in zip(row.tolist(), zone.tolist(), strict=True):
        zones[r].append(registry.fences.zones[z].id)
    on_records = registry.book.judge_records(frame)
    on_stays = registry.book.judge_stays(frame, row, zone)
    rules: list[set[str]] = [set() for _ in range(len(frame))]
    # What one record alone says nothing of: what has not been seen, what came before it.
    beyond = registry.book.absence | registry.book.times.leads
    for judged, rows in ((on_records, np.arange(len(frame))), (on_stays, row)):
        for place, at in zip(*np.nonzero(judged.code == TRUE), strict=True):
            if not beyond[judged.rule[place]]:
                rules[rows[at]].add(registry.book.rules[judged.rule[place]].rule.id)
    return [
        late_event(frame, i, int(newest), {"zones": zones[i], "rules": sorted(rules[i])})
        for i, newest in enumerate(newest_us)
    ]


def late_event(
    frame: Frame, row: int, newest_us: int, judged: dict[str, list[str]], scope: str = "late"
) -> Event:
    """The event of one late record: the zones and rules it was ``judged`` by.

    ``scope``: tells apart what is told by those for whom it is late.
    """
    record = frame.record(row)
    time_us = int(frame.time_us[row])
    return Event(
        type=TELEMETRY_LATE,
        event_id=identity(scope, msgspec.json.encode(record, order="sorted").decode()),
        vehicle_id=record["vehicle_id"],
        time_us=time_us,
        data={
            "time": rfc3339(time_us),
            "newest": rfc3339(newest_us),
            "behind_s": (newest_us - time_us) / 1e6,
            **judged,
            "record": record,
        },
    )
