"""Processes that a measurement starts: this package's programs and the watch."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, TypeVar

import msgspec

from scripts.benchmark.generate import Inputs, Size, make_inputs
from scripts.benchmark.measure import RunFailedError
from scripts.benchmark.services.rooms import Room
from scripts.benchmark.services.telemetry import RULE, RULES, SEED, VEHICLES, ZONES

Said = TypeVar("Said")

_ROOT: Final = Path(__file__).resolve().parents[3]
_END_S: Final = 30.0
EPOCH_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Charts:
    """What the watch judges by: zones and rules files."""

    zones: Path
    rules: Path

    @classmethod
    def made_in(cls, folder: Path) -> "Charts":
        """500 zones and 20 rules of the benchmark, and the rule of the alarms to time."""
        inputs: Inputs = make_inputs(Size(VEHICLES, ZONES, RULES, 1_000, SEED), folder)
        rules = folder / "rules.yaml"
        rules.write_text(inputs.rules.read_text() + RULE)
        return cls(inputs.zones, rules)

    def settings(self, results: str, recovery: Path) -> dict[str, str]:
        """Settings of the watch as environment variables."""
        return {
            "FARWATCH_ZONES": f"file:{self.zones}",
            "FARWATCH_RULES": f"file:{self.rules}",
            "FARWATCH_RESULTS": results,
            "FARWATCH_RECOVERY": str(recovery),
        }


def start(
    module: str, *words: object, settings: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start ``python -m module words`` with these settings and no others."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("FARWATCH", "BYTEWAX"))}
    environment |= {"PYTHONPATH": str(_ROOT), **(settings or {})}
    return subprocess.Popen(  # noqa: S603 (our own programs, no shell)
        [sys.executable, "-m", module, *map(str, words)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def said_by(process: subprocess.Popen[bytes], kind: type[Said]) -> Said:
    """What the process wrote to standard output, once it has ended.

    Raises:
        RunFailedError: it did not end with status 0.
    """
    out, err = process.communicate()
    if process.returncode:
        raise _failed(process, err)
    return msgspec.json.decode(out, type=kind)


def check_alive(process: subprocess.Popen[bytes]) -> None:
    """Raise RunFailedError if the process has ended."""
    if process.poll() is not None:
        raise _failed(process, process.communicate()[1])


@contextmanager
def watching(room: Room, charts: Charts, key_groups: int = 16) -> Iterator[subprocess.Popen[bytes]]:
    """The watch running in a process of its own, with a recovery store; ended afterwards."""
    with TemporaryDirectory() as folder:
        settings = charts.settings(room.results, Path(folder, "recovery"))
        settings["FARWATCH_EPOCH_S"] = str(EPOCH_S)
        settings["FARWATCH_KEY_GROUPS"] = str(key_groups)
        words = ("watch", "--telemetry", room.telemetry, "--quiet")
        process = start("scripts.cli", *words, settings=settings)
        try:
            yield process
            check_alive(process)
            # Not an interrupt: a shell that runs us in the background has those ignored.
            process.terminate()
            process.wait(_END_S)
        finally:
            process.kill()
            process.communicate()


def _failed(process: subprocess.Popen[bytes], err: bytes) -> RunFailedError:
    lines = err.decode(errors="replace").strip().splitlines() or ["no output"]
    program = " ".join(map(str, process.args[2:4]))  # type: ignore[index]
    return RunFailedError(f"{program} ended with {process.returncode}: {lines[-1]}")
