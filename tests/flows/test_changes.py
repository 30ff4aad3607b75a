"""Zones and rules that change while a flow runs or is down: all is as if known before."""

import json
import subprocess
import sys
from collections.abc import Mapping

import pytest
import yaml

from schemas.topics import COMPLIANCE_VIOLATIONS, GEOFENCING_EVENTS, RESULT_TOPICS
from tests.far_sides import new_rabbitmq_topics
from tests.kills import wait_until
from tests.watching import ROOT, RULES, ZONES, command, environment, read_topics, run, telemetry

RECORDS, VEHICLES = 4_000, 20
# Of the records a third is judged before the change is made, and half of those are after it.
JUDGED = RECORDS // 3
CHANGED = "2026-01-01T00:05:33Z"
OF_ENGINE = [sys.executable, "-m", "bytewax.run", "flows.watch:flow", "-s", "1", "-b", "0"]


def before_and_after() -> tuple[tuple[str, str], tuple[str, str]]:
    """Zones and rules as they were, and with what changes at ``CHANGED``."""
    zones, rules = ZONES["features"], yaml.safe_load(RULES)
    larger = json.loads(json.dumps(zones[0]))
    larger["properties"] |= {"version": 2, "effective_from": CHANGED}
    larger["geometry"]["coordinates"] = [[[0, 0], [5, 0], [5, 4], [0, 4], [0, 0]]]
    added = json.loads(json.dumps(zones[2])) | {"id": "new"}
    added["properties"] |= {"kind": "apei", "effective_from": CHANGED}
    ended = {**zones[0], "properties": {**zones[0]["properties"], "effective_to": CHANGED}}
    deeper = rules[1] | {"version": 2, "when": "depth_m > 250.0", "effective_from": CHANGED}
    return (
        (_collection(zones), yaml.safe_dump(rules)),
        (
            _collection([ended, larger, *zones[1:], added]),
            yaml.safe_dump([rules[0], rules[1] | {"effective_to": CHANGED}, deeper, *rules[2:]]),
        ),
    )


def _collection(features):
    return json.dumps({"type": "FeatureCollection", "features": features})


def write(folder, lines, definitions):
    folder.mkdir(exist_ok=True)
    zones, rules = definitions
    (folder / "zones.geojson").write_text(zones)
    (folder / "rules.yaml").write_text(rules)
    with (folder / "telemetry.ndjson").open("a") as file:
        file.writelines(f"{line}\n" for line in lines)


def final(events: Mapping[tuple[str, str], dict]) -> list[tuple[object, ...]]:
    """What holds in the end of what was told, without the names it was told under."""
    versions: dict[tuple[str, str], dict[int, dict]] = {}
    for (topic, _), event in events.items():
        data = event["data"]
        versions.setdefault((topic, data["event_id"]), {})[data["version"]] = event
    for (topic, event_id), of in versions.items():
        assert sorted(of) == list(range(1, len(of) + 1)), f"{topic} {event_id} skips a version"
    newest = [(topic, of[max(of)]) for (topic, _), of in versions.items()]
    return sorted(
        (topic, event["type"], event["time"], *map(str, map(event["data"].get, SAID)))
        for topic, event in newest
        if not event["data"]["retracted"]
    )


SAID = ("vehicle_id", "zone_id", "zone_version", "rule_id", "rule_version", "reason", "message")
TOPICS = [t for t in RESULT_TOPICS if t in (GEOFENCING_EVENTS, COMPLIANCE_VIOLATIONS)]


@pytest.mark.parametrize(
    "words",
    [command("run", "watch"), pytest.param(OF_ENGINE, marks=pytest.mark.slow)],
    ids=["launcher", "engine"],
)
def test_what_changed_before_records_that_were_judged_corrects_what_was_told(tmp_path, words):
    before, after = before_and_after()
    lines = telemetry(RECORDS, VEHICLES)
    inputs, recovery = tmp_path / "inputs", tmp_path / "recovery"
    settings = {"lateness_s": 3_600, "frame_rows": 200, "results": f"dir:{tmp_path}/topics"}
    if words is OF_ENGINE:
        recovery.mkdir()
        made = run([sys.executable, "-m", "bytewax.recovery", str(recovery), "1"], {})
        assert made.returncode == 0, made.stderr
        words = [*words, "-r", str(recovery)]
    else:
        settings["recovery"] = recovery
    env = environment(inputs, tmp_path, **settings)

    write(inputs, lines[:JUDGED], before)
    first = run(words, env)
    assert first.returncode == 0, first.stderr
    told_before = read_topics(tmp_path / "topics", TOPICS)
    write(inputs, lines[JUDGED:], after)
    second = run(words, env)
    assert second.returncode == 0, second.stderr
    told = read_topics(tmp_path / "topics", TOPICS)

    whole = tmp_path / "whole"
    write(whole, lines, after)
    known = run(
        command("run", "watch"),
        environment(whole, whole, **{**settings, "results": f"dir:{whole}/topics"})
        | {"FARWATCH_RECOVERY": ""},
    )
    assert known.returncode == 0, known.stderr
    assert final(told) == final(read_topics(whole / "topics", TOPICS))
    corrections = [e for k, e in told.items() if k not in told_before and e["data"]["retracted"]]
    assert corrections, "nothing that was told before is otherwise"


def test_where_the_zones_of_before_are_gone_it_is_said(tmp_path):
    before, after = before_and_after()
    lines = telemetry(RECORDS, VEHICLES)
    inputs, recovery = tmp_path / "inputs", tmp_path / "recovery"
    env = environment(
        *(inputs, tmp_path), results=f"dir:{tmp_path}/topics", recovery=recovery, lateness_s=3_600
    )
    write(inputs, lines[:JUDGED], before)
    assert run(command("run", "watch"), env).returncode == 0
    (noted,) = (recovery / "editions").iterdir()
    noted.unlink()
    write(inputs, lines[JUDGED:], after)
    done = run(command("run", "watch"), env)
    assert done.returncode == 0
    assert done.stderr.count("zones and rules of before the restart are not in") == 1


def test_what_is_put_while_a_flow_runs_is_judged_by_from_its_time_on(rabbitmq_url, tmp_path):
    zones, rules = ZONES["features"], yaml.safe_load(RULES)
    write(tmp_path, [], (_collection(zones), yaml.safe_dump(rules)))
    store = f"sqlite:{tmp_path}/registry.sqlite"

    def put(what, file):
        done = run(
            command(what, "put", str(tmp_path / file), "--to", store),
            environment(tmp_path, tmp_path),
        )
        assert done.returncode == 0, done.stderr

    put("zones", "zones.geojson")
    put("rules", "rules.yaml")
    start_s = 1_767_225_600
    at_rest = {"vehicle_id": "auv-1", "latitude": 20.0, "longitude": 20.0, "depth_m": 10.0}

    def records(*after_s):
        return [json.dumps(at_rest | {"timestamp": start_s + s, "speed_mps": 0.1}) for s in after_s]

    def said(topic):
        path = tmp_path / "topics" / f"{topic}.ndjson"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    with new_rabbitmq_topics(rabbitmq_url, 1) as topics:
        env = environment(
            *(tmp_path, tmp_path), telemetry=topics.target, zones=store, rules=store,
            results=f"dir:{tmp_path}/topics", registry_poll_s=0.1, epoch_s=0.05,
        )  # fmt: skip
        topics.publish(records(0))
        running = subprocess.Popen(
            command("run", "watch"), env=env, cwd=ROOT, stderr=subprocess.PIPE
        )
        try:
            assert wait_until(lambda: said(COMPLIANCE_VIOLATIONS), 60), "the quiet rule of RULES"
            ring = [[19, 19], [21, 19], [21, 21], [19, 21], [19, 19]]
            around = {
                **zones[0], "id": "around", "geometry": {"type": "Polygon", "coordinates": [ring]},
                "properties": {"kind": "apei", "effective_from": "2026-01-01T00:00:30Z"},
            }  # fmt: skip
            (tmp_path / "zones.geojson").write_text(_collection([around]))
            put("zones", "zones.geojson")
            rule = rules[0] | {"version": 2, "severity": "warning"}
            rule |= {"effective_from": "2026-01-01T00:01:30Z"}
            (tmp_path / "rules.yaml").write_text(yaml.safe_dump([rule]))
            put("rules", "rules.yaml")
            topics.publish(records(20, 40, 60, 80, 100))
            assert wait_until(lambda: len(said(COMPLIANCE_VIOLATIONS)) >= 3, 60)
        finally:
            running.terminate()
            log = running.communicate(timeout=60)[1]
        assert running.returncode == 0, log
    [entered] = said(GEOFENCING_EVENTS)
    assert entered["type"] == "farwatch.zone.entered.v1"
    assert entered["time"] == "2026-01-01T00:00:30.000000Z"
    assert (entered["data"]["zone_id"], entered["data"]["reason"]) == ("around", "zone_changed")
    alarms = [e for e in said(COMPLIANCE_VIOLATIONS) if e["data"]["rule_id"] == rule["id"]]
    assert [(e["type"], e["data"]["rule_version"], e["data"].get("reason")) for e in alarms] == [
        ("farwatch.alarm.raised.v1", 1, None),
        ("farwatch.alarm.updated.v1", 2, "rule_changed"),
    ]
    assert len({e["data"]["alarm_id"] for e in alarms}) == 1
