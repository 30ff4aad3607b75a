"""Alarms with commands on them: the watch and flows apart tell the same, however they are run."""

import json
import sqlite3
import sys
from contextlib import closing

import pytest

from schemas.payloads import PAYLOADS
from scripts.cli import app
from tests.commanded import ALERTS, RULES, answer, command_file, commanded_inputs, violations_of
from tests.watching import command, environment, read_topics, run, told


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    commanded_inputs(folder)
    return folder


@pytest.fixture(scope="module")
def commands(inputs, tmp_path_factory):
    return command_file(inputs, tmp_path_factory.mktemp("first"))


@pytest.fixture(scope="module")
def watched(inputs, commands, tmp_path_factory):
    out = tmp_path_factory.mktemp("watched")
    env = environment(inputs, out, frame_rows=20, commands=commands)
    done = run(command("watch", "--quiet"), env)
    assert (done.returncode, done.stderr) == (0, "")
    return out


def test_every_kind_of_change_is_told_and_fits_its_model(watched):
    seen = set()
    for (topic, _), event in told(watched).items():
        if topic in ALERTS:
            PAYLOADS[event["type"]].model_validate(event["data"])
            seen.add((event["type"].split(".")[-2], event["data"].get("state")))
    kinds = {kind for kind, _ in seen}
    assert kinds == {"raised", "cleared", "acknowledged", "shelved", "updated", "judged"}
    states = {state for _, state in seen}
    assert {"unacknowledged", "acknowledged", "shelved", "suppressed", "normal"} <= states


def test_each_command_is_audited_once_and_what_is_none_is_a_dead_letter(watched, inputs):
    with closing(sqlite3.connect(watched / "results.sqlite")) as file:
        query = "SELECT action, subject, who FROM audit_log WHERE message_id IS NOT NULL"
        log = file.execute(query).fetchall()
        [[letters]] = file.execute(
            "SELECT count(*) FROM dead_letters WHERE origin LIKE '%commands%'"
        ).fetchall()
    given = [json.loads(x) for x in (inputs / "commands.ndjson").read_text().splitlines()[:-2]]
    outcomes = {e["data"]["command_id"] for (t, _), e in told(watched).items() if t == ALERTS[3]}
    assert outcomes == {c["id"] for c in given}
    assert {who for *_, who in log} == {"ana"}
    assert len(log) >= len(outcomes)
    assert ("alarm acknowledge refused", "0" * 32, "ana") in log
    assert letters == 2


def test_neither_frames_nor_groups_change_what_holds_of_alarms(inputs, commands, watched, tmp_path):
    settings = {"key_groups": 3, "frame_rows": 5_000, "epoch_s": 0.05}
    env = environment(inputs, tmp_path, commands=commands, **settings)
    assert run(command("watch", "--quiet"), env).returncode == 0
    assert answer(told(tmp_path)) == answer(told(watched))


def test_alerting_apart_tells_what_the_watch_tells(inputs, commands, watched, tmp_path):
    common = {"frame_rows": 20, "alarms": "on"}
    steps = {
        "geofencing": {"telemetry": f"file:{inputs}/telemetry.ndjson"},
        "compliance": {"telemetry": f"file:{tmp_path}/geofencing/enriched_telemetry.ndjson"},
        "alerting": {
            "telemetry": f"file:{tmp_path}/compliance/compliance_violations.ndjson",
            "progress": f"file:{tmp_path}/compliance/telemetry_progress.ndjson",
            "commands": commands,
        },
    }
    for flow, given in steps.items():
        env = environment(inputs, tmp_path, results=f"dir:{tmp_path}/{flow}", **common, **given)
        done = run([sys.executable, "-m", "bytewax.run", f"flows.{flow}:flow"], env)
        assert done.returncode == 0, done.stderr
    apart = read_topics(tmp_path / "alerting")
    assert answer(apart) == answer(told(watched))


def explained(watched, inputs, alarm_id, *words):
    names = {
        "telemetry": "telemetry.ndjson",
        "zones": "zones.geojson",
        "rules": "rules.yaml",
    }
    urls = [word for k, name in names.items() for word in (f"--{k}", f"file:{inputs / name}")]
    store = f"sqlite:{watched}/results.sqlite"
    return app(
        ["alerts", "explain", alarm_id, "--from", store, *urls, *words], standalone_mode=False
    )


def test_every_alarm_is_the_same_when_it_is_recomputed_from_telemetry(watched, inputs, capsys):
    alarms = {e["data"]["alarm_id"] for e in violations_of(watched) if not e["data"]["retracted"]}
    assert len(alarms) > 10
    for alarm_id in sorted(alarms):
        assert not explained(watched, inputs, alarm_id, "--json")
        found = json.loads(capsys.readouterr().out)
        assert found["same"]
        assert found["answers"][0]["told"]["decision"] == found["answers"][0]["again"]["decision"]


@pytest.mark.parametrize("changed", ["telemetry", "rules"])
def test_an_alarm_that_other_telemetry_or_rules_do_not_give_is_not_the_same(
    watched, inputs, changed, tmp_path, capsys
):
    deep = next(e["data"] for e in violations_of(watched) if e["data"]["rule_id"] == "deep")
    for name in ("telemetry.ndjson", "zones.geojson", "rules.yaml"):
        (tmp_path / name).write_text((inputs / name).read_text())
    if changed == "rules":
        (tmp_path / "rules.yaml").write_text(RULES.replace("350.0", "340.0"))
    else:
        lines = (inputs / "telemetry.ndjson").read_text().splitlines()
        value = deep["decision"]["inputs"]["depth_m"]
        text = "\n".join(line.replace(f'"depth_m": {value}', '"depth_m": 351.25') for line in lines)
        (tmp_path / "telemetry.ndjson").write_text(text + "\n")
    assert explained(watched, tmp_path, deep["alarm_id"]) == 1
    out = capsys.readouterr().out
    assert out.endswith("not the same\n")
    assert "differs" in out
    assert str(deep["decision"]["limit"]) in out
