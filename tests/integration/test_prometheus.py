"""A real Prometheus scrapes a running watch: all queries of dashboards and alerts are put to it."""

import json
import re
import shutil
import subprocess
import urllib.parse
import urllib.request
from contextlib import contextmanager
from urllib.error import URLError

import pytest
import yaml

from schemas.metrics import LAG, QUEUE_MESSAGES, RETRIES, UNACKED
from scripts.monitoring.dashboards import all_dashboards
from tests.kills import wait_until
from tests.probing import probed
from tests.unit.test_monitoring import ALERTS
from tests.watching import environment, telemetry, with_late_records, write_inputs

BROKERS_ONLY = {metric.name for metric in (LAG, QUEUE_MESSAGES, UNACKED)}
"""Shown by flows that read from a broker; tests of the brokers' connectors look at them."""
OUTAGES_ONLY = {RETRIES.name}
PACE = {"frame_rows": 20, "epoch_rows": 20, "epoch_s": 0.05}


class Prometheus:
    def __init__(self, port: int) -> None:
        self._at = f"http://127.0.0.1:{port}/api/v1"

    def query(self, query: str) -> list[dict]:
        """What an instant query finds; raises where it is not valid."""
        with urllib.request.urlopen(
            f"{self._at}/query?{urllib.parse.urlencode({'query': query})}", timeout=10
        ) as answer:
            found = json.loads(answer.read())
        assert found["status"] == "success"
        return found["data"]["result"]

    def scrapes(self, target: int) -> float:
        """How often the target was scraped well."""
        try:
            found = self.query(f'sum_over_time(up{{instance="127.0.0.1:{target}"}}[5m])')
        except (URLError, ConnectionError):
            return 0
        return float(found[0]["value"][1]) if found else 0


@contextmanager
def scraping(folder, target, port):
    config = {
        "global": {"scrape_interval": "500ms", "evaluation_interval": "500ms"},
        "rule_files": [str(ALERTS)],
        "scrape_configs": [
            {"job_name": "farwatch", "static_configs": [{"targets": [f"127.0.0.1:{target}"]}]}
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    words = ["prometheus", f"--config.file={folder}/prometheus.yml"]
    words += [f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}"]
    with (folder / "log").open("w") as log, subprocess.Popen(words, stderr=log) as process:
        try:
            yield Prometheus(port)
        finally:
            process.kill()


def dashboard_queries() -> dict[str, str]:
    """Dashboard, panel and letter -> query, as Grafana sends it for everything."""
    given = {"$job": ".*", "$instance": ".*", "$__rate_interval": "1m"}
    found = {}
    for name, model in all_dashboards().items():
        for panel in model["panels"]:
            for target in panel["targets"]:
                query = target["expr"]
                for variable, value in given.items():
                    query = query.replace(variable, value)
                assert "$" not in query
                found[f"{name}: {panel['title']} {target['refId']}"] = query
    return found


def lacking(prometheus: Prometheus) -> set[str]:
    """Dashboard, panel and letter of the queries that find nothing and should."""
    absent = BROKERS_ONLY | OUTAGES_ONLY
    return {
        title
        for title, query in dashboard_queries().items()
        if not set(re.findall(r"farwatch_[a-z_]+", query)) <= absent and not prometheus.query(query)
    }


@pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="no prometheus: install Debian's package"
)
def test_every_query_finds_a_running_watch(tmp_path, redis_url, unused_tcp_ports):
    target, port = unused_tcp_ports
    write_inputs(tmp_path, with_late_records(telemetry(40_000), vehicles=20))
    results = f"dir:{tmp_path}/topics {redis_url}"
    env = environment(tmp_path, tmp_path, results=results, recovery=f"{tmp_path}/rec", **PACE)
    env["FARWATCH_ALARMS"] = "on"
    with probed(env, target) as flow, scraping(tmp_path, target, port) as prometheus:
        assert wait_until(lambda: flow.well("readyz"), 60)
        assert wait_until(lambda: prometheus.scrapes(target) >= 6, 60)
        # On a slow machine the first bad record comes late.
        assert wait_until(lambda: not lacking(prometheus), 60), lacking(prometheus)
        alerts = [
            (rule["alert"], rule["expr"])
            for group in yaml.safe_load(ALERTS.read_text())["groups"]
            for rule in group["rules"]
        ]
        for _, expr in alerts:
            prometheus.query(expr)
        vehicles = prometheus.query('sum(farwatch_state_rows{of="vehicles"})')
        firing = prometheus.query('ALERTS{alertstate="firing"}')
    assert float(vehicles[0]["value"][1]) == 20
    assert not firing
