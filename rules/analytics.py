"""Analytics: what each vehicle's telemetry was like, window by window of event time.

A vehicle is in the window of its newest record. A window is complete when its vehicle is in a
later one: then it is told; told anew whenever a late record falls in it; and forgotten when it
lies further back than the lateness allowed. A record for a forgotten window is counted, as
``too_late``, in the window its vehicle is in, so that every record is counted in one window.

The version of a window is the number of records that it counts. It is so the same however records
were cut into frames, however often a flow was restarted, and whenever a window is told.
"""

from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from rules.summary import Part, Windowing
from rules.tracks import Roster
from rules.window_events import window_events
from rules.windows import COUNT, TOLD, Windows, concat, merge, no_windows, of_late_records
from schemas.delivery import Delivery
from schemas.frame import Bools, Longs
from schemas.topics import ANALYTICS_DATA

NOWHERE: Final = int(np.iinfo(np.int64).min)
"""The window of a vehicle that has had no record."""
_TABLES: Final = 8


class OtherWindowingError(ValueError):
    """A state's windows cannot go on with another length, gap or lateness; ``kept`` is theirs."""

    def __init__(self, kept: Windowing) -> None:
        self.kept = kept
        super().__init__(f"windows were made with {kept}")


@dataclass(frozen=True, slots=True)
class AnalyticsState:
    """What analytics remembers of a key group; a vehicle is its slot of ``roster``.

    ``windowing``: how its windows were made, None = none was. ``current``: (slots,) int64, the
    window each vehicle is in. ``open``: those windows. ``complete``: windows behind them, all
    told, in some tables; those that are forgotten are cleared away now and then.
    """

    windowing: Windowing | None = None
    roster: Roster = field(default_factory=Roster)
    current: Longs = field(default_factory=lambda: np.empty(0, np.int64))
    open: Windows = field(default_factory=no_windows)
    complete: tuple[Windows, ...] = ()


def advance(
    windowing: Windowing, state: AnalyticsState, part: Part
) -> tuple[AnalyticsState, list[Delivery]]:
    """Take in a frame's records: the state after it, the windows that it completes or revises.

    Raises:
        OtherWindowingError: the state's windows were made with other lengths.
    """
    _refuse_other(windowing, state)
    roster, slots = state.roster.admit(part.vehicle_ids)
    current = np.full(len(roster), NOWHERE)
    current[: len(state.current)] = state.current
    rows = replace(part.windows, vehicle=slots[part.windows.vehicle])
    came_in = np.maximum(part.current, current[rows.vehicle])
    tables, complete = [state.open, rows], state.complete
    behind = came_in - rows.window
    if behind.any():
        tables = [state.open, *complete, *_late(windowing, rows, came_in, behind)]
        complete = ()
    np.maximum.at(current, rows.vehicle, came_in)
    windows = merge(tables, windowing.length_us, windowing.gap_us)
    behind = current[windows.vehicle] - windows.window
    windows, told = _tell(windowing, roster, windows, behind > 0)
    done = windows.of_rows((behind > 0) & (behind <= windowing.kept))
    if len(done):
        complete = (*complete, done)
    if len(complete) > _TABLES:
        complete = (_remembered(windowing, current, concat(complete)),)
    still_open = windows.of_rows(behind == 0).without_idle_fields()
    return AnalyticsState(windowing, roster, current, still_open, complete), told


def release(windowing: Windowing, state: AnalyticsState) -> tuple[AnalyticsState, list[Delivery]]:
    """Tell the windows that are not complete as they stand.

    Raises:
        OtherWindowingError: as ``advance``.
    """
    _refuse_other(windowing, state)
    every = np.ones(len(state.open), np.bool_)
    windows, told = _tell(windowing, state.roster, state.open, every)
    return replace(state, open=windows), told


def _refuse_other(windowing: Windowing, state: AnalyticsState) -> None:
    if state.windowing is not None and state.windowing != windowing:
        raise OtherWindowingError(state.windowing)


def _late(windowing: Windowing, rows: Windows, came_in: Longs, behind: Longs) -> list[Windows]:
    """The rows with those that come too late counted in the window that their vehicle is in."""
    in_time: Bools = behind <= windowing.kept
    if in_time.all():
        return [rows]
    too_late = ~in_time
    records = rows.figures[too_late, COUNT]
    counted = of_late_records(rows.vehicle[too_late], came_in[too_late], records)
    return [rows.of_rows(in_time), counted]


def _remembered(windowing: Windowing, current: Longs, windows: Windows) -> Windows:
    behind = current[windows.vehicle] - windows.window
    return windows.of_rows(behind <= windowing.kept).without_idle_fields()


def _tell(
    windowing: Windowing, roster: Roster, windows: Windows, ready: Bools
) -> tuple[Windows, list[Delivery]]:
    """Tell the windows of the mask ``ready`` in which there is something not yet told."""
    due = ready & (windows.version != windows.figures[:, TOLD])
    if not due.any():
        return windows, []
    told = windows.of_rows(due)
    figures = windows.figures.copy()
    figures[due, TOLD] = told.version
    ids = [roster.ids[slot] for slot in told.vehicle.tolist()]
    events = window_events(windowing, told, ids)
    return replace(windows, figures=figures), [Delivery(ANALYTICS_DATA, one) for one in events]
