"""The benchmark of other geofences says what is missing, and compares answers as it claims."""

import json
import sys
from collections import defaultdict
from datetime import datetime
from pathlib import Path

import pytest
import shapely
import typer
from shapely.geometry import shape
from typer.testing import CliRunner, Result

from scripts.benchmark.generate import Inputs, Size, make_inputs
from scripts.benchmark.peers import run as peers_run
from scripts.benchmark.peers.answers import Answers, at_fixes, difference, read_answers, read_fixes
from scripts.benchmark.peers.command import main
from scripts.benchmark.peers.run import FARWATCH, run_peer


def peers(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(main)
    return CliRunner().invoke(app, arguments)


def by_points(inputs: Inputs) -> Answers:
    """What each record's zones have more or less than those of its vehicle's record before."""
    features = json.loads(inputs.zones.read_text())["features"]
    zones = [(f["id"], shape(f["geometry"]), f["properties"]) for f in features]
    before, answers = defaultdict(set), defaultdict(list)
    for r in map(json.loads, inputs.telemetry.read_text().splitlines()):
        point = shapely.Point(r["longitude"], r["latitude"])
        now = {
            zone_id
            for zone_id, polygon, band in zones
            if band.get("min_depth_m", -1) <= r["depth_m"] <= band.get("max_depth_m", 1e9)
            and polygon.contains(point)
        }
        time_us = round(datetime.fromisoformat(r["timestamp"]).timestamp() * 1e6)
        was = before[r["vehicle_id"]]
        for what, zone_ids in (("entered", now - was), ("exited", was - now)):
            for zone_id in zone_ids:
                answers[what, r["vehicle_id"], zone_id].append(time_us)
        before[r["vehicle_id"]] = now
    return answers


def test_a_peer_that_is_not_installed_is_named_with_the_remedy(monkeypatch):
    absent = peers_run.Peer("pathway", "no-such-package-of-farwatch")
    monkeypatch.setattr("scripts.benchmark.peers.command.PEERS", (absent,))
    result = peers("--only", "pathway")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert "not installed: pathway" in result.stderr
    assert "bin/pip install shapely no-such-package-of-farwatch" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--only", "tile38"), "no peer `tile38`"),
        (("--python", "/no/such/python"), "No such file or directory"),
    ],
)
def test_wrong_set_up_is_one_line(arguments, said):
    result = peers(*arguments)
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert said in result.stderr


def test_crossings_are_brought_to_the_next_fix_and_passages_between_fixes_left_out():
    fixes = {"a": [0, 100, 200, 300]}
    answers = {
        ("entered", "a", "z"): [0, 110, 250],
        ("exited", "a", "z"): [100, 190],
    }
    assert at_fixes(answers, fixes) == {
        ("entered", "a", "z"): [0, 300],
        ("exited", "a", "z"): [100],
    }


def test_a_difference_names_the_first_answer_that_differs():
    one = {("entered", "a", "z"): [1_000], ("exited", "a", "z"): [5_000]}
    assert difference(one, {**one, ("exited", "a", "z"): [5_900]}, 1_000) == ""
    assert difference(one, {("entered", "a", "z"): [1_000]}, 1_000) == (
        "1 of 2 differ: exited a z at [5000] and []"
    )
    assert "1 of 2 differ" in difference(one, {**one, ("exited", "a", "z"): [6_001]}, 1_000)


def test_what_pathway_takes_back_is_no_answer(tmp_path: Path):
    answer = {"what": "entered", "vehicle_id": "a", "zone_id": "z", "time_us": 7}
    lines = [{**answer, "diff": d, "time_us": t} for d, t in ((1, 7), (1, 9), (-1, 7))]
    (tmp_path / "answers").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert read_answers(tmp_path / "answers") == {("entered", "a", "z"): [9]}


def test_the_answers_of_farwatch_brought_to_fixes_are_those_of_a_look_at_every_fix(
    tmp_path: Path,
) -> None:
    inputs = make_inputs(Size(50, 40, 0, 4_000), tmp_path)
    ran = run_peer(FARWATCH, sys.executable, "", inputs, 4_000)
    seen = at_fixes(ran.answers, read_fixes(inputs.telemetry))
    assert difference(seen, by_points(inputs)) == ""
    assert len(seen) > 20
    assert ran.records_per_cpu_s > 0
