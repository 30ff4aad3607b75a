"""`farwatch terrain map`: the files it writes, and what it refuses."""

import shutil

import numpy as np
import pytest
from pyproj import CRS
from typer.testing import CliRunner

from scripts.cli import app
from tests.integration.test_terrain_files import written


def test_a_map_of_a_model_as_layers_and_as_a_picture(outside_data, tmp_path):
    rasterio = pytest.importorskip("rasterio", reason="rasterio is an extra")
    dem = outside_data / "mars-dem" / "gale_hirise_1m_missionDEM.tif"
    done = CliRunner().invoke(app, ["terrain", "map", str(dem), "--out", str(tmp_path / "map")])
    assert done.exit_code == 0, done.output
    with (
        rasterio.open(tmp_path / "map" / f"{dem.stem}-hazard.tif") as file,
        rasterio.open(dem) as model,
    ):
        assert file.descriptions[:2] == ("height_m", "slope_deg")
        assert file.transform == model.transform
        assert file.crs == model.crs
        heights = model.read(1, masked=True).filled(np.nan)
        np.testing.assert_allclose(file.read(1), heights, atol=1e-3)
        layers = dict(zip(file.descriptions, file.read(), strict=True))
    reached = np.fmax(layers["slope_deg"] / 25, layers["step_m"] / 0.4)
    known = np.isfinite(layers["hazard"])
    np.testing.assert_allclose(layers["hazard"][known], reached[known], rtol=1e-5)
    assert 0.5 < known.mean() < 1
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        picture = rasterio.open(tmp_path / "map" / f"{dem.stem}-hazard.png")
    red, green, _, opacity = picture.read()
    picture.close()
    np.testing.assert_array_equal(opacity > 0, known)
    # Red where the limit is reached, green where nothing is near it.
    assert (red[known & (layers["hazard"] > 1.2)] >= green[known & (layers["hazard"] > 1.2)]).all()
    assert (green[known & (layers["hazard"] < 0.2)] > red[known & (layers["hazard"] < 0.2)]).all()


def test_the_layers_of_an_even_slope_are_the_analytic_ones(tmp_path):
    rasterio = pytest.importorskip("rasterio", reason="rasterio is an extra")
    # A metre up in two to the east, along the equator, on which the projection's metres are true.
    heights = np.tile(0.5 * np.arange(30.0), 40).astype(">f4")
    (tmp_path / "even.flt").write_bytes(heights.tobytes())
    (tmp_path / "even.hdr").write_text("NROWS 40\nNCOLS 30\nBYTEORDER M\n")
    (tmp_path / "even.ftw").write_text("1\n0\n0\n-1\n-15\n20\n")
    (tmp_path / "even.prj").write_text(CRS.from_proj4("+proj=eqc +R=6378137 +units=m").to_wkt())
    sun = ["--sun-azimuth-deg", "270", "--sun-elevation-deg", "30"]
    words = ["terrain", "map", str(tmp_path / "even.flt"), "--out", str(tmp_path / "map"), *sun]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "warning" not in done.output
    with rasterio.open(tmp_path / "map" / "even-hazard.tif") as file:
        layers = dict(zip(file.descriptions, file.read()[:, 1:-1, 1:-1], strict=True))
    slope = np.arctan(0.5)
    # It falls to the west, toward the sun, whose light comes 30 degrees above the level.
    light = np.cos(np.radians(60) - slope)
    expected = {"slope_deg": np.degrees(slope), "aspect_deg": 270, "roughness_m": 0, "step_m": 0.5}
    for name, value in {**expected, "illumination": light}.items():
        np.testing.assert_allclose(layers[name], value, atol=2e-4, err_msg=name)


def test_a_model_that_is_too_coarse_for_a_vehicle_is_warned_of_in_one_line(tmp_path):
    pytest.importorskip("rasterio", reason="rasterio is an extra")
    words = ["terrain", "map", str(written(tmp_path)), "--out", str(tmp_path / "map")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    [warning] = [line for line in done.output.splitlines() if line.startswith("warning:")]
    # Half a degree, the shorter way along the parallel of the middle.
    assert float(warning.split("cells of ")[1].split()[0]) == pytest.approx(36_100, rel=0.01)
    assert "above 5 m" in warning


def test_what_is_no_model_ends_with_one_line_and_status_2(tmp_path):
    done = CliRunner().invoke(app, ["terrain", "map", "nowhere.tif", "--out", str(tmp_path)])
    assert done.exit_code == 2
    assert done.output == "farwatch: terrain `nowhere.tif`: no such file; check the path\n"
    path = written(tmp_path)
    shutil.copy(path, tmp_path / "full")
    done = CliRunner().invoke(app, ["terrain", "map", str(path), "--out", str(tmp_path / "full")])
    assert done.exit_code == 2
    assert "is no folder" in done.output
