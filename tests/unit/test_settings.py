import os
from pathlib import Path

import pytest

from connectors.contract import SettingsError
from flows.settings import Settings


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch):
    for name in list(os.environ):
        if name.startswith("FARWATCH_"):
            monkeypatch.delenv(name)


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(monkeypatch, tmp_path):
    file = tmp_path / "farwatch.toml"
    file.write_text('frame_rows = 1\nkey_groups = 2\nzones = "file:toml"\n')
    monkeypatch.setenv("FARWATCH_KEY_GROUPS", "3")
    monkeypatch.setenv("FARWATCH_ZONES", "file:env")
    settings = Settings.load(file, zones="file:given")
    assert (settings.frame_rows, settings.key_groups, settings.zones) == (1, 3, "file:given")


def test_results_are_separated_by_spaces(monkeypatch):
    monkeypatch.setenv("FARWATCH_RESULTS", "dir:a  sqlite:b")
    assert Settings.load().results == ("dir:a", "sqlite:b")


def test_the_variable_farwatch_config_names_the_file(monkeypatch, tmp_path):
    file = tmp_path / "farwatch.toml"
    file.write_text("frame_rows = 5\n")
    monkeypatch.setenv("FARWATCH_CONFIG", str(file))
    assert Settings.load().frame_rows == 5


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("frame_row = 5", "unknown setting `frame_row`; did you mean `frame_rows`?"),
        ("frame_rows = 0", "setting `frame_rows` 0: "),
        ("key_groups = 'many'", "setting `key_groups` 'many': "),
        ("key_groups =", "not TOML"),
        ("window_s = 0", "setting `window_s` 0: input should be greater than or equal to 0.001"),
        ("window_gap_s = inf", "setting `window_gap_s` inf: "),
        ("lateness_s = inf", "setting `lateness_s` inf: "),
        (
            "analytics = 'maybe'",
            "setting `analytics` 'maybe': input should be 'auto', 'on' or 'off'",
        ),
    ],
)
def test_a_wrong_file_is_told_in_one_line(tmp_path, text, says):
    file = tmp_path / "farwatch.toml"
    file.write_text(text)
    with pytest.raises(SettingsError) as told:
        Settings.load(file)
    assert says in str(told.value)
    assert "\n" not in str(told.value)


def test_an_unknown_variable_is_refused_with_a_suggestion(monkeypatch):
    monkeypatch.setenv("FARWATCH_TELEMETRI", "x")
    with pytest.raises(SettingsError, match="did you mean FARWATCH_TELEMETRY"):
        Settings.load()


def test_what_is_not_set_is_named():
    with pytest.raises(SettingsError, match="FARWATCH_ZONES"):
        Settings.load(telemetry="file:x").require("telemetry", "zones")


def test_a_settings_file_that_is_not_there_is_named():
    with pytest.raises(SettingsError, match=r"none\.toml"):
        Settings.load(Path("none.toml"))


def test_warnings_are_told_every_five_minutes_unless_a_setting_says_otherwise():
    assert Settings().alerting(asked=False).batch_us == 300_000_000
