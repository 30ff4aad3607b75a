"""`farwatch run FLOW --check`: every far side is tried, whatever the others say."""

import pytest

from connectors.contract import SettingsError
from flows.launch import open_recovery
from flows.settings import Settings
from flows.steps.registry import load_registry
from flows.wiring import wire
from scripts.far_sides import check_far_sides
from tests.watching import telemetry, write_inputs


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    """A table as wide as it needs to be: nothing is folded."""
    monkeypatch.setenv("COLUMNS", "1000")


@pytest.fixture
def given(tmp_path):
    write_inputs(tmp_path, telemetry(40))
    return {
        "telemetry": f"file:{tmp_path}/telemetry.ndjson",
        "zones": f"file:{tmp_path}/zones.geojson",
        "rules": f"file:{tmp_path}/rules.yaml",
        "results": (f"dir:{tmp_path}/topics", f"sqlite:{tmp_path}/results.sqlite"),
        "recovery": tmp_path / "recovery",
    }


def check(given, capsys, **settings):
    status = check_far_sides("watch", Settings(**given | settings))
    return status, capsys.readouterr().out


def test_when_all_is_well_it_says_so_and_leaves_nothing_behind(given, tmp_path, capsys):
    before = sorted(tmp_path.iterdir())
    status, said = check(given, capsys)
    assert (status, said.count(" ok ")) == (0, 6)
    assert sorted(tmp_path.iterdir()) == before


def test_all_that_is_wrong_is_told_and_what_cannot_be_reached_too(
    given, tmp_path, capsys, unused_tcp_ports
):
    away = f"redis://user:secret@127.0.0.1:{unused_tcp_ports[0]}/0"
    results = (away, f"dir:{tmp_path}/topics")
    status, said = check(given, capsys, results=results, zones="file:none.geojson")
    assert status == 2
    assert "none.geojson" in said
    assert "secret" not in said
    assert said.count(" ok ") == 3  # telemetry, rules, the folder


def test_a_far_side_that_is_away_is_status_1(given, capsys, unused_tcp_ports):
    away = f"redis://127.0.0.1:{unused_tcp_ports[0]}/0"
    assert check(given, capsys, results=(away,))[0] == 1


def test_rules_are_held_against_the_zones_that_they_name(given, tmp_path, capsys):
    rules = tmp_path / "rules.yaml"
    rules.write_text('- {id: near, when: distance_to("z0") < 500.0, severity: info}')
    assert check(given, capsys)[0] == 0
    rules.write_text(rules.read_text().replace("z0", "y0"))
    status, said = check(given, capsys)
    assert (status, "no zone `y0`" in said) == (2, True)


def test_what_comes_beside_telemetry_is_tried_too(given, tmp_path, capsys, unused_tcp_ports):
    away = f"amqp://guest:secret@127.0.0.1:{unused_tcp_ports[0]}/?queue=q"
    beside = ("commands", "progress", "mission_plans", "plan_results", "hazard_scores")
    status, said = check(given, capsys, **dict.fromkeys(beside, away))
    assert (status, said.count("does not answer"), "secret" in said) == (1, 5, False)
    plans = tmp_path / "plans.ndjson"
    plans.write_text("")
    assert check(given, capsys, mission_plans=f"file:{plans}")[0] == 0
    plans.write_text("{}")
    assert check(given, capsys, mission_plans=f"file:{plans}")[0] == 2


def test_what_is_read_at_start_is_read(given, tmp_path, capsys, monkeypatch):
    bad = tmp_path / "bad.yaml"
    bad.write_text("[{}]")
    files = {
        "triggers": f"file:{bad}",
        "routes": bad,
        "hazard": (str(bad),),
        "terrain": (str(bad),),
    }
    monkeypatch.setenv("FARWATCH_POLICY", str(bad))
    status, said = check(given, capsys, **files)
    assert (status, said.count(" ok ")) == (2, 6)
    for what in (*files, "policy"):
        (line,) = (one for one in said.splitlines() if what in one.split()[1:2])
        assert "bad.yaml" in line


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"mission_plans": "file:plans.ndjson"}, "FARWATCH_TRIGGERS"),
        ({"nearby_m": 200.0}, "raise FARWATCH_FARAWAY_M"),
    ],
)
def test_settings_that_nothing_would_read_are_refused(given, settings, says):
    with pytest.raises(SettingsError, match=says):
        wire(Settings(**given | settings))


def test_a_policy_with_a_mistake_is_refused_before_any_command_comes(given, tmp_path, monkeypatch):
    monkeypatch.setenv("FARWATCH_POLICY", str(tmp_path / "none.yaml"))
    with pytest.raises(SettingsError, match="FARWATCH_POLICY"):
        wire(Settings(**given))


def test_a_recovery_folder_of_other_settings_is_told(given, capsys):
    registry = load_registry(given["zones"], given["rules"])
    open_recovery("watch", Settings(**given), registry)
    assert check(given, capsys)[0] == 0
    status, said = check(given, capsys, key_groups=3)
    assert (status, "made with other" in said) == (2, True)


def test_what_is_not_set_is_told_before_anything_is_tried(capsys):
    with pytest.raises(SettingsError, match="FARWATCH_TELEMETRY"):
        check_far_sides("watch", Settings())
    assert not capsys.readouterr().out
