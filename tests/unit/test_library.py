"""The shipped zones and rules: well formed, sourced, and true to the published areas."""

import json
import struct
from pathlib import Path

import pytest
import shapely
import yaml
from pyproj import Geod
from shapely.geometry import Polygon, shape

from rules.expressions import FALSE, TRUE
from rules.geofence import Fences
from rules.rulebook import RuleBook
from rules.rulesets import load_rules
from schemas.decoding import TelemetryDecoder
from schemas.message import Message
from schemas.zone_file import load_zones

LIBRARY = Path(__file__).resolve().parents[2] / "rules" / "library"
PLACES = ("ccz", "jezero", "new-york", "pioneer")
ZONE_FILES = tuple(f"{place}.geojson" for place in PLACES)
# Rules for any zones of their kinds; see test_library_examples.py.
SETS = ("isa-mining", "marine-protected-areas", "auv-safety", "rover-safety", "vessel-speed")
RULE_FILES = tuple(f"{name}.yaml" for name in (*PLACES, *SETS))
TRIGGER_FILES = ("triggers-auv.yaml", "triggers-rover.yaml")  # see test_planning.py
RULE_KEYS = {
    "id",
    "when",
    "for",
    "severity",
    "scope",
    "message",
    "source",
    "effective_from",
    "mode",
    "labels",
    "alarm",
    "schedule",
    "stale_after",
    *("count", "within", "then", "clear_when", "keep_firing_for", "once_per_visit", "absent_for"),
}
SHAPES = "isa-mining-areas/isa_claims_2018_nodules_apei_pacific_crust"


def features(name: str) -> list[dict]:
    return json.loads((LIBRARY / name).read_bytes())["features"]


def rules(name: str) -> list[dict]:
    return yaml.safe_load((LIBRARY / name).read_bytes())


def test_every_file_of_the_library_is_checked_here() -> None:
    there = {path.name for path in LIBRARY.iterdir() if path.is_file()}
    assert there == {*ZONE_FILES, *RULE_FILES, *TRIGGER_FILES, "README.md"}


def test_ids_are_unique_across_all_files() -> None:
    zone_ids = [feature["id"] for name in ZONE_FILES for feature in features(name)]
    rule_ids = [rule["id"] for name in RULE_FILES for rule in rules(name)]
    assert len(zone_ids) == len(set(zone_ids))
    assert len(rule_ids) == len(set(rule_ids))


@pytest.mark.parametrize("name", ZONE_FILES)
def test_each_zone_names_its_source_and_is_a_valid_polygon_wound_as_rfc_7946_says(
    name: str,
) -> None:
    for feature in features(name):
        polygon = shape(feature["geometry"])
        assert feature["properties"]["source"].strip(), feature["id"]
        assert polygon.is_valid, feature["id"]
        assert polygon.exterior.is_ccw, feature["id"]


@pytest.mark.parametrize("name", RULE_FILES)
def test_each_rule_names_its_source_and_uses_known_keys(name: str) -> None:
    for rule in rules(name):
        assert rule["source"].strip(), rule["id"]
        assert set(rule) <= RULE_KEYS, rule["id"]


def test_rules_of_every_sort_are_there() -> None:
    every = [rule for name in RULE_FILES for rule in rules(name)]
    assert {rule["severity"] for rule in every} == {"info", "warning", "critical", "emergency"}
    assert any("for" in rule for rule in every)
    assert any(rule.get("mode") == "shadow" for rule in every)


@pytest.mark.parametrize("place", PLACES)
def test_a_rule_scoped_to_a_kind_of_zone_finds_such_a_zone_at_its_place(place: str) -> None:
    kinds = {feature["properties"]["kind"] for feature in features(f"{place}.geojson")}
    scoped = [rule for rule in rules(f"{place}.yaml") if "zones" in rule["scope"]]
    assert scoped
    for rule in scoped:
        assert set(rule["scope"]["zones"]["kind"]) <= kinds, rule["id"]


@pytest.mark.parametrize("name", ZONE_FILES)
def test_the_zone_loader_takes_the_file(name: str) -> None:
    zones = load_zones((LIBRARY / name).read_bytes(), name)
    assert [zone.id for zone in zones] == [feature["id"] for feature in features(name)]


@pytest.mark.parametrize("name", RULE_FILES)
def test_the_rule_loader_takes_the_file(name: str) -> None:
    loaded = load_rules((LIBRARY / name).read_bytes(), name)
    assert [each.rule.id for each in loaded.rules] == [rule["id"] for rule in rules(name)]


def test_rule_files_can_be_joined() -> None:
    joined = b"".join((LIBRARY / name).read_bytes() for name in RULE_FILES)
    count = sum(len(rules(name)) for name in RULE_FILES)
    assert len(load_rules(joined, "joined.yaml").rules) == count


def outline(name: str, zone_id: str) -> list[tuple[float, float]]:
    (found,) = (shape(f["geometry"]) for f in features(name) if f["id"] == zone_id)
    return list(found.exterior.coords)


def test_the_right_whale_area_keeps_20_nautical_miles_and_the_inshore_side_of_the_line() -> None:
    # 50 CFR 224.105: centre 40-29-42.2 N 073-55-57.6 W.
    longitude, latitude = -(73 + 55 / 60 + 57.6 / 3600), 40 + 29 / 60 + 42.2 / 3600
    corners = outline("new-york.geojson", "right-whale-new-york")
    away_m = [Geod(ellps="WGS84").inv(longitude, latitude, *corner)[2] for corner in corners]
    on_circle = [abs(away - 20 * 1852) < 2 for away in away_m]
    assert sum(on_circle) > 20
    assert max(away_m) < 20 * 1852 + 2
    area = Polygon(corners)
    harbour = {"Battery": (-74.02, 40.69), "Sandy Hook Bay": (-74.04, 40.44)}
    assert not [place for place, at in harbour.items() if area.covers(shapely.Point(at))]


def test_zones_about_the_moorings_reach_half_a_nautical_mile() -> None:
    moorings = [f for f in features("pioneer.geojson") if f["properties"]["kind"] == "mooring"]
    assert len(moorings) == 3
    for feature in moorings:
        corners = outline("pioneer.geojson", feature["id"])
        centre = Polygon(corners).centroid
        for corner in corners:
            away_m = Geod(ellps="WGS84").inv(centre.x, centre.y, *corner)[2]
            assert away_m == pytest.approx(926, abs=2), feature["id"]


def test_the_lanes_off_new_york_touch_the_separation_zone_between_them_and_do_not_overlap() -> None:
    separation, westbound, eastbound = (
        Polygon(outline("new-york.geojson", f"off-new-york-{part}"))
        for part in ("separation-zone", "westbound-lane", "eastbound-lane")
    )
    for lane in (westbound, eastbound):
        assert lane.touches(separation)
    assert westbound.disjoint(eastbound)
    assert westbound.centroid.y > separation.centroid.y > eastbound.centroid.y


SEASON = "2020-04-30T23:59:59Z 2020-05-01T00:00:00Z 2020-10-31T23:59:59Z 2020-11-01T00:00:00Z"


def test_exactly_one_right_whale_rule_speaks_in_each_season() -> None:
    decoded = TelemetryDecoder().decode(
        [
            Message(
                json.dumps(
                    {
                        "vessel_id": "mmsi:1",
                        "timestamp": time,
                        "longitude": -73.7,
                        "latitude": 40.4,
                        "speed_kn": 10.1,
                        "sensors": {"length_m": 19.8},
                    }
                ).encode(),
                "test",
            )
            for time in SEASON.split()
        ]
    )
    name = "new-york.geojson"
    fences = Fences(load_zones((LIBRARY / name).read_bytes(), name))
    rule_file = "new-york.yaml"
    book = RuleBook(load_rules((LIBRARY / rule_file).read_bytes(), rule_file).rules, fences)
    assert decoded.frame is not None
    presence = fences.presence(decoded.frame)
    verdicts = book.judge_stays(decoded.frame, presence.row, presence.zone)
    said = {
        book.rules[rule].rule.id: code.tolist()
        for rule, code in zip(verdicts.rule, verdicts.code, strict=True)
    }
    assert said == {
        "ny-right-whale-speed": [TRUE, FALSE, FALSE, TRUE],
        "ny-right-whale-speed-out-of-season": [FALSE, TRUE, TRUE, FALSE],
    }


def areas(folder: Path, area_type: str) -> list[Polygon]:
    """Polygons of one type in the ESRI shapefile, each part a polygon of its own."""
    table = (folder / f"{SHAPES}.dbf").read_bytes()
    count, header_length, row_length = struct.unpack_from("<IHH", table, 4)
    first = [header_length + row * row_length + 1 for row in range(count)]
    types = [table[at : at + 80].decode().strip() for at in first]  # area_type is the first field

    data = (folder / f"{SHAPES}.shp").read_bytes()
    polygons, offset = [], 100
    for row in range(count):
        (words,) = struct.unpack_from(">I", data, offset + 4)
        content, offset = offset + 8, offset + 8 + 2 * words
        if types[row] != area_type:
            continue
        parts, points = struct.unpack_from("<ii", data, content + 36)
        starts = struct.unpack_from(f"<{parts}i", data, content + 44)
        numbers = struct.unpack_from(f"<{2 * points}d", data, content + 44 + 4 * parts)
        corners = list(zip(numbers[::2], numbers[1::2], strict=True))
        for start, end in zip(starts, (*starts[1:], points), strict=True):
            polygons.append(Polygon(corners[start:end]))
    return polygons


def test_the_nine_apeis_cover_the_authoritys_shapes(outside_data: Path) -> None:
    published = areas(outside_data, "apei")
    ours = [shape(f["geometry"]) for f in features("ccz.geojson") if f["id"].startswith("apei-")]
    assert len(ours) == len(published) == 9
    for area in ours:
        alike = [p for p in published if area.intersection(p).area > 0.99 * area.union(p).area]
        assert len(alike) == 1


def test_each_contract_area_is_one_of_the_authoritys_shapes(outside_data: Path) -> None:
    published = shapely.STRtree(areas(outside_data, "claim"))
    contracts = [f for f in features("ccz.geojson") if f["properties"]["kind"] == "contract"]
    assert len(contracts) == 10
    for feature in contracts:
        area = shape(feature["geometry"])
        near = published.geometries[published.query(area)]
        assert max(shapely.area(shapely.intersection(near, area))) == pytest.approx(
            area.area, rel=0.002
        ), feature["id"]
        assert any(area.hausdorff_distance(p) < 0.002 for p in near), feature["id"]
