"""The policy where it is asked: changed zones and rules, commands on alarms and triggers."""

import json
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import timedelta

import pytest
from bytewax.testing import run_main

from connectors.memory import channel
from flows.planning import planning
from flows.settings import Settings
from flows.steps.mission import read_given
from flows.steps.registry import RegistryError
from flows.wiring import wire
from schemas.message import Message
from schemas.topics import DEAD_LETTERS, PLAN_REQUESTS
from tests.watching import ROOT, command, environment, run, telemetry, told, write_inputs

POLICY = """
- {who: ana, may: zones.put, subjects: ["z*"]}
- {who: ana, may: alarms.acknowledge}
"""
RULES = """
- id: deep
  when: depth_m > 60.0
  severity: critical
  alarm: {latched: true}
"""


@pytest.fixture
def env(tmp_path):
    write_inputs(tmp_path, telemetry(400, vehicles=4))
    (tmp_path / "rules.yaml").write_text(RULES)
    (tmp_path / "policy.yaml").write_text(POLICY)
    return environment(tmp_path, tmp_path) | {
        "FARWATCH_POLICY": f"{tmp_path}/policy.yaml",
        "FARWATCH_USER": "ana",
    }


def audited(path) -> list[tuple[str, str, str]]:
    with closing(sqlite3.connect(path)) as file:
        return file.execute("SELECT action, subject, who FROM audit_log ORDER BY entry").fetchall()


def test_zones_and_rules_are_changed_by_who_may_and_all_is_audited(tmp_path, env):
    store = f"sqlite:{tmp_path}/store.sqlite"

    def farwatch(*words: str, who: str = "ana"):
        return run(command(*words), env | {"FARWATCH_USER": who})

    zones = f"{tmp_path}/zones.geojson"
    refused = farwatch("zones", "put", zones, "--to", store, who="eve")
    assert refused.returncode == 2
    assert "`eve` may not zones.put `z0`" in refused.stderr
    assert farwatch("zones", "put", zones, "--to", store).returncode == 0
    denied = farwatch("rules", "put", f"{tmp_path}/rules.yaml", "--to", store)
    assert denied.returncode == 2
    assert "`ana` may not rules.put `deep`" in denied.stderr
    assert farwatch("zones", "remove", "z0", "--to", store).returncode == 2
    log = audited(tmp_path / "store.sqlite")
    assert [(action, who) for action, subject, who in log if subject == "z0"] == [
        ("zones version put refused", "eve"),
        ("zones version put", "ana"),
        ("zones version removed refused", "ana"),
    ]
    assert ("rules version put refused", "deep", "ana") in log
    listed = farwatch("zones", "list", "--from", store)
    assert listed.stdout.count("\n") == 5


def test_notices_are_taken_from_who_may_and_deleting_is_removing(tmp_path, env):
    grants = "- {who: ana, may: [zones.put, rules.put]}\n- {who: ben, may: [zones.remove]}\n"
    (tmp_path / "policy.yaml").write_text(grants)
    area = {"type": "Polygon", "coordinates": [[[0, 0], [3, 0], [3, 3], [0, 0]]]}
    zone = {"type": "Feature", "id": "z", "properties": {"version": 1}, "geometry": area}
    rule = {"id": "deep", "version": 1, "when": "depth_m > 60.0", "severity": "warning"}
    end = {"version": 2, "at": "2026-06-01T00:00:00Z"}
    notices = [
        {"type": "zone.created", "by": "ben", "zone": zone},
        {"type": "zone.created", "by": "ana", "zone": zone},
        {"type": "rule.created", "by": "ana", "rule": rule},
        {"type": "zone.deleted", "by": "ana", "id": "z", **end},
        {"type": "rule.deleted", "by": "ana", "id": "deep", **end},
        {"type": "rule.deleted", "by": "ben", "id": "deep", **end},
        {"type": "zone.deleted", "by": "ben", "id": "z", **end},
    ]
    (tmp_path / "notices.ndjson").write_text("\n".join(map(json.dumps, notices)) + "\n")
    store = f"sqlite:{tmp_path}/store.sqlite"
    given = environment(
        tmp_path,
        tmp_path,
        telemetry=f"file:{tmp_path}/notices.ndjson",
        zones=store,
        rules=store,
        results=f"dir:{tmp_path}/topics",
    )
    done = run(command("run", "registry"), given | {"FARWATCH_POLICY": env["FARWATCH_POLICY"]})
    assert done.returncode == 0, done.stderr
    letters = (tmp_path / "topics" / "dead_letters.ndjson").read_text().splitlines()
    refusals = (
        "`ben` may not zones.put `z`",
        "`ana` may not zones.remove `z`",
        "`ana` may not rules.remove `deep`",
        "`ben` may not rules.remove `deep`",
    )
    for letter, refusal in zip(letters, refusals, strict=True):
        assert refusal in json.loads(letter)["data"]["reason"]
    log = audited(tmp_path / "store.sqlite")
    assert [entry for entry in log if "deleted" in entry[0]] == [
        ("zones version zone.deleted refused", "z", "ana"),
        ("rules version rule.deleted refused", "deep", "ana"),
        ("rules version rule.deleted refused", "deep", "ben"),
        ("zones version zone.deleted", "z", "ben"),
    ]


def test_a_policy_that_cannot_be_read_lets_nobody_do_anything(tmp_path, env):
    (tmp_path / "policy.yaml").write_text("- {who: ana, may: everything}")
    store = f"sqlite:{tmp_path}/store.sqlite"
    done = run(command("zones", "put", f"{tmp_path}/zones.geojson", "--to", store), env)
    assert done.returncode == 2
    assert "policy.yaml:1: `may.0` 'everything'" in done.stderr
    gone = run(
        command("zones", "put", f"{tmp_path}/zones.geojson", "--to", store),
        env | {"FARWATCH_POLICY": "/nowhere/policy.yaml"},
    )
    assert gone.returncode == 2
    assert "check the path" in gone.stderr


def test_commands_that_no_grant_covers_are_refused_and_audited(tmp_path, env):
    first = tmp_path / "first"
    assert run(command("watch", "--quiet"), environment(tmp_path, first)).returncode == 0
    raised = [
        event["data"]
        for (topic, _), event in told(first).items()
        if topic == "compliance_violations" and event["type"].endswith("raised.v1")
    ]
    commands = [
        {
            "id": f"c-{who}",
            "action": "acknowledge",
            "alarm_id": alarm["alarm_id"],
            "vehicle_id": alarm["vehicle_id"],
            "time": alarm["time"],
            "who": who,
        }
        for who, alarm in zip(("ana", "eve"), raised, strict=False)
    ]
    assert len(commands) == 2
    (tmp_path / "commands.ndjson").write_text("\n".join(map(json.dumps, commands)) + "\n")
    out = tmp_path / "out"
    given = environment(tmp_path, out, commands=f"file:{tmp_path}/commands.ndjson")
    done = run(command("watch", "--quiet"), given | {"FARWATCH_POLICY": f"{tmp_path}/policy.yaml"})
    assert done.returncode == 0, done.stderr
    outcomes = {
        event["data"]["who"]: event["data"]
        for (topic, _), event in told(out).items()
        if topic == "command_outcomes"
    }
    assert outcomes["ana"]["outcome"] == "obeyed"
    assert outcomes["eve"]["outcome"] == "refused"
    assert "`eve` may not alarms.acknowledge" in outcomes["eve"]["refused"]
    log = {(action, who) for action, _, who in audited(out / "results.sqlite")}
    assert ("alarm acknowledge obeyed", "ana") in log
    assert ("alarm acknowledge refused", "eve") in log


def test_without_a_policy_all_is_as_before(tmp_path, env):
    del env["FARWATCH_POLICY"]
    store = f"sqlite:{tmp_path}/store.sqlite"
    done = run(command("rules", "put", f"{tmp_path}/rules.yaml", "--to", store), env)
    assert done.returncode == 0, done.stderr
    assert (ROOT / "deploy" / "policy" / "policy.yaml").is_file()


def test_triggers_are_armed_by_who_may_and_other_commands_are_dead_letters(tmp_path, monkeypatch):
    grants = "- {who: ana, may: triggers.rearm, subjects: 'auv-*'}\n"
    (tmp_path / "policy.yaml").write_text(grants)
    monkeypatch.setenv("FARWATCH_POLICY", f"{tmp_path}/policy.yaml")
    (tmp_path / "triggers.yaml").write_text(
        "- {id: low, when: battery_pct < 20.0, rearm: command, deadline: 9h}"
    )
    vehicles = {"auv-1": "ana", "auv-2": "eve", "auv-3": "", "rov-4": "ana"}
    records = [
        {"vehicle_id": name, "timestamp": f"2026-03-02T00:{minute:02}:00Z", "battery_pct": 9}
        for minute in range(0, 30, 10)
        for name in vehicles
    ]
    commands = [
        {"vehicle_id": name, "time": "2026-03-02T00:15:00Z", "trigger_id": "low", "who": who}
        for name, who in vehicles.items()
    ]
    for name, lines in (("policy-records", records), ("policy-commands", commands)):
        body = "\n".join(map(json.dumps, lines)).encode()
        channel(name).telemetry.append(Message(body, f"memory:{name}", 1))
    settings = Settings(
        telemetry="memory:policy-records",
        plan_results="memory:policy-commands",
        triggers=f"file:{tmp_path}/triggers.yaml",
        results="memory:policy-results",
    )
    run_main(
        planning(wire(settings, zones=False, rules=False)), epoch_interval=timedelta(seconds=1)
    )
    told = channel("policy-results").deliveries
    asked = Counter(one.event.vehicle_id for one in told if one.topic == PLAN_REQUESTS)
    assert asked == {"auv-1": 2, "auv-2": 1, "auv-3": 1, "rov-4": 1}
    refused = {one.event.data["reason"] for one in told if one.topic == DEAD_LETTERS}
    assert refused == {
        f"who: `{who}` may not triggers.rearm `{name}`: no grant of the policy covers it"
        for name, who in (("auv-2", "eve"), ("auv-3", ""), ("rov-4", "ana"))
    }
    # In a file that is read at the start they are mistakes.
    (tmp_path / "commands.ndjson").write_text("\n".join(map(json.dumps, commands)))
    with pytest.raises(RegistryError, match=r"`eve` may not triggers\.rearm `auv-2`") as raised:
        read_given("", f"file:{tmp_path}/commands.ndjson")
    assert len(raised.value.mistakes) == 3
    monkeypatch.delenv("FARWATCH_POLICY")
    assert len(read_given("", f"file:{tmp_path}/commands.ndjson").answers) == 4
