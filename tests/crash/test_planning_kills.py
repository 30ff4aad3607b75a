"""kill -9 of planning while late records revise requests: the requests are the same."""

import json
import random

import pytest

from tests.flows.test_planning import TRIGGERS, held, planned, plans, versions
from tests.killing import kill_until_done, popen
from tests.watching import command, read_topics, run, telemetry, with_late_records, write_inputs

RECORDS, VEHICLES = 2_000, 20


@pytest.mark.parametrize(
    ("kills", "longest_s"),
    [
        pytest.param(2, 1.0, id="2-kills", marks=pytest.mark.slow),
        pytest.param(15, 4.0, id="15-kills", marks=pytest.mark.slow),
    ],
)
def test_requests_after_kills_are_those_of_an_undisturbed_run(tmp_path, kills, longest_s):
    inputs, whole, killed = (tmp_path / name for name in ("inputs", "whole", "killed"))
    write_inputs(inputs, with_late_records(telemetry(RECORDS, VEHICLES), VEHICLES))
    (inputs / "triggers.yaml").write_text(TRIGGERS)
    (inputs / "plans.ndjson").write_text("".join(json.dumps(p) + "\n" for p in plans()))
    words = command("run", "planning")
    undisturbed = run(words, planned(inputs, whole, frame_rows=50))
    assert undisturbed.returncode == 0, undisturbed.stderr
    recovery = killed / "recovery"
    recovery.mkdir(parents=True)
    env = planned(inputs, killed, frame_rows=50, epoch_rows=50, epoch_s=0.05, recovery=recovery)
    done = kill_until_done(
        lambda: [popen(words, env, killed)], killed, random.Random(kills), kills, longest_s
    )
    assert done >= kills
    assert held(killed) == held(whole)
    # Where frames end may differ, so versions in between; none says two things.
    first, again = (read_topics(out / "topics", ["plan_requests"]) for out in (whole, killed))
    both = first.keys() & again.keys()
    assert both
    assert {k: again[k]["data"] for k in both} == {k: first[k]["data"] for k in both}
    assert any(data["version"] > 1 for data in versions(whole)), "no request was revised"
