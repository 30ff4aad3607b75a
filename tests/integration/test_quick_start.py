"""The README's commands, in order, in a fresh copy of the checkout: as somebody new types them."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.watching import ROOT, read_topics

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

RUN = {
    "README.md": (
        "scripts/demo ",
        ".venv/bin/farwatch watch ",
        "farwatch rules test ",
        "FARWATCH_TELEMETRY=",
    )
}
"""Page -> how the blocks begin that are run here, in order."""

LEFT_OUT = {
    "README.md": {
        " telemetry ──▶": "a drawing",
        "            raised ": "a drawing",
        "farwatch alerts list ": "forms of commands, not commands; test_alerts.py runs them",
        "scripts/check ": "for those who develop it: checks, this suite, servers, benchmarks",
    },
    "deploy/README.md": {
        "deploy/up": "needs a container engine; test_compose.py, test_containers.py, test_image.py",
        "export FARWATCH_RABBITMQ_USER": "needs what deploy/up starts; test_deploy_readme.py",
        "farwatch run watch --config": "a file of the reader's own; test_command_line.py",
        "docker build ": "needs an engine and a cluster; test_kubernetes.py, test_image.py",
        "createdb ": "needs PostgreSQL: test_deploy_readme.py runs it",
        "export FARWATCH_POSTGRESQL_USER": "needs PostgreSQL: test_deploy_readme.py runs it",
        "farwatch backup create ": "needs a running flow; test_backup.py",
        "docker compose exec ": "needs a container engine",
    },
    "deploy/waxctl/README.md": {
        "python -m bytewax.run ": "in the chart's environment; test_chart.py",
        "kubectl ": "needs a cluster",
        "helm ": "needs a cluster",
    },
}
"""Page -> how blocks begin that are not run here -> why not, and what is instead."""


def blocks(page: str, language: str = "") -> list[str]:
    """The code of a page that is in one language; "" = of no named one: commands and drawings."""
    return [code for of, code in FENCE.findall((ROOT / page).read_text()) if of == language]


@pytest.mark.parametrize("page", LEFT_OUT)
def test_every_block_is_run_or_said_to_be_left_out(page):
    known = (*RUN.get(page, ()), *LEFT_OUT[page])
    found = [[start for start in known if code.startswith(start)] for code in blocks(page)]
    unknown = [code for code, starts in zip(blocks(page), found, strict=True) if not starts]
    assert unknown == []
    # Each says something of one block: none is of a block that is there no more.
    assert sorted(start for starts in found for start in starts) == sorted(known)


@pytest.mark.slow
def test_what_the_readme_says_to_type_does_what_it_says(tmp_path):
    checkout = tmp_path / "farwatch"
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if tracked.returncode:
        pytest.skip("no checkout of git: what would be cloned is not known")
    for name in filter(None, tracked.stdout.split("\0")):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, checkout / name)

    demo = typed(checkout, RUN["README.md"][0], without="scripts/test")
    page = re.findall(r"\S+\.html", demo)
    assert page, demo
    assert (checkout / page[-1]).read_text().startswith("<!doctype html>"), demo

    record, zones, *_ = blocks("README.md", "json")
    # The page's record, moved into the page's zone, and again two minutes later.
    first = json.loads(record) | {"longitude": -146.0, "latitude": 6.0}
    second = first | {"timestamp": "2026-03-02T00:02:00Z"}
    lines = "\n".join(map(json.dumps, (first, second)))
    (checkout / "telemetry.ndjson").write_text(f"{lines}\n")
    (checkout / "zones.geojson").write_text(zones)
    (checkout / "rules.yaml").write_text(blocks("README.md", "yaml")[0])
    typed(checkout, RUN["README.md"][1])
    for name in ("out.sqlite", "report.html", "recovery"):
        assert (checkout / name).exists(), name
    before = read_topics(checkout / "out")
    [alert] = [event for (topic, _), event in before.items() if topic == "critical_alerts"]
    assert (alert["data"]["vehicle_id"], alert["data"]["zone_id"]) == ("auv-7", "apei-4")
    assert "isa-contract-visit v1 (info): 1 alarms" in typed(checkout, RUN["README.md"][2])
    shutil.rmtree(checkout / "out")
    typed(checkout, RUN["README.md"][3])
    assert read_topics(checkout / "out").keys() == before.keys()


def typed(checkout: Path, start: str, without: str | None = None) -> str:
    """Run the block that begins so, but for lines that begin with ``without``; what it says."""
    [code] = [code for code in blocks("README.md") if code.startswith(start)]
    lines = [line for line in code.splitlines() if not (without and line.startswith(without))]
    kept = {name: os.environ[name] for name in os.environ if not name.startswith("FARWATCH_")}
    kept.pop("VIRTUAL_ENV", None)
    path = f"{checkout}/.venv/bin:{kept['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", "\n".join(lines)],
        cwd=checkout,
        env=kept | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, (code, done.stdout, done.stderr)
    return done.stdout + done.stderr
