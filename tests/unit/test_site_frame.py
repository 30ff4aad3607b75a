"""Site frames: metres of a rover's site on its body, in zones and in columns of files."""

import json

import numpy as np
import pytest
import shapely

from connectors.readers.delimited import DelimitedReader
from connectors.readers.mapping import MappingError
from rules.nearest import distance_to_shape_m
from rules.zone_geometry import zone_shapes
from rules.zone_index import ZoneIndex
from schemas.ellipsoids import ELLIPSOIDS
from schemas.frame import BODIES
from schemas.site_frame import REACH_M, SiteFrame
from schemas.zone_file import ZoneFileError, load_zones
from tests.outside import DATA, MISSING

JEZERO = {"body": "mars", "site_longitude": 77.45088572, "site_latitude": 18.44462715}


def zones(properties, *rings):
    document = {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "id": "z",
                "properties": properties,
                "geometry": {"type": "Polygon", "coordinates": rings},
            }
        ],
    }
    return load_zones(json.dumps(document).encode(), "z.geojson")


def box(west, south, east, north):
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


def touching_plane_m(body, origin, longitude, latitude):
    """Metres east and north in the plane that touches the body at the origin, by cartesians."""
    figure = ELLIPSOIDS[body]

    def cartesian(lon, lat):
        lon, lat = np.radians(lon), np.radians(figure.of_normal(np.asarray(lat, float)))
        ratio = (figure.polar_m / figure.equatorial_m) ** 2
        n = figure.equatorial_m / np.sqrt(np.cos(lat) ** 2 + ratio * np.sin(lat) ** 2)
        return np.stack(
            [n * np.cos(lat) * np.cos(lon), n * np.cos(lat) * np.sin(lon), ratio * n * np.sin(lat)]
        )

    lon, lat = np.radians(origin[0]), np.radians(figure.of_normal(np.array(origin[1])))
    away = cartesian(longitude, latitude) - cartesian(*origin)[:, None]
    east = np.array([-np.sin(lon), np.cos(lon), 0.0])
    north = np.array([-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)])
    return east @ away, north @ away


@pytest.fixture
def waypoints():
    if DATA is None:
        pytest.skip(MISSING)
    path = DATA / "mars2020-traverse" / "M20_waypoints_tosol0401.json"
    features = json.loads(path.read_text())["features"]
    return np.array([f["geometry"]["coordinates"][:2] for f in features]).T


def read(folder, mapping, content):
    (folder / "mapping.toml").write_text(mapping)
    (folder / "data.csv").write_text(content)
    return list(DelimitedReader(folder / "mapping.toml").read(folder / "data.csv", None, 1000))


MAPPING = """
[constant]
vehicle_id = "m2020"
kind = "rover"
body = "mars"
[time]
column = "t"
format = "epoch_s"
[site]
longitude = 77.45088572
latitude = 18.44462715
east = {column = "y"}
north = {column = "x"}
"""


def test_a_drive_in_metres_comes_out_at_its_waypoints(waypoints, tmp_path):
    longitude, latitude = waypoints
    east, north = touching_plane_m("mars", (longitude[0], latitude[0]), longitude, latitude)
    assert np.hypot(east, north).max() > 1_400
    rows = [f"{i},{n:.4f},{e:.4f}" for i, (e, n) in enumerate(zip(east, north, strict=True))]
    [chunk] = read(tmp_path, MAPPING, "\n".join(["t,x,y", *rows, ""]))
    records = [json.loads(line) for line in chunk.message.body.splitlines()]
    assert [r["longitude"] for r in records] == pytest.approx(longitude, abs=1e-7)
    assert [r["latitude"] for r in records] == pytest.approx(latitude, abs=1e-7)


def test_a_zone_in_metres_holds_the_waypoints_that_lie_in_it(waypoints):
    longitude, latitude = waypoints
    east, north = touching_plane_m(
        "mars", (JEZERO["site_longitude"], JEZERO["site_latitude"]), longitude, latitude
    )
    ring = [[-400, -1_200], [600, -900], [300, 200], [-150, 100], [-400, -1_200]]
    inside = shapely.contains_xy(shapely.Polygon(ring), east, north)
    assert 10 < inside.sum() < 113
    index = ZoneIndex(zones(JEZERO, ring))
    body = np.full(len(longitude), BODIES.index("mars"), np.int8)
    assert index.locate(body, longitude, latitude).row.tolist() == np.flatnonzero(inside).tolist()


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize(("longitude", "latitude"), [(10, 0), (-60, 45), (179.999, -70), (0, 88)])
def test_a_frame_is_the_touching_plane_within_2_cm_to_10_km(body, longitude, latitude):
    rng = np.random.default_rng(2)
    given = rng.uniform(-7_000, 7_000, (2, 200))
    placed = SiteFrame(body, longitude, latitude).lonlat(*given)
    east, north = touching_plane_m(body, (longitude, latitude), *placed)
    limit_m = 0.02 * (6.4e6 / ELLIPSOIDS[body].polar_m) ** 2
    assert np.hypot(east - given[0], north - given[1]).max() < limit_m


@pytest.mark.parametrize(("longitude", "latitude"), [(77, 18), (180, -60), (20, 80), (0, -88)])
def test_the_edges_of_a_zone_are_straight_in_metres(longitude, latitude):
    site = {"body": "mars", "site_longitude": longitude, "site_latitude": latitude}
    # Two corners, and positions on the straight edges between.
    (zone,) = zones(site, box(-40_000, -30_000, 40_000, 30_000))
    [shape] = zone_shapes([zone])
    s = np.linspace(-0.99, 0.99, 101)
    for on_edge in ((40_000 * s, np.full(101, 30_000)), (np.full(101, -40_000), 30_000 * s)):
        # 6 to 8 cm out, or in.
        for outward in (1.000_002, 0.999_998):
            lon, lat = zone.site.lonlat(*(axis * outward for axis in on_edge))
            away = distance_to_shape_m(BODIES.index("mars"), shape, lon, lat)
            assert ((away > 0.04) & (away < 0.1) if outward > 1 else away == 0).all()


def test_a_zone_around_a_pole_is_drawn_in_metres_too():
    for pole in (90, -90):
        for ring in (box(-9_000, -9_000, 9_000, 9_000), box(-9_000, -9_000, 9_000, 9_000)[::-1]):
            site = {"body": "moon", "site_longitude": 0, "site_latitude": pole}
            index = ZoneIndex(zones(site, ring, box(-3_000, -3_000, 3_000, 3_000)))
            metres_per_deg = np.pi * 1_737_400 / 180
            away = np.array([0, 2_900, 3_100, 8_900, 9_100, 50_000, 5_000_000]) / metres_per_deg
            latitude = np.sign(pole) * (90 - away)
            hits = index.locate(np.full(7, BODIES.index("moon"), np.int8), np.zeros(7), latitude)
            assert hits.row.tolist() == [2, 3]


def test_a_zone_in_metres_written_as_a_feature_reads_back_equal():
    (zone,) = zones(JEZERO, box(0, 0, 100, 100))
    document = {"type": "FeatureCollection", "features": [zone.feature()]}
    assert load_zones(json.dumps(document).encode(), "z.geojson") == (zone,)


@pytest.mark.parametrize(
    ("properties", "size", "said"),
    [
        ({"site_longitude": 77}, 100, "`site_longitude` and `site_latitude`: give both"),
        ({"site_longitude": 77, "site_latitude": 91}, 100, "`site_latitude` is 91"),
        (JEZERO, REACH_M + 1, "a position is 100001 m from the site along an axis: give metres"),
    ],
)
def test_mistakes_of_a_site_are_told(properties, size, said):
    with pytest.raises(ZoneFileError) as caught:
        zones(properties, box(0, 0, size, size))
    (mistake,) = caught.value.mistakes
    assert mistake.startswith('z.geojson:1: zone "z":')
    assert said in mistake


def test_a_row_without_or_beyond_its_metres_is_told(tmp_path):
    [chunk] = read(tmp_path, MAPPING, "t,x,y\n0,,5\n1,0,0\n2,100001,0\n3,x,0\n")
    records = [json.loads(line) for line in chunk.message.body.split(b"\n") if line]
    assert ["longitude" in r for r in records] == [False, True]
    assert (records[1]["longitude"], records[1]["latitude"]) == pytest.approx(
        (77.45088572, 18.44462715), abs=1e-12
    )
    reasons = [reject.reason for reject in chunk.rejects]
    assert "x: '100001' is over 100000 m from the site" in reasons[0]
    assert len(reasons) == 2


@pytest.mark.parametrize(
    ("mapping", "says"),
    [
        (MAPPING.replace("longitude = 77.45088572\n", ""), "site.longitude: got None"),
        (MAPPING.replace("= 18.44462715", '= "18 N"'), "site.latitude: got '18 N'"),
        (MAPPING.replace('east = {column = "y"}\n', ""), "site.east.column: got None"),
        (MAPPING.replace('{column = "y"}', '{column = "y", unit = "deg"}'), "site.east.unit: got"),
        (MAPPING + "down = 3\n", "site.down: is no known key"),
        (
            MAPPING + '[fields.longitude]\ncolumn = "a"\n[fields.latitude]\ncolumn = "b"\n',
            "site: stands beside fields.longitude",
        ),
    ],
)
def test_mistakes_of_a_mapping_are_told(mapping, says, tmp_path):
    with pytest.raises(MappingError, match=says):
        read(tmp_path, mapping, "t,x,y\n")


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("latitude", [-90, -31.5, 0, 77, 90])
def test_one_position_is_placed_as_a_column_is(body, latitude):
    frame = SiteFrame(body, 123.4, latitude)
    east, north = np.random.default_rng(3).uniform(-REACH_M, REACH_M, (2, 50))
    east[0] = north[0] = 0.0
    each = [frame.position(e, n) for e, n in zip(east.tolist(), north.tolist(), strict=True)]
    assert pytest.approx(np.array(frame.lonlat(east, north)), abs=1e-12) == np.array(each).T
