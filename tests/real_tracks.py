"""Real tracks and real zones of the outside data, read without farwatch."""

import csv
import gzip
import itertools
import json
import struct
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import shapely
import shapely.affinity
from shapely.geometry import mapping, shape

from tests.by_hand import Row, Zone


def sanctuaries(data: Path) -> list[Zone]:
    """The sanctuaries of NOAA, each one zone."""
    found = []
    for path in sorted((data / "marine-protected-areas/noaa_sanctuaries").glob("*.geojson.gz")):
        feature = json.loads(gzip.decompress(path.read_bytes()))
        area = shape(feature["geometry"]).buffer(0)
        found.append(Zone(path.name.partition(".")[0], "mpa", area, None, None))
    return _prepared(found)


def mining_areas(data: Path) -> list[Zone]:
    """The areas of the International Seabed Authority, each record of the shapefile one zone."""
    body = next((data / "isa-mining-areas").glob("*.shp")).read_bytes()
    # ESRI Shapefile Technical Description (1998): a header of 100 bytes, then records of number and
    # length in 16-bit words (big-endian) and a polygon: type, box, parts, points (little-endian).
    found, at = [], 100
    while at < len(body):
        number, words = struct.unpack_from(">2i", body, at)
        parts, points = struct.unpack_from("<2i", body, at + 44)
        starts = [*struct.unpack_from(f"<{parts}i", body, at + 52), points]
        numbers = struct.unpack_from(f"<{2 * points}d", body, at + 52 + 4 * parts)
        vertices = list(zip(numbers[::2], numbers[1::2], strict=True))
        rings = [shapely.Polygon(vertices[a:b]) for a, b in itertools.pairwise(starts)]
        # Holes turn the other way round; even-odd gives the same area.
        area = shapely.Polygon()
        for ring in rings:
            area = area.symmetric_difference(ring.buffer(0))
        found.append(Zone(f"isa-{number}", "isa", area, None, None))
        at += 8 + 2 * words
    return _prepared(found)


def drawn_on_mars(data: Path) -> list[Zone]:
    """The polygons that operators drew by hand near Curiosity's traverse."""
    found = []
    for name in ("polygon.geojson", "S1_speDrawings.geojson"):
        features = json.loads((data / "mars-mmgis-layers" / name).read_text())["features"]
        for number, feature in enumerate(features):
            geometry = feature["geometry"]
            if geometry["type"] == "Polygon" and geometry["coordinates"]:
                area = shapely.force_2d(shape(geometry))
                found.append(Zone(f"{name[:2]}-{number}", "drawn", area, None, None))
    return found


def moved_onto(zones: list[Zone], rows: list[Row]) -> list[Zone]:
    """The zones, each moved so that its middle lies on one of the fixes, spread over the rows."""
    moved = []
    for number, zone in enumerate(zones):
        fix = rows[(2 * number + 1) * len(rows) // (2 * len(zones))]
        middle = zone.area.representative_point()
        by = fix.longitude - middle.x, fix.latitude - middle.y
        moved.append(replace(zone, area=shapely.affinity.translate(zone.area, *by)))
    return _prepared(moved)


def fitted_to(zones: list[Zone], rows: list[Row], share: float = 0.3) -> list[Zone]:
    """As ``moved_onto``, each zone shrunk to a share of the stretch that the rows cover."""
    west, south, east, north = shapely.total_bounds(
        shapely.points([(row.longitude, row.latitude) for row in rows])
    )
    fitted = []
    for zone in zones:
        left, bottom, right, top = zone.area.bounds
        by = share * max(east - west, north - south) / max(right - left, top - bottom)
        fitted.append(replace(zone, area=shapely.affinity.scale(zone.area, by, by)))
    return moved_onto(fitted, rows)


def as_geojson(zones: list[Zone], **properties: object) -> str:
    """The zones as farwatch reads them."""
    features = [
        {
            "type": "Feature",
            "id": zone.id,
            "properties": {
                "kind": zone.kind,
                **({} if zone.low is None else {"min_depth_m": zone.low}),
                **({} if zone.high is None else {"max_depth_m": zone.high}),
                **properties,
            },
            "geometry": mapping(zone.area),
        }
        for zone in zones
    ]
    return json.dumps({"type": "FeatureCollection", "features": features})


def flights(data: Path) -> Iterator[Row]:
    """Flights over the United States."""
    lines = _lines(data / "fleet-trips/us_flights_sample.csv.gz")
    for cells in csv.reader(line for line in lines if not line.startswith("#")):
        time = _utc(cells[1], "%Y-%m-%d %H:%M:%S")
        if cells[3]:  # A few lines have a cell too many.
            yield Row(cells[0], time, float(cells[2]), float(cells[3]))


def vessels(data: Path) -> Iterator[Row]:
    """AIS off Virginia Beach: a line a trip, from the 11th cell on four cells a fix."""
    path = data / "ais-marinecadastre/VirginiaBeach_2020_06_04_to_06_filtered.traj.gz"
    for line in _lines(path):
        cells = line.split(",")
        for at in range(cells.index("*P*") + 6, len(cells) - 3, 4):
            time = _utc(cells[at + 1], "%Y-%m-%d %H:%M:%S")
            yield Row(cells[at], time, float(cells[at + 2]), float(cells[at + 3]))


def harbour(data: Path) -> Iterator[Row]:
    """AIS in New York harbour, an hour."""
    path = data / "ais-marinecadastre/NYHarbor_2020_06_30_first_hour.csv.gz"
    for cells in csv.DictReader(_lines(path)):
        time = _utc(cells["BaseDateTime"], "%Y-%m-%dT%H:%M:%S")
        yield Row(cells["MMSI"], time, float(cells["LON"]), float(cells["LAT"]))


def remus(data: Path) -> Iterator[Row]:
    """A REMUS 600: all its messages that have a position of double precision and a depth."""
    text = (data / "auv-ooi-remus600/AUV_subset_reduced.csv").read_text("latin-1")
    names: list[str] = []
    for cells in csv.reader(text.splitlines()):
        if cells[0].startswith("Message Id"):
            names = cells
            continue
        of = dict(zip(names, cells, strict=False))
        place = of.get("Longitude[double|\xb0]"), of.get("Latitude[double|\xb0]")
        depth, time = of.get("Depth[float|Meters]"), of.get("Timestamp[unsigned long|epoch]")
        # Before the clock is set the time of day stands for the time.
        if all(place) and depth and time and float(time) > 1e9:
            yield Row("remus", float(time), float(place[0]), float(place[1]), float(depth))


def seaexplorer(data: Path) -> Iterator[Row]:
    """A SeaExplorer's dives, a record every ten seconds or more with the depth."""
    for path in sorted((data / "seaexplorer-cproof/realtime_raw").glob("*.gli.sub.*.gz")):
        for cells in csv.DictReader(_lines(path), delimiter=";"):
            time = _utc(cells["Timestamp"], "%d/%m/%Y %H:%M:%S")
            place = (_degrees(float(cells[name])) for name in ("Lon", "Lat"))
            yield Row("sea035", time, *place, float(cells["Depth"]))


def slocum(data: Path) -> Iterator[Row]:
    """Slocum gliders, where GPS gave a fix; degrees and minutes are one number."""
    for path in (
        *(data / "slocum-usf-bass").glob("*.gz"),
        *(data / "slocum-ooi-mrg").glob("*.mrg*"),
    ):
        lines = _lines(path) if path.suffix == ".gz" else path.read_text().splitlines()
        at = next(i for i, line in enumerate(lines) if "m_present_time" in line)
        names = lines[at].split()
        for line in lines[at + 3 :]:
            cells = dict(zip(names, map(float, line.split()), strict=True))
            place = cells["m_gps_lon"], cells["m_gps_lat"]
            if all(abs(number) < 18_000 for number in place):
                vehicle = "_".join(path.name.split("_")[:2])
                yield Row(vehicle, cells["m_present_time"], *map(_degrees, place))


def icebergs(data: Path) -> Iterator[Row]:
    """Icebergs, a fix a day of the first sensor that has one; longitudes from 0 to 360."""
    for path in sorted((data / "iceberg-antimeridian-tracks").glob("*.csv.gz")):
        for cells in csv.DictReader(_lines(path)):
            sensors = [name[:-2] for name in cells if name.endswith("_3")]
            fixes = [(float(cells[f"{s}_2"]), float(cells[f"{s}_1"])) for s in sensors]
            seen = [fix for fix in fixes if fix != (0.0, 0.0)]
            if seen:
                time = _utc(cells["date"], "%Y%j")
                yield Row(path.name.partition(".")[0], time, seen[0][0] % 360, seen[0][1])


def curiosity(data: Path) -> Iterator[Row]:
    """Curiosity's drives, vertex by vertex, a minute each: the file has no times."""
    drives = json.loads(
        gzip.decompress((data / "msl-traverse/MSL_traverse_0000-0849.json.gz").read_bytes())
    )
    minute = 0
    for drive in drives["features"]:
        for vertex in shapely.get_coordinates(shape(drive["geometry"])).tolist():
            yield Row("curiosity", 60.0 * minute, *vertex)
            minute += 1


def _prepared(zones: list[Zone]) -> list[Zone]:
    shapely.prepare([zone.area for zone in zones])
    return zones


def _lines(path: Path) -> list[str]:
    return gzip.decompress(path.read_bytes()).decode(errors="replace").splitlines()


def _utc(text: str, form: str) -> float:
    return datetime.strptime(text, form).replace(tzinfo=UTC).timestamp()


def _degrees(number: float) -> float:
    """Degrees of DDMM.mmmm."""
    whole = int(number / 100)
    return whole + (number - 100 * whole) / 60
