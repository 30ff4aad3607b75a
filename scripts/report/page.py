"""The page: what was watched, what was found, and what it rests on."""

from base64 import b64encode
from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import sha256
from importlib.resources import files
from string import Template
from typing import Final

from scripts.report.data import ReportData, Track
from scripts.report.episodes import (
    SEVERITIES,
    Alarm,
    Crossing,
    alarms,
    crossings,
    in_force,
    visits,
)
from scripts.report.hazards import ScoreTrack, hazard_table, score_legend, score_tracks
from scripts.report.maps import Mark, Scene, figure
from scripts.report.marks import definitions, legend
from scripts.report.markup import Markup, join, tag, text
from scripts.report.places import PlacedTrack, bodies, map_plans, placed_tracks
from scripts.report.profiles import profiles
from scripts.report.tables import alert_table, reject_list, visit_table
from scripts.report.timeline import timeline
from scripts.report.times import period, stamp
from scripts.report.zones import NO_LAND, kinds, land_of, placed_zones, zone_names

_FOLDER: Final = files("scripts.report")


def render(data: ReportData) -> str:
    """The report as one HTML document that loads nothing from anywhere.

    A browser holds it to that: its policy allows no source but the images inside it, and no
    style or script but the two that are named there by their hashes. Raises KeyError or
    ValueError where an event lacks what a CloudEvent of its type must have, or a zone no valid
    area.
    """
    events = in_force(data.events)
    found = alarms(events)
    crossed = crossings(events)
    stays = visits(crossed)
    names = zone_names(data.zones)
    style = _FOLDER.joinpath("page.css").read_text("utf-8")
    script = _FOLDER.joinpath("page.js").read_text("utf-8")
    scores = score_tracks(events)
    sections = [
        _section("maps", "Where", _maps(data, found, crossed, scores)),
        _section("depth", "Depth", profiles(data.tracks, found)),
        _section("timeline", "When", timeline(found, data.tracks)),
        _section("alerts", "Alerts", alert_table(found, names), len(found)),
        *([_section("hazards", "Hazards", hazard_table(events))] if scores else []),
        _section("visits", "Zone visits", visit_table(stays, names), len(stays)),
        _section("rejects", "Rejected records", _rejects(data), data.counts.rejected),
    ]
    return Template(_FOLDER.joinpath("page.html").read_text("utf-8")).substitute(
        title=text(data.title),
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
        definitions=definitions(),
        head=_head(data, found),
        hazards=join([tag("a", {"href": "#hazards"}, "Hazards"), " "]) if scores else "",
        sections=join(sections),
    )


def _head(data: ReportData, found: Sequence[Alarm]) -> Markup:
    counts = data.counts
    figures = {
        "records in": counts.records_in,
        "rejected": counts.rejected,
        "late": counts.late,
        "unknown depth": counts.unknown_depth,
        **counts.others,
    }
    watched = {**data.inputs, "period": _period(data.tracks), "report made": data.created}
    return join(
        [
            tag("h1", {}, data.title),
            tag("p", {"class": "result"}, result(data, found)),
            tag("dl", {"class": "counts"}, *(_pair(k, f"{v:,}") for k, v in figures.items())),
            tag("dl", {"class": "watched"}, *(_pair(k, v) for k, v in watched.items())),
        ]
    )


def result(data: ReportData, found: Sequence[Alarm]) -> str:
    """The report in one sentence."""
    vehicles = len({track.vehicle_id for track in data.tracks})
    watched = ", ".join(
        [
            _plural(vehicles, "vehicle"),
            _plural(data.counts.records_in, "record"),
            _plural(len({zone.id for zone in data.zones}), "zone"),
        ]
    )
    told = [alarm for alarm in found if not alarm.shadow]
    if not told:
        return f"{watched}: no alarms."
    by_severity = Counter(alarm.severity for alarm in told)
    severities = ", ".join(f"{by_severity[s]:,} {s}" for s in SEVERITIES if by_severity[s])
    still_open = sum(alarm.cleared_us is None for alarm in told)
    return f"{watched}: {_plural(len(told), 'alarm')} ({severities}), {still_open or 'none'} open."


def _plural(count: int, thing: str) -> str:
    return f"{count:,} {thing}" + ("" if count == 1 else "s")


def _pair(name: str, value: str) -> Markup:
    return tag("div", {}, tag("dt", {}, name), tag("dd", {}, value))


def _period(tracks: Sequence[Track]) -> str:
    times = [track.time_us for track in tracks if len(track.time_us)]
    if not times:
        return "no records"
    first_us, last_us = min(int(t.min()) for t in times), max(int(t.max()) for t in times)
    return f"{stamp(first_us)} UTC" if first_us == last_us else str(period(first_us, last_us))


def _section(name: str, title: str, content: Markup, count: int | None = None) -> Markup:
    """A part of the page; one without content says so."""
    heading = title if count is None else f"{title} ({count:,})"
    return tag(
        "section",
        {"id": name},
        tag("h2", {}, heading),
        content or tag("p", {"class": "note"}, "None."),
    )


def _maps(
    data: ReportData,
    found: Sequence[Alarm],
    crossed: Sequence[Crossing],
    scores: Mapping[str, ScoreTrack],
) -> Markup:
    styles = kinds(data.zones)
    told = {alarm.vehicle_id for alarm in found}
    names = zone_names(data.zones)
    land = land_of(data.basemap) if data.basemap else NO_LAND
    drawn, signs = [], set()
    for body in bodies(data.tracks, data.zones):
        tracks = placed_tracks(data.tracks, body)
        zones = placed_zones(data.zones, body, styles)
        marks = _marks(tracks, found, crossed, names)
        signs |= {mark.sign for mark in marks} | ({"last"} if tracks else set())
        scene = Scene(
            tracks=tracks,
            zones=zones,
            marks=marks,
            told=frozenset([a.zone_id for a in found] + [c.zone_id for c in crossed]),
            land=land if body == "earth" else NO_LAND,
            reliefs=data.reliefs,
            scores=scores,
        )
        drawn += [figure(plan, scene) for plan in map_plans(tracks, zones, body, told)]
    if not drawn:
        return Markup("")
    shown = [name for name in (*SEVERITIES, "entered", "exited", "last") if name in signs]
    colours = score_legend() if scores else ""
    return join([legend(shown, styles), colours, tag("div", {"class": "maps"}, *drawn)])


def _marks(
    tracks: Sequence[PlacedTrack],
    found: Sequence[Alarm],
    crossed: Sequence[Crossing],
    names: dict[str, str],
) -> list[Mark]:
    """The alarms where their vehicles were when they were raised, then the crossings."""
    by_vehicle = {placed.track.vehicle_id: placed for placed in tracks}
    marks = []
    for alarm in found:
        if placed := by_vehicle.get(alarm.vehicle_id):
            longitude, latitude = placed.position_at(alarm.raised_us)
            words = f"{stamp(alarm.raised_us)} {alarm.vehicle_id}: {alarm.rule}"
            marks.append(Mark(alarm.severity, longitude, latitude, words, alarm.number))
    for crossing in crossed:
        known = crossing.longitude == crossing.longitude  # NaN is no place
        if known and crossing.vehicle_id in by_vehicle:
            verb = "entered" if crossing.entered else "exited"
            zone = names.get(crossing.zone_id, crossing.zone_id)
            words = f"{stamp(crossing.time_us)} {crossing.vehicle_id} {verb} {zone}"
            words += f" ({crossing.reason})" if crossing.reason else ""
            marks.append(Mark(verb, crossing.longitude, crossing.latitude, words))
    return marks


def _rejects(data: ReportData) -> Markup:
    if not data.rejects:
        return Markup("")
    kept = len(data.rejects)
    note = f"Of {data.counts.rejected:,} the first {kept:,} are counted by reason here."
    return join(
        [
            tag("p", {"class": "note"}, note) if kept < data.counts.rejected else "",
            reject_list(data.rejects),
        ]
    )


def _hash(content: str) -> str:
    """The hash by which a Content-Security-Policy names an inline style or script."""
    return "sha256-" + b64encode(sha256(content.encode()).digest()).decode("ascii")
