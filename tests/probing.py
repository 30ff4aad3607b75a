"""A flow that runs as a service, asked from outside by its probes and metrics."""

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.error import HTTPError, URLError

from tests.watching import ROOT, command


class Probed:
    """A flow that runs, asked from outside."""

    def __init__(self, process: subprocess.Popen[Any], port: int) -> None:
        self.process = process
        self.port = port

    def get(self, path: str) -> tuple[int, str]:
        """Status and body; 0 where nobody answers."""
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.port}/{path}", timeout=5
            ) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as exc:
            with exc:
                return exc.code, exc.read().decode()
        except (URLError, ConnectionError, TimeoutError):
            return 0, ""

    def well(self, probe: str = "healthz") -> bool:
        """Whether the probe says yes."""
        return self.get(probe)[0] == 200

    def why(self, probe: str = "healthz") -> str:
        """Why the probe says no, empty where it does not."""
        status, body = self.get(probe)
        return json.loads(body)["why"] if status == 503 else ""


@contextmanager
def probed(env: dict[str, str], port: int, flow: str = "watch", **popen: Any) -> Iterator[Probed]:
    """`farwatch run FLOW` with its probes at ``port``, killed at the end."""
    env = env | {"FARWATCH_METRICS_PORT": str(port)}
    with subprocess.Popen(command("run", flow), env=env, cwd=ROOT, **popen) as process:
        try:
            yield Probed(process, port)
        finally:
            process.kill()
