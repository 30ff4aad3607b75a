"""The benchmark of rules says what is missing, and compares answers as it claims."""

import json
import sys

import pytest
import typer
from typer.testing import CliRunner

from scripts.benchmark.rules import run as rules_run
from scripts.benchmark.rules.cases import records, rules
from scripts.benchmark.rules.command import main
from scripts.benchmark.rules.run import ENGINES, Judged, run_engine


def bench(*arguments):
    app = typer.Typer()
    app.command()(main)
    return CliRunner().invoke(app, arguments)


def test_an_engine_that_is_not_installed_is_named_with_the_remedy(monkeypatch):
    absent = rules_run.Engine("celpy", "no-such-package-of-farwatch")
    monkeypatch.setattr("scripts.benchmark.rules.command.ENGINES", (ENGINES[0], absent))
    result = bench("--only", "celpy")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "not installed: celpy" in result.stderr
    assert "bin/pip install no-such-package-of-farwatch" in result.stderr


@pytest.mark.parametrize("arguments", [("--only", "excel"), ("--python", "/nowhere/python")])
def test_what_is_wrong_is_said_before_anything_runs(arguments):
    result = bench(*arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("bench: `--")


def by_hand(record):
    """The seven patterns of the first seven rules, in plain Python."""
    r = type("Record", (), record)
    numbers = [round(0.5 + n * 0.09, 2) for n in range(7)]
    truths = (
        r.depth_m > numbers[0],
        r.battery_pct < numbers[1] and r.speed_mps > 1.0,
        r.depth_m > numbers[2] or r.status == "fault",
        r.kind == "auv" and r.depth_m > numbers[3] and r.speed_mps < 0.5,
        r.speed_mps * 30.0 > numbers[4],
        r.depth_m > (10.0 if r.latitude > numbers[5] else 20.0),
        r.status in ("fault", "degraded") and r.battery_pct < numbers[6],
    )
    return f"{int(''.join('1' if truth else '0' for truth in truths), 2):x}"


def test_farwatch_and_google_s_runtime_answer_alike(tmp_path):
    given = tmp_path / "given.json"
    made = records(1_500)
    given.write_text(json.dumps({"rules": rules(7), "records": made}))
    own, google = (run_engine(e, sys.executable, given, tmp_path, 0.2) for e in ENGINES[:2])
    assert list(own.answers) == [by_hand(record) for record in made]
    assert google.answers
    assert google.differs_from(own) == 0
    assert own.each_us < google.each_us


def test_other_answers_are_counted():
    one = Judged(1, 3, 1.0, 0.0, ("1", "0", "1"))
    other = Judged(1, 2, 1.0, 0.0, ("1", "1"))
    assert other.differs_from(one) == 1
    assert one.each_us == pytest.approx(1e6 / 3)
