"""Elevation grids for a report's map: read in metres, refused in one line."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from connectors.contract import SettingsError
from scripts.report.projection import Bounds
from scripts.report.relief import hillshade, read_relief

DESCRIPTOR = {
    "width": 3,
    "height": 2,
    "minElev": -100,
    "maxElev": 65435,
    "bbox": {"minLon": 77.0, "minLat": 18.0, "maxLon": 77.3, "maxLat": 18.2},
}


def grid(folder: Path, **changed: Any) -> Path:
    """A grid of steps of 1 m with its descriptor, changed as told; None leaves a key out."""
    kept = {key: value for key, value in (DESCRIPTOR | changed).items() if value is not None}
    (folder / "grid.json").write_text(json.dumps(kept), encoding="utf-8")
    (folder / "grid.bin").write_bytes(np.array([100, 0, 300, 40, 50, 60], "<u2").tobytes())
    return folder / "grid.json"


def test_a_relief_is_read_in_metres_from_north_to_south(tmp_path: Path) -> None:
    elevation_m = np.array([[0.0, -100.0, 200.0], [-60.0, -50.0, -40.0]])
    bounds = Bounds(west=77.0, south=18.0, east=77.3, north=18.2)
    assert read_relief(grid(tmp_path)) == hillshade(elevation_m, bounds, "mars")
    assert read_relief(None) is None


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"width": 4}, "12 bytes where 4 x 2 uint16 take 16"),
        ({"width": 1}, "`width`"),
        ({"height": "2"}, "`height`"),
        ({"minElev": None}, "`minElev`"),
        ({"minElev": 70_000}, "minElev <= maxElev"),
        ({"bbox": DESCRIPTOR["bbox"] | {"maxLon": 76.0}}, "minLon < maxLon"),
        ({"bbox": DESCRIPTOR["bbox"] | {"maxLat": 91.0}}, "`bbox.maxLat`"),
        ({"body": "venus"}, "`body`"),
    ],
)
def test_a_relief_with_a_mistake_is_refused_in_one_line(
    tmp_path: Path, changed: dict[str, Any], named: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        read_relief(grid(tmp_path, **changed))
    assert named in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1
    assert "grid." in str(refused.value)


def test_a_relief_that_cannot_be_read_is_refused_in_one_line(tmp_path: Path) -> None:
    path = grid(tmp_path)
    (tmp_path / "grid.bin").unlink()
    with pytest.raises(SettingsError, match=r"grid\.bin.*put the elevations beside"):
        read_relief(path)
    with pytest.raises(SettingsError, match=r"absent\.json.*No such file"):
        read_relief(tmp_path / "absent.json")
    path.write_bytes(b"\xff{")
    with pytest.raises(SettingsError, match=r"grid\.json.*mend the descriptor"):
        read_relief(path)
