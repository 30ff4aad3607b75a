"""Zones and zone files: what is read, and how each mistake is told."""

import json

import pytest
from pydantic import ValidationError

from schemas.geojson import Area
from schemas.zone import Zone
from schemas.zone_file import ZoneFileError, load_zones

SQUARE = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]]}


def feature(**given):
    return {"type": "Feature", "id": "a", "properties": {}, "geometry": SQUARE} | given


def text(*features):
    """A zone file with one line a feature, the first in line 2."""
    lines = ",\n".join(map(json.dumps, features))
    return f'{{"type": "FeatureCollection", "features": [\n{lines}\n]}}'.encode()


def mistakes(data):
    with pytest.raises(ZoneFileError) as caught:
        load_zones(data, "z.geojson")
    assert str(caught.value) == "\n".join(caught.value.mistakes)
    return caught.value.mistakes


def test_every_property_of_a_zone_is_read():
    properties = {
        "name": "APEI 6", "kind": "apei", "body": "mars", "min_depth_m": 10, "max_depth_m": 20.5,
        "min_altitude_m": -1, "max_altitude_m": 1, "effective_from": "2026-01-01T00:00:00Z",
        "effective_to": "2026-01-01T02:00:00.000001+01:00", "exit_buffer_m": 5, "min_inside_s": 60,
        "min_outside_s": 61, "max_dwell_s": 62, "approach_s": 63, "max_gap_s": 64, "version": 3,
        "min_height_m": 1.5, "max_height_m": 2, "accuracy_cap_m": 4, "dwell_window_s": 65,
        "repair": True,
        "area_km2": 160000, "contractor": "nobody", "closed": False, "none": None, "list": [1],
    }  # fmt: skip
    (zone,) = load_zones(text(feature(properties=properties)), "z")
    assert (zone.id, zone.name, zone.kind) == ("a", "APEI 6", "apei")
    assert (zone.body, zone.version) == ("mars", 3)
    assert (zone.min_depth_m, zone.max_depth_m) == (10.0, 20.5)
    assert (zone.min_altitude_m, zone.max_altitude_m) == (-1.0, 1.0)
    assert (zone.exit_buffer_m, zone.min_inside_s, zone.min_outside_s) == (5.0, 60.0, 61.0)
    assert (zone.max_dwell_s, zone.approach_s, zone.max_gap_s) == (62.0, 63.0, 64.0)
    assert (zone.min_height_m, zone.max_height_m, zone.accuracy_cap_m) == (1.5, 2.0, 4.0)
    assert (zone.dwell_window_s, zone.repair) == (65.0, True)
    assert zone.effective_from_us == 1_767_225_600_000_000
    assert zone.effective_to_us == 1_767_225_600_000_000 + 3_600_000_001
    assert zone.properties == {"area_km2": 160000, "contractor": "nobody", "closed": False}
    assert zone.geometry == Area([SQUARE["coordinates"]])
    assert zone.line == 2


def test_what_a_zone_leaves_out_is_absent():
    (zone,) = load_zones(text(feature(id=7, properties=None)), "z")
    assert (zone.id, zone.name, zone.kind, zone.body, zone.version) == ("7", "7", "", "earth", 1)
    assert (
        zone.min_depth_m is zone.max_altitude_m is zone.effective_from_us is zone.max_gap_s is None
    )


def test_a_zone_written_as_a_feature_reads_back_equal():
    properties = {"kind": "mpa", "max_depth_m": 3, "effective_to": "2026-01-01T00:00:00Z", "n": 1}
    areas = {"type": "MultiPolygon", "coordinates": [SQUARE["coordinates"]] * 2}
    zones = load_zones(text(feature(properties=properties, geometry=areas)), "z")
    assert load_zones(text(*(zone.feature() for zone in zones)), "z") == zones


def test_heights_of_positions_are_dropped_even_where_only_some_have_one():
    ring = [[0, 0, 5], [1, 0], [1, 1, 7], [0, 0]]
    polygon = {"type": "Polygon", "coordinates": [ring]}
    (zone,) = load_zones(text(feature(geometry=polygon)), "z")
    assert zone.geometry.coordinates() == [[[[0, 0], [1, 0], [1, 1], [0, 0]]]]


def test_a_byte_order_mark_is_no_mistake():
    assert load_zones(b"\xef\xbb\xbf" + text(feature()), "z")[0].line == 2


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "z.geojson:1: the file is empty"),
        (b" \n ", "z.geojson:1: the file is empty"),
        (b'{"type":\n"FeatureCollection", "features": [{"a":\nNaN}]}', "z.geojson:3: not JSON"),
        (b'{"type": "FeatureCollection",\n"features": [{"type": "Fea', "z.geojson:2: not JSON"),
        (b'{"features": ' + b"[" * 100_000, "z.geojson:1: not JSON"),
        (b'{"type":\n"\xff"}', "z.geojson:2: a byte is not UTF-8"),
        (b"[1, 2]", "z.geojson:1: not a GeoJSON FeatureCollection"),
        (json.dumps(feature()).encode(), "its `type` is 'Feature'"),
        (b'{"type": "FeatureCollection", "features": []}', "holds no features"),
        (b'{"type": "FeatureCollection"}', "holds no features"),
    ],
)
def test_a_file_that_is_no_collection_is_one_mistake_with_its_line(data, said):
    (mistake,) = mistakes(data)
    assert said in mistake


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"id": None}, "feature: `id` is missing"),
        ({"id": 1.5}, "feature: `id` is 1.5"),
        ({"id": True}, "feature: `id` is True"),
        ({"id": ""}, 'zone "": `id` has 0 characters: give 1 to 128'),
        ({"id": "x" * 129}, "`id` has 129 characters: give 1 to 128"),
        ({"id": "a\nb"}, 'zone "a\\nb": `id` has 3 characters: give 1 to 128 printable'),
        ({"type": "Zone"}, "not a GeoJSON Feature"),
        ({"properties": [1]}, "`properties` is [1]: give an object"),
        ({"geometry": None}, "geometry is missing"),
        ({"geometry": {"type": "Point", "coordinates": [0, 0]}}, "geometry is of type 'Point'"),
        ({"geometry": {"type": "Polygon", "coordinates": 5}}, "not those of a Polygon"),
        ({"geometry": {"type": "Polygon", "coordinates": []}}, "a polygon has no ring"),
        ({"geometry": {"type": "MultiPolygon", "coordinates": []}}, "a polygon has no ring"),
        ({"geometry": {"type": "Polygon", "coordinates": [7]}}, "polygon 1, ring 1 is 7"),
        (
            {"geometry": {"type": "Polygon", "coordinates": [[[0, 0], ["1", 0]]]}},
            "polygon 1, ring 1, position 2 is ['1', 0]: give [longitude, latitude]",
        ),
        (
            {"geometry": {"type": "MultiPolygon", "coordinates": [[[[0, 0], [1]]]]}},
            "polygon 1, ring 1, position 2 is [1]",
        ),
    ],
)
def test_a_broken_feature_is_a_mistake_of_its_line(given, said):
    (mistake,) = mistakes(text(feature(id="good"), feature(**given)))
    assert mistake.startswith("z.geojson:3: ")
    assert said in mistake


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        ({"body": "pluto"}, "`body` is 'pluto': input should be 'earth', 'mars' or 'moon'"),
        ({"min_depth_m": "10"}, "`min_depth_m` is '10': input should be a valid number"),
        ({"min_depth_m": 2, "max_depth_m": 1}, "`max_depth_m` is 1: `min_depth_m` 2.0 is above"),
        ({"min_altitude_m": 2, "max_altitude_m": 1}, "`max_altitude_m` is 1: `min_altitude_m`"),
        ({"exit_buffer_m": -1}, "`exit_buffer_m` is -1"),
        ({"exit_buffer_m": 2e6}, "`exit_buffer_m` is 2000000.0"),
        ({"min_height_m": -1}, "`min_height_m` is -1"),
        ({"min_height_m": 3, "max_height_m": 2}, "`min_height_m` 3.0 is above it"),
        ({"vertical": "geoid"}, "`vertical` is 'geoid': input should be 'surface', 'bottom'"),
        ({"vertical": "areoid"}, "measured from it on earth: give bottom or ellipsoid or surface"),
        ({"vertical": "bottom", "max_depth_m": 2}, "are measured from the surface on earth"),
        ({"body": "mars", "vertical": "areoid", "max_depth_m": 2}, "are measured nowhere on mars"),
        ({"max_dwell_s": 0}, "`max_dwell_s` is 0"),
        ({"version": 0}, "`version` is 0"),
        ({"version": True}, "`version` is True"),
        ({"name": 5}, "`name` is 5: input should be a valid string"),
        ({"effective_from": "2026-01-01"}, "`effective_from` is '2026-01-01': give a time of RFC"),
        ({"effective_from": "2026-01-01T00:00:00"}, "give a time of RFC 3339 with its zone"),
        ({"effective_from": "2026-02-30T00:00:00Z"}, "no such time"),
        (
            {"effective_from": "2026-01-02T00:00:00Z", "effective_to": "2026-01-02T00:00:00Z"},
            "it is not after `effective_from` 2026-01-02",
        ),
        ({"min_deph_m": 3}, "property `min_deph_m` is not known: did you mean `min_depth_m`?"),
        ({"Kind": "apei"}, "property `Kind` is not known: did you mean `kind`?"),
    ],
)
def test_a_wrong_property_is_a_mistake_that_names_it(properties, said):
    (mistake,) = mistakes(text(feature(properties=properties)))
    assert mistake.startswith('z.geojson:2: zone "a": ')
    assert said in mistake


def test_a_mistake_names_the_line_of_its_property():
    data = json.dumps(
        {"type": "FeatureCollection", "features": [feature(properties={"version": 0})]}, indent=1
    ).encode()
    (mistake,) = mistakes(data)
    line = int(mistake.split(":")[1])
    assert b'"version": 0' in data.splitlines()[line - 1]


def test_a_property_near_a_known_one_that_is_given_too_is_kept():
    (zone,) = load_zones(text(feature(properties={"name": "b", "NAME": "B"})), "z")
    assert (zone.name, zone.properties) == ("b", {"NAME": "B"})


def test_every_mistake_of_a_file_is_told():
    found = mistakes(
        text(
            feature(id="a", properties={"body": "pluto", "version": 0, "knd": "x"}),
            feature(id="b"),
            feature(id="b"),
            feature(id="b", properties={"version": 2}),
            feature(id=None, geometry=None),
        )
    )
    assert [mistake.split(":")[1] for mistake in found] == ["2", "2", "2", "4", "6", "6"]
    assert "version 1 is also in line 3: give another id or a higher version" in found[3]


@pytest.mark.parametrize("name", ["min_depth_m", "max_gap_s", "exit_buffer_m"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_refused(name, value):
    with pytest.raises(ValidationError):
        Zone.model_validate({"id": "a", "geometry": SQUARE, name: value})


def test_a_number_too_large_for_a_float_is_a_mistake_of_its_feature():
    data = text(feature(properties={"max_depth_m": 1})).replace(b'_m": 1', b'_m": 1e999')
    assert mistakes(data)[0].startswith("z.geojson:2: feature: Number out of range")


def test_a_zone_cannot_be_changed_through_its_arrays():
    (zone,) = load_zones(text(feature()), "z")
    with pytest.raises(ValueError, match="read-only"):
        zone.geometry.polygons[0][0][0, 0] = 5.0


def test_the_json_of_a_zone_holds_its_geometry_as_geojson():
    (zone,) = load_zones(text(feature()), "z")
    assert json.loads(zone.model_dump_json())["geometry"] == SQUARE
    assert Zone.model_json_schema()["properties"]["geometry"]["required"] == ["type", "coordinates"]
