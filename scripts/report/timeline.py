"""The timeline: one row an alarm, from raised to cleared, grouped by vehicle."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Final

from scripts.report.data import Track
from scripts.report.episodes import Alarm
from scripts.report.marks import sign
from scripts.report.markup import Markup, join, tag
from scripts.report.times import Period, duration, period, stamp, ticks

MOST_ROWS: Final = 60
MOST_DRAWN: Final = 1_000
_TICKS: Final = 5


def timeline(alarms: Sequence[Alarm], tracks: Iterable[Track]) -> Markup:
    """The rows, one block for each stretch of time in which vehicles were watched."""
    blocks = _stretches(alarms, tracks)
    return join(_block(number, span, held) for number, (span, held) in enumerate(blocks))


def _stretches(
    alarms: Sequence[Alarm], tracks: Iterable[Track]
) -> list[tuple[Period, list[Alarm]]]:
    """Vehicles whose records overlap in time share an axis; others would be slivers on it."""
    spans: dict[str, tuple[int, int]] = {}
    for track in tracks:
        if len(track.time_us):
            ends = int(track.time_us.min()), int(track.time_us.max())
            _widen(spans, track.vehicle_id, *ends)
    for alarm in alarms:
        end_us = alarm.cleared_us if alarm.cleared_us is not None else alarm.raised_us
        _widen(spans, alarm.vehicle_id, alarm.raised_us, end_us)
    told: dict[str, list[Alarm]] = {}
    for alarm in alarms:
        told.setdefault(alarm.vehicle_id, []).append(alarm)
    blocks: list[tuple[Period, list[Alarm]]] = []
    for start_us, end_us, vehicle_id in sorted((*spans[v], v) for v in told):
        if blocks and start_us <= blocks[-1][0].end_us:
            span, held = blocks.pop()
            joined = Period(span.start_us, max(span.end_us, end_us))
            blocks.append((joined, held + told[vehicle_id]))
        else:
            blocks.append((period(start_us, end_us), told[vehicle_id]))
    return blocks


def _widen(spans: dict[str, tuple[int, int]], key: str, start_us: int, end_us: int) -> None:
    held = spans.get(key, (start_us, end_us))
    spans[key] = min(held[0], start_us), max(held[1], end_us)


def _block(number: int, span: Period, alarms: Sequence[Alarm]) -> Markup:
    """One time axis with its alarms; the most urgent are on show, the rest in a fold."""
    shown = sorted(alarms, key=lambda alarm: alarm.number)
    first, rest = shown[:MOST_ROWS], shown[MOST_ROWS:MOST_DRAWN]
    parts = [
        tag("p", {"class": "note"}, f"{span}. An arrow marks an alarm that is still open."),
        _axis(number, span),
        _groups(number, span, first),
    ]
    if rest:
        summary = tag("summary", {}, f"{len(rest)} more, less urgent")
        parts.append(tag("details", {}, summary, _groups(number, span, rest)))
    if len(shown) > MOST_DRAWN:
        left_out = f"{len(shown) - MOST_DRAWN:,} more, less urgent, are not drawn."
        parts.append(tag("p", {"class": "note"}, left_out))
    return tag("div", {"class": "timeline"}, *parts)


def _axis(number: int, span: Period) -> Markup:
    marks = ticks(span, _TICKS)
    lines = [
        tag("line", {"class": "tick", "x1": _percent(share), "x2": _percent(share), "y2": "100%"})
        for share, _ in marks
    ]
    words = [_tick_label(order, share, label) for order, (share, label) in enumerate(marks)]
    defined = tag("defs", {}, tag("g", {"id": f"ticks-{number}"}, *lines))
    drawing = tag("svg", {"class": "axis", "aria-hidden": "true"}, defined, *words)
    return tag("div", {"class": "row"}, tag("span", {"class": "what"}), drawing)


def _tick_label(order: int, share: float, label: str) -> Markup:
    # On a narrow screen there is room for every second one.
    anchor = "start" if share < 0.1 else "end" if share > 0.9 else "middle"
    place = {"x": _percent(share), "y": 13, "text-anchor": anchor}
    return tag("text", {"class": "wide-only" if order % 2 else None, **place}, label)


def _groups(number: int, span: Period, alarms: Sequence[Alarm]) -> Markup:
    by_vehicle = sorted(alarms, key=lambda alarm: alarm.vehicle_id)
    groups = [(vehicle, list(held)) for vehicle, held in groupby(by_vehicle, _vehicle)]
    groups.sort(key=lambda group: (min(alarm.number for alarm in group[1]), group[0]))
    return join(
        join([tag("h3", {}, vehicle), *(_row(number, span, alarm) for alarm in held)])
        for vehicle, held in groups
    )


def _row(number: int, span: Period, alarm: Alarm) -> Markup:
    end_us = alarm.cleared_us if alarm.cleared_us is not None else span.end_us
    is_open = alarm.cleared_us is None
    left, right = span.share(alarm.raised_us), span.share(end_us)
    words = f"{stamp(alarm.raised_us)[5:16]}, " + (
        "open" if is_open else duration(end_us - alarm.raised_us)
    )
    bar = tag(
        "rect",
        {
            "class": f"bar {alarm.severity}",
            "x": _percent(min(left, 0.995)),
            "y": 3,
            "width": _percent(max(right - left, 0.005)),
            "height": 12,
            "fill": f"url(#span-{alarm.severity})",
        },
    )
    arrow = tag("text", {"class": "open-end", "x": "100%", "y": 14, "text-anchor": "end"}, "▶")
    drawing = tag(
        "svg",
        {"class": "bars", "role": "img", "aria-label": f"{alarm.severity}, {words}"},
        tag("use", {"href": f"#ticks-{number}"}),
        bar,
        arrow if is_open else "",
    )
    what = tag(
        "a",
        {"class": "what", "href": f"#alert-{alarm.number}"},
        sign(alarm.severity),
        alarm.rule,
        tag("small", {}, words),
    )
    return tag("div", {"class": "row"}, what, drawing)


def _vehicle(alarm: Alarm) -> str:
    return alarm.vehicle_id


def _percent(share: float) -> str:
    return f"{share * 100:.2f}%"
