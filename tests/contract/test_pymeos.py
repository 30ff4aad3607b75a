"""Entry and exit times on random tracks, held against those of MEOS (MobilityDB's library)."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import shapely

from rules.assessment import Assessor, KeyGroups
from rules.legs import Limits
from rules.memory import Memory
from rules.registry import Registry
from rules.stages import Judges, run
from rules.zone_index import ZoneIndex
from schemas.geojson import Area
from schemas.zone import Zone
from schemas.zone_file import load_zones
from tests.frames import frame_of

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


def test_boxes_with_a_band_of_depths_are_entered_and_left_when_meos_says():
    rng = np.random.default_rng(7)
    low, high = np.array((-0.5, -0.6, 20.0)), np.array((0.4, 0.7, 90.0))
    (west, south, least), (east, north, most) = low.tolist(), high.tolist()
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    feature = {
        "type": "Feature",
        "id": "box",
        "properties": {"min_depth_m": least, "max_depth_m": most},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }
    document = json.dumps({"type": "FeatureCollection", "features": [feature]})
    registry = Registry.of(load_zones(document.encode(), "zones"), ())
    compared = 0
    for _ in range(60):
        time_s = np.cumsum(rng.integers(1, 900, FIXES))
        places = np.round(rng.uniform((-1, -1, 0), (1, 1, 120), (FIXES, 3)), 6)
        instants = ", ".join(
            f"Point Z({x!r} {y!r} {z!r})@{START + timedelta(seconds=int(t))}"
            for (x, y, z), t in zip(places.tolist(), time_s, strict=True)
        )
        box = pymeos.STBox(f"STBOX Z(({west},{south},{least}),({east},{north},{most}))")
        inside = pymeos.TGeomPointSeq(f"[{instants}]").at(box)
        spans = [] if inside is None else [(s.lower(), s.upper()) for s in inside.time().spans()]
        expected = [(t - START).total_seconds() for span in spans for t in span]
        said = crossing_times(registry, places, time_s)
        if expected and expected[-1] == time_s[-1]:
            expected.pop()  # The track ends inside: it has not left.
        assert len(said) == len(expected)
        assert np.abs(np.subtract(said, expected)).max(initial=0) < TOLERANCE_S
        compared += len(said)
    assert compared > 300


def crossing_times(registry, places, time_s):
    """Seconds at which the geofence says that the track enters or leaves, in order."""
    records = [
        {"vehicle_id": "a", "time_s": float(t), "longitude": x, "latitude": y, "depth_m": z}
        for t, (x, y, z) in zip(time_s, places.tolist(), strict=True)
    ]
    [seen] = Assessor(registry, Limits(), KeyGroups(1)).assess(frame_of(records))
    events = run(Judges(registry), Memory(), seen).zone_events
    return sorted(event.time_us / 1e6 for event in events)
