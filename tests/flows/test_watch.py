"""The watch as a whole: what it tells depends on the records alone, not on how it is run."""

from collections import Counter

import pytest

from schemas.payloads import PAYLOADS
from tests.watching import command, environment, rows, run, telemetry, told, write_inputs


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    write_inputs(folder, telemetry(5_000))
    return folder


@pytest.fixture(scope="module")
def plain(inputs, tmp_path_factory):
    out = tmp_path_factory.mktemp("plain")
    done = run(command("watch", "--quiet"), environment(inputs, out))
    assert (done.returncode, done.stderr) == (0, "")
    return out


def test_every_kind_of_thing_is_told(plain):
    counts = Counter(topic for topic, _ in told(plain))
    for topic in (
        "geofencing_events",
        "compliance_violations",
        "critical_alerts",
        "warning_alerts",
        "alert_notifications",
        "dead_letters",
    ):
        assert counts[topic] > 5, topic
    assert counts["late_telemetry"] == 0


def test_a_shadow_rule_is_recorded_and_nobody_is_told(plain):
    topics = {topic for (topic, _), e in told(plain).items() if e["data"].get("rule_id") == "quiet"}
    assert topics == {"compliance_violations"}


@pytest.mark.parametrize(
    "settings",
    [
        {"frame_rows": 20},
        {"frame_rows": 7, "key_groups": 3},
        {"frame_rows": 333, "key_groups": 64, "epoch_s": 0.05},
        {"frame_rows": 100_000, "key_groups": 1},
    ],
    ids=lambda s: ",".join(f"{k}={v}" for k, v in s.items()),
)
def test_neither_frames_nor_groups_nor_epochs_change_what_is_told(
    inputs, plain, settings, tmp_path
):
    done = run(command("watch", "--quiet"), environment(inputs, tmp_path, **settings))
    assert done.returncode == 0, done.stderr
    assert told(tmp_path) == told(plain)
    assert rows(tmp_path) == rows(plain)


def test_running_again_into_the_same_place_tells_nothing_twice(inputs, plain, tmp_path):
    env = environment(inputs, tmp_path)
    for _ in range(2):
        assert run(command("watch", "--quiet"), env).returncode == 0
    assert told(tmp_path) == told(plain)
    assert rows(tmp_path) == rows(plain)


def test_every_event_told_fits_the_model_of_its_type(plain):
    seen = set()
    for event in told(plain).values():
        PAYLOADS[event["type"]].model_validate(event["data"])
        seen.add(event["type"])
        assert event["id"] == f"{event['data']['event_id']}.{event['data']['version']}"
        assert event.get("subject", "") == event["data"]["vehicle_id"]
        assert event.get("time") == event["data"].get("time")
    assert len(seen) == 5
