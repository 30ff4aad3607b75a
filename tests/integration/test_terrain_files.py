"""Elevation models as files: GeoTIFF, raw with a world file, a descriptor; an outside oracle."""

import gzip
import json
import shutil
import subprocess

import numpy as np
import pytest
from pyproj import CRS

from connectors.contract import SettingsError
from connectors.terrain import open_terrain
from rules.terrain.ground import Ground, GroundLimits
from rules.terrain.surface import aspect_deg, gradient, slope_deg

needs_gdaldem = pytest.mark.skipif(
    shutil.which("gdaldem") is None, reason="no gdaldem: apt-get install gdal-bin"
)


def written(folder, **changed):
    """A raw model of 4 by 3 cells of big-endian int16, with the texts beside it."""
    values = np.arange(12).reshape(3, 4) * 10 - 30
    values[1, 2] = -999
    (folder / "dem.bil").write_bytes(values.astype(">i2").tobytes())
    header = {"NROWS": 3, "NCOLS": 4, "NBITS": 16, "PIXELTYPE": "SIGNEDINT", "BYTEORDER": "M"}
    header |= {"NODATA": -999} | changed
    text = "\n".join(f"{name} {value}" for name, value in header.items() if value is not None)
    (folder / "dem.hdr").write_text(text)
    (folder / "dem.blw").write_text("0.5\n0\n0\n-0.5\n10.25\n49.75\n")
    return folder / "dem.bil"


def test_a_raw_model_with_a_world_file(tmp_path):
    raster = open_terrain(written(tmp_path))
    assert raster.shape == (3, 4)
    assert raster.georeference.body == "earth"
    window = raster.read(0, 1, 2, 3)
    assert window[0].tolist() == [-20.0, -10.0, 0.0]
    assert np.isnan(window[1, 1])
    column, row = raster.georeference.pixels(np.array([10.25, 11.75]), np.array([49.75, 48.75]))
    assert (column.tolist(), row.tolist()) == ([0.0, 3.0], [0.0, 2.0])


def test_the_same_model_read_by_gdal_says_the_same(tmp_path):
    rasterio = pytest.importorskip("rasterio", reason="rasterio is an extra")
    raster = open_terrain(written(tmp_path))
    with rasterio.open(tmp_path / "dem.bil") as other:
        heights = other.read(1, masked=True).astype(float)
        np.testing.assert_array_equal(np.ma.filled(heights, np.nan), raster.read(0, 0, 3, 4))
        assert other.xy(2, 3) == (11.75, 48.75)


def test_a_raw_model_of_another_body_and_projection(tmp_path):
    path = written(tmp_path)
    moon = CRS.from_proj4("+proj=stere +lat_0=-90 +R=1737400 +units=m")
    path.with_suffix(".prj").write_text(moon.to_wkt())
    path.with_suffix(".blw").write_text("100\n0\n0\n-100\n1000\n50000\n")
    raster = open_terrain(path)
    assert raster.georeference.body == "moon"
    lon, lat = raster.georeference.positions(np.array([0.0]), np.array([0.0]))
    assert lat[0] < -88
    column, row = raster.georeference.pixels(lon, lat)
    assert (column[0], row[0]) == pytest.approx((0, 0), abs=1e-6)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda f: written(f, NROWS="x"), "its header (.hdr) has no whole number NROWS"),
        (lambda f: written(f, NROWS=4), "has 24 bytes where 4 x 4 take 32"),
        (lambda f: written(f, NBITS="many"), "its header (.hdr) has no whole number NBITS"),
        (lambda f: written(f, SKIPBYTES=-4), "its header (.hdr) has no whole number SKIPBYTES"),
        (lambda f: written(f, NODATA="none"), "its header (.hdr) has no number NODATA"),
        (lambda f: written(f, NBITS=24), "one band of 8, 16, 32 or 64 bits is read, not 24"),
        (lambda f: written(f, PIXELTYPE="COMPLEX"), "names an unknown PIXELTYPE or BYTEORDER"),
        (lambda f: (written(f), (f / "dem.blw").unlink()), "has no world file (.wld or .blw)"),
        (lambda f: (written(f), (f / "dem.blw").write_text("1 2 3")), "is not six numbers"),
        (lambda f: (written(f), (f / "dem.blw").write_text("1 1 1 1 0 0")), "all pixels one line"),
        (lambda f: (written(f), (f / "dem.blw").write_text("nan 0 0 1 0 0")), "is not finite"),
        (lambda f: (written(f), (f / "dem.prj").write_text("here")), "(.prj) cannot be read"),
        (lambda f: (written(f), (f / "dem.hdr").unlink()), "its .hdr file cannot be read"),
    ],
)
def test_a_raw_model_that_is_not_whole_is_refused_in_one_line(tmp_path, spoil, said):
    spoil(tmp_path)
    with pytest.raises(SettingsError, match=r"dem\.bil") as refused:
        open_terrain(tmp_path / "dem.bil")
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_is_no_model_is_refused_in_one_line(tmp_path):
    (tmp_path / "dem.png").write_bytes(b"")
    for path, said in (
        (tmp_path / "dem.png", "is no elevation model by its name"),
        (tmp_path / "dem.tif", "no such file"),
    ):
        with pytest.raises(SettingsError, match=said):
            open_terrain(path)
    (tmp_path / "dem.json").write_text('{"width": 1}')
    with pytest.raises(SettingsError, match=r"`width`: Input should be greater.*`height`: Field"):
        open_terrain(tmp_path / "dem.json")


def test_a_broken_geotiff_is_refused_in_one_line(tmp_path):
    pytest.importorskip("rasterio", reason="rasterio is an extra")
    (tmp_path / "dem.tif").write_bytes(b"II*\0 no tiff")
    with pytest.raises(SettingsError, match=r"dem\.tif`: is no raster"):
        open_terrain(tmp_path / "dem.tif")


def test_a_geotiff_that_lies_nowhere_is_refused(tmp_path):
    rasterio = pytest.importorskip("rasterio", reason="rasterio is an extra")
    with (
        pytest.warns(rasterio.errors.NotGeoreferencedWarning),
        rasterio.open(
            tmp_path / "dem.tif", "w", driver="GTiff", width=4, height=4, count=1, dtype="float32"
        ) as file,
    ):
        file.write(np.zeros((1, 4, 4), np.float32))
    with (
        pytest.warns(rasterio.errors.NotGeoreferencedWarning),
        pytest.raises(SettingsError, match="says not where it lies"),
    ):
        open_terrain(tmp_path / "dem.tif")


@pytest.fixture(scope="module")
def gale_file(request):
    from tests.outside import DATA, MISSING  # noqa: PLC0415

    pytest.importorskip("rasterio", reason="rasterio is an extra")
    if DATA is None:
        pytest.skip(MISSING)
    return DATA / "mars-dem" / "gale_hirise_1m_missionDEM.tif"


@needs_gdaldem
def test_slope_and_aspect_are_those_of_gdaldem(gale_file, tmp_path):
    rasterio = pytest.importorskip("rasterio", reason="rasterio is an extra")
    # gdaldem adds in single precision: at 4,500 m below the areoid that alone is 0.03 degrees.
    lifted = tmp_path / "lifted.tif"
    with rasterio.open(gale_file) as file:
        heights = file.read(1, masked=True)
        with rasterio.open(lifted, "w", **file.profile) as out:
            out.write((heights + 4455).filled(-32767), 1)
    found = {}
    for what in ("slope", "aspect"):
        out = tmp_path / f"{what}.tif"
        words = ["gdaldem", what, str(lifted), str(out), "-q"]
        subprocess.run(words, check=True, capture_output=True)
        with rasterio.open(out) as file:
            found[what] = np.ma.filled(file.read(1, masked=True).astype(float), np.nan)[1:-1, 1:-1]
    raster = open_terrain(gale_file)
    heights = raster.read(0, 0, *raster.shape)
    # gdaldem takes the projection's metres for true ones.
    east, north = gradient(heights, np.array([1.0, 0.0, 0.0, -1.0]).reshape(4, 1, 1))
    slope, aspect = slope_deg(east, north), aspect_deg(east, north)
    known = np.isfinite(found["slope"]) & np.isfinite(slope)
    assert known.sum() > 0.9 * known.size
    np.testing.assert_allclose(slope[known], found["slope"][known], atol=2e-4)
    known &= (slope > 0.5) & np.isfinite(found["aspect"])
    turn = (aspect - found["aspect"] + 180) % 360 - 180
    np.testing.assert_allclose(turn[known], 0.0, atol=0.05)
    # With true metres, of which the model's degree of longitude has 0.33 % fewer, it is steeper.
    column, row = np.meshgrid(np.arange(1.0, 347.0), np.arange(1.0, 336.0))
    lon, lat = raster.georeference.positions(column.ravel(), row.ravel())
    true = Ground(raster).under(lon, lat).slope_deg.reshape(slope.shape)
    known = np.isfinite(true) & np.isfinite(found["slope"])
    assert np.abs(true[known] - found["slope"][known]).max() < 0.2
    assert (true[known] - found["slope"][known]).mean() > 0.0


def test_curiositys_own_heights_are_found_under_its_traverse(gale_file, outside_data):
    with gzip.open(outside_data / "msl-traverse" / "MSL_traverse_0000-0849.json.gz") as file:
        drives = json.load(file)["features"][219:253]
    vertices = np.array([v for one in drives for v in one["geometry"]["coordinates"]])
    ground = Ground(open_terrain(gale_file), memory_bytes=1)
    height = ground.height_m(vertices[:, 0], vertices[:, 1])
    off = height - vertices[:, 2]
    known = ~np.isnan(off)
    assert known.sum() >= 310
    assert abs(np.median(off[known])) < 0.1
    assert np.median(np.abs(off[known])) < 0.1
    # Where it drove it could drive, and a corridor of 100 m ahead tells what lies there.
    under = ground.under(vertices[:, 0], vertices[:, 1])
    assert np.nanpercentile(under.slope_deg, 95) < 25
    bearing = np.zeros(len(vertices))
    ahead = ground.ahead(vertices[:, 0], vertices[:, 1], bearing, 100.0, GroundLimits(15.0, 0.5))
    told = np.isfinite(ahead.distance_m)
    assert 0 < told.sum() < len(vertices)
    assert (ahead.distance_m[told] <= 100.0).all()
    assert (ahead.known_m <= 100.0 + 1e-9).all()


def test_perseverances_heights_are_found_in_the_coarse_model(outside_data):
    ground = Ground(open_terrain(outside_data / "mars-dem" / "jezero_mola_128ppd_256x256.json"))
    assert ground.georeference.body == "mars"
    assert ground.cell_m == pytest.approx(440, abs=5)
    path = outside_data / "mars2020-traverse" / "M20_waypoints_tosol0401.json"
    points = [f["properties"] for f in json.loads(path.read_text())["features"]]
    at = np.array([[p["lon"], p["lat"], p["elev_geoid"]] for p in points])
    off = ground.height_m(at[:, 0], at[:, 1]) - at[:, 2]
    assert abs(np.median(off)) < 5
    assert np.std(off) < 10
