"""Hazard in the report: a path has the colour of the score told before, dashed where unsure."""

import re

import numpy as np
import pytest

from rules.terrain.ground import Ground
from schemas.event import HAZARD_SCORED
from schemas.frame import rfc3339
from scripts.report.hazards import hazard_table, score_path, score_tracks
from scripts.report.projection import Bounds
from scripts.report.relief import relief_under
from tests.slopes import MadeRaster

SECOND = 1_000_000


def scored(time_s, score, upper=None, **data):
    told = {
        "time": rfc3339(time_s * SECOND),
        "score": score,
        "lower": score,
        "upper": score if upper is None else upper,
        "class": "low",
        "class_before": "low",
        "parts": [],
    }
    return {"type": HAZARD_SCORED, "subject": "r", "data": told | data}


def styles(path):
    return re.findall(r'class="track ([^"]+)"', path)


def test_a_path_changes_colour_where_the_score_told_does():
    scores = score_tracks([scored(10, 0.05), scored(20, 0.4), scored(40, 0.9)])["r"]
    time_us = np.arange(0, 60, 5) * SECOND
    assert scores.styles_at(time_us).tolist() == [-1, -1, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8]
    xy = np.stack([np.arange(12.0) * 10, np.zeros(12)], axis=1)
    path = score_path(xy, time_us, scores, np.empty(0, np.intp), 100)
    assert styles(path) == ["score-0", "score-2", "score-4"]
    # Each piece reaches to where the next begins: 20 to 40, 40 to 80, 80 to 110.
    drawn = re.findall(r'd="M(\d+) 0l(\d+) 0"', path)
    assert drawn == [("200", "200"), ("400", "400"), ("800", "300")]


def test_a_path_is_dashed_where_what_is_unknown_may_put_it_higher():
    scores = score_tracks([scored(0, 0.05, 0.08), scored(10, 0.05, 0.7)])["r"]
    assert scores.styles_at(np.array([0, 10]) * SECOND).tolist() == [0, 1]
    xy = np.array([[0.0, 0.0], [10.0, 0.0], [20.0, 0.0]])
    path = score_path(xy, np.array([0, 10, 20]) * SECOND, scores, np.empty(0, np.intp), 9)
    assert styles(path) == ["score-0", "score-0 at-least"]


def test_the_table_tells_what_changed_the_class_and_by_what_the_worst_first():
    parts = [
        {"name": "dust", "value": 2.0, "limit": 5.0, "contribution": 0.1, "state": "held"},
        {"name": "<tilt>", "value": 29.0, "limit": 30.0, "contribution": 0.9, "state": "known"},
        {"name": "calm", "value": 0.0, "limit": 9.0, "contribution": 0.0, "state": "known"},
    ]
    table = hazard_table(
        [
            scored(0, 0.1),
            scored(1, 0.4, **{"class": "moderate"}),
            scored(2, 0.91, parts=parts, class_before="moderate", **{"class": "extreme"}),
        ]
    )
    assert table.count("<tr>") == 3
    assert table.index("moderate to extreme") < table.index("low to moderate")
    assert "&lt;tilt&gt; 0.90 (29, limit 30), dust 0.10 (2, stale, limit 5)" in table
    assert "calm" not in table


def test_the_relief_of_a_model_covers_the_window_where_it_knows_the_ground():
    ground = Ground(MadeRaster(lambda x, y: 5 * np.sin(x / 9.0) + y, (300, 500)))
    east, north = ground.georeference.positions(np.array([499.0]), np.array([0.0]))
    window = Bounds(west=0.0, south=-1.0, east=1.0, north=1.0)
    relief = relief_under(ground, window)
    assert relief.body == "earth"
    assert relief.west == 0.0
    assert relief.east == pytest.approx(east[0], abs=1e-5)
    assert relief.north == pytest.approx(north[0], abs=1e-5)
    assert relief.png.startswith(b"\x89PNG")
    assert relief_under(ground, Bounds(west=10, south=0, east=11, north=1)) is None
