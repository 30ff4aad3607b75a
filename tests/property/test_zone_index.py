"""The index answers what geometry answers, whatever it remembers."""

import pickle

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from rules import zone_cells
from rules.zone_cells import ZoneCells
from rules.zone_geometry import zone_shapes
from rules.zone_index import ZoneIndex
from schemas.frame import BODIES
from schemas.geojson import Area
from schemas.zone import Zone
from tests.lattice_zones import LATTICE, box, zone_sets


def by_geometry(zones, body, longitude, latitude):
    """Row by row and zone by zone what the index must say."""
    found = []
    shapes = zone_shapes(zones)
    for row, (code, lon, lat) in enumerate(zip(body, longitude, latitude, strict=True)):
        for number, (zone, shape) in enumerate(zip(zones, shapes, strict=True)):
            if BODIES[code] != zone.body or np.isnan(lon) or np.isnan(lat):
                continue
            if abs(lat) == 90:
                held = shape.bounds[3] == 90 if lat > 0 else shape.bounds[1] == -90
            elif abs(lon) == 180:
                held = shape.covers(shapely.Point(180, lat)) or shape.covers(
                    shapely.Point(-180, lat)
                )
            else:
                held = shape.covers(shapely.Point(lon, lat))
            if held:
                found.append((row, number))
    return found


def positions(zones, index, rng):
    """(n, 2): vertices, points on edges, beside them, on cell borders, far away, and special."""
    shapes = zone_shapes(zones)
    vertices = shapely.get_coordinates(shapes)
    middles = (vertices[1:] + vertices[:-1]) / 2
    cells = [zones.cells for zones in index._bodies.values()]
    borders = np.array(
        [
            (c._west + i / c._per_lon, c._south + j / c._per_lat)
            for c in cells
            for i, j in rng.integers(0, 512, (4, 2)) / 16
        ]
    )
    near = vertices + rng.choice([0.0, 1e-12, -1e-12, 1e-3, -1e-3], vertices.shape)
    beside = np.nextafter(vertices, rng.choice([-np.inf, np.inf], vertices.shape))
    lattice = vertices + LATTICE * rng.integers(-6, 7, vertices.shape)
    anywhere = rng.uniform((-180, -90), (180, 90), (20, 2))
    special = [(180, 0), (-180, 0), (-180, 85), (7, 90), (7, -90), (np.nan, 0), (0, np.nan)]
    every = np.concatenate((vertices, middles, borders, near, beside, lattice, anywhere, special))
    every[:, 0] = np.where(np.abs(every[:, 0]) > 180, every[:, 0] % 360 - 180, every[:, 0])
    every[:, 1] = np.clip(every[:, 1], -90, 90)
    return rng.permutation(every)[:120]


@settings(max_examples=30, deadline=None)
@given(zone_sets(), st.integers(0, 2**32 - 1))
def test_answers_are_those_of_geometry_at_the_first_and_at_every_later_call(zones, seed):
    rng = np.random.default_rng(seed)
    index = ZoneIndex(zones)
    longitude, latitude = positions(zones, index, rng).T
    body = rng.integers(0, len(BODIES), len(longitude)).astype(np.int8)
    expected = by_geometry(zones, body, longitude, latitude)
    for _ in range(2):  # the second call answers from memory
        hits = index.locate(body, longitude, latitude)
        assert list(zip(hits.row.tolist(), hits.zone.tolist(), strict=True)) == expected
    one_by_one = [
        (row, int(zone))
        for row in range(len(body))
        for zone in index.locate(*(c[row : row + 1] for c in (body, longitude, latitude))).zone
    ]
    assert one_by_one == expected


@settings(max_examples=25, deadline=None)
@given(zone_sets(), st.integers(0, 2**32 - 1))
def test_no_edge_lies_between_positions_of_one_cell(zones, seed):
    rng = np.random.default_rng(seed)
    index = ZoneIndex(zones)
    start = positions(zones, index, rng)
    end = start + rng.choice([1e-7, -1e-5, 1e-3, -0.1, 3.0], start.shape)
    has_position = ~np.isnan(start).any(axis=1)
    shapes = zone_shapes(zones)
    for code in range(len(BODIES)):
        body = np.full(len(start), code, np.int8)
        cells = [index.locate(body, *lonlat.T).cell for lonlat in (start, end)]
        of_body = [s for zone, s in zip(zones, shapes, strict=True) if zone.body == BODIES[code]]
        edges = shapely.boundary(np.array(of_body, object))
        for i in np.flatnonzero((cells[0] == cells[1]) & (cells[0] >= 0) & has_position):
            assert not shapely.LineString([start[i], end[i]]).intersects(edges).any()


def test_no_cell_that_an_edge_touches_is_taken_for_pure():
    # Nearly upright, nearly level and very short edges, at many depths of cells.
    rng = np.random.default_rng(7)
    ends = rng.uniform((-170, -80), (170, 80), (200, 2))
    steps = rng.choice([1e-14, 1e-9, 1e-4, 0.3, 9.0], ends.shape) * rng.choice([-1, 1], ends.shape)
    edges = np.concatenate((ends, ends + steps), axis=1).T
    cells = ZoneCells(edges)
    along = rng.uniform(0, 1, (50, 1))
    longitude, latitude = ((edges[k] + along * (edges[k + 2] - edges[k])).ravel() for k in range(2))
    assert (cells.run(longitude, latitude) == zone_cells.EDGE).all()


@pytest.mark.parametrize("most", [300_000, 1_000_000])
def test_less_memory_changes_no_answer(monkeypatch, most):
    rng = np.random.default_rng(3)
    west, south = np.repeat(np.arange(10), 10), np.tile(np.arange(10), 10)
    zones = [
        Zone(id=f"{w}-{s}", geometry=Area([[box(w, s, w + 1, s + 1)]]))
        for w, s in zip(west.tolist(), south.tolist(), strict=True)
    ]
    longitude, latitude = rng.integers(-4, 44, (2, 5000)) / 4
    body = np.zeros(5000, np.int8)
    hits = ZoneIndex(zones).locate(body, longitude, latitude)
    monkeypatch.setattr(zone_cells, "MAX_CELLS", most)
    small = ZoneIndex(zones).locate(body, longitude, latitude)
    assert (small.row.tolist(), small.zone.tolist()) == (hits.row.tolist(), hits.zone.tolist())
    # A lattice of closed boxes: 4 zones meet in a corner, 2 along an edge, and nothing is between.
    inside = (longitude >= 0) & (longitude <= 10) & (latitude >= 0) & (latitude <= 10)
    assert np.array_equal(np.unique(hits.row), np.flatnonzero(inside))


def test_a_pickled_index_answers_the_same():
    index = ZoneIndex([Zone(id="a", geometry=Area([[box(0, 0, 2, 2)]]))])
    body, lon, lat = np.zeros(3, np.int8), np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0])
    again = pickle.loads(pickle.dumps(index)).locate(body, lon, lat)
    assert again.row.tolist() == index.locate(body, lon, lat).row.tolist() == [0, 1]
