"""Where the report draws things: windows, meridians, places, labels, scale."""

import re
import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from scripts.report.data import Track
from scripts.report.labels import NARROW_SIZE, WIDE_SIZE, Label, Sheet
from scripts.report.maps import Mark, Scene, figure
from scripts.report.paths import thinned
from scripts.report.places import MapPlan, map_plans, placed_tracks
from scripts.report.projection import (
    GEODS,
    WIDTH,
    Bounds,
    bounds_of,
    graticule_step,
    latitude_label,
    longitude_label,
    metres_per_degree,
    multiples,
    view_of,
)
from scripts.report.relief import hillshade
from scripts.report.zones import NO_LAND, in_window, land_of, on_paper, placed_zones
from tests.report_sample import box, dive, far_glider, rover, zone, zones

LONGITUDES = st.floats(-360, 360, allow_nan=False)
LATITUDES = st.floats(-89, 89, allow_nan=False)


def plans(*tracks: Track, with_zones: bool = True) -> list[MapPlan]:
    body = tracks[0].body
    shapes = placed_zones(zones(), body, ["apei", "contract", "hazard", "keep_in"])
    return map_plans(placed_tracks(tracks, body), shapes if with_zones else [], body, set())


def scene(*tracks: Track, marks: tuple[Mark, ...] = ()) -> Scene:
    body = tracks[0].body
    return Scene(
        tracks=placed_tracks(tracks, body),
        zones=placed_zones(zones(), body, ["apei", "contract", "hazard", "keep_in"]),
        marks=marks,
        told=frozenset(),
        land=NO_LAND,
        reliefs=[],
    )


@given(st.lists(st.tuples(LONGITUDES, LATITUDES), min_size=1, max_size=20))
def test_the_window_holds_every_position_it_was_made_for(places: list[tuple[float, float]]) -> None:
    lonlat = np.array(places)
    view = view_of("earth", bounds_of(lonlat[:, 0], lonlat[:, 1]))
    xy = view.project(view.unwrapped(lonlat[:, 0]), lonlat[:, 1])
    assert (xy >= -1e-3).all()
    assert (xy <= [WIDTH + 1e-3, view.height + 1e-3]).all()


@given(st.lists(LONGITUDES, min_size=1, max_size=20), st.integers(-3, 3))
def test_whole_turns_of_longitude_change_no_bounds(longitudes: list[float], turns: int) -> None:
    lon, lat = np.array(longitudes), np.zeros(len(longitudes))
    one, other = bounds_of(lon, lat), bounds_of(lon + 360.0 * turns, lat)
    assert other.east - other.west == pytest.approx(one.east - one.west, abs=1e-9)


def test_a_track_over_180_deg_has_a_narrow_window_about_it() -> None:
    (plan,) = plans(far_glider(), with_zones=False)
    assert plan.view.bounds.west == pytest.approx(178, abs=1)
    assert plan.view.bounds.east == pytest.approx(182, abs=1)


def test_a_track_over_180_deg_is_one_unbroken_line() -> None:
    glider = far_glider()
    drawn = str(figure(plans(glider)[-1], scene(glider)))
    path = re.search(r'class="track"[^>]* d="([^"]*)"', drawn)
    assert path
    assert path[1].count("M") == 1


def test_a_track_round_the_body_is_cut_where_the_window_ends() -> None:
    glider = far_glider(100)
    round_trip = replace(
        glider, longitude=np.linspace(-175, 535, 100), latitude=np.linspace(0, 10, 100)
    )
    drawn = str(figure(plans(round_trip, with_zones=False)[0], scene(round_trip)))
    path = re.search(r'class="track"[^>]* d="([^"]*)"', drawn)
    assert path
    assert path[1].count("M") >= 2


def test_a_zone_cut_at_180_deg_is_drawn_whole_and_without_a_seam() -> None:
    (view,) = (plan.view for plan in plans(far_glider(), with_zones=False))
    (sector,) = (
        z for z in placed_zones(zones(), "earth", ["apei", "contract", "hazard", "keep_in"])
        if z.zone_id == "tonga-sector"
    )  # fmt: skip
    assert isinstance(on_paper(in_window(sector.geometry, view), view), shapely.Polygon)
    assert sector.bounds.east - sector.bounds.west == pytest.approx(2.2)


@pytest.mark.parametrize(("ring", "inside", "outside"), [
    ([[0, 70], [120, 70], [-120, 70], [0, 70]], (33, 89), (33, 60)),
    ([[0, -70], [-120, -70], [120, -70], [0, -70]], (33, -89), (33, -60)),
])  # fmt: skip
def test_a_zone_that_holds_a_pole_covers_it(
    ring: list[list[float]], inside: tuple[float, float], outside: tuple[float, float]
) -> None:
    (cap,) = placed_zones([zone("cap", "mpa", [ring])], "earth", ["mpa"])
    assert cap.geometry.contains(shapely.Point(*inside))
    assert not cap.geometry.contains(shapely.Point(*outside))


def test_holes_are_drawn_as_holes() -> None:
    ringed = zone("z", "k", [box(-150.1, 13.9, -149.8, 14.2), box(-150.0, 14.0, -149.9, 14.1)])
    (shape,) = placed_zones([ringed], "earth", ["k"])
    view = view_of("earth", shape.bounds)
    drawn = on_paper(in_window(shape.geometry, view), view)
    assert len(drawn.interiors) == 1


def test_far_places_get_maps_of_their_own_and_an_overview() -> None:
    found = plans(dive("A", 0, 50), dive("B", 5, 50), far_glider())
    assert [plan.detail for plan in found] == [False, True, True, True]
    assert "overview" in found[0].title


def test_a_rover_alone_on_its_planet_gets_one_map() -> None:
    (plan,) = plans(rover())
    assert plan.title.startswith("Mars: M2020")


def test_the_overview_shows_the_zones_around() -> None:
    overview = plans(dive("A", 0, 50))[0]
    assert not overview.detail
    shapes = placed_zones(zones(), "earth", ["apei", "contract", "hazard", "keep_in"])
    near = [z for z in shapes if z.zone_id == "ifremer-e"]
    assert all(z.bounds.meets(overview.view.bounds) for z in near)


# Whole degrees and eighths: adding turns to them is exact.
eighths = st.integers(-1440, 1440).map(lambda n: n / 8)
widths = st.integers(0, 720).map(lambda n: n / 8)


@given(eighths, eighths, widths, widths)
def test_boxes_meet_whatever_turn_they_are_written_in(
    west: float, other_west: float, width: float, other_width: float
) -> None:
    one = Bounds(west=west, east=west + width, south=0, north=1)
    other = Bounds(west=other_west, east=other_west + other_width, south=0, north=1)
    turned = Bounds(west=other_west + 720, east=other_west + other_width + 720, south=0, north=1)
    assert one.meets(other) == one.meets(turned) == other.meets(one)


@pytest.mark.parametrize("body", ["earth", "mars", "moon"])
@pytest.mark.parametrize("latitude", [-70.0, 0.0, 18.4, 62.0])
def test_the_scale_bar_is_as_long_as_it_says(body: str, latitude: float) -> None:
    view = view_of(body, Bounds(west=10, east=10.4, south=latitude, north=latitude + 0.3))
    metres, length = view.scale_bar()
    middle = view.bounds.middle
    _, _, measured = GEODS[body].inv(*middle, middle[0] + length / view.x_scale, middle[1])
    assert measured == pytest.approx(metres, rel=1e-3)
    assert WIDTH / 12 < length <= WIDTH / 4 * 1.01


def test_a_degree_of_mars_is_shorter_than_one_of_earth() -> None:
    assert metres_per_degree("mars", 0)[0] == pytest.approx(np.radians(3_396_190), rel=1e-6)
    assert metres_per_degree("earth", 0)[0] == pytest.approx(111_319.49, abs=0.1)
    assert metres_per_degree("earth", 90)[1] == pytest.approx(111_693.98, abs=1)


def test_graticule_lines_are_round_and_named() -> None:
    assert graticule_step(0.2, 5) == pytest.approx(0.05)
    assert graticule_step(360, 5) == 90.0
    assert multiples(0.05, 77.42, 77.53) == pytest.approx([77.45, 77.5])
    names = [longitude_label(lon, 10) for lon in (0, 180, 190, -190, -20, 20)]
    assert names == ["0°", "180°", "170°W", "170°E", "20°W", "20°E"]
    assert latitude_label(-12.25, 0.05) == "12.25°S"
    assert latitude_label(0, 10) == "0°"


@given(
    # Whole thousandths of a pixel: GEOS divides by the squares of lengths, which underflow.
    st.lists(st.tuples(st.integers(0, 700_000), st.integers(0, 500_000)), min_size=2, max_size=200),
    st.floats(0.1, 5),
)
def test_a_thinned_line_keeps_its_ends_and_stays_near(
    points: list[tuple[int, int]], tolerance: float
) -> None:
    xy = np.array(points) / 1000
    kept = thinned(xy, tolerance, at_most=1000)
    assert kept[0].tolist() == xy[0].tolist()
    if len(kept) > 1:
        far = shapely.distance(shapely.linestrings(kept), shapely.points(xy))
        assert far.max() <= tolerance + 0.15
    else:
        assert np.ptp(xy, axis=0).max() <= 0.11


def test_a_noisy_line_is_thinned_to_what_a_page_can_hold() -> None:
    noise = np.random.default_rng(3).uniform(0, 600, (20_000, 2))
    assert len(thinned(noise, 0.35, at_most=500)) <= 500


LABELS = st.builds(
    Label,
    words=st.text("abc", min_size=1, max_size=12),
    x=st.floats(0, 680),
    y=st.floats(0, 400),
    anchor=st.sampled_from(["start", "middle", "end"]),
)


@given(st.lists(LABELS, max_size=30))
def test_no_label_lies_over_another_on_any_screen(labels: list[Label]) -> None:
    sheet = Sheet(680, 400)
    placed = [found for label in labels if (found := sheet.place([label]))]
    for size, shown in (
        (WIDE_SIZE, [label for label, _ in placed]),
        (NARROW_SIZE, [label for label, narrow_too in placed if narrow_too]),
    ):
        boxes = [shapely.box(*label.box(size)) for label in shown]
        for i, one in enumerate(boxes):
            assert not any(one.intersection(other).area > 1e-6 for other in boxes[:i])


def test_an_alarm_is_marked_where_its_vehicle_was() -> None:
    glider = far_glider()
    (placed,) = placed_tracks([glider], "earth")
    rows = np.array([300, 301])
    middle_us = int(glider.time_us[rows].mean())
    longitude, latitude = placed.position_at(middle_us)
    assert (longitude + 180) % 360 - 180 == pytest.approx(
        np.unwrap(glider.longitude[rows], period=360).mean()
    )
    assert latitude == pytest.approx(glider.latitude[rows].mean())


def test_a_mark_is_drawn_once_with_its_words_and_leads_to_its_alert() -> None:
    glider = far_glider()
    mark = Mark("critical", 179.9, -22.0, "raised <here>", 7)
    drawn = str(figure(plans(glider)[-1], scene(glider, marks=(mark,))))
    assert drawn.count('href="#alert-7"') == 1
    assert "raised &lt;here&gt;" in drawn


def test_land_too_coarse_for_a_window_is_not_drawn() -> None:
    land = land_of({"type": "Polygon", "coordinates": [box(-10, 40, 0, 50)]})
    fine, coarse = Bounds(west=-5, east=-4.5, south=44, north=44.5), Bounds(
        west=-90, east=90, south=0, north=60
    )  # fmt: skip
    assert not land.serves(view_of("earth", fine))
    assert land.serves(view_of("earth", coarse))


def test_a_slope_to_the_sun_is_light_and_one_away_is_dark() -> None:
    bounds = Bounds(west=0, east=0.1, south=0, north=0.1)
    rows, columns = np.mgrid[0:20, 0:20] * 500.0
    toward, away = (
        hillshade(sign * (rows + columns), bounds, "mars").png for sign in (1.0, -1.0)
    )  # north-west is low or high
    assert _grey(toward) > 180 > 40 > _grey(away)


def test_unknown_elevation_is_transparent() -> None:
    grid = np.zeros((8, 8))
    grid[2, 2] = np.nan
    bounds = Bounds(west=0, east=1, south=0, north=1)
    assert _pixels(hillshade(grid, bounds, "mars").png)[2, 2, 1] == 0


def _grey(png: bytes) -> float:
    return float(_pixels(png)[5:-5, 5:-5, 0].mean())


def _pixels(png: bytes) -> np.ndarray:
    columns, rows = struct.unpack(">II", png[16:24])
    length = struct.unpack(">I", png[33:37])[0]
    lines = np.frombuffer(zlib.decompress(png[41 : 41 + length]), np.uint8)
    return lines.reshape(rows, 1 + 2 * columns)[:, 1:].reshape(rows, columns, 2)
