"""Hazard in the report: paths coloured by score, and a table of the moments that were worst."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from schemas.event import HAZARD_SCORED
from schemas.frame import Floats, Longs, Rows
from scripts.report.data import Json
from scripts.report.markup import Markup, join, tag
from scripts.report.paths import TENTHS, line_path, thinned
from scripts.report.tables import table
from scripts.report.times import parsed_us, stamp

BANDS: Final = ((0.0, "below 0.1"), (0.1, "0.1"), (0.3, "0.3"), (0.6, "0.6"), (0.85, "0.85"))
"""From which score on each colour stands, and what the legend says; the shipped profiles' classes
begin at the last three."""
_FROM: Final = np.array([low for low, _ in BANDS])
_PARTS_TOLD: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoreTrack:
    """The scores told of one vehicle, in order of time, and what they are at most: (n,) each."""

    time_us: Longs
    score: Floats
    upper: Floats

    def styles_at(self, time_us: Longs) -> Rows:
        """(k,) twice the band of the last score told up to each time, -1 = none yet.

        One more where what is not known may put it in a higher band.
        """
        place = np.searchsorted(self.time_us, time_us, side="right") - 1
        band, most = (
            np.searchsorted(_FROM, column[np.maximum(place, 0)], side="right") - 1
            for column in (self.score, self.upper)
        )
        return np.where(place >= 0, 2 * band + (most > band), -1)


def score_tracks(events: Iterable[Json]) -> dict[str, ScoreTrack]:
    """The scores by vehicle; ``events``: in force, in order of time."""
    found: dict[str, list[tuple[int, float, float]]] = {}
    for event in events:
        if event["type"] == HAZARD_SCORED:
            data = event["data"]
            told = parsed_us(data["time"]), float(data["score"]), float(data["upper"])
            found.setdefault(event["subject"], []).append(told)
    return {
        vehicle_id: ScoreTrack(
            time_us=np.array([time_us for time_us, *_ in told], np.int64),
            score=np.array([score for _, score, _ in told]),
            upper=np.array([upper for *_, upper in told]),
        )
        for vehicle_id, told in found.items()
    }


def score_path(xy: Floats, time_us: Longs, scores: ScoreTrack, jumps: Rows, at_most: int) -> Markup:
    """A track in pieces, each in the colour of the score at its beginning, dashed where unsure.

    ``xy``: (n, 2) units of the drawing; ``time_us``: (n,) ascending; ``jumps``: rows before which
    the line is cut.
    """
    style = scores.styles_at(time_us)
    cuts = np.union1d(np.flatnonzero(np.diff(style)) + 1, jumps)
    starts, ends = np.append(0, cuts), np.append(cuts, len(xy))
    paths: dict[int, str] = {}
    jumped = set(jumps.tolist())
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        # A piece reaches to where the next begins, so that no gap is between colours.
        reach = end if end == len(xy) or end in jumped else end + 1
        if style[start] >= 0 and reach - start > 1:
            piece = line_path(thinned(xy[start:reach], 0.35, max(at_most, 2)))
            paths[int(style[start])] = paths.get(int(style[start]), "") + piece
    return join(
        tag("path", {"class": _class(one), **TENTHS, "d": path})
        for one, path in sorted(paths.items())
    )


def _class(style: int) -> str:
    return f"track score-{style // 2}" + (" at-least" if style % 2 else "")


def score_legend() -> Markup:
    """What the colours of paths mean."""
    drawn = 'd="M-8 3L-2-3L2 3L8-3"'
    attributes = {"class": "inline-sign", "viewBox": "-9 -9 18 18", "aria-hidden": "true"}
    told = [
        (_class(2 * place), f"hazard {words}" + (" and more" if place else ""))
        for place, (_, words) in enumerate(BANDS)
    ]
    told.append((_class(5), "dashed: what is not known may put it higher"))
    entries = [
        tag("li", {}, tag("svg", attributes, Markup(f'<path class="{style}" {drawn}/>')), words)
        for style, words in told
    ]
    return tag("ul", {"class": "legend"}, join(entries))


def hazard_table(events: Sequence[Json]) -> Markup:
    """The scores at which a class changed, the worst first; ``events``: in force."""
    columns = ("Time (UTC)", "Vehicle", "Class", "Score", "At least", "At most", "Most of it from")
    changed = [
        event
        for event in events
        if event["type"] == HAZARD_SCORED
        and (event["data"]["class_before"] or "low") != event["data"]["class"]
    ]
    changed.sort(key=lambda event: (-event["data"]["score"], event["data"]["time"]))
    return table("hazards", columns, [_row(event, columns) for event in changed], len(changed))


def _row(event: Json, columns: Sequence[str]) -> Markup:
    data = event["data"]
    cells = (
        stamp(parsed_us(data["time"])),
        event["subject"],
        f"{data['class_before'] or 'none'} to {data['class']}",
        *(f"{data[name]:.2f}" for name in ("score", "lower", "upper")),
        _most(data["parts"]),
    )
    told = zip(columns, cells, strict=True)
    return tag("tr", {}, *(tag("td", {"data-label": name}, cell) for name, cell in told))


def _most(parts: Sequence[Mapping[str, Any]]) -> str:
    """The parts that contribute most, with their values."""
    worst = sorted(parts, key=lambda part: -part["contribution"])[:_PARTS_TOLD]
    return (
        ", ".join(
            f"{part['name']} {part['contribution']:.2f} ({_value(part)}, limit {part['limit']:g})"
            for part in worst
            if part["contribution"] > 0
        )
        or "nothing"
    )


def _value(part: Mapping[str, Any]) -> str:
    value = "none" if part["value"] is None else f"{part['value']:.4g}"
    return f"{value}, stale" if part["state"] == "held" else value
