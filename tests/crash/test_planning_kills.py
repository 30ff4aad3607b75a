"""kill -9 of planning while late records revise requests: the requests are the same.

In the watch that scores hazards, too, its triggers read the scores of the records they judge.
"""

import json
import random

import pytest

from tests.flows.test_planning import PROFILE, RISKY, TRIGGERS, held, planned, plans, versions
from tests.killing import kill_until_done, popen
from tests.watching import command, read_topics, run, telemetry, with_late_records, write_inputs

RECORDS, VEHICLES = 2_000, 20


@pytest.mark.parametrize("flow", ["planning", "watch"])
@pytest.mark.parametrize(
    "kills", [pytest.param(n, marks=pytest.mark.slow) for n in (2, 15)], ids=lambda n: f"{n}-kills"
)
def test_requests_after_kills_are_those_of_an_undisturbed_run(tmp_path, kills, flow):
    inputs, whole, killed = (tmp_path / name for name in ("inputs", "whole", "killed"))
    write_inputs(inputs, with_late_records(telemetry(RECORDS, VEHICLES), VEHICLES))
    (inputs / "triggers.yaml").write_text(TRIGGERS + (RISKY if flow == "watch" else ""))
    (inputs / "profile.yaml").write_text(PROFILE)
    (inputs / "plans.ndjson").write_text("".join(json.dumps(p) + "\n" for p in plans()))
    words = command("run", flow)
    scored = {"hazard": inputs / "profile.yaml", "hazard_every_s": 30} if flow == "watch" else {}
    undisturbed = run(words, planned(inputs, whole, frame_rows=50, **scored))
    assert undisturbed.returncode == 0, undisturbed.stderr
    recovery = killed / "recovery"
    recovery.mkdir(parents=True)
    pace = {"frame_rows": 50, "epoch_rows": 50, "epoch_s": 0.05}
    env = planned(inputs, killed, recovery=recovery, **pace, **scored)
    rng = random.Random(kills)
    done = kill_until_done(
        lambda: [popen(words, env, killed)], killed, rng, kills, longest_s=2.0 / kills
    )
    assert done >= kills
    assert held(killed) == held(whole)
    # Where frames end may differ, so versions in between; none says two things.
    first, again = (read_topics(out / "topics", ["plan_requests"]) for out in (whole, killed))
    both = first.keys() & again.keys()
    assert both
    assert {k: again[k]["data"] for k in both} == {k: first[k]["data"] for k in both}
    assert any(data["version"] > 1 for data in versions(whole)), "no request was revised"
