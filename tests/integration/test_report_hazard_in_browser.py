"""A path in the colours of its hazard scores over shaded relief, as headless Chromium draws it."""

import io
import json
import warnings
from dataclasses import replace

import numpy as np
import pytest

from schemas.event import HAZARD_SCORED
from scripts.report import render
from tests.integration.test_report_in_browser import BROWSER, browser
from tests.report_sample import event, rover, sample

rasterio = pytest.importorskip("rasterio")
pytestmark = pytest.mark.skipif(
    BROWSER is None, reason="no chromium, chromium-browser or google-chrome on PATH"
)

# Fix from which on, score and upper bound: each of the five colours, the one before last dashed.
SCORES = (
    *((0, 0.05, 0.05), (100, 0.25, 0.25), (200, 0.45, 0.45), (300, 0.65, 0.9), (400, 0.9, 0.9)),
)
FIXES = 500
# Of each coloured piece: its class, colour, and whether what it is drawn on is the relief; then
# x and y in the picture of points along it, every half pixel.
PIECES = """
(() => [...document.querySelectorAll('.map .track[class*=score]')].map(path => {
  const [box, length] = [path.getScreenCTM(), path.getTotalLength()];
  const steps = Math.floor(2 * length * box.a);
  const points = [...Array(steps - 60).keys()].map(i => {
    const p = path.getPointAtLength((i + 30) / (2 * box.a)).matrixTransform(box);
    return [p.x + scrollX, p.y + scrollY];
  });
  const [x, y] = points[points.length >> 1];
  scrollTo(0, y - 200);
  const under = document.elementsFromPoint(x - scrollX, y - scrollY).map(e => e.classList[0]);
  return {name: path.getAttribute('class'), colour: getComputedStyle(path).stroke, points,
          under: under.indexOf('track') < under.indexOf('relief')};
}))()
"""


def told():
    """A rover that goes through all colours above a crater with ripples."""
    share = np.linspace(0, 1, FIXES)
    track = replace(
        rover(FIXES), longitude=77.35 + 0.2 * share, latitude=18.45 + 0.06 * np.sin(9 * share)
    )
    events = [
        event(
            HAZARD_SCORED,
            track.vehicle_id,
            int(track.time_us[fix]),
            score=score,
            lower=score,
            upper=upper,
            parts=[],
            **{"class": "low", "class_before": "low"},
        )
        for fix, score, upper in SCORES
    ]
    return replace(sample(vehicles=1, fixes=50), tracks=[track], events=events, zones=[])


def pixels(picture):
    """(rows, columns, 3) of a PNG."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(io.BytesIO(picture)) as image:
            return np.moveaxis(image.read((1, 2, 3)), 0, -1).astype(int)


@pytest.mark.parametrize("dark", [False, True])
def test_a_path_is_seen_in_the_colours_of_its_scores_over_the_relief(tmp_path, dark):
    (tmp_path / "report.html").write_text(render(told()))
    with browser() as page:
        page.open(tmp_path / "report.html", 1280)
        page.picture(dark=dark)
        pieces = page.value(PIECES)
        seen = pixels(page.picture(dark=dark))
        [relief] = page.value(
            "[...document.querySelectorAll('.map .relief')].map(e => {"
            " const b = e.parentNode.closest('svg').getBoundingClientRect();"
            " return [b.left + scrollX, b.top + scrollY, b.right + scrollX, b.bottom + scrollY] })"
        )
    drawn = {piece["name"]: piece for piece in pieces}
    assert list(drawn) == [
        *("track score-0", "track score-1", "track score-2"),
        *("track score-3 at-least", "track score-4"),
    ]
    colours = [np.array(json.loads(f"[{p['colour'][4:-1]}]")) for p in pieces]
    for piece, colour in zip(pieces, colours, strict=True):
        assert piece["under"], piece["name"]
        column, row = np.array(piece["points"]).astype(int).T
        same = (np.abs(seen[row, column] - colour).max(axis=1) < 40).mean()
        # A dash is 5 long and the gap after it 4, which the thin track is seen through.
        low, high = (0.35, 0.75) if "at-least" in piece["name"] else (0.97, 1.0)
        assert low <= same <= high, (piece["name"], same)
    # No two colours look alike.
    apart = [np.abs(a - b).max() for i, a in enumerate(colours) for b in colours[:i]]
    assert min(apart) > 40
    # The ground is shaded, light and dark, and grey.
    left, top, right, bottom = (round(v) for v in relief)
    ground = seen[top + 5 : bottom - 5, left + 5 : right - 5]
    grey = ground[np.ptp(ground, axis=2) < 16].mean(axis=1)
    assert len(grey) > 0.9 * ground.shape[0] * ground.shape[1]
    assert np.ptp(np.percentile(grey, [5, 95])) > (20 if dark else 60)
