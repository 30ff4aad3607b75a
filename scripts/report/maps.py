"""One map as inline SVG: land or relief, graticule, zones, tracks, what happened, scale bar."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from schemas.frame import Floats, Rows
from scripts.report.data import Relief
from scripts.report.hazards import ScoreTrack, score_path
from scripts.report.labels import Label, Sheet
from scripts.report.marks import zone_class
from scripts.report.markup import Markup, join, number, tag
from scripts.report.paths import TENTHS, coordinates, line_path, polygon_path, thinned
from scripts.report.places import MapPlan, PlacedTrack
from scripts.report.projection import (
    WIDTH,
    View,
    graticule_step,
    latitude_label,
    length_label,
    longitude_label,
    multiples,
)
from scripts.report.relief import data_url
from scripts.report.zones import Land, ZoneShape, in_window, lines_of, on_paper, polygons_of

MOST_ZONES: Final = 300
MOST_MARKS: Final = 600
_MOST_NAMED_TRACKS: Final = 30
_MOST_CLEARED: Final = 100
_TRACK_POINTS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at a place; ``alarm`` is the number of its alarm, if it is one."""

    sign: str
    longitude: float
    latitude: float
    words: str
    alarm: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """All there is to draw on one body, whatever the window.

    ``marks`` come most urgent first; ``told`` are the ids of zones that events name; ``scores``: of
    vehicles whose hazards were scored.
    """

    tracks: Sequence[PlacedTrack]
    zones: Sequence[ZoneShape]
    marks: Sequence[Mark]
    told: frozenset[str]
    land: Land
    reliefs: Sequence[Relief]
    scores: Mapping[str, ScoreTrack] = field(default_factory=dict)


def figure(plan: MapPlan, scene: Scene) -> Markup:
    """The map with its title and what it had to leave out."""
    view = plan.view
    sheet = Sheet(WIDTH, view.height)
    bar = _scale_bar(view, sheet)
    graticule = _graticule(view, sheet)
    marks, left_out = _marks(plan, scene.marks, sheet)
    tracks, track_names = _tracks(view, scene, sheet)
    zones, zone_names, notes = _zones(view, scene, sheet)
    if left_out:
        notes.append(f"{left_out} less urgent events are not drawn.")
    drawing = tag(
        "svg",
        {
            "class": "map",
            "viewBox": f"0 0 {number(WIDTH)} {number(view.height)}",
            "role": "group",
            "aria-label": f"Map: {plan.title}",
        },
        tag("rect", {"class": "sea", "width": number(WIDTH), "height": number(view.height)}),
        _reliefs(view, scene.reliefs),
        _land(view, scene.land),
        graticule,
        zones,
        tracks,
        zone_names,
        track_names,
        marks,
        bar,
    )
    caption = tag("figcaption", {}, tag("b", {}, plan.title), *(f" {note}" for note in notes))
    return tag(
        "figure",
        {"class": "map-figure" if plan.detail else "map-figure overview"},
        tag("div", {"class": "fit"}, drawing),
        caption,
    )


def _reliefs(view: View, reliefs: Iterable[Relief]) -> Markup:
    images = []
    for relief in reliefs:
        if relief.body != view.body:
            continue
        middle = (relief.west + relief.east) / 2
        shift = 360.0 * round((view.bounds.middle[0] - middle) / 360.0)
        corners = view.project(
            np.array([relief.west, relief.east]) + shift, np.array([relief.north, relief.south])
        )
        (left, top), (right, bottom) = corners.tolist()
        images.append(
            tag(
                "image",
                {
                    "class": "relief",
                    "x": number(left),
                    "y": number(top),
                    "width": number(right - left),
                    "height": number(bottom - top),
                    "preserveAspectRatio": "none",
                    "href": data_url(relief),
                },
            )
        )
    return join(images)


def _land(view: View, land: Land) -> Markup:
    if not land.serves(view):
        return Markup("")
    shapes = [on_paper(in_window(geometry, view), view) for geometry in land.shapes]
    areas = "".join(polygon_path(shape) for shape in shapes)
    coasts = "".join(line_path(coordinates(line)) for shape in shapes for line in lines_of(shape))
    return join(
        tag("path", {"class": name, **TENTHS, "d": path})
        for name, path in (("land", areas), ("coast", coasts))
        if path
    )


def _graticule(view: View, sheet: Sheet) -> Markup:
    bounds = view.bounds
    lon_step = graticule_step(bounds.east - bounds.west, 5)
    lat_step = graticule_step(bounds.north - bounds.south, 5)
    path, words = "", []
    for longitude in multiples(lon_step, bounds.west, bounds.east):
        x = (longitude - bounds.west) * view.x_scale
        path += f"M{number(x)} 0V{number(view.height)}"
        label = Label(words=longitude_label(longitude, lon_step), x=x, y=view.height - 15)
        words.append(_words(sheet, [label], "degrees"))
    for latitude in multiples(lat_step, bounds.south, bounds.north):
        y = (bounds.north - latitude) * view.y_scale
        path += f"M0 {number(y)}H{number(WIDTH)}"
        label = Label(words=latitude_label(latitude, lat_step), x=6, y=y, anchor="start")
        words.append(_words(sheet, [label], "degrees"))
    return join([tag("path", {"class": "graticule", "d": path}), *words])


def _scale_bar(view: View, sheet: Sheet) -> Markup:
    metres, length = view.scale_bar()
    right, y = WIDTH - 14, 16.0
    words = length_label(metres)
    if view.bounds.north - view.bounds.south > 10.0:
        words += f" at {latitude_label(view.bounds.middle[1], 1.0)}"
    label = Label(words=words, x=right, y=y + 17, anchor="end")
    sheet.keep_free((right - length - 8, 0, WIDTH, y + 6))
    sheet.put(label)
    path = f"M{number(right - length)} {number(y - 5)}v5h{number(length)}v-5"
    return tag("g", {"class": "scale"}, tag("path", {"d": path}), _text(label, "name"))


def _zones(view: View, scene: Scene, sheet: Sheet) -> tuple[Markup, Markup, list[str]]:
    """The zones in the window, their names, and what the caption says of those without either."""
    near = [zone for zone in scene.zones if zone.bounds.meets(view.bounds)]
    drawn = [(zone, on_paper(in_window(zone.geometry, view), view)) for zone in near]
    drawn = [(zone, shape) for zone, shape in drawn if not shape.is_empty]
    drawn.sort(key=lambda pair: (pair[0].zone_id not in scene.told, -pair[1].area))
    notes = []
    if len(drawn) > MOST_ZONES:
        notes.append(f"{MOST_ZONES} of {len(drawn)} zones are drawn.")
    drawn = drawn[:MOST_ZONES]
    names, unnamed = [], []
    for zone, shape in drawn:
        words = _words(sheet, _names(zone, shape, sheet), "name zone-name")
        names.append(words)
        if not words:
            unnamed.append(zone.name)
    if unnamed:
        more = f" and {len(unnamed) - 12} more" if len(unnamed) > 12 else ""
        notes.append(f"Without a label: {', '.join(unnamed[:12])}{more}.")
    # Large zones first, so that small ones lie on top and can be pointed at.
    areas = [
        tag(
            "path",
            {"class": f"zone {zone_class(zone.style)}", **TENTHS, "d": polygon_path(shape)},
            tag("title", {}, f"{zone.name} ({zone.kind})"),
        )
        for zone, shape in sorted(drawn, key=lambda pair: -pair[1].area)
    ]
    return join(areas), join(names), notes


def _names(zone: ZoneShape, shape: BaseGeometry, sheet: Sheet) -> Iterator[Label]:
    """Where the zone's name may stand: where it has most room, else close below or above it."""
    visible = polygons_of(shapely.clip_by_rect(shape, 0, 0, sheet.width, sheet.height))
    if not visible:
        return
    roomiest = max(visible, key=lambda polygon: polygon.area)
    _, top, _, bottom = roomiest.bounds
    x, y = shapely.maximum_inscribed_circle(roomiest, tolerance=8.0).coords[0]
    inside = [y, *(y + shift for shift in (-24, 24, -48, 48) if top < y + shift < bottom)]
    for height in (*inside, bottom + 11, top - 11):
        yield Label(words=zone.name, x=x, y=height)


def _tracks(view: View, scene: Scene, sheet: Sheet) -> tuple[Markup, Markup]:
    seen = [placed for placed in scene.tracks if placed.bounds.meets(view.bounds)]
    # The more tracks, the coarser each: together they stay within what a page can hold.
    at_most = max(_TRACK_POINTS // max(len(seen), 5), 20)
    paths, names = [], []
    for placed in seen:
        xy = view.project(view.unwrapped(placed.longitude), placed.latitude)
        x, y = xy[-1].tolist()
        title = tag("title", {}, placed.track.vehicle_id)
        last = tag("g", {"transform": _moved(x, y)}, tag("use", {"href": "#sign-last"}))
        path = tag("path", {"class": "track", **TENTHS, "d": _track_path(xy, view, at_most)})
        scores = scene.scores.get(placed.track.vehicle_id)
        if scores is not None:
            path = join([path, score_path(xy, placed.time_us, scores, _jumps(xy, view), at_most)])
        paths.append(tag("g", {"class": "vehicle"}, title, path, last))
        if len(seen) <= _MOST_NAMED_TRACKS:
            names.append(_words(sheet, _beside(placed.track.vehicle_id, x, y), "name"))
    return join(paths), join(names)


def _beside(words: str, x: float, y: float) -> list[Label]:
    return [
        Label(words=words, x=x + 9, y=y, anchor="start"),
        Label(words=words, x=x - 9, y=y, anchor="end"),
        Label(words=words, x=x, y=y - 18),
        Label(words=words, x=x, y=y + 18),
    ]


def _track_path(xy: Floats, view: View, at_most: int) -> str:
    pieces = np.split(xy, _jumps(xy, view))
    return "".join(line_path(thinned(piece, 0.35, at_most)) for piece in pieces if len(piece) > 1)


def _jumps(xy: Floats, view: View) -> Rows:
    # xy: (n, 2) units of the drawing. A line never runs round the back of the body: it is cut
    # where neighbours lie half a turn apart.
    jumps: Rows = np.flatnonzero(np.abs(np.diff(xy[:, 0])) > 180.0 * view.x_scale) + 1
    return jumps


def _marks(plan: MapPlan, marks: Sequence[Mark], sheet: Sheet) -> tuple[Markup, int]:
    """The marks in the window, the most urgent on top, and how many there was no room for.

    An overview shows the alarms alone.
    """
    wanted = [mark for mark in marks if plan.detail or mark.alarm is not None]
    if not wanted:
        return Markup(""), 0
    position = np.array([[mark.longitude, mark.latitude] for mark in wanted])
    xy = plan.view.project(plan.view.unwrapped(position[:, 0]), position[:, 1])
    inside = np.all((xy >= 0) & (xy <= [WIDTH, plan.view.height]), axis=1)
    rows = np.flatnonzero(inside)
    drawn = rows[:MOST_MARKS][::-1]
    for x, y in xy[drawn[-_MOST_CLEARED:]].tolist():
        sheet.keep_free((x - 7, y - 7, x + 7, y + 7))
    shown = [_mark(wanted[row], *xy[row].tolist()) for row in drawn.tolist()]
    return join(shown), len(rows) - len(drawn)


def _mark(mark: Mark, x: float, y: float) -> Markup:
    sign = tag("use", {"href": f"#sign-{mark.sign}"}, tag("title", {}, mark.words))
    place = {"class": "mark", "transform": _moved(x, y)}
    if mark.alarm is None:
        return tag("g", place, sign)
    return tag("a", {**place, "href": f"#alert-{mark.alarm}", "data-alert": mark.alarm}, sign)


def _moved(x: float, y: float) -> str:
    # A sign is moved by its group, so that the style sheet may enlarge the sign in its place.
    return f"translate({number(x)} {number(y)})"


def _words(sheet: Sheet, candidates: Iterable[Label], style: str) -> Markup:
    placed = sheet.place(candidates)
    if placed is None:
        return Markup("")
    label, narrow_too = placed
    return _text(label, style if narrow_too else f"{style} wide-only")


def _text(label: Label, style: str) -> Markup:
    return tag(
        "text",
        {
            "class": style,
            "x": number(label.x),
            "y": number(label.y),
            "text-anchor": None if label.anchor == "start" else label.anchor,
        },
        label.words,
    )
