"""Where a position lies, at the borders of zones, of the plane and of bodies."""

import numpy as np
import pytest

from rules.zone_geometry import ZoneGeometryError
from rules.zone_index import ZoneIndex
from schemas.frame import BODIES
from schemas.geojson import Area
from schemas.zone import Zone


def box(west, south, east, north):
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


def zone(name, *rings, body="earth"):
    return Zone(id=name, body=body, geometry=Area([rings]))


def found(zones, *positions, body="earth"):
    """The ids of the zones that hold each position."""
    longitude, latitude = np.array(positions, float).reshape(-1, 2).T
    index = ZoneIndex(zones)
    code = np.full(len(longitude), BODIES.index(body), np.int8)
    hits = index.locate(code, longitude, latitude)
    ids = [[] for _ in positions]
    for row, number in zip(hits.row, hits.zone, strict=True):
        ids[row].append(index.zones[number].id)
    return ids


def test_a_shared_edge_belongs_to_both_neighbours_and_a_hole_to_neither():
    west = zone("west", box(0, 0, 1, 3))
    east = zone("east", box(1, 0, 4, 3), box(2, 1, 3, 2))
    positions = [(0.5, 1), (1, 1), (1, 3), (2.5, 1.5), (2, 1.5), (4.000001, 1)]
    expected = [["west"], ["west", "east"], ["west", "east"], [], ["east"], []]
    assert found([west, east], *positions) == expected


def test_both_longitudes_of_the_antimeridian_belong_to_zones_on_either_side():
    zones = [zone("left", box(170, 0, 180, 1)), zone("right", box(-180, 0, -170, 1)),
             zone("across", box(175, 0, -175, 1))]  # fmt: skip
    assert found(zones, (180, 0.5), (-180, 0.5), (180, 2)) == [["left", "right", "across"]] * 2 + [
        []
    ]


def test_a_pole_belongs_to_every_zone_that_reaches_it_whatever_the_longitude():
    cap = [[-150, 80], [-30, 80], [90, 80], [-150, 80]]
    zones = [zone("cap", cap), zone("wedge", box(0, 85, 10, 90)), zone("below", box(0, 0, 10, 89))]
    assert found(zones, (120, 90), (5, 90), (-180, 90), (5, -90)) == [["cap", "wedge"]] * 3 + [[]]


def test_zones_hold_positions_of_their_own_body_alone():
    zones = [zone("sea", box(0, 0, 1, 1)), zone("crater", box(0, 0, 1, 1), body="mars")]
    index = ZoneIndex(zones)
    body = np.array([1, 0, 2, 1, 0], np.int8)
    hits = index.locate(body, np.full(5, 0.5), np.array([0.5, 0.5, 0.5, 7.0, 1.0]))
    assert list(zip(hits.row.tolist(), hits.zone.tolist(), strict=True)) == [(0, 1), (1, 0), (4, 0)]


def test_positions_that_are_not_known_lie_in_no_zone():
    world = zone("world", box(-180, -90, 180, 90))
    positions = [(np.nan, 0), (0, np.nan), (np.nan, np.nan), (np.nan, 90), (180, np.nan), (0, 0)]
    assert found([world], *positions) == [[], [], [], [], [], ["world"]]


@pytest.mark.parametrize("zones", [[], [zone("a", box(0, 0, 1, 1))]])
def test_no_rows_or_no_zones_give_no_hits(zones):
    assert found(zones) == []
    if not zones:
        assert found(zones, (0, 0)) == [[]]


def test_rows_of_one_cell_have_no_edge_between_them_and_rows_near_an_edge_no_cell():
    index = ZoneIndex([zone("a", box(0, 0, 10, 10)), zone("b", box(20, 0, 30, 10), body="mars")])
    longitude = np.array([5.0, 5.001, 10.0, 10.0000001, 50.0, 60.0])
    for body in (0, 1):
        cell = index.locate(np.full(6, body, np.int8), longitude, np.full(6, 5.0)).cell
        assert (cell >= -1).all()
        assert cell[4] == cell[5] >= 0
        assert cell[0] == cell[1] >= 0
        assert cell[0] != cell[4]
    cell = index.locate(np.zeros(6, np.int8), longitude, np.full(6, 5.0)).cell
    assert cell[2] == cell[3] == -1


def test_an_invalid_zone_is_refused():
    with pytest.raises(ZoneGeometryError, match="Self-intersection"):
        ZoneIndex([zone("bow tie", [[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]])])
