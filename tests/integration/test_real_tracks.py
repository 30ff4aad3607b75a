"""Real tracks through real zones cross them when and where plain geometry says."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
import shapely

from rules.assessment import Assessor, KeyGroups
from rules.legs import Limits
from rules.memory import Memory
from rules.registry import Registry
from rules.stages import Judges, run
from schemas.event import ZONE_ENTERED, ZONE_EXITED
from schemas.zone_file import load_zones
from tests import real_tracks
from tests.by_hand import Crossing, Row, Zone, alike, walk
from tests.frames import frame_of

KINDS = {ZONE_ENTERED: "entered", ZONE_EXITED: "exited"}
DAY_S = 86_400.0


def in_order(rows: Iterator[Row]) -> list[Row]:
    """The rows by time; of those of a vehicle at one time the first."""
    found: dict[tuple[float, str], Row] = {}
    for row in rows:
        found.setdefault((row.time, row.vehicle), row)
    return [found[key] for key in sorted(found)]


def told(
    rows: list[Row], zones: str, limits: Limits | None = None, **fields: object
) -> list[Crossing]:
    """What the geofence tells of the rows in frames of 1,000."""
    registry, limits = Registry.of(load_zones(zones.encode(), "zones"), ()), limits or Limits()
    assessor, memory, crossings = Assessor(registry, limits, KeyGroups(1)), Memory(), []
    for first in range(0, len(rows), 1_000):
        records = [
            {
                "vehicle_id": row.vehicle,
                "time_s": row.time,
                "longitude": (row.longitude + 180) % 360 - 180,
                "latitude": row.latitude,
            }
            | ({} if row.depth is None else {"depth_m": row.depth})
            | fields
            for row in rows[first : first + 1_000]
        ]
        for seen in assessor.assess(frame_of(records)):
            outcome = run(Judges(registry, limits), memory, seen)
            memory = outcome.memory
            crossings += [
                (e.vehicle_id, e.data["zone_id"], KINDS[e.type], e.time_us / 1e6)
                for e in outcome.zone_events
                if e.type in KINDS
            ]
    return crossings


AREAS = pytest.mark.parametrize("areas", [real_tracks.sanctuaries, real_tracks.mining_areas])


@AREAS
@pytest.mark.parametrize(
    ("track", "place", "least"),
    [
        (real_tracks.flights, real_tracks.moved_onto, 20),
        pytest.param(real_tracks.vessels, real_tracks.moved_onto, 100, marks=pytest.mark.slow),
        (real_tracks.harbour, real_tracks.fitted_to, 150),
        (real_tracks.slocum, real_tracks.moved_onto, 5),
        (real_tracks.remus, real_tracks.fitted_to, 30),
    ],
)
def test_tracks_cross_protected_and_mining_areas_where_plain_geometry_says(
    areas: Callable[[Path], list[Zone]],
    track: Callable[[Path], Iterator[Row]],
    place: Callable[[list[Zone], list[Row]], list[Zone]],
    least: int,
    outside_data: Path,
) -> None:
    # Of the harbour its first minutes: so many vessels are there at once.
    most = 1_500 if track is real_tracks.harbour else 8_000
    rows = in_order(islice(track(outside_data), most))
    zones = place(some(areas, outside_data), rows)
    expected = walk(rows, near(zones, rows), DAY_S)
    assert len(expected) >= least
    assert alike(told(rows, real_tracks.as_geojson(zones)), expected)


@AREAS
def test_a_glider_dives_through_bands_of_depth_where_plain_geometry_says(
    areas: Callable[[Path], list[Zone]], outside_data: Path
) -> None:
    rows = in_order(real_tracks.seaexplorer(outside_data))
    depths = [row.depth for row in rows if row.depth is not None]
    assert len(depths) == len(rows)
    assert max(depths) > 300
    # Off the tenths of a metre in which depths are told.
    bands = itertools.cycle([(None, 100.05), (50.05, 200.05), (300.05, None), (None, None)])
    zones = [
        replace(zone, low=low, high=high)
        for zone, (low, high) in zip(
            real_tracks.fitted_to(some(areas, outside_data), rows), bands, strict=False
        )
    ]
    expected = walk(rows, near(zones, rows), DAY_S)
    assert len(expected) >= 60
    assert alike(told(rows, real_tracks.as_geojson(zones)), expected)


def some(areas: Callable[[Path], list[Zone]], data: Path) -> list[Zone]:
    """Not all of the 669 mining areas: the plain loop asks every zone at every fix."""
    return areas(data)[:: 40 if areas is real_tracks.mining_areas else 1]


def near(zones: list[Zone], rows: list[Row]) -> list[Zone]:
    """Those that a track may meet at all: the others cost the plain loop most of its time."""
    fixes = shapely.points([(row.longitude, row.latitude) for row in rows])
    extent = shapely.box(*shapely.total_bounds(fixes))
    return [zone for zone in zones if zone.area.intersects(extent)]


def test_icebergs_cross_the_antimeridian_within_a_zone_without_leaving_it(
    outside_data: Path,
) -> None:
    rows = in_order(real_tracks.icebergs(outside_data))
    over = sum(
        a.vehicle == b.vehicle and (a.longitude < 180) != (b.longitude < 180)
        for vehicle in {row.vehicle for row in rows}
        for track in [[row for row in rows if row.vehicle == vehicle]]
        for a, b in itertools.pairwise(track)
    )
    assert over > 30
    boxes = {
        "both-sides": shapely.box(170, -79, 190, -55),
        "west-of-it": shapely.box(170, -79, 180, -55),
        "narrow": shapely.box(179.5, -78, 180.5, -60),
        "slanted": shapely.Polygon([(150, -78), (200, -70), (260, -56), (190, -77)]),
    }
    zones = [Zone(name, "box", area, None, None) for name, area in boxes.items()]
    # The plain loop counts longitudes from 0 to 360 and meets no seam; farwatch is given -180..180.
    expected = walk(rows, zones, 40 * DAY_S)
    assert len(expected) > 30
    assert {zone for _, zone, *_ in expected} == set(boxes)
    limits = Limits.of({"auv": 40 * DAY_S}, {})
    assert alike(told(rows, real_tracks.as_geojson(zones), limits), expected)


def test_curiosity_drives_through_the_areas_drawn_by_hand(outside_data: Path) -> None:
    rows = in_order(real_tracks.curiosity(outside_data))
    zones = real_tracks.drawn_on_mars(outside_data)
    expected = walk(rows, zones, DAY_S)
    assert len(expected) >= 4
    document = real_tracks.as_geojson(zones, body="mars")
    assert alike(told(rows, document, body="mars", kind="rover"), expected)
