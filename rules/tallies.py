"""Tallies: what was counted of the records of each key group since the beginning."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from rules.assessment import Assessment
from rules.expressions import ERROR
from rules.rulebook import RuleBook
from rules.stages import Outcome
from schemas.delivery import Delivery
from schemas.event import Event, identity
from schemas.frame import Rows, where

TALLIES: Final = "_tallies"
TALLIED: Final = "farwatch.pipeline.tallied.v1"

NEWEST: Final = "newest_us"

Tallies = Mapping[str, Mapping[str, int]]
"""Counts by the group's key, then by name; ``NEWEST``: event time of its newest record."""


def of_frame(tallies: Tallies, seen: Assessment) -> list[tuple[str, int, dict[str, int]]]:
    """Of each group that records came of: its key, its newest event time, its counts."""
    found = []
    for key, some in zip(seen.keys, (np.diff(seen.start) > 0).tolist(), strict=True):
        if some:
            counts = dict(tallies[key])
            found.append((key, counts.pop(NEWEST), counts))
    return found


def told(tallies: Tallies, seen: Assessment) -> list[Delivery]:
    """The tallies of the groups that records came of, as events."""
    return [Delivery(TALLIES, _event(*of_group)) for of_group in of_frame(tallies, seen)]


def _event(key: str, newest_us: int, counts: dict[str, int]) -> Event:
    # A group's counts only grow: that of its records is the version.
    return Event(
        type=TALLIED,
        event_id=identity(TALLIED, key),
        version=counts["records"],
        vehicle_id="",
        time_us=newest_us,
        data=counts,
    )


def failures(
    book: RuleBook, seen: Assessment, in_order: Assessment, outcome: Outcome
) -> dict[str, Rows]:
    """What rules ended in an error, in all and by rule and reason: name -> groups of the rows.

    Groups by their place among ``seen.keys``.
    """
    found = [(outcome.failures, in_order)]
    if (seen.on_records.code == ERROR).any():
        found.append((book.failures(seen.on_records, book.on_records(seen.frame)), seen))
    if (seen.on_presence.code == ERROR).any():
        held = seen.presence.held()
        row = seen.presence.row[held]
        columns = book.on_stays(seen.frame, row, seen.presence.zone[held])
        failed = book.failures(seen.on_presence, columns)
        found.append(({key: row[pairs] for key, pairs in failed.items()}, seen))
    groups: dict[str, Rows] = {"rule_errors": np.empty(0, np.intp)}
    for failed_rows, of in found:
        for (rule, reason), rows in failed_rows.items():
            for name in ("rule_errors", f"rule_error.{rule}.{reason}"):
                known = groups.get(name, np.empty(0, np.intp))
                groups[name] = np.concatenate([known, of.group_of(rows)])
    return groups


def counted(
    before: Tallies, seen: Assessment, late: Mapping[str, Rows], failed: Mapping[str, Rows]
) -> Tallies:
    """The tallies after a frame.

    ``late``: its late rows by what they are counted as; ``failed``: of ``failures``.
    """
    found = {
        **late,
        "no_position": where(np.isnan(seen.frame.number("longitude"))),
        "unknown_depth": seen.presence.rows_unknown(),
    }
    groups = {name: seen.group_of(rows) for name, rows in found.items()} | dict(failed)
    # Name -> (keys,) count.
    counts = {"records": np.diff(seen.start).tolist()}
    for name, places in groups.items():
        counts[name] = np.bincount(places, minlength=len(seen.keys)).tolist()
    after = dict(before)
    for i, key in enumerate(seen.keys):
        known = before.get(key, {})
        newest_us = seen.frame.time_us[seen.start[i] : seen.start[i + 1]].max(initial=0)
        moved = {name: known.get(name, 0) + column[i] for name, column in counts.items()}
        # A rule and reason are named from their first failure on.
        named = {k: n for k, n in moved.items() if n or not k.startswith("rule_error.")}
        named[NEWEST] = max(known.get(NEWEST, 0), int(newest_us))
        after[key] = {**known, **named}
    return after
