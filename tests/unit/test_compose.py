"""`deploy/compose.yaml` is what Compose understands, and each part of it is as it should be."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from compose_spec import PyOptions

from connectors.rabbitmq.options import read_source_url
from flows.settings import Settings
from flows.steps.registry import load_registry
from rules.planning.triggers import load_triggers
from scripts.run import FLOWS
from tests.watching import ROOT

COMPOSE = ROOT / "deploy" / "compose.yaml"
COMPOSE_GO = "github.com/compose-spec/compose-go/v2/cmd@v2.9.0"


@pytest.fixture(scope="module")
def compose() -> dict:
    return yaml.safe_load(COMPOSE.read_text())


@pytest.fixture(scope="module")
def flows(compose) -> dict[str, dict]:
    services = compose["services"].items()
    ours = {name: one for name, one in services if one["image"].startswith("farwatch:")}
    return {name: one for name, one in ours.items() if one["command"][0] == "run"}


def test_it_is_valid_by_the_compose_specification():
    options = PyOptions()
    options.apply_merge = True
    options.from_yaml(COMPOSE.read_text()).validate()


@pytest.mark.slow
def test_composes_own_loader_resolves_it(tmp_path):
    go = shutil.which("go")
    if go is None:
        pytest.skip("no Go: Compose's loader (compose-go) cannot be built")
    env = os.environ | {"GOBIN": str(tmp_path), "GOFLAGS": "-mod=mod"}
    built = subprocess.run(
        [go, "install", COMPOSE_GO], env=env, capture_output=True, text=True, check=False
    )
    if built.returncode:
        pytest.skip(f"compose-go cannot be had: {built.stderr.strip()[-200:]}")
    words = [tmp_path / "cmd", "-no-path-resolution", "compose.yaml"]
    done = subprocess.run(words, cwd=COMPOSE.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    resolved = yaml.safe_load(done.stdout)["services"]
    assert set(resolved) == set(yaml.safe_load(COMPOSE.read_text())["services"])


def test_every_service_is_pinned_waited_for_and_on_loopback_only(compose):
    for name, service in compose["services"].items():
        assert re.search(r":v?\d+\.\d+", service["image"]), name
        assert service["healthcheck"]["test"], name
        assert service["networks"] == ["farwatch"], name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        waited_for = service.get("depends_on", {}).values()
        assert all(each == {"condition": "service_healthy"} for each in waited_for), name


def test_flows_wait_for_what_they_write_to_and_have_no_rights(compose, flows):
    assert set(flows) == set(FLOWS)
    for name, flow in flows.items():
        hosts = re.findall(r"://(\w+):", " ".join(map(str, flow["environment"].values())))
        assert set(hosts) <= set(flow["depends_on"]), name
        assert flow["read_only"], name
        assert flow["cap_drop"] == ["ALL"], name
        assert flow["security_opt"] == ["no-new-privileges:true"], name
        command, chosen, *_ = flow["command"]
        assert (command, chosen) == ("run", name)
        assert chosen in FLOWS
        # Each has a volume of its own for its state.
        assert f"{name}:/var/lib/farwatch/state" in flow["volumes"]


def test_flows_apart_do_not_take_telemetry_from_one_another(flows):
    sources = [
        urlsplit(flow["environment"]["FARWATCH_TELEMETRY"])
        for flow in flows.values()
        if flow["profiles"] == ["apart"]
    ]
    queues = [
        queue
        for source in sources
        if "type=stream" not in source.query
        for queue in read_source_url(source.geturl())[1].queue_names()
    ]
    assert len(queues) == len(set(queues))


def test_every_process_of_every_flow_is_scraped(compose, flows):
    config = yaml.safe_load(compose["configs"]["prometheus"]["content"])
    [job] = config["scrape_configs"]
    scraped = {(name, found["port"]) for found in job["dns_sd_configs"] for name in found["names"]}
    assert scraped == {
        (name, int(flow["environment"]["FARWATCH_METRICS_PORT"]) + process)
        for name, flow in flows.items()
        for process in range(int(flow["environment"].get("FARWATCH_PROCESSES", 1)))
    }
    if promtool := shutil.which("promtool"):
        written = {**config, "rule_files": [str(COMPOSE.parent / "prometheus" / "alerts.yml")]}
        words = [promtool, "check", "config", "/dev/stdin"]
        subprocess.run(words, input=yaml.safe_dump(written), text=True, check=True)


def test_settings_of_the_flows_are_settings_and_hold_no_secret(compose, flows, monkeypatch):
    for name in list(os.environ):
        if name.startswith("FARWATCH_"):
            monkeypatch.delenv(name)
    for name, flow in flows.items():
        with monkeypatch.context() as given:
            for variable, value in flow["environment"].items():
                given.setenv(variable, value)
            settings = Settings.load()
        assert settings.epoch_s + settings.drain_s < seconds(flow["stop_grace_period"]), name
        secrets = {v for k, v in flow["environment"].items() if k.endswith("_FILE")}
        assert secrets == {f"/run/secrets/{each}" for each in flow["secrets"]}, name
    for name, service in compose["services"].items():
        for variable in service.get("environment", {}):
            assert not re.search(r"(PASSWORD|TOKEN)$", variable), name
    # What reads of no file is told of one that is mounted.
    assert compose["services"]["redis"]["command"][1] == "/run/secrets/redis_conf"


def seconds(text: str) -> int:
    assert text.endswith("s")
    return int(text[:-1])


def test_secrets_are_made_once(compose, tmp_path):
    shutil.copy(ROOT / "deploy" / "secrets.sh", tmp_path)
    made = {}
    for _ in range(2):
        subprocess.run(["bash", tmp_path / "secrets.sh"], check=True)
        now = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
        assert made in ({}, now)
        made = now
    assert set(made) == {Path(each["file"]).name for each in compose["secrets"].values()}
    assert len(set(made.values())) == len(made)
    assert made["redis.conf"] == f"requirepass {made['redis_password']}"
    assert made["rabbitmq.conf"].endswith(f"default_pass = {made['rabbitmq_password']}")
    assert (tmp_path / "secrets").stat().st_mode & 0o077 == 0


def test_its_zones_and_rules_are_right():
    config = ROOT / "deploy" / "config"
    registry = load_registry(f"file:{config}/zones.geojson", f"file:{config}/rules.yaml")
    assert len(registry.fences.zones) == len(registry.book.rules) == 2
    assert len(load_triggers((config / "triggers.yaml").read_bytes(), "triggers.yaml")) == 2


def test_flows_log_in_to_postgresql_as_a_user_who_does_not_own_the_tables(compose, flows):
    tables = compose["services"]["tables"]
    assert {one["environment"]["FARWATCH_POSTGRESQL_USER"] for one in flows.values()} == {"fw_flow"}
    assert tables["environment"]["FARWATCH_POSTGRESQL_USER"] == "fw_admin"
    assert tables["secrets"] == ["postgresql_admin_password"]
    logins = (ROOT / "deploy" / "sql" / "logins.sql").read_text()
    passwords = set(re.findall(r"/(postgresql_\w+)\"", logins))
    assert len(passwords) == 3
    assert passwords <= set(compose["services"]["postgresql"]["secrets"])


def test_up_makes_roles_users_and_tables_before_any_flow():
    up = (ROOT / "deploy" / "up").read_text()
    first = [up.index(f" {word}") for word in ("postgresql\n", "-f /etc/farwatch", "run --build")]
    again, flows = up.index("roles.sql\nexec"), up.index("exec docker compose up")
    assert [*first, again, flows] == sorted([*first, again, flows])
