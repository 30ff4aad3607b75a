"""Entry and exit times on random tracks, held against those of MEOS (MobilityDB's library)."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import shapely

from rules.zone_index import ZoneIndex
from schemas.geojson import Area
from schemas.zone import Zone

pymeos = pytest.importorskip("pymeos", reason="pymeos is not installed: no wheel for this platform")

START = datetime(2026, 1, 1, tzinfo=UTC)
TOLERANCE_S = 1e-3
FIXES = 60


@pytest.fixture(autouse=True, scope="module")
def meos():
    pymeos.pymeos_initialize("UTC")
    yield
    pymeos.pymeos_finalize()


def star(rng, vertices):
    """A ring that sees its centre, with edges of any direction; coordinates of 7 places."""
    angle = np.sort(rng.uniform(0, 2 * np.pi, vertices))
    radius = rng.uniform(0.2, 1.0, vertices)
    ring = radius[:, None] * np.stack((np.cos(angle), np.sin(angle)), -1)
    return np.round(np.concatenate((ring, ring[:1])), 7)


def zone_polygons(rng):
    """A polygon with a hole, and one of two parts beside it."""
    shell = star(rng, int(rng.integers(5, 60)))
    west, east = (star(rng, int(rng.integers(3, 12))) * 0.4 + (x, 1.5) for x in (-0.5, 0.5))
    return [[[shell, shell[::-1] * 0.5]], [[west], [east]]]


def random_track(rng):
    """(FIXES, 2) deg and (FIXES,) whole seconds: far and near fixes, and standing still."""
    far = rng.uniform((-1.2, -1.2), (1.2, 2.0), (FIXES, 2))
    place = far[np.sort(rng.integers(0, FIXES, FIXES))]
    jitter = rng.choice([0.0, 1e-4, 0.05], (FIXES, 1)) * rng.normal(0, 1, (FIXES, 2))
    return np.round(place + jitter, 7), np.cumsum(rng.integers(1, 900, FIXES))


def by_meos(places, time_s, shape):
    """(k, 2) seconds: when MEOS says that the track is inside; moments left out."""
    instants = ", ".join(
        f"Point({x!r} {y!r})@{START + timedelta(seconds=int(t))}"
        for (x, y), t in zip(places.tolist(), time_s, strict=True)
    )
    inside = pymeos.TGeomPointSeq(f"[{instants}]").at(shape)
    spans = [] if inside is None else [(s.lower(), s.upper()) for s in inside.time().spans()]
    seconds = [((a - START).total_seconds(), (b - START).total_seconds()) for a, b in spans]
    return np.array([s for s in seconds if s[1] - s[0] > TOLERANCE_S]).reshape(-1, 2)


def by_index(index, zone, places, time_s):
    """(k, 2) seconds: when the index says so, fixes located, segments crossed."""
    body = np.zeros(len(places) - 1, np.int8)
    said = index.crossings(body, *places[:-1].T, *places[1:].T)
    of_zone = np.flatnonzero(said.zone[said.pair] == zone)
    met = said.segment[said.zone == zone]
    hits = index.locate(body, *places[:-1].T)
    whole = np.setdiff1d(hits.row[hits.zone == zone], met)
    segment = np.concatenate((said.segment[said.pair[of_zone]], whole))
    begin = np.concatenate((said.begin[of_zone], np.zeros(len(whole))))
    end = np.concatenate((said.end[of_zone], np.ones(len(whole))))
    order = np.lexsort((begin, segment))
    share = np.stack((begin, end), -1)[order]
    spans = time_s[segment[order]][:, None] + share * np.diff(time_s)[segment[order]][:, None]
    joined = []
    for a, b in spans.tolist():
        goes_on = joined and a - joined[-1][1] < 1e-9
        joined.append((joined.pop()[0] if goes_on else a, b))
    return np.array([s for s in joined if s[1] - s[0] > TOLERANCE_S]).reshape(-1, 2)


def valid_polygons(rng):
    """Polygons of both zones, drawn again until they are valid: MEOS ends the process else."""
    while True:
        polygons = zone_polygons(rng)
        shapes = [shapely.MultiPolygon([(r[0], r[1:]) for r in zone]) for zone in polygons]
        if all(map(shapely.is_valid, shapes)):
            return polygons, shapes


@pytest.mark.parametrize("seed", range(40))
def test_times_of_entry_and_exit_are_those_of_meos(seed):
    rng = np.random.default_rng(seed)
    polygons, shapes = valid_polygons(rng)
    places, time_s = random_track(rng)
    expected = [by_meos(places, time_s, shape) for shape in shapes]
    assert sum(map(len, expected)) > 10
    # MEOS knows no globe: it answers for the plane, the index also across the antimeridian.
    for east in (0.0, 180.0, -180.0):
        moved = [[[np.add(r, (east, 0)) for r in rings] for rings in zone] for zone in polygons]
        index = ZoneIndex([Zone(id=f"z{i}", geometry=Area(zone)) for i, zone in enumerate(moved)])
        track = np.column_stack(((places[:, 0] + east + 180) % 360 - 180, places[:, 1]))
        for zone, spans in enumerate(expected):
            said = by_index(index, zone, track, time_s)
            assert said.shape == spans.shape
            assert np.abs(said - spans).max(initial=0) < TOLERANCE_S
