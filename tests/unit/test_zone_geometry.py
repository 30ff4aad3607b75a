"""Rings of any writer become the areas they mean, or are refused."""

import numpy as np
import pytest
import shapely

from rules.zone_geometry import ZoneGeometryError, repairs, zone_shapes
from schemas.geojson import Area
from schemas.zone import Zone


def box(west, south, east, north):
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


def shape(*polygons):
    return zone_shapes([Zone(id="a", geometry=Area(polygons))])[0]


def mistake(*polygons, line=None):
    with pytest.raises(ZoneGeometryError) as caught:
        zone_shapes([Zone(id="a", geometry=Area(polygons), line=line)], "z.geojson")
    (said,) = caught.value.mistakes
    return said


def same(found, *boxes):
    expected = shapely.union_all([shapely.box(*bounds) for bounds in boxes])
    assert found.is_valid
    assert shapely.equals(found, expected)


ACROSS = ((170, 0, 180, 10), (-180, 0, -170, 10))


@pytest.mark.parametrize(
    "ring", [box(170, 0, -170, 10), box(170, 0, 190, 10), box(-190, 0, -170, 10)]
)
def test_a_box_across_the_antimeridian_is_cut_there_however_it_is_written(ring):
    same(shape([ring]), *ACROSS)
    same(shape([ring[::-1]]), *ACROSS)


def test_parts_cut_by_the_writer_stay_as_they_are():
    same(shape([box(170, 0, 180, 10)], [box(-180, 0, -170, 10)]), *ACROSS)
    same(shape([box(170, 0, 180, 10)], [box(180, 0, 190, 10)]), *ACROSS)


def test_longitudes_from_0_to_360_are_read():
    same(shape([box(190, 0, 200, 10)]), (-170, 0, -160, 10))
    same(shape([box(350, 0, 370, 10)]), (-10, 0, 10, 10))


@pytest.mark.parametrize("west", [-180, 0])
def test_a_box_of_all_longitudes_is_a_band(west):
    same(shape([box(west, 60, west + 360, 90)]), (-180, 60, 180, 90))


@pytest.mark.parametrize("first", [-150, -180, 90])
@pytest.mark.parametrize(("latitude", "pole"), [(70, 90), (-70, -90)])
def test_a_ring_round_a_pole_holds_it(first, latitude, pole):
    longitudes = [(first + 360 - step) % 360 - 180 for step in (0, 270, 180, 90, 0)]
    ring = [[longitude, latitude] for longitude in longitudes]
    if pole < 0:
        ring = ring[::-1]
    same(shape([ring]), (-180, min(latitude, pole), 180, max(latitude, pole)))
    other = -pole
    same(shape([ring[::-1]]), (-180, min(latitude, other), 180, max(latitude, other)))


def test_holes_are_cut_from_the_part_that_holds_them():
    outer = box(170, 0, -170, 10)
    for hole in (box(-178, 2, -176, 4), box(182, 2, 184, 4), box(182, 2, 184, 4)[::-1]):
        found = shape([outer, hole])
        assert found.area == 200 - 4
        assert not found.intersects(shapely.Point(-177, 3))
    across = shape([outer, box(179, 2, -179, 4)])
    assert across.area == 200 - 4
    assert not across.intersects(shapely.Point([180, 3]))


def test_holes_of_a_cap_may_hold_the_pole_or_cross_the_antimeridian():
    cap = [[longitude, 60] for longitude in (-150, -30, 90, -150)]
    inner = [[longitude, 80] for longitude in (-150, -30, 90, -150)]
    for hole in (inner, inner[::-1]):
        same(shape([cap, hole]), (-180, 60, 180, 80))
    found = shape([cap, box(170, 65, -170, 70)])
    assert found.area == 360 * 30 - 100
    assert not found.intersects(shapely.Point(-175, 66))


def test_neighbours_that_share_a_slanted_edge_across_the_antimeridian_leave_no_gap():
    a, b = [179.3, -0.7], [-179.1, 1.9]
    south = [a, [180.7 - 360, -3.1], b, a]
    north = [b, [179.9, 4.7], a, b]
    shapes = zone_shapes(
        [Zone(id=str(i), geometry=Area([[r]])) for i, r in enumerate((south, north))]
    )
    for longitude in (-180.0, 180.0):
        meridian = shapely.LineString([(longitude, -90), (longitude, 90)])
        lower, upper = (shapely.intersection(s, meridian).bounds for s in shapes)
        assert lower[3] == upper[1]


def test_vertices_keep_their_exact_values():
    ring = np.array(box(179.123456789012, 0.1, -179.987654321098, 0.3))
    vertices = {tuple(vertex) for vertex in shapely.get_coordinates(shape([ring])).tolist()}
    assert {tuple(vertex) for vertex in ring.tolist()} <= vertices


@pytest.mark.parametrize(
    ("polygons", "said"),
    [
        ([[[[0, 0], [1, 0], [0, 0]]]], "polygon 1: ring 1 has 3 positions: give at least 4"),
        ([[[]]], "polygon 1: ring 1 has 0 positions"),
        ([[[*box(0, 0, 1, 1)[:4], [0, 0.5]]]], "polygon 1: ring 1 is not closed"),
        ([[box(0, 0, 1, 91)]], "polygon 1: ring 1, position 3: latitude 91.0 is beyond +-90"),
        ([[box(0, 0, 541, 1)]], "longitude 541.0 is beyond +-540"),
        ([[[[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]]], "Self-intersection[1 1]"),
        ([[[[179, 0], [-179, 2], [-179, 0], [179, 2], [179, 0]]]], "Self-intersection"),
        ([[[[0, 0], [1, 1], [2, 2], [0, 0]]]], "not a valid area: "),
        ([[[[0, 0], [0, 0], [0, 0], [0, 0]]]], "not a valid area: "),
        ([[[[179, 0], [-179, 0], [179, 0], [179, 0]]]], "not a valid area: "),
        ([[box(0, 0, 2, 2), box(3, 3, 4, 4)]], "Hole lies outside shell"),
        ([[box(170, 0, -170, 9), box(-160, 3, -150, 4)]], "Hole lies outside shell"),
        ([[box(0, 0, 2, 2)], [box(1, 0, 3, 2)]], "not a valid area: "),
        ([[[[a, 60] for a in (-150, -30, 90, -150)], box(0, 0, 1, 1)]], "Hole lies outside shell"),
        ([[box(0, 0, 9, 9), [[a, 60] for a in (-150, -30, 90, -150)]]], "a hole holds a pole"),
        ([[[[a, 60 + i] for i, a in enumerate([0, 120, -120] * 2)] + [[0, 60]]]], "more than once"),
    ],
)
def test_rings_that_make_no_area_are_refused_with_the_reason(polygons, said):
    assert said in mistake(*polygons)


def test_a_mistake_names_file_line_and_zone():
    said = mistake([box(0, 0, 1, 91)], line=12)
    assert said.startswith('z.geojson:12: zone "a": polygon 1: ring 1, position 3')


def test_the_mistakes_of_all_zones_are_told():
    zones = [
        Zone(id="cross", geometry=Area([[[[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]]])),
        Zone(id="good", geometry=Area([[box(0, 0, 1, 1)]])),
        Zone(id="two", geometry=Area([[box(0, 0, 1, 91)], [box(0, 0, 1, -91)]])),
    ]
    with pytest.raises(ZoneGeometryError) as caught:
        zone_shapes(zones)
    assert [mistake.split('"')[1] for mistake in caught.value.mistakes] == ["cross", "two", "two"]


def test_no_zones_have_no_shapes():
    assert len(zone_shapes([])) == 0


BOW_TIE = [[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]


def repaired(*polygons):
    zone = Zone(id="a", geometry=Area(polygons), repair=True, line=3)
    return zone_shapes([zone])[0], repairs([zone], "z.geojson")


def test_a_zone_that_asks_for_it_is_repaired_and_told():
    found, told = repaired([BOW_TIE])
    assert found.is_valid
    assert found.area == pytest.approx(2.0)
    (said,) = told
    assert said.startswith('z.geojson:3: zone "a": repaired: not a valid area: Self-intersection')
    assert said.endswith("is 2 polygons of 8 positions now")


def test_open_rings_are_closed_and_overlapping_polygons_joined_by_repair():
    found, (said,) = repaired([box(0, 0, 1, 1)[:-1]])
    same(found, (0, 0, 1, 1))
    assert "ring 1 is not closed" in said
    found, (said,) = repaired([box(0, 0, 2, 2)], [box(1, 1, 3, 3)])
    same(found, (0, 0, 2, 2), (1, 1, 3, 3))


def test_a_ring_across_the_antimeridian_is_repaired_there():
    found, _ = repaired([[[179, 0], [-179, 2], [-179, 0], [179, 2], [179, 0]]])
    assert found.is_valid
    assert found.area == pytest.approx(2.0)
    assert found.bounds == (-180, 0, 180, 2)


def test_a_sound_zone_that_asks_for_repair_stays_as_it_is():
    found, told = repaired([box(0, 0, 1, 1)])
    same(found, (0, 0, 1, 1))
    assert told == ()


@pytest.mark.parametrize(
    "polygon",
    [[[[0, 0], [1, 1], [0, 0], [1, 1], [0, 0]]], [[[0, 0], [1, 0], [0, 0]]], [box(0, 0, 1, 91)]],
)
def test_what_cannot_be_repaired_is_refused(polygon):
    zone = Zone(id="a", geometry=Area([polygon]), repair=True)
    with pytest.raises(ZoneGeometryError):
        zone_shapes([zone])
    assert repairs([zone]) == ()
