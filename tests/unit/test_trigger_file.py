"""Trigger files: what is read, and every mistake with its line."""

from pathlib import Path

import pytest

from rules.planning.triggers import load_triggers
from schemas.rule import RuleFileError
from tests.watching import command, run

WHOLE = """
- id: low
  forecasts:
    battery: {of: battery_pct, method: robust, look_back: 2h, horizon: 1d, until: next_charge,
      confidence: 0.8, limit: reserve}
  when: forecast.battery.low < plan.reserve_pct && sensors.leak < 1.0
  every: 5m
  consecutive: 3
  for: 10m
  clear_when: forecast.battery.value > 50.0
  cooldown: 1h
  priority: 9
  deadline: 20m
  severity: critical
  scope: {kinds: [auv], vehicles: ["a-*"]}
  message: "{vehicle_id} at {battery_pct}"
  source: here
  effective_from: 2026-01-01T00:00:00Z
  mode: shadow
  version: 2
- {id: quiet, absent_for: 90s}
"""


def mistakes(text):
    with pytest.raises(RuleFileError) as caught:
        load_triggers(text.encode(), "t.yaml")
    return caught.value.mistakes


def test_a_whole_trigger_is_read():
    first, second = load_triggers(WHOLE.encode(), "t.yaml")
    trigger = first.trigger
    assert (trigger.every_s, trigger.consecutive, trigger.for_s) == (300.0, 3, 600.0)
    assert (trigger.cooldown_s, trigger.priority, trigger.deadline_s) == (3600.0, 9, 1200.0)
    assert (trigger.mode, trigger.version, trigger.line) == ("shadow", 2, 2)
    battery = trigger.forecasts["battery"]
    assert (battery.look_back_s, battery.horizon_s, battery.until) == (
        7200.0,
        86_400.0,
        "next_charge",
    )
    assert first.sensors == {"leak"}
    assert "plan.reserve_pct" in first.columns
    assert (second.trigger.absent_for_s, second.when) == (90.0, None)


@pytest.mark.parametrize(
    ("field", "line", "said"),
    [
        ("when: forecast.batery.low < 1", 3, "no forecast `batery`: declare it"),
        ("when: plan.reserve < 3.0", 3, "a plan has no `reserve`"),
        ("when: goal == goal", 3, "`goal` cannot be judged as a whole"),
        ("when: battery_pct", 3, "a rule asks for true or false, this is double"),
        ("when: battery_pt < 3.0", 3, "did you mean `battery_pct`?"),
        ('when: zone.kind == "x"', 3, "zone"),
        ("when: true\n  cooldwn: 1h", 4, "there is no `cooldwn`: did you mean `cooldown`?"),
        ("cooldown: 1:30", 3, "`cooldown` is '1:30': give a duration such as 90s"),
        ("absent_for: 0s", 3, "`absent_for` is '0s': it should be greater than 0"),
        ("rearm: tme", 3, "did you mean `time`?"),
        ("when: true\n  rearm: time", 2, "`rearm: time` needs `rearm_after`, such as 2h"),
        ("when: true\n  rearm_after: 2h", 2, "`rearm_after` is for `rearm: time`"),
        ("when: true\n  rearm: command\n  clear_when: 'true'", 2, "`clear_when` is for"),
        ("absent_for: 1h\n  for: 3m", 2, "`absent_for` waits by itself"),
        ("absent_for: 1h\n  every: 3m", 2, "`absent_for` is looked for at its time"),
        ("priority: 3", 2, "nothing is asked: give `when` or `absent_for`"),
        ("when: true\n  priority: 10", 4, "`priority` is '10': it should be less than"),
        ("when: true\n  message: '{depth}'", 4, "`message`: there is no `{depth}`"),
        ("when: true\n  forecasts: {b: {of: batt, horizon: 1h}}", 4, "there is no `batt`"),
        ("when: true\n  forecasts: {b: {of: depth_m}}", 4, "`forecasts.b.horizon` is missing"),
        ("when: true\n  forecasts: {b: {of: depth_m, horizon: 1h, methd: x}}", 4, "`method`?"),
        ("when: true\n  forecasts: {b c: {of: depth_m, horizon: 1h}}", 4, "name it by letters"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line(field, line, said):
    (only,) = mistakes(f"\n- id: t\n  {field}\n")
    assert only.startswith(f"t.yaml:{line}:")
    assert ': trigger "t": ' in only
    assert said in only


def test_every_mistake_is_told_at_once():
    found = mistakes(
        "- {id: a, when: x < 1}\n- just text\n- {id: b, when: 'true'}\n- {id: b, when: 'true'}\n"
    )
    assert [text.split(":")[1] for text in found] == ["1", "2", "4"]
    assert "begin with `- id: ...`" in found[1]
    assert 'trigger "b": version 1 is also in line 3' in found[2]
    assert mistakes("") == ("t.yaml:1:1: the file is empty: give a list of triggers",)


def test_the_command_checks_a_file(tmp_path: Path):
    file = tmp_path / "triggers.yaml"
    file.write_text(WHOLE)
    done = run(command("triggers", "check", str(file)), {})
    assert (done.returncode, done.stderr) == (0, f"{file}: 2 triggers, no mistakes\n")
    file.write_text("- {id: a, when: x < 1}\n- {id: b, when: 'true', version: 0}\n")
    done = run(command("triggers", "check", str(file)), {})
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    assert f"{file}:1:" in lines[0]
    assert f"{file}:2:" in lines[1]
