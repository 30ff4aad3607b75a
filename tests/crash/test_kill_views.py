"""kill -9 at random moments: InfluxDB and Redis show what they show without kills."""

import random
import subprocess
from contextlib import closing, suppress
from urllib.parse import urlsplit

import pytest
import redis

from tests.influxdb_buckets import new_bucket
from tests.views import RedisUnderTest
from tests.watching import ROOT, command, environment, run, telemetry, write_inputs

PACE = {"epoch_s": 0.05, "epoch_rows": 150, "frame_rows": 150}
KILLS = 6


@pytest.fixture
def state(redis_url):
    view = RedisUnderTest(f"redis://{urlsplit(redis_url).netloc}/7")
    with closing(redis.Redis.from_url(view.url)) as client:
        client.flushdb()
        yield view
        client.flushdb()


@pytest.mark.slow
@pytest.mark.parametrize("telemetry_of", ["all", "45s"])
def test_after_kills_views_show_what_they_show_without(tmp_path, influxdb_url, state, telemetry_of):
    write_inputs(tmp_path / "in", telemetry(24_000))
    rng = random.Random(7)
    with new_bucket(influxdb_url) as killed, new_bucket(influxdb_url) as undisturbed:

        def env(bucket, **more):
            results = f"{state.url} {bucket.url}?telemetry={telemetry_of}"
            return environment(tmp_path / "in", tmp_path / "out", results=results, **PACE, **more)

        assert run(command("watch", "--quiet"), env(undisturbed)).returncode == 0
        expected = state.shown()
        with closing(redis.Redis.from_url(state.url)) as client:
            client.flushdb()
        kills = 0
        given = env(killed, recovery=tmp_path / "recovery")
        while kills < KILLS:
            with subprocess.Popen(command("watch", "--quiet"), env=given, cwd=ROOT) as running:
                with suppress(subprocess.TimeoutExpired):
                    running.wait(rng.uniform(2.0, 4.0))
                assert running.poll() is None, "ended before it was killed often enough"
                running.kill()
                kills += 1
        assert run(command("watch", "--quiet"), given).returncode == 0
        assert killed.everything() == undisturbed.everything()
        assert state.shown() == expected
