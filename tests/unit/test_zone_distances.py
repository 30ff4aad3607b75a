"""How far records are from zones: geodesic to the nearest point, whatever the zone's size."""

import numpy as np
import pytest
import shapely
from pyproj import Geod

from connectors.contract import SettingsError
from flows.steps.registry import load_registry
from rules.expressions import Columns, ExpressionError, ZoneTable, compile_expression
from rules.nearest import Nearest
from schemas.zone_file import load_zones
from tests.frames import frame_of

ZONES = load_zones(
    b"""{"type": "FeatureCollection", "features": [
{"type": "Feature", "id": "box", "properties": {"effective_from": "1970-01-01T00:00:10Z"},
 "geometry": {"type": "Polygon", "coordinates": [[[0,0],[4,0],[4,4],[0,4],[0,0]]]}},
{"type": "Feature", "id": "red", "properties": {"body": "mars"},
 "geometry": {"type": "Polygon", "coordinates": [[[0,0],[4,0],[4,4],[0,4],[0,0]]]}},
{"type": "Feature", "id": "dateline",
 "geometry": {"type": "Polygon", "coordinates": [[[179,0],[181,0],[181,2],[179,2],[179,0]]]}}]}""",
    "zones",
)
TABLE = ZoneTable(ZONES)


def wavy(edges: int, longitude: float, latitude: float) -> shapely.Geometry:
    """A zone with a long coast, about a degree wide."""
    turn = np.linspace(0, 2 * np.pi, edges + 1)[:-1]
    radius = 1 + 0.1 * np.sin(30 * turn)
    x, y = longitude + radius * np.cos(turn), latitude + radius * np.sin(turn)
    return shapely.Polygon(np.stack([x, y], axis=1))


def brute(shape: shapely.Geometry, longitude: float, latitude: float) -> float:
    """Distance to points some metres apart all along the edges."""
    if shapely.intersects_xy(shape, longitude, latitude):
        return 0.0
    lonlat = shapely.get_coordinates(shapely.segmentize(shape, 0.0002))
    here = np.full(len(lonlat), longitude), np.full(len(lonlat), latitude)
    return float(Geod(ellps="WGS84").inv(*here, lonlat[:, 0], lonlat[:, 1])[2].min())


@pytest.mark.parametrize(
    "shape", [wavy(3_000, 10, 45), wavy(90, -60, -70), shapely.box(3, 4, 9, 8)]
)
def test_the_tree_finds_the_nearest_point_of_all_edges(shape):
    rng = np.random.default_rng(3)
    middle = shapely.get_coordinates(shape.centroid)[0]
    spread = np.repeat([0.5, 3.0, 60.0], 8)
    lon = middle[0] + rng.uniform(-1, 1, 24) * spread
    lat = np.clip(middle[1] + rng.uniform(-1, 1, 24) * spread, -89, 89)
    found = Nearest(0, shape).distance_m(lon, lat)
    wanted = [brute(shape, *place) for place in zip(lon.tolist(), lat.tolist(), strict=True)]
    # The brute search stops up to 11 m of an edge's way short of the nearest point.
    assert (
        found == pytest.approx(wanted, rel=1e-4, abs=0.05)
        or (np.abs(found - wanted) <= 11.0**2 / np.maximum(2.0 * found, 11.0) + 1e-4 * found).all()
    )


@pytest.mark.parametrize("below_m", [0.0, 800.0, 90_000.0])
def test_what_is_held_against_a_limit_is_exact_up_to_it(below_m):
    rng = np.random.default_rng(4)
    lon, lat = 10 + rng.uniform(-3, 3, 400), 45 + rng.uniform(-3, 3, 400)
    nearest = Nearest(0, wavy(2_000, 10, 45))
    exact, rough = nearest.distance_m(lon, lat), nearest.distance_m(lon, lat, exact_below_m=below_m)
    inside = exact <= below_m
    assert inside.any()
    assert (rough[inside] == exact[inside]).all()
    assert (rough[~inside] > below_m).all()
    assert (rough <= exact + 1.0).all()


def test_each_position_is_answered_alike_alone_and_among_others():
    rng = np.random.default_rng(5)
    lon, lat = 10 + rng.uniform(-9, 9, 60), 45 + rng.uniform(-9, 9, 60)
    nearest = Nearest(0, wavy(2_000, 10, 45))
    alone = [nearest.distance_m(lon[i : i + 1], lat[i : i + 1])[0] for i in range(60)]
    assert nearest.distance_m(lon, lat).tolist() == alone


def records(*places, **fields):
    return frame_of(
        [
            {"vehicle_id": "a", "time_s": 20.0, "longitude": x, "latitude": y, **fields}
            for x, y in places
        ]
    )


def judged(text, frame):
    return compile_expression(text).judge(Columns.of_records(frame, None, TABLE.distances)).tolist()


def test_rules_ask_for_the_distance_to_a_zone_by_its_id():
    frame = records((1.0, 1.0), (4.001, 1.0), (4.1, 1.0), (90.0, 1.0), (None, None))
    assert judged('distance_to("box") < 500.0', frame) == [1, 1, 0, 0, 2]
    assert judged('500 < distance_to("box")', frame) == [0, 0, 1, 1, 2]
    assert judged('distance_to("box") == 0.0', frame) == [1, 0, 0, 0, 2]
    assert judged('distance_to("box") > 1e6 || depth_m > 1.0', frame) == [2, 2, 2, 1, 2]
    assert judged('distance_to("dateline") < 1000.0', records((-179.0, 1.0), (-178.9, 1.0))) == [
        *(1, 0)
    ]


def test_a_distance_is_unknown_on_another_body_and_while_the_zone_is_not_in_force():
    assert judged('distance_to("red") < 1.0', records((1.0, 1.0))) == [2]
    assert judged('distance_to("red") < 1.0', records((1.0, 1.0), body="mars")) == [1]
    assert judged('distance_to("box") < 1.0', records((1.0, 1.0), time_s=9.0)) == [2]


def test_the_decision_record_tells_the_exact_distance():
    frame = records((4.001, 1.0))
    found = compile_expression('distance_to("box") < 500.0').explain(
        Columns.of_records(frame, None, TABLE.distances), 0
    )
    assert found.inputs == {'distance_to("box")': pytest.approx(111.3026, abs=1e-3)}
    assert found.limit == 500.0
    assert found.margin == pytest.approx(388.6974, abs=1e-3)


def test_the_zone_a_rule_is_about_has_a_distance_too():
    frame = records((4.001, 1.0), (1.0, 1.0))
    condition = compile_expression("distance_to(zone) > 100.0")
    assert condition.uses_zone
    columns = Columns.of_visits(frame, np.arange(2), TABLE, np.array([0, 0]))
    assert condition.judge(columns).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("distance_to(status) > 1.0", 13, "takes the id of a zone, not `status`"),
        ("distance_to(3) > 1.0", 12, "`distance_to` does not take (int)"),
    ],
)
def test_a_distance_to_what_is_no_zone_is_refused(text, column, message):
    with pytest.raises(ExpressionError) as caught:
        compile_expression(text)
    assert message in str(caught.value)
    assert caught.value.column == column


def test_a_zone_that_is_not_there_is_told_before_the_flow_starts(tmp_path):
    (tmp_path / "zones.geojson").write_text(
        '{"type": "FeatureCollection", "features": [{"type": "Feature", "id": "apei-4", "geometry":'
        ' {"type": "Polygon", "coordinates": [[[0,0],[4,0],[4,4],[0,4],[0,0]]]}}]}'
    )
    (tmp_path / "rules.yaml").write_text(
        """- {id: near, when: 'distance_to("apei-5") < 500.0', severity: info}\n"""
    )
    with pytest.raises(SettingsError) as caught:
        load_registry(f"file:{tmp_path}/zones.geojson", f"file:{tmp_path}/rules.yaml")
    assert str(caught.value) == (
        f'{tmp_path}/rules.yaml:1:1: rule "near": there is no zone `apei-5`: did you mean `apei-4`?'
    )
