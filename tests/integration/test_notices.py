"""Notices of zones and rules: taken into a store once, the bad ones dead letters."""

import json

from connectors import sqlite
from tests.watching import command, environment, run

RULE = {"id": "deep", "version": 1, "when": "depth_m > 350.0", "severity": "warning", "for": "30s"}
AREA = {"type": "Polygon", "coordinates": [[[0, 0], [3, 0], [3, 3], [0, 3], [0, 0]]]}
ZONE = {"type": "Feature", "id": "z", "properties": {"version": 1}, "geometry": AREA}
BEGIN, END = "2026-03-01T00:00:00Z", "2026-06-01T00:00:00Z"
GOOD = [
    {"type": "rule.created", "by": "ana", "rule": RULE},
    {
        "type": "rule.updated",
        "by": "ben",
        "why": "cable",
        "rule": {**RULE, "version": 2, "when": "depth_m > 300.0", "effective_from": BEGIN},
    },
    {"type": "zone.created", "by": "ana", "zone": ZONE},
    {"type": "rule.deleted", "by": "cleo", "id": "deep", "version": 3, "at": END},
]
BAD = {
    "not json": "not JSON",
    json.dumps(GOOD[0] | {"by": " "}): "`by`: ",
    json.dumps(GOOD[0] | {"rule": {**RULE, "when": "depth > 3.0"}}): "`when`",
    json.dumps(GOOD[0] | {"rule": {**RULE, "when": "depth_m > 1.0"}}): "with other content",
    json.dumps({"type": "rule.created", "by": "ana", "rule": {"id": "a"}}): "states no `version`",
    json.dumps(GOOD[3] | {"id": "none"}): "no version before 3 to end",
    json.dumps(GOOD[3] | {"version": None}): "give `id`, `version` and `at`",
    json.dumps({"type": "zone.created", "by": "ana", "zone": {**ZONE, "geometry": None}}): "z",
}


def test_notices_make_versions_once_and_bad_ones_are_dead_letters(tmp_path):
    lines = [*map(json.dumps, GOOD), *BAD]
    (tmp_path / "notices.ndjson").write_text("\n".join(lines) + "\n")
    store = f"sqlite:{tmp_path}/store.sqlite"
    env = environment(
        tmp_path,
        tmp_path,
        telemetry=f"file:{tmp_path}/notices.ndjson",
        zones=store,
        rules=store,
        results=f"dir:{tmp_path}/topics",
    )
    # The second time every notice comes again.
    for _ in range(2):
        done = run(command("run", "registry"), env)
        assert done.returncode == 0, done.stderr
    rules = list(sqlite.read_events(tmp_path / "store.sqlite", "rules"))
    assert [(r["version"], r["effective_from"], r["effective_to"]) for r in rules] == [
        (1, None, None),
        (2, "2026-03-01T00:00:00.000000Z", None),
        (3, "2026-03-01T00:00:00.000000Z", "2026-06-01T00:00:00.000000Z"),
    ]
    assert rules[2]["definition"]["when"] == "depth_m > 300.0"
    assert len(list(sqlite.read_events(tmp_path / "store.sqlite", "zones"))) == 1
    noted = list(sqlite.read_events(tmp_path / "store.sqlite", "audit_log"))
    assert [(n["who"], n["action"], n["version"], n["reason"]) for n in noted] == [
        ("ana", "rules version rule.created", 1, None),
        ("ben", "rules version rule.updated", 2, "cable"),
        ("ana", "zones version zone.created", 1, None),
        ("cleo", "rules version rule.deleted", 3, None),
    ]
    letters = [
        json.loads(line)["data"]
        for line in (tmp_path / "topics" / "dead_letters.ndjson").read_text().splitlines()
    ]
    said = {letter["raw_text"]: letter["reason"] for letter in letters}
    assert said.keys() == BAD.keys()
    for text, reason in BAD.items():
        assert reason in said[text]


def test_without_a_store_the_flow_does_not_start(tmp_path):
    (tmp_path / "notices.ndjson").write_text(json.dumps(GOOD[0]) + "\n")
    given = {"telemetry": f"file:{tmp_path}/notices.ndjson", "zones": "", "rules": ""}
    env = environment(tmp_path, tmp_path, **given, results=f"dir:{tmp_path}/topics")
    done = run(command("run", "registry"), env)
    assert done.returncode == 2
    assert "name the store that notices go to" in done.stderr
