"""The image's own steps, replayed in a folder where no engine builds it."""

import itertools
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.watching import ROOT, telemetry, write_inputs

DOCKERFILE = ROOT / "deploy" / "Dockerfile"
VENV = "/opt/farwatch"


@dataclass(frozen=True)
class Step:
    word: str
    rest: str


def stages() -> list[list[Step]]:
    """The instructions of each stage, continued lines joined."""
    found: list[list[Step]] = []
    text = re.sub(r"\\\n", " ", DOCKERFILE.read_text())
    for line in text.splitlines():
        if line and not line.startswith("#"):
            word, _, rest = line.partition(" ")
            if word == "FROM":
                found.append([])
            if found:
                found[-1].append(Step(word, rest.strip()))
    return found


def all_of(word: str) -> list[str]:
    return [step.rest for stage in stages() for step in stage if step.word == word]


def test_it_is_pinned_runs_as_nobody_and_asks_its_health():
    text = DOCKERFILE.read_text()
    assert re.search(r"^ARG PYTHON=python:3\.\d+\.\d+-slim-\w+$", text, re.MULTILINE)
    assert {rest.split(" AS ")[0] for rest in all_of("FROM")} == {"${PYTHON}"}
    assert all_of("USER") == ["65532:65532"]
    assert all_of("ENTRYPOINT") == ['["farwatch"]']
    [health] = all_of("HEALTHCHECK")
    assert health.endswith('CMD ["farwatch", "probe", "healthz"]')
    assert all(
        "--require-hashes" in run or "--no-deps" in run or "apt-get install" in run
        for run in all_of("RUN")
        if " install " in run
    )


def locked(name: str) -> dict[str, str]:
    """Project -> versions and markers, as a lock file pins them."""
    lines = re.findall(r"^([\w.-]+)==(.*?) ?\\$", (ROOT / name).read_text(), re.MULTILINE)
    pins: dict[str, str] = {}
    for project, version in lines:
        pins[project] = f"{pins.get(project, '')} {version}".strip()
    return pins


def test_it_has_every_extra_and_else_what_is_tested():
    [lock] = re.findall(r"--require-hashes -r (\S+)", "\n".join(all_of("RUN")))
    image, core, tested = map(locked, (lock, "requirements.lock", "requirements-dev.lock"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = {
        re.split(r"[><=\[]", wanted)[0]
        for wanted in itertools.chain(*project["optional-dependencies"].values())
    }
    assert extras <= image.keys()
    assert core.items() <= image.items()
    assert image.items() <= tested.items()


def test_all_that_it_copies_is_there_and_let_through():
    ignored = (ROOT / "deploy" / "Dockerfile.dockerignore").read_text().splitlines()
    for rest in all_of("COPY"):
        if rest.startswith("--from"):
            continue
        *sources, _ = rest.split()
        for source in sources:
            assert (ROOT / source).exists(), source
            assert any(source.startswith(line[1:]) for line in ignored if line[:1] == "!"), source
    # And all of the package is copied.
    copied = {source for rest in all_of("COPY") for source in rest.split()}
    assert {"schemas", "rules", "connectors", "flows", "scripts"} <= copied


@pytest.mark.slow
def test_its_build_gives_a_farwatch_that_runs(tmp_path):
    build = stages()[0]
    venv, source = tmp_path / "venv", tmp_path / "src"
    source.mkdir()
    env = {
        "PATH": f"{Path(sys.executable).resolve().parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
    }
    for step in build:
        if step.word == "ENV":
            env |= dict(word.split("=", 1) for word in shlex.split(step.rest))
            env["VENV"] = str(venv)
        elif step.word == "COPY":
            *names, into = step.rest.split()
            for name in names:
                target = source / into / name if into.endswith("/") else source / into
                if (ROOT / name).is_dir():
                    shutil.copytree(
                        ROOT / name, target, ignore=shutil.ignore_patterns("__pycache__")
                    )
                else:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(ROOT / name, target)
        elif step.word == "RUN":
            done = subprocess.run(
                ["sh", "-ec", step.rest],
                cwd=source,
                env=env,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, (step, done.stderr[-2000:])
    shutil.rmtree(source)  # Nothing of it may be needed.
    assert not (venv / "bin" / "pip").exists()
    inputs = tmp_path / "in"
    write_inputs(inputs, telemetry(200))
    told = subprocess.run(
        [venv / "bin" / "farwatch", "run", "watch"],
        cwd=tmp_path,
        env={
            "PATH": f"{venv}/bin:/usr/bin:/bin",
            "FARWATCH_TELEMETRY": f"file:{inputs}/telemetry.ndjson",
            "FARWATCH_ZONES": f"file:{inputs}/zones.geojson",
            "FARWATCH_RULES": f"file:{inputs}/rules.yaml",
            "FARWATCH_RESULTS": f"dir:{tmp_path}/out",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    assert (tmp_path / "out" / "geofencing_events.ndjson").stat().st_size
    words = [venv / "bin" / "python", "-c", "import apprise, rasterio"]
    assert subprocess.run(words, check=False).returncode == 0
