"""kill -9 at random moments, resumed by one process and by two in turn, while records come late.

What late records revise is read back from the journal; a history that lacks anything would make
them too late or answer otherwise.
"""

import json
import random
import sys

import pytest

from schemas.topics import COMPLIANCE_VIOLATIONS, GEOFENCING_EVENTS, LATE_TELEMETRY
from tests.crash.test_kill_and_resume import kill_until_done, popen
from tests.watching import command, environment, read_topics, run, telemetry, write_inputs

RECORDS = 6_000  # of each of two fleets
LATENESS_S = 3_000
PACE = {"frame_rows": 100, "key_groups": 2, "lateness_s": LATENESS_S}
TOPICS = (GEOFENCING_EVENTS, COMPLIANCE_VIOLATIONS)


def late(lines: list[str], rng: random.Random) -> list[str]:
    """The lines as they arrive: one in ten comes late, inside the lateness."""

    def arrival_s(line: str) -> float:
        delay_s = rng.uniform(0, LATENESS_S - 1) if rng.random() < 0.1 else 0
        return json.loads(line)["timestamp"] + delay_s

    return sorted(lines, key=arrival_s)


def final(told) -> list[str]:
    """What is said in the end: the latest version of each event, ids and versions aside."""
    latest: dict[tuple[str, str], dict] = {}
    for (topic, _), event in told.items():
        data = event["data"]
        known = latest.setdefault((topic, data["event_id"]), event)
        if data["version"] > known["data"]["version"]:
            latest[topic, data["event_id"]] = event
    ids = {"event_id", "version", "visit_id", "alarm_id"}
    return sorted(
        json.dumps([event["type"], {k: v for k, v in event["data"].items() if k not in ids}])
        for event in latest.values()
        if not event["data"]["retracted"]
    )


@pytest.mark.parametrize(
    "kills", [pytest.param(n, marks=pytest.mark.slow) for n in (4, 60)], ids=lambda n: f"{n}-kills"
)
def test_late_records_revise_after_kills_what_they_would_have(tmp_path, unused_tcp_ports, kills):
    rng = random.Random(kills)
    in_order, out = tmp_path / "in_order", tmp_path / "out"
    inputs = tmp_path / "inputs"
    write_inputs(in_order, [])
    write_inputs(inputs, [])
    for part in range(2):
        lines = telemetry(RECORDS, vehicles=10, seed=part, name=f"fleet{part}")
        (in_order / f"telemetry-{part}.ndjson").write_text("\n".join(lines) + "\n")
        (inputs / f"telemetry-{part}.ndjson").write_text("\n".join(late(lines, rng)) + "\n")
    for folder in (in_order, inputs):
        (folder / "telemetry.ndjson").unlink()
    assert run(command("watch", "--quiet"), environment(in_order, in_order)).returncode == 0
    recovery = out / "recovery"
    recovery.mkdir(parents=True)
    env = environment(inputs, out, **PACE)
    made = run([sys.executable, "-m", "bytewax.recovery", str(recovery), "2"], env)
    assert made.returncode == 0, made.stderr
    # 0: a commit after every batch.
    flow = [sys.executable, "-m", "bytewax.run", "flows.watch:flow", "-r", str(recovery)]
    flow += ["-s", "0", "-b", "0"]
    cluster = [";".join(f"127.0.0.1:{port}" for port in unused_tcp_ports)]
    processes = [1]

    def start():
        processes[0] = 3 - processes[0]
        if processes[0] == 1:
            return [popen(flow, env, out)]
        return [popen([*flow, "-i", str(i), "-a", *cluster], env, out) for i in range(2)]

    assert kill_until_done(start, out, rng, kills, longest_s=1.5) >= kills
    told = read_topics(out / "topics", TOPICS)
    assert final(told) == final(read_topics(in_order / "topics", TOPICS))
    assert any(event["data"]["version"] > 1 for event in told.values())
    assert not read_topics(out / "topics", (LATE_TELEMETRY,))
    assert any(path.is_file() for path in (recovery / "journal").rglob("*"))
