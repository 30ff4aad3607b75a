"""Dwell: when the time inside a zone passes its limit, over one visit or several."""

from rules.tracks import FOREVER

Span = tuple[int, int]


def dwell_due_us(entered_us: int, spent: tuple[Span, ...], limit_us: int, window_us: int) -> int:
    """When a visit begun at ``entered_us`` passes the limit if it goes on, ``FOREVER`` = never.

    ``spent``: earlier stays (from, to), ascending. The time inside within the last ``window_us``
    counts; 0 = of this visit alone. Microseconds of event time.
    """
    if limit_us == FOREVER:
        return FOREVER
    if not window_us:
        return entered_us + limit_us
    # The sum within the window grows with time, except where as much leaves it behind: linear
    # between the moments at which an earlier stay begins or ends to fall out of the window.
    time_us = entered_us
    bends = sorted(bend + window_us for span in spent for bend in span)
    for bend in [*(bend for bend in bends if bend > entered_us), entered_us + limit_us]:
        total_us = time_us - entered_us + _within(spent, time_us - window_us)
        if total_us >= limit_us:
            return time_us
        leaving = any(begin <= time_us - window_us < end for begin, end in spent)
        if not leaving and time_us + (limit_us - total_us) <= bend:
            return time_us + (limit_us - total_us)
        time_us = bend
    return time_us


def still_counted(spent: tuple[Span, ...], time_us: int, window_us: int) -> tuple[Span, ...]:
    """The stays of which something is still within the window at ``time_us``."""
    return tuple(span for span in spent if span[1] > time_us - window_us) if window_us else ()


def _within(spent: tuple[Span, ...], since_us: int) -> int:
    return sum(max(end - max(begin, since_us), 0) for begin, end in spent)
