"""The watch under the environment that the Bytewax Helm chart sets, with its shared volume."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kills import wait_until
from tests.ports import unused_ports
from tests.watching import ROOT, command, environment, rows, run, telemetry, told, write_inputs

WAXCTL = ROOT / "deploy" / "waxctl"
RECORDS = 6_000
BASH = shutil.which("bash")


@pytest.fixture(autouse=True)
def _bash():
    if BASH is None:
        pytest.skip("no bash, which is the shell of the image")


class Chart:
    """Pods of a release, each a process here; what the chart mounts is below ``folder``."""

    def __init__(self, folder: Path, inputs: Path, ports: list[int]) -> None:
        self.folder = folder
        self.pods = len(ports)
        self.workdir, self.recovery = folder / "bytewax", folder / "recovery"
        for made in (self.workdir, self.recovery):
            made.mkdir(parents=True)
        # The chart's ConfigMap holds the flow's file alone, away from its package.
        shutil.copy(ROOT / "flows" / "watch.py", self.workdir / "watch.py")
        # As in the image.
        (folder / "sh").symlink_to(BASH)
        hosts = folder / "hostfile.txt"
        hosts.write_text("".join(f"127.0.0.1:{port}\n" for port in ports))
        self.env = environment(inputs, folder, epoch_rows=RECORDS // 10, frame_rows=150) | {
            "PATH": f"{folder}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "BYTEWAX_PYTHON_FILE_PATH": f"{self.workdir}/watch.py",
            "BYTEWAX_WORKDIR": str(self.workdir),
            "BYTEWAX_WORKERS_PER_PROCESS": "1",
            "BYTEWAX_REPLICAS": str(self.pods),
            "BYTEWAX_KEEP_CONTAINER_ALIVE": "false",
            "BYTEWAX_HOSTFILE_PATH": str(hosts),
            "BYTEWAX_STATEFULSET_NAME": "watch",
            "BYTEWAX_DATAFLOW_API_PORT": "3030",
            "BYTEWAX_DATAFLOW_API_CACHE_PATH": str(folder),
            "BYTEWAX_RECOVERY_PARTS": "1",
            "BYTEWAX_RECOVERY_DIRECTORY": str(self.recovery),
            "BYTEWAX_SNAPSHOT_INTERVAL": "1",
            "BYTEWAX_RECOVERY_BACKUP_INTERVAL": "0",
        }

    def start(self) -> list[subprocess.Popen]:
        """What the chart's command runs, once the init container of each pod has ended."""
        inits = self.run("entrypoint-recovery.sh")
        assert [init.wait(60) for init in inits] == [0] * self.pods
        return self.run("entrypoint.sh")

    def run(self, script: str) -> list[subprocess.Popen]:
        # As the chart has it: the shell of a shell.
        words = ["sh", "-c", f"sh {WAXCTL / script}"]
        return [self.pod(words, number) for number in range(self.pods)]

    def pod(self, words: list[str], number: int) -> subprocess.Popen:
        env = self.env | {"BYTEWAX_POD_NAME": f"watch-{number}"}
        with (self.folder / f"log-{number}").open("a") as log:
            return subprocess.Popen(words, env=env, cwd=self.folder, stderr=log)

    def told_bytes(self) -> int:
        return sum(path.stat().st_size for path in (self.folder / "topics").glob("*.ndjson"))

    def until_told_more(self, before: int) -> None:
        assert wait_until(lambda: self.told_bytes() > before, 60), self.log()

    def log(self) -> str:
        return "".join(path.read_text()[-2000:] for path in self.folder.glob("log-*"))


@pytest.mark.parametrize(
    ("pods", "disturbed"),
    [
        (2, False),
        pytest.param(2, True, marks=pytest.mark.slow),
        pytest.param(3, True, marks=pytest.mark.slow),
    ],
)
def test_the_watch_runs_as_pods_of_the_chart(tmp_path, pods, disturbed):
    inputs, reference = tmp_path / "inputs", tmp_path / "reference"
    write_inputs(inputs, [])
    (inputs / "telemetry.ndjson").unlink()
    for part in range(pods):
        lines = telemetry(RECORDS // pods, vehicles=10, seed=part, name=f"fleet{part}")
        (inputs / f"telemetry-{part}.ndjson").write_text("\n".join(lines) + "\n")
    done = run(command("watch", "--quiet"), environment(inputs, reference))
    assert done.returncode == 0, done.stderr
    chart = Chart(tmp_path / "chart", inputs, unused_ports(pods))
    if disturbed:
        killed(chart)
        drained(chart)
    statuses = [pod.wait(120) for pod in chart.start()]
    assert not any(statuses), (statuses, chart.log())
    assert told(chart.folder) == told(reference)
    assert rows(chart.folder) == rows(reference)


def killed(chart: Chart) -> None:
    """One pod is killed; the scripts leave nothing between that would hide how it ended."""
    running = chart.start()
    chart.until_told_more(0)
    running[-1].send_signal(signal.SIGKILL)
    statuses = [pod.wait(60) for pod in running]
    assert all(statuses), (statuses, chart.log())


def drained(chart: Chart) -> None:
    before = chart.told_bytes()
    running = chart.start()
    chart.until_told_more(before)
    for pod in running:
        pod.send_signal(signal.SIGTERM)
    statuses = [pod.wait(60) for pod in running]
    assert not any(statuses), (statuses, chart.log())
    assert chart.log().count("draining") == chart.pods
