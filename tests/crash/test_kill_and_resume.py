"""kill -9 at random moments, resume, and the results are those of a run without kills."""

import json
import random
import sys

import pytest

from tests.killing import kill_until_done, popen
from tests.watching import (
    ZONES,
    command,
    environment,
    rows,
    run,
    telemetry,
    told,
    write_inputs,
)

RECORDS = 24_000
# Slow enough for many kills: at most this many records an epoch of a twentieth of a second.
PACE = {"epoch_s": 0.05, "epoch_rows": 150, "frame_rows": 150, "analytics": "on"}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    write_inputs(folder, telemetry(RECORDS))
    return folder


@pytest.fixture(scope="module")
def undisturbed(inputs, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed")
    done = run(command("watch", "--quiet"), environment(inputs, out, analytics="on"))
    assert done.returncode == 0, done.stderr
    return out


@pytest.mark.parametrize(
    "kills", [2, pytest.param(200, marks=pytest.mark.slow)], ids=lambda n: f"{n}-kills"
)
def test_results_after_kills_are_those_of_an_undisturbed_run(inputs, undisturbed, tmp_path, kills):
    rng = random.Random(kills)
    env = environment(inputs, tmp_path, recovery=tmp_path / "recovery", **PACE)

    def start():
        return [popen(command("watch", "--quiet"), env, tmp_path)]

    done = kill_until_done(start, tmp_path, rng, kills, longest_s=4.0 / kills)
    assert done >= kills
    assert told(tmp_path) == told(undisturbed)
    assert rows(tmp_path) == rows(undisturbed)


# What the zones and rules of other tests here do not ask for.
HELD = {
    "z0": {"exit_buffer_m": 20_000, "min_inside_s": 15, "min_outside_s": 12, "approach_s": 90_000},
    "z1": {"max_dwell_s": 60, "dwell_window_s": 300, "max_gap_s": 9},
    "z2": {"schedule": {"windows": ["00:10-00:40", "01:00-01:45"]}, "approach_s": 90_000},
    "z3": {"kind": "keep_in", "exit_buffer_m": 20_000, "effective_from": "2026-01-01T00:30:00Z"},
}
TIMED = """
- {id: often, when: speed_mps < 1.0, count: 3, within: 60s, clear_when: speed_mps > 1.5,
   severity: warning}
- {id: then, when: speed_mps < 0.5, then: depth_m > 300.0, within: 60s, keep_firing_for: 40s,
   severity: warning}
- {id: once, when: zone.kind == "apei" && speed_mps < 1.0, once_per_visit: true, severity: critical}
- {id: unseen, when: depth_m < 100.0, absent_for: 5m, severity: warning}
- {id: out, when: zone.kind == "keep_in" && speed_mps < 0.5, for: 20s, severity: critical}
- {id: rate, when: rate(depth_m) > 1.0, severity: info}
"""


@pytest.mark.slow
@pytest.mark.parametrize("kills", [20])
def test_holds_buffers_dwell_approach_and_timed_rules_go_on_after_kills(tmp_path, kills):
    inputs, quiet = tmp_path / "inputs", tmp_path / "quiet"
    write_inputs(inputs, telemetry(RECORDS // 2))
    features = [
        feature | {"properties": feature["properties"] | HELD[feature["id"]]}
        for feature in ZONES["features"]
    ]
    (inputs / "zones.geojson").write_text(json.dumps(ZONES | {"features": features}))
    (inputs / "rules.yaml").write_text(TIMED)
    undisturbed = run(command("watch", "--quiet"), environment(inputs, quiet))
    assert undisturbed.returncode == 0, undisturbed.stderr
    found = told(quiet)
    kinds = {event["type"].removeprefix("farwatch.") for event in found.values()}
    assert kinds >= {"zone.dwell_exceeded.v1", "zone.approaching.v1", "track.gap.v1"}
    raised = {event["data"].get("rule_id") for event in found.values()}
    assert raised >= {"often", "then", "once", "unseen", "out", "rate"}

    out = tmp_path / "killed"
    out.mkdir()
    env = environment(inputs, out, recovery=out / "recovery", **PACE | {"analytics": "off"})
    done = kill_until_done(
        lambda: [popen(command("watch", "--quiet"), env, out)],
        *(out, random.Random(kills), kills),
        longest_s=4.0 / kills,
    )
    assert done >= kills
    assert told(out) == found
    assert rows(out) == rows(quiet)


@pytest.mark.parametrize(
    "kills", [pytest.param(n, marks=pytest.mark.slow) for n in (3, 50)], ids=lambda n: f"{n}-kills"
)
def test_two_processes_tell_what_one_tells(tmp_path, kills, unused_tcp_ports):
    rng = random.Random(kills)
    inputs = tmp_path / "inputs"
    write_inputs(inputs, [])
    for part in range(2):
        lines = telemetry(RECORDS // 2, vehicles=10, seed=part, name=f"fleet{part}")
        (inputs / f"telemetry-{part}.ndjson").write_text("\n".join(lines) + "\n")
    (inputs / "telemetry.ndjson").unlink()
    one, two = tmp_path / "one", tmp_path / "two"
    alone = run(command("watch", "--quiet"), environment(inputs, one, analytics="on"))
    assert alone.returncode == 0, alone.stderr
    (two / "recovery").mkdir(parents=True)
    made = run(
        [sys.executable, "-m", "bytewax.recovery", f"{two}/recovery", "2"], environment(inputs, two)
    )
    assert made.returncode == 0, made.stderr
    # The engine's own command line knows epochs of whole seconds only: two of them for each kill.
    pace = {"epoch_rows": RECORDS // 4 // kills, "frame_rows": 150} if kills else {}
    env = environment(inputs, two, analytics="on", **pace)
    addresses = ";".join(f"127.0.0.1:{port}" for port in unused_tcp_ports)

    def start():
        return [
            popen(
                [
                    *(sys.executable, "-m", "bytewax.run", "flows.watch:flow"),
                    *("-i", str(process), "-a", addresses),
                    *("-r", f"{two}/recovery", "-s", "1", "-b", "0"),
                ],
                env,
                two,
            )
            for process in range(2)
        ]

    done = kill_until_done(start, two, rng, kills, longest_s=3.0)
    assert done >= kills
    assert told(two) == told(one)
    assert rows(two) == rows(one)
