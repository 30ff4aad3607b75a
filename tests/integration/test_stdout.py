"""Results on standard output: what is peculiar to ``stdout:``."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WRITE = """
import sys
from connectors.contract import ConnectorSettings, RefusedError, SettingsError
from connectors.registry import open_sink
from schemas.delivery import Delivery
from schemas.event import ZONE_ENTERED, Event

sink = open_sink("stdout:", ConnectorSettings())
try:
    sink.check()
    built = sink.build("/farwatch/watch")
    part = built.build_part("results", built.list_parts()[0], None)
    for n in range(10_000):
        event = Event(type=ZONE_ENTERED, event_id=str(n), vehicle_id="v", time_us=n, data={})
        part.write_batch([Delivery("geofencing_events", event, {"batch": "b1"})])
    part.snapshot()
except (RefusedError, SettingsError) as exc:
    sys.stderr.write(str(exc))
"""


def write(redirection: str) -> tuple[str, str]:
    done = subprocess.run(
        ["bash", "-c", f'"$0" -c "$1" {redirection}', sys.executable, WRITE],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout, done.stderr


def test_lines_are_cloud_events_that_name_their_topic_and_batch() -> None:
    out, err = write("")
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["id"] for line in lines] == [f"{n}.1" for n in range(10_000)]
    assert {(line["topic"], line["batch"]) for line in lines} == {("geofencing_events", "b1")}
    assert err == ""


def test_a_reader_that_has_gone_is_told_in_one_line() -> None:
    out, err = write("| head -n 1")
    assert json.loads(out)["id"] == "0.1"
    assert err == "`stdout:`: nobody reads it any more (Broken pipe); use `dir:PATH`"


def test_a_closed_standard_output_is_refused_before_the_start() -> None:
    assert write(">&-")[1] == "`stdout:`: standard output is closed; open it or use `dir:PATH`"
