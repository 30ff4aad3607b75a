"""Dashboards, alert rules and the README's table say what the list of metrics says."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from schemas.metrics import METRICS
from scripts.monitoring.__main__ import ROOT, made
from scripts.monitoring.dashboards import DASHBOARDS, all_dashboards

PROMETHEUS = ROOT / "deploy" / "prometheus"
ALERTS = PROMETHEUS / "alerts.yml"
SERIES = {
    name
    for metric in METRICS
    for name in (
        [f"{metric.name}_{part}" for part in ("bucket", "sum", "count")]
        if metric.kind == "histogram"
        else [metric.name]
    )
}


def rules() -> list[dict]:
    return [
        rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]
    ]


@pytest.mark.parametrize("path", made(), ids=str)
def test_files_are_as_they_are_generated(path):
    """Else run `python -m scripts.monitoring`."""
    assert (ROOT / path).read_text() == made()[path]


def test_no_dashboard_is_left_over():
    there = {path.stem for path in (ROOT / "deploy" / "grafana").glob("*.json")}
    assert there == set(DASHBOARDS)


def test_every_metric_is_on_a_dashboard():
    shown = {panel.metric for _, panels in DASHBOARDS.values() for panel in panels}
    assert shown == set(METRICS)


def test_names_are_those_of_prometheus_practice():
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    for metric in METRICS:
        assert re.fullmatch(r"farwatch_[a-z_]+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert bool(metric.buckets) == (metric.kind == "histogram")
        assert list(metric.buckets) == sorted(metric.buckets)


def test_queries_name_only_metrics_and_labels_of_the_list():
    queries = [rule["expr"] for rule in rules()]
    for model in all_dashboards().values():
        queries += [target["expr"] for panel in model["panels"] for target in panel["targets"]]
    for query in queries:
        names = set(re.findall(r"farwatch_\w+", query))
        assert names <= SERIES, query
        known = {label for m in METRICS if m.name in query for label in m.labels}
        used = {
            label.strip()
            for found in re.findall(r"by \(([^)]*)\)", query)
            for label in found.split(",")
        }
        assert used <= known | {"job", "instance", "le"}, query


def test_panels_do_not_overlap():
    for model in all_dashboards().values():
        places = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in model["panels"]]
        assert len(set(places)) == len(places)
        assert json.loads(json.dumps(model)) == model


def test_every_alert_is_shown_to_fire_by_a_test_of_its_own():
    tested = {
        case["alertname"]
        for group in yaml.safe_load((PROMETHEUS / "alerts.test.yml").read_text())["tests"]
        for case in group.get("alert_rule_test", ())
        if case.get("exp_alerts")
    }
    assert {rule["alert"] for rule in rules()} == tested


@pytest.fixture(scope="module")
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("no promtool: install Debian's package prometheus")
    return found


def run(promtool: str, *words: str, folder: Path = PROMETHEUS) -> subprocess.CompletedProcess:
    return subprocess.run(
        [promtool, *words], cwd=folder, capture_output=True, text=True, check=False
    )


def test_promtool_takes_the_configuration_and_the_rules(promtool):
    done = run(promtool, "check", "config", "prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_passes_the_tests_of_the_rules(promtool):
    done = run(promtool, "test", "rules", "alerts.test.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_tests_of_the_rules_can_fail(promtool, tmp_path):
    broken = ALERTS.read_text().replace("farwatch_stalled == 1", "farwatch_stalled == 2")
    (tmp_path / "alerts.yml").write_text(broken)
    tests = yaml.safe_load((PROMETHEUS / "alerts.test.yml").read_text())
    tests["tests"] = [test for test in tests["tests"] if test["name"].startswith("a stalled")]
    (tmp_path / "alerts.test.yml").write_text(yaml.safe_dump(tests))
    done = run(promtool, "test", "rules", "alerts.test.yml", folder=tmp_path)
    assert done.returncode != 0
    assert "FarwatchStalled" in done.stdout + done.stderr
