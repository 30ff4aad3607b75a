"""kill -9 of analytics alone while late records revise windows: the windows are the same."""

import random
import sys

import pytest

from tests.influxdb_buckets import new_bucket
from tests.killing import kill_until_done, popen
from tests.watching import (
    environment,
    read_topics,
    run,
    telemetry,
    with_late_records,
    write_inputs,
)

RECORDS, VEHICLES = 4_000, 20
FLOW = [sys.executable, "-m", "bytewax.run", "flows.analytics:flow"]


def newest(events):
    """Event id -> the event of its last version."""
    return {e["data"]["event_id"]: e for e in sorted(events, key=lambda e: e["data"]["version"])}


@pytest.mark.parametrize(
    "kills", [4, pytest.param(40, marks=pytest.mark.slow)], ids=lambda n: f"{n}-kills"
)
def test_windows_after_kills_are_those_of_an_undisturbed_run(tmp_path, influxdb_url, kills):
    inputs, alone, killed = (tmp_path / name for name in ("inputs", "alone", "killed"))
    write_inputs(inputs, with_late_records(telemetry(RECORDS, VEHICLES), VEHICLES))
    (killed / "recovery").mkdir(parents=True)
    with new_bucket(influxdb_url) as expected, new_bucket(influxdb_url) as bucket:

        def env(out, into, **pace):
            results = f"dir:{out}/topics {into.url}?telemetry=45s"
            return environment(inputs, out, results=results, frame_rows=50, **pace)

        done = run(FLOW, env(alone, expected))
        assert done.returncode == 0, done.stderr
        made = run(
            [sys.executable, "-m", "bytewax.recovery", f"{killed}/recovery", "1"],
            env(killed, bucket),
        )
        assert made.returncode == 0, made.stderr
        # The engine's own command line knows epochs of whole seconds only: four for each kill.
        pace = {"epoch_rows": RECORDS // 4 // kills}
        words = [*FLOW, "-r", f"{killed}/recovery", "-s", "1", "-b", "0"]

        def start():
            return [popen(words, env(killed, bucket, **pace), killed)]

        times = kill_until_done(start, killed, random.Random(kills), kills, longest_s=3.0)
        assert times >= kills
        assert bucket.everything() == expected.everything()
    whole = read_topics(alone / "topics", ["analytics_data"])
    resumed = read_topics(killed / "topics", ["analytics_data"])
    assert newest(resumed.values()) == newest(whole.values())
    # Where frames end may differ, so versions in between; none says two things.
    both = whole.keys() & resumed.keys()
    assert {key: resumed[key] for key in both} == {key: whole[key] for key in both}
    assert len(newest(whole.values())) < len(whole), "no window was revised"
