"""Secrets are nowhere to be seen: not in logs at their most talkative, reprs, process lists."""

import subprocess
import sys
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from redis import Redis

from connectors.contract import ConnectorSettings, SettingsError
from connectors.registry import open_sink
from flows.settings import Settings
from tests.kills import wait_until
from tests.probing import probed
from tests.services import sasl_address
from tests.watching import ROOT, environment, telemetry, write_inputs

SECRET = "sesame-4711"
TALKATIVE = (
    "import logging, sys; logging.basicConfig(level=logging.DEBUG, stream=sys.stderr);"
    "from scripts.cli import main; main()"
)


def talkative(env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """The watch with a log that tells all."""
    return subprocess.run(
        [sys.executable, "-c", TALKATIVE, "run", "watch"],
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    "url",
    [
        "amqp://h/v?exchange=a&",
        "kafka://h/?",
        "redis://h/0?",
        "influxdb://h/o/b?",
        "postgresql://u@h/d?",
    ],
)
def test_a_second_url_in_the_place_of_an_option_shows_no_secret(url):
    with pytest.raises(SettingsError) as refused:
        open_sink(f"{url}amqp://u:{SECRET}@h/v=4", ConnectorSettings())
    assert SECRET not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_settings_show_no_secret():
    urls = (f"amqp://u:{SECRET}@h/?exchange=x", f"influxdb://h/o/b?token={SECRET}")
    settings = Settings(telemetry=urls[0], results=urls, zones=f"postgresql://u:{SECRET}@h/d")
    for shown in (repr(settings), str(settings), f"{settings}"):
        assert SECRET not in shown
        assert "u:***@h" in shown


@pytest.mark.parametrize("name", ["rabbitmq", "postgresql", "redis"])
def test_a_login_that_fails_tells_no_secret_even_to_the_log_at_its_most_talkative(
    name, request, tmp_path
):
    parts = urlsplit(request.getfixturevalue(f"{name}_url"))
    url = parts._replace(netloc=f"stranger@{parts.hostname}:{parts.port}").geturl()
    write_inputs(tmp_path, telemetry(100))
    env = environment(tmp_path, tmp_path, results=url)
    env[f"FARWATCH_{name.upper()}_PASSWORD"] = SECRET
    done = talkative(env)
    assert SECRET not in done.stdout + done.stderr
    # PostgreSQL trusts whoever comes, but knows no such user.
    assert done.returncode in (1, 2), done.stderr


@pytest.mark.parametrize(
    ("results", "secret"),
    [
        ("kafka://stranger@{kafka}/?create=1&sasl=PLAIN", "KAFKA_PASSWORD"),
        ("influxdb://{nobody}/org/bucket", "INFLUXDB_TOKEN"),
    ],
    ids=["kafka", "influxdb"],
)
def test_neither_does_one_at_a_broker_or_an_influxdb_that_lets_nobody_in(
    results, secret, request, tmp_path, unused_tcp_ports
):
    kafka = ""
    if "{kafka}" in results:
        request.getfixturevalue("kafka_url")
        kafka = urlsplit(sasl_address("kafka")).netloc
    write_inputs(tmp_path, telemetry(100))
    url = results.format(kafka=kafka, nobody=f"127.0.0.1:{unused_tcp_ports[0]}")
    env = environment(tmp_path, tmp_path, results=url)
    env[f"FARWATCH_{secret}"] = SECRET
    done = talkative(env)
    assert SECRET not in done.stdout + done.stderr
    assert done.returncode in (1, 2), done.stderr
    assert results.partition(":")[0] in done.stderr


def test_a_running_flow_shows_no_secret_in_the_process_list_or_to_its_probes(
    tmp_path, redis_url, unused_tcp_ports
):
    write_inputs(tmp_path, telemetry(20_000))
    user = f"fw{uuid4().hex[:8]}"
    with closing(Redis.from_url(redis_url)) as client:
        client.execute_command("ACL", "SETUSER", user, "on", f">{SECRET}", "~*", "+@all")
        parts = urlsplit(redis_url)
        url = parts._replace(netloc=f"{user}:{SECRET}@{parts.hostname}:{parts.port}").geturl()
        env = environment(
            tmp_path, tmp_path, results=url, frame_rows=20, epoch_rows=20, epoch_s=0.05
        )
        try:
            with probed(env, unused_tcp_ports[0]) as flow:
                assert wait_until(lambda: flow.well("readyz"), 60)
                assert wait_until(lambda: user in flow.get("readyz")[1], 30)
                shown = Path(f"/proc/{flow.process.pid}/cmdline").read_text()
                shown += "".join(flow.get(path)[1] for path in ("metrics", "readyz", "healthz"))
        finally:
            client.execute_command("ACL", "DELUSER", user)
    assert f"{user}:***@" in shown
    assert SECRET not in shown
