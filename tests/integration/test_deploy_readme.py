"""What the pages of `deploy/` tell people to type is there, and does what they say."""

import json
import os
import re
import shlex
import shutil
import sys
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
import typer
import yaml

from scripts.cli import app
from tests.watching import ROOT, command, environment, read_topics, run, telemetry, write_inputs

DEPLOY = ROOT / "deploy"
PAGES = ("README.md", "waxctl/README.md")


def code_of(page: Path) -> str:
    """All that stands in blocks of code or between back-ticks, a line each."""
    text = page.read_text()
    blocks = re.findall(r"```\n(.*?)```", text, re.DOTALL)
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return "\n".join([*blocks, *spans]).replace("\\\n", " ")


def commands_of(page: Path) -> list[list[str]]:
    """The words of each `farwatch` command on a page."""
    found = re.findall(r"(?:^|[/ ])farwatch ((?:[a-z]+-?[a-z]*) .*)$", code_of(page), re.MULTILINE)
    return [shlex.split(line.partition("#")[0].removesuffix("&")) for line in found]


@pytest.mark.parametrize("page", PAGES)
def test_every_command_and_option_is_one(page):
    group = typer.main.get_command(app)
    known = group.commands
    checked = 0
    for words in commands_of(DEPLOY / page):
        if words[0] not in known:
            continue
        found, rest = known[words[0]], words[1:]
        if hasattr(found, "commands"):
            found, rest = found.commands[rest[0]], rest[1:]
        options = {option for parameter in found.params for option in parameter.opts}
        assert {word for word in rest if word.startswith("--")} <= options, words
        checked += 1
    assert checked or page != "README.md"


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_is_named_is_there(page):
    folder = (DEPLOY / page).parent
    named = re.findall(r"(?:deploy|tests|flows|scripts)/[\w./-]*\w", (DEPLOY / page).read_text())
    made = {"deploy/secrets"}
    for name in named:
        if not any(name.startswith(each) for each in made):
            assert (ROOT / name).exists(), name
    for span in re.findall(r"^\| `([^|]+)` \|", (DEPLOY / page).read_text(), re.MULTILINE):
        for name in re.findall(r"[\w.-]+(?:/[\w-]*)?", span):
            if "/" in name or name.endswith((".md", ".yaml", ".json")):
                assert (folder / name).exists(), name


def test_the_first_record_raises_the_alert_it_is_said_to(tmp_path):
    [record] = re.findall(r"^\{\"auv_id\".*\}$", (DEPLOY / "README.md").read_text(), re.MULTILINE)
    (tmp_path / "telemetry.ndjson").write_text(f"{record}\n")
    places = {name: f"file:{DEPLOY}/config/{name}" for name in ("zones.geojson", "rules.yaml")}
    env = environment(tmp_path, tmp_path, zones=places["zones.geojson"], rules=places["rules.yaml"])
    done = run(command("run", "watch"), env)
    assert done.returncode == 0, done.stderr
    [alert] = read_topics(tmp_path / "topics", ["critical_alerts"]).values()
    assert alert["data"]["rule_id"] == "apei-no-work"
    assert (
        alert["data"]["message"] == f"auv-7 at work in APEI-4 at {json.loads(record)['depth_m']} m"
    )


def test_postgresql_is_set_up_as_written_and_the_example_login_runs_a_watch(
    postgresql_url, tmp_path
):
    if shutil.which("psql") is None:
        pytest.skip("no psql: apt-get install postgresql-client")
    server = urlsplit(postgresql_url)
    name = f"farwatch_test_{uuid4().hex}"
    section = (DEPLOY / "README.md").read_text().partition("\n## PostgreSQL\n")[2]
    blocks = re.findall(r"```\n(.*?)```", section.partition("\n## ")[0], re.DOTALL)
    script = "\n".join(["set -euo pipefail", *blocks])
    script = script.replace("127.0.0.1:5432/farwatch", f"{server.hostname}:{server.port}/{name}")
    script = script.replace("-d farwatch", f"-d {name}").replace(
        "createdb farwatch", f"createdb {name}"
    )
    env = environment(ROOT, tmp_path) | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PGHOST": str(server.hostname),
        "PGPORT": str(server.port),
        "PGUSER": str(server.username),
    }
    for variable in ("FARWATCH_TELEMETRY", "FARWATCH_ZONES", "FARWATCH_RULES", "FARWATCH_RESULTS"):
        del env[variable]
    try:
        for _ in range(2):  # The second block again, as at an upgrade.
            done = run(["bash", "-c", script], env)
            assert done.returncode == 0, done.stderr
            script = "\n".join(["set -euo pipefail", script[script.index("export ") :]])
        secret = DEPLOY / "kubernetes" / "base" / "secret.example.yaml"
        login = yaml.safe_load(secret.read_text())["stringData"]
        write_inputs(tmp_path, telemetry(400))
        url = f"postgresql://{server.hostname}:{server.port}/{name}"
        flow = environment(tmp_path, tmp_path, zones=url, rules=url, results=url)
        flow |= {k: v for k, v in login.items() if k.startswith("FARWATCH_POSTGRESQL_")}
        watched = run(command("run", "watch"), flow)
        assert watched.returncode == 0, watched.stderr
        denied = command("zones", "remove", "apei-4", "--to", url)
        assert "permission denied" in run(denied, flow).stderr
        with psycopg.connect(postgresql_url, dbname=name) as connection:
            [(count,)] = connection.execute("SELECT count(*) FROM vehicle_states").fetchall()
        assert count > 0
    finally:
        with psycopg.connect(postgresql_url, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())
            for login_name in ("fw_flow", "fw_admin"):
                connection.execute(f"DROP ROLE IF EXISTS {login_name}".encode())
