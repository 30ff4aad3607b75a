"""Crossings are those of exact arithmetic, whatever the zones, the way and the place."""

import pickle
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.crossings import NEAR_DEG
from rules.zone_geometry import zone_shapes
from rules.zone_index import ZoneIndex
from schemas.frame import BODIES
from schemas.geojson import Area
from schemas.zone import Zone
from tests.lattice_zones import LATTICE, is_area, zone_sets

# Share of the way: the steepest way of these tests is 270 deg long, positions are good to 3e-14.
TOLERANCE = 1e-9


def edges_of(part):
    for ring in (part.exterior, *part.interiors):
        vertices = [(Fraction(x), Fraction(y)) for x, y in ring.coords]
        yield from pairwise(vertices)


def holds(edges, x, y):
    """Whether the closed area inside the edges holds (x, y): by parity, exact."""
    odd = False
    for (x0, y0), (x1, y1) in edges:
        turn = (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)
        if turn == 0 and min(x0, x1) <= x <= max(x0, x1) and min(y0, y1) <= y <= max(y0, y1):
            return True
        if (y0 > y) != (y1 > y) and (turn > 0) == (y1 > y0):
            odd = not odd
    return odd


def places(edges, start, step):
    """Shares of the way at which it meets edges, exact; both ends of edges that it runs along."""
    (ax, ay), (dx, dy) = start, step
    for (x0, y0), (x1, y1) in edges:
        ex, ey, wx, wy = x1 - x0, y1 - y0, x0 - ax, y0 - ay
        across = dx * ey - dy * ex
        if across:
            if 0 <= (wx * dy - wy * dx) / across <= 1:
                yield (wx * ey - wy * ex) / across
        elif wx * dy == wy * dx:
            for x, y in ((x0, y0), (x1, y1)):
                yield ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy)


def by_fractions(shape, way):
    """Stretches of one way in one shape: a list of (begin, end), and whether it meets an edge."""
    lon0, lat0, lon1, lat1 = map(Fraction, way)
    dlon = lon1 - lon0
    dlon -= 360 if dlon > 180 else -360 if dlon < -180 else 0
    step = dlon, lat1 - lat0
    parts = [list(edges_of(part)) for part in shapely.get_parts(shape)]
    cuts = {
        s
        for edges in parts
        for turn in (-360, 0, 360)
        for s in places(edges, (lon0 + turn, lat0), step)
        if 0 <= s <= 1
    }
    inner = sorted({Fraction(0), Fraction(1), *cuts})
    stretches = []
    for begin, end in pairwise(inner):
        x, y = (a + (begin + end) / 2 * d for a, d in zip((lon0, lat0), step, strict=True))
        inside = any(holds(edges, x + turn, y) for edges in parts for turn in (-360, 0, 360)) or (
            abs(y) == 90 and float(y) in (shape.bounds[1], shape.bounds[3])
        )
        if inside and stretches and stretches[-1][1] == begin:
            stretches[-1] = stretches[-1][0], end
        elif inside:
            stretches.append((begin, end))
    at_pole = any(
        abs(lat) == 90 and lat in (shape.bounds[1], shape.bounds[3]) for lat in (way[1], way[3])
    )
    return stretches, bool(cuts) or at_pole


def found(index, body, ways):
    """(segment, zone): stretches, of the pairs that the index reports."""
    said = index.crossings(body, *np.array(ways, float).T)
    assert (np.diff(said.pair) >= 0).all()
    assert (said.begin < said.end).all()
    assert (said.begin >= 0).all()
    assert (said.end <= 1).all()
    again = said.pair[1:] == said.pair[:-1]
    assert (said.begin[1:][again] > said.end[:-1][again]).all()
    pairs = list(zip(said.segment.tolist(), said.zone.tolist(), strict=True))
    assert pairs == sorted(set(pairs))
    stretches = {pair: [] for pair in pairs}
    for k, begin, end in zip(said.pair.tolist(), said.begin, said.end, strict=True):
        stretches[pairs[k]].append((begin, end))
    return stretches


def present(index, body, longitude, latitude):
    hits = index.locate(body, longitude, latitude)
    return set(zip(hits.row.tolist(), hits.zone.tolist(), strict=True))


def settled(stretches):
    """Stretches without what is too short for numbers of positions: gaps first, then stretches."""
    joined = []
    for begin, end in stretches:
        goes_on = joined and begin - joined[-1][1] < TOLERANCE
        joined.append((joined.pop()[0] if goes_on else begin, end))
    return np.array([s for s in joined if s[1] - s[0] >= TOLERANCE], float).reshape(-1, 2)


def near(stretches, others):
    stretches, others = settled(stretches), settled(others)
    return stretches.shape == others.shape and np.abs(stretches - others).max(initial=0) < TOLERANCE


def draw_ways(zones, rng, count=24):
    """(count, 4): from and to vertices, middles of edges, lattice points, and anywhere."""
    vertices = shapely.get_coordinates(zone_shapes(zones))
    ends = vertices[rng.integers(0, len(vertices), (2, count))]
    kind = rng.integers(0, 5, (2, count, 1))
    lattice = LATTICE * rng.integers(-6, 7, ends.shape)
    other = vertices[rng.integers(0, len(vertices), (2, count))]
    far = ends + rng.normal(0, 5, ends.shape)
    ends = np.select(
        [kind == 0, kind == 1, kind == 2, kind == 3],
        [ends, ends + lattice, (ends + other) / 2, ends + lattice / 2],
        far,
    )
    ends[..., 1] = np.clip(ends[..., 1], -90, 90)
    ends[..., 0] = (ends[..., 0] + 180) % 360 - 180
    return np.concatenate((ends[0], ends[1]), axis=1)


def is_beside(shape, longitude, latitude):
    """Whether rounding alone may decide if the shape holds the position."""
    return shape.distance(shapely.Point(longitude, latitude)) < NEAR_DEG


def runs_beside(shape, way):
    """Whether the way runs along an edge so near that rounding alone decides on which side."""
    lon0, lat0, lon1, lat1 = way
    lon1 -= 360 * np.round((lon1 - lon0) / 360)
    edge = shape.boundary
    for turn in (-360, 0, 360):
        line = shapely.LineString([(lon0 + turn, lat0), (lon1 + turn, lat1)])
        if edge.intersection(line.buffer(100 * NEAR_DEG)).length > 300 * NEAR_DEG:
            return True
    return False


def assert_exact(zones, index, body, ways):
    said = found(index, body, ways)
    start, end = (present(index, body, *ways[:, k : k + 2].T) for k in (0, 2))
    for number, shape in enumerate(zone_shapes(zones)):
        for segment, way in enumerate(ways):
            pair = segment, number
            if BODIES[body[segment]] != zones[number].body or (way[:2] == way[2:]).all():
                assert pair not in said
                continue
            expected, meets = by_fractions(shape, way)
            if pair in said:
                alike = near(said[pair], expected)
                assert alike or runs_beside(shape, way), (way, said[pair], expected)
                if said[pair] and said[pair][0][0] == 0:
                    assert pair in start or is_beside(shape, *way[:2])
                if said[pair] and said[pair][-1][1] == 1:
                    assert pair in end or is_beside(shape, *way[2:])
            else:
                assert not meets
                assert (pair in start) == (pair in end) == (expected == [(0, 1)])


@settings(max_examples=40, deadline=None)
@given(zone_sets(), st.integers(0, 2**32 - 1))
def test_stretches_are_those_of_exact_arithmetic(zones, seed):
    rng = np.random.default_rng(seed)
    ways = draw_ways(zones, rng)
    body = rng.integers(0, len(BODIES), len(ways)).astype(np.int8)
    assert_exact(zones, ZoneIndex(zones), body, ways)


def star(rng, vertices):
    """A ring that sees its centre, with edges of any direction."""
    angle = np.sort(rng.uniform(0, 2 * np.pi, vertices))
    radius = rng.uniform(0.2, 1.0, vertices)
    ring = radius[:, None] * np.stack((np.cos(angle), np.sin(angle)), -1)
    return np.concatenate((ring, ring[:1]))


def any_zones(rng):
    """Zones with edges of any direction: a hole, parts that touch in a vertex, the antimeridian."""
    zones = []
    for i in range(4):
        ring, small = star(rng, int(rng.integers(3, 40))), star(rng, 5) * 0.05
        beside = 2 * ring[:1] - ring  # turned round its first vertex: may overlap, then left out
        polygons = [[[ring]], [[ring, ring[::-1] * 0.3]], [[ring], [beside]], [[small]]][i]
        centre = (rng.choice([-180, -0.5, 0, 20, 179.5]), rng.uniform(-1, 1))
        moved = [[np.add(r, centre) for r in rings] for rings in polygons]
        zones.append(Zone(id=f"z{i}", geometry=Area(moved)))
    return [zone for zone in zones if is_area(zone)]


@pytest.mark.parametrize("seed", range(15))
def test_edges_of_any_direction_are_crossed_where_exact_arithmetic_says(seed):
    rng = np.random.default_rng(seed)
    zones = any_zones(rng)
    ways = draw_ways(zones, rng, 30)
    assert_exact(zones, ZoneIndex(zones), np.zeros(len(ways), np.int8), ways)


@settings(max_examples=25, deadline=None)
@given(zone_sets(), st.integers(0, 2**32 - 1), st.integers(-720, 720))
def test_moving_all_east_changes_nothing(zones, seed, quarters):
    ways = draw_ways(zones, np.random.default_rng(seed), 40)
    ways = np.round(ways * 64) / 64  # so that moving loses nothing
    # Half round the globe is as near to the east as to the west.
    ways = ways[np.abs(ways[:, 0] - ways[:, 2]) != 180]
    east = quarters * LATTICE

    def moved(zone):
        polygons = [[np.add(r, (east, 0)) for r in rings] for rings in zone.geometry.polygons]
        polygons = [[wound(r) for r in rings] for rings in polygons]
        return zone.model_copy(update={"geometry": Area(polygons)})

    def wound(ring):
        """Whole turns back, so that no longitude is beyond what a file may say."""
        ring[:, 0] -= 360 * np.round(ring[:, 0].mean() / 360)
        return ring

    body = np.zeros(len(ways), np.int8)
    there = np.add(ways, (east, 0, east, 0))
    there[:, ::2] = (there[:, ::2] + 180) % 360 - 180
    said = found(ZoneIndex(zones), body, ways)
    said_there = found(ZoneIndex([moved(zone) for zone in zones]), body, there)
    for pair in said.keys() | said_there.keys():
        if pair in said and pair in said_there:
            assert near(said[pair], said_there[pair])
        else:  # met where a zone is cut at the antimeridian, and nowhere else
            (only,) = (s[pair] for s in (said, said_there) if pair in s)
            assert near(only, [(0, 1)]) or near(only, [])


@settings(max_examples=25, deadline=None)
@given(zone_sets(), st.integers(0, 2**32 - 1))
def test_the_way_back_and_rings_the_other_way_round_are_the_same_backwards(zones, seed):
    ways = draw_ways(zones, np.random.default_rng(seed), 60)
    half_turn = np.abs(ways[:, 0] - ways[:, 2]) == 180
    body = np.zeros(len(ways), np.int8)
    index = ZoneIndex(zones)
    said, back = found(index, body, ways), found(index, body, ways[:, [2, 3, 0, 1]])
    assert said.keys() == back.keys()
    for (segment, zone), stretches in said.items():
        backwards = [(1 - end, 1 - begin) for begin, end in reversed(back[segment, zone])]
        assert near(stretches, backwards)
    no_cap = [zone for zone in zones if np.ptp(zone.geometry.polygons[0][0][:, 0]) < 180]
    turned = [
        zone.model_copy(
            update={
                "geometry": Area([[r[::-1] for r in rings] for rings in zone.geometry.polygons])
            }
        )
        for zone in no_cap
    ]
    assert not half_turn.any() or said is not None
    assert (
        found(ZoneIndex(no_cap), body, ways).keys() == found(ZoneIndex(turned), body, ways).keys()
    )


@settings(max_examples=15, deadline=None)
@given(zone_sets(), zone_sets(), st.integers(0, 2**32 - 1))
def test_halos_are_located_and_crossed_as_zones_of_their_own_after_the_zones(zones, others, seed):
    rng = np.random.default_rng(seed)
    count = min(len(zones), len(others))
    zones = zones[:count]
    others = [
        other.model_copy(update={"body": zone.body})
        for zone, other in zip(zones, others, strict=False)
    ]
    halos = zone_shapes(others)
    halos[rng.random(count) < 0.3] = None
    present_halos = np.flatnonzero(~shapely.is_missing(halos))
    ways = draw_ways(zones + others, rng, 60)
    body = rng.integers(0, len(BODIES), len(ways)).astype(np.int8)
    both = zones + [others[i] for i in present_halos]
    name = np.concatenate((np.arange(count), count + present_halos))
    index, plain = ZoneIndex(zones, halos), ZoneIndex(both)
    assert index.zones == tuple(zones)
    for columns in (ways[:, :2], ways[:, 2:]):
        hits, expected = (i.locate(body, *columns.T) for i in (index, plain))
        assert hits.row.tolist() == expected.row.tolist()
        assert hits.zone.tolist() == name[expected.zone].tolist()
    expected = {(s, name[z]): spans for (s, z), spans in found(plain, body, ways).items()}
    assert found(index, body, ways) == expected
    assert found(pickle.loads(pickle.dumps(index)), body, ways) == expected
