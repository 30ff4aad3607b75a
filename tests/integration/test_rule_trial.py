"""`farwatch rules test`: rules held against recorded telemetry."""

import json

import pytest
from typer.testing import CliRunner

from scripts.cli import app
from tests.watching import RULES, command, environment, run, telemetry, write_inputs


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recorded")
    write_inputs(folder, telemetry(3000))
    changed = RULES.replace("depth_m > 350.0", "depth_m > 200.0").replace("low-battery", "empty")
    more = '- {id: silent, when: "true", absent_for: 5s, severity: critical}\n'
    (folder / "new.yaml").write_text(changed + more)
    return folder


def tried(folder, *words):
    return CliRunner().invoke(
        app,
        [
            *("rules", "test", "--telemetry", f"file:{folder}/telemetry.ndjson"),
            *("--zones", f"file:{folder}/zones.geojson", "--rules", str(folder / "new.yaml")),
            *words,
        ],
    )


def findings(result):
    assert result.exit_code == 0, result.output
    return {f["rule_id"]: f for f in map(json.loads, result.stdout.splitlines())}


def test_what_would_have_fired_is_what_the_watch_tells(recorded, tmp_path):
    found = findings(tried(recorded, "--json"))
    env = environment(recorded, tmp_path, rules=f"file:{recorded}/new.yaml")
    done = run(command("watch", "--quiet"), env)
    assert done.returncode == 0, done.stderr
    told = {}
    for line in (tmp_path / "topics" / "compliance_violations.ndjson").read_text().splitlines():
        event = json.loads(line)
        told[event["data"]["event_id"]] = event
    raised = [
        event["data"]
        for event in told.values()
        if event["type"] == "farwatch.alarm.raised.v1" and not event["data"]["retracted"]
    ]
    for rule_id, finding in found.items():
        mine = [data for data in raised if data["rule_id"] == rule_id]
        assert finding["alarms"] == len(mine)
        assert finding["vehicles"] == {
            vehicle: sum(data["vehicle_id"] == vehicle for data in mine)
            for vehicle in {data["vehicle_id"] for data in mine}
        }
        assert finding["first"] == min((data["time"] for data in mine), default=None)
        assert finding["last"] == max((data["time"] for data in mine), default=None)
        assert finding["records"] > 2900
        assert finding["cpu_us_a_record"] > 0
    assert all(found[name]["alarms"] for name in ("apei-no-work", "deep", "quiet", "silent"))
    assert found["deep"]["unknown"] > 0
    assert found["quiet"]["mode"] == "shadow"


def test_beside_the_rules_in_force(recorded):
    result = tried(recorded, "--json", "--against", f"file:{recorded}/rules.yaml")
    found = findings(result)
    # The same condition, another limit, another name.
    assert (found["apei-no-work"]["new"], found["apei-no-work"]["gone"]) == (0, 0)
    assert found["deep"]["new"] > 0
    assert found["deep"]["gone"] == 0
    assert found["empty"]["new"] == found["empty"]["alarms"]
    assert "low-battery: not among these rules" in result.stderr


def test_a_part_of_the_time_and_a_table_to_read(recorded):
    begin, end = "2026-01-01T00:05:00Z", "2026-01-01T00:10:00Z"
    whole = findings(tried(recorded, "--json"))
    part = findings(tried(recorded, "--json", "--from", begin, "--to", end))
    for rule_id, finding in part.items():
        assert finding["records"] < whole[rule_id]["records"]
        assert finding["first"] is None or begin[:-1] <= finding["first"] <= end[:-1]
    shown = tried(recorded, "--from", begin, "--to", end).stdout
    assert f"quiet v1 (info, shadow): {part['quiet']['alarms']} alarms" in shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--from", "yesterday"), "--from yesterday: give a time of RFC 3339 with its zone"),
        (("--from", "2026-01-02T00:00:00Z", "--to", "2026-01-01T00:00:00Z"), "is not before"),
        (("--from", "2027-01-01T00:00:00Z"), "no record in that time"),
        (("--telemetry", "kafka://broker/topic"), "rules are tested on a record"),
        (("--rules", "absent.yaml"), "cannot read rules"),
    ],
)
def test_wrong_input_ends_with_status_2_and_one_line(recorded, words, said):
    result = tried(recorded, *words)
    assert result.exit_code == 2
    assert said in result.stderr
