"""A watch whose alarms are commanded: inputs, commands on what it raises, what is left of it."""

import json
from pathlib import Path

from tests.watching import command, environment, run, telemetry, told, write_inputs

RULES = """
- id: deep
  when: depth_m > 350.0
  severity: critical
  alarm: {acknowledged_for: 5m, inhibits: {rules: [slow-*, low-*]}}
- id: slow-work
  when: zone.kind == "apei" && speed_mps < 1.0
  severity: warning
  labels: {of: speed}
  alarm: {flapping: {count: 4, within: 2m}}
- id: low-battery
  when: battery_pct < 95.0
  severity: critical
  alarm: {latched: true}
"""
ALERTS = ("critical_alerts", "warning_alerts", "alert_notifications", "command_outcomes")


def commanded_inputs(folder: Path, records: int = 1_200) -> None:
    """Telemetry, some of it late, zones and rules in a folder."""
    lines = telemetry(records, vehicles=8)
    for place in range(100, records - 200, 150):
        lines[place], lines[place + 24] = lines[place + 24], lines[place]
    write_inputs(folder, lines)
    (folder / "rules.yaml").write_text(RULES)


def violations_of(out: Path) -> list[dict]:
    """The violations that a watch told, by time."""
    events = [e for (t, _), e in told(out).items() if t == "compliance_violations"]
    return sorted(events, key=lambda e: (e["time"], e["id"]))


def command_file(inputs: Path, out: Path) -> str:
    """The URL of commands on the alarms of a first run into ``out``, some of them wrong."""
    assert run(command("watch", "--quiet"), environment(inputs, out)).returncode == 0
    raised = [e["data"] for e in violations_of(out) if e["type"] == "farwatch.alarm.raised.v1"]
    given = []
    for place, alarm in enumerate(raised):
        action = ("acknowledge", "shelve", "clear", "acknowledge")[place % 4]
        given.append(
            {
                "id": f"c{place}",
                "action": action,
                "alarm_id": alarm["alarm_id"],
                "vehicle_id": alarm["vehicle_id"],
                "time": alarm["time"],
                "who": "ana",
                **({"until": "2026-01-01T00:20:00Z"} if action == "shelve" else {}),
            }
        )
    given = [c for c in given if c["action"] != "shelve" or c["time"] < c["until"]]
    given.append(given[0] | {"id": "unknown", "alarm_id": "0" * 32})
    given.append(given[0])
    lines = [*map(json.dumps, given), '{"id": "bad", "action": "shelf"}', "nonsense"]
    (inputs / "commands.ndjson").write_text("\n".join(lines) + "\n")
    return f"file:{inputs}/commands.ndjson"


def answer(events: dict) -> dict:
    """What a consumer is left with: the newest version of each event that is not retracted."""
    newest = {}
    for (topic, _), event in events.items():
        if topic in ALERTS:
            data = event["data"]
            key = topic, data["event_id"]
            if key not in newest or newest[key]["version"] < data["version"]:
                newest[key] = data
    return {
        key: {name: value for name, value in data.items() if name != "version"}
        for key, data in newest.items()
        if not data["retracted"]
    }
