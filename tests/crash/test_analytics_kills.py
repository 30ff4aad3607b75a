"""kill -9 of analytics while late records revise windows: the windows are the same."""

import random
import sys

import pytest

from tests.influxdb_buckets import new_bucket
from tests.killing import kill_until_done, popen
from tests.watching import (
    command,
    environment,
    read_topics,
    run,
    telemetry,
    with_late_records,
    write_inputs,
)

RECORDS, VEHICLES = 8_000, 20
ALONE = [sys.executable, "-m", "bytewax.run", "flows.analytics:flow"]
WATCH = command("watch", "--quiet")
# The engine's own command line knows epochs of whole seconds only.
IN_EPOCHS = ["-s", "1", "-b", "0"]


def newest(events):
    """Event id -> the event of its last version."""
    in_order = sorted(events.values(), key=lambda event: event["data"]["version"])
    return {event["data"]["event_id"]: event for event in in_order}


def said(events):
    """The data of each, whichever flow told it."""
    return {key: event["data"] for key, event in events.items()}


@pytest.mark.parametrize(
    ("flow", "kills", "epoch_rows", "longest_s"),
    [
        pytest.param("watch", 5, 50, 1.5, id="watch-5-kills", marks=pytest.mark.slow),
        pytest.param("alone", 8, 100, 7.0, id="alone-8-kills", marks=pytest.mark.slow),
    ],
)
def test_windows_after_kills_are_those_of_an_undisturbed_run(
    tmp_path, influxdb_url, flow, kills, epoch_rows, longest_s
):
    inputs, alone, killed = (tmp_path / name for name in ("inputs", "alone", "killed"))
    write_inputs(inputs, with_late_records(telemetry(RECORDS, VEHICLES), VEHICLES))
    recovery = killed / "recovery"
    recovery.mkdir(parents=True)
    with new_bucket(influxdb_url) as expected, new_bucket(influxdb_url) as bucket:

        def env(out, into, **more):
            results = f"dir:{out}/topics {into.url}?telemetry=none"
            return environment(inputs, out, results=results, frame_rows=50, **more)

        undisturbed = run(ALONE, env(alone, expected))
        assert undisturbed.returncode == 0, undisturbed.stderr
        if flow == "watch":
            words = WATCH
            paced = env(killed, bucket, epoch_rows=epoch_rows, epoch_s=0.05, recovery=recovery)
        else:
            words = [*ALONE, "-r", str(recovery), *IN_EPOCHS]
            paced = env(killed, bucket, epoch_rows=epoch_rows)
            made = run([sys.executable, "-m", "bytewax.recovery", str(recovery), "1"], paced)
            assert made.returncode == 0, made.stderr

        def start():
            return [popen(words, paced, killed)]

        done = kill_until_done(start, killed, random.Random(kills), kills, longest_s)
        assert done >= kills
        windows = bucket.points("telemetry_window")
        assert windows == expected.points("telemetry_window")
    whole = read_topics(alone / "topics", ["analytics_data"])
    resumed = read_topics(killed / "topics", ["analytics_data"])
    assert said(newest(resumed)) == said(newest(whole))
    # Where frames end may differ, so versions in between; none says two things.
    both = whole.keys() & resumed.keys()
    assert said({key: resumed[key] for key in both}) == said({key: whole[key] for key in both})
    assert len(newest(whole)) < len(whole), "no window was revised"
