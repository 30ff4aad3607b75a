"""Depth against time, one small chart a vehicle, with the spans of its alarms."""

from collections.abc import Sequence
from math import ceil, floor, log10
from typing import Final

import numpy as np

from schemas.frame import Floats
from scripts.report.data import Track
from scripts.report.episodes import Alarm
from scripts.report.markup import Markup, join, tag
from scripts.report.paths import thinned
from scripts.report.times import Period, period, ticks

MOST_PROFILES: Final = 24
_SIDE: Final = 1000.0
# The share of a chart's height above its time axis.
_PLOT: Final = 0.86


def profiles(tracks: Sequence[Track], alarms: Sequence[Alarm]) -> Markup:
    """The charts of the vehicles with a known depth, those with alarms first; empty if none."""
    deep = [track for track in tracks if np.isfinite(track.depth_m).any()]
    if not deep:
        return Markup("")
    told: dict[str, list[Alarm]] = {}
    for alarm in alarms:
        told.setdefault(alarm.vehicle_id, []).append(alarm)
    deep.sort(key=lambda track: (track.vehicle_id not in told, track.vehicle_id, track.body))
    shown = deep[:MOST_PROFILES]
    charts = [_chart(track, told.get(track.vehicle_id, [])) for track in shown]
    left_out = len(deep) - len(shown)
    note = f"Not drawn: {left_out} more vehicles with depth." if left_out else ""
    return join([tag("div", {"class": "profiles"}, *charts), tag("p", {"class": "note"}, note)])


def depth_axis(least: float, most: float) -> tuple[float, float, list[float]]:
    """(top, bottom, ticks) of a depth axis, m: the surface is on it, the ticks are round."""
    top = min(least, 0.0)
    bottom = max(most, 1.0) * 1.06
    wanted = (bottom - top) / 4
    power = 10.0 ** floor(log10(wanted))
    step = next(n * power for n in (1, 2, 5, 10) if n * power >= wanted)
    first, last = ceil(top / step), floor(bottom / step)
    return top, bottom, [n * step for n in range(first, last + 1)]


def _chart(track: Track, alarms: Sequence[Alarm]) -> Markup:
    known = np.flatnonzero(np.isfinite(track.depth_m))
    rows = known[np.argsort(track.time_us[known], kind="stable")]
    depth = track.depth_m[rows]
    span = period(int(track.time_us[rows[0]]), int(track.time_us[rows[-1]]))
    top, bottom, depths = depth_axis(float(depth.min()), float(depth.max()))
    # xy: (n, 2) in a square of 1000 units, time to the right and depth down.
    x = (track.time_us[rows] - span.start_us) / (span.end_us - span.start_us) * _SIDE
    xy = np.stack([x, (depth - top) / (bottom - top) * _SIDE], axis=-1)
    deepest = f"deepest {depth.max():,.0f} m"
    title = tag("figcaption", {}, tag("b", {}, track.vehicle_id), f" {deepest}; {span}")
    drawing = tag(
        "svg",
        {"class": "profile", "role": "img", "aria-label": f"{track.vehicle_id}: {deepest}"},
        *(_span(alarm, span) for alarm in alarms),
        _depth_lines(top, bottom, depths),
        _time_lines(span),
        tag(
            "svg",
            {
                "viewBox": f"0 0 {_SIDE:g} {_SIDE:g}",
                "preserveAspectRatio": "none",
                "width": "100%",
                "height": _percent(_PLOT),
            },
            tag("path", {"class": "depth", "d": _path(thinned(xy, 1.5, 1500))}),
        ),
        *(_depth_label(value, top, bottom) for value in depths),
    )
    return tag("figure", {}, title, drawing)


def _span(alarm: Alarm, span: Period) -> Markup:
    end_us = alarm.cleared_us if alarm.cleared_us is not None else span.end_us
    if end_us < span.start_us or alarm.raised_us > span.end_us:
        return Markup("")
    left, right = span.share(alarm.raised_us), span.share(end_us)
    return tag(
        "rect",
        {
            "class": "alarm-span",
            "x": _percent(left),
            "width": _percent(max(right - left, 0.006)),
            "height": _percent(_PLOT),
            "fill": f"url(#span-{alarm.severity})",
        },
        tag("title", {}, f"{alarm.rule} ({alarm.severity})"),
    )


def _depth_lines(top: float, bottom: float, depths: Sequence[float]) -> Markup:
    heights = [_percent(_PLOT * (value - top) / (bottom - top)) for value in depths]
    return join(
        tag("line", {"class": "tick", "x2": "100%", "y1": height, "y2": height})
        for height in heights
    )


def _depth_label(value: float, top: float, bottom: float) -> Markup:
    share = (value - top) / (bottom - top)
    # The words stand below their line, near the bottom above it.
    shift = "-0.35em" if share > 0.88 else "1em"
    place = {"class": "depth-label", "x": 3, "y": _percent(_PLOT * share), "dy": shift}
    return tag("text", place, f"{value:,g} m")


def _time_lines(span: Period) -> Markup:
    lines = []
    for share, label in ticks(span, 4):
        x = _percent(share)
        anchor = "start" if share < 0.08 else "end" if share > 0.92 else "middle"
        lines.append(tag("line", {"class": "tick", "x1": x, "x2": x, "y2": _percent(_PLOT)}))
        lines.append(tag("text", {"x": x, "y": "97%", "text-anchor": anchor}, label))
    return join(lines)


def _path(xy: Floats) -> str:
    points = np.rint(xy).astype(np.int64)
    if len(points) == 1:
        return f"M{points[0, 0]} {points[0, 1]}h1"
    return "M" + "L".join(f"{x} {y}" for x, y in points.tolist())


def _percent(share: float) -> str:
    return f"{share * 100:.2f}%"
