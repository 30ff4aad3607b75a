"""Runs one row of the matrix and gives its figures.

Start-up is measured, not guessed: each program runs once on the first record alone (interpreter,
imports, zones, rules, first use of everything lazy) and once on the whole input. Steady throughput
is the records after the first over the difference of the two wall times. A start-up slowed down
by others on the machine would make the rest look fast, so it is taken before and after each whole
run and the shortest counts.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import msgspec

from scripts.benchmark.answers import Answers, read_answers
from scripts.benchmark.areas import Shares
from scripts.benchmark.generate import Inputs, make_inputs
from scripts.benchmark.matrix import Row
from scripts.benchmark.plans import write_score_of_another

_HERE = Path(__file__).resolve().parent
_ROOT = _HERE.parents[1]
_SHORTEST_STEADY_S = 0.02
PUBLISHED_Q4_PER_S: Final = 66_403
"""Row Q4-continuous of MobilityDB/MobilityFlink, benchmark/docs/benchmark-results.md."""


class RunFailedError(Exception):
    """A measured program failed; the message says which and its last line."""


class Usage(msgspec.Struct, frozen=True):
    """What one process took: wall and CPU seconds, peak resident memory in MB (10^6 bytes)."""

    wall_s: float
    cpu_s: float
    peak_mb: float


@dataclass(frozen=True, slots=True)
class Figures:
    """What one row took.

    ``start``: the least on the first record alone; ``whole``: the median on all records.
    ``shares``: of its input.
    """

    row: Row
    start: Usage
    whole: Usage
    shares: Shares
    zone_events: int
    alarms: int
    encounters: int = 0

    @property
    def steady_records_per_s(self) -> float | None:
        """Throughput without start-up; None where the run is too short to tell."""
        steady_s = self.whole.wall_s - self.start.wall_s
        return (self.row.size.records - 1) / steady_s if steady_s > _SHORTEST_STEADY_S else None

    @property
    def whole_records_per_s(self) -> float:
        """Throughput of the process from its start to its end."""
        return self.row.size.records / self.whole.wall_s

    @property
    def steady_cpu_us_per_record(self) -> float:
        """CPU time a record without start-up, in microseconds: steadier than wall time."""
        return max(0.0, self.whole.cpu_s - self.start.cpu_s) / self.row.size.records * 1e6

    @property
    def published_ratio(self) -> float | None:
        """Steady throughput over the published one, for the row that asks the same question."""
        steady = self.steady_records_per_s
        if self.row.size.scene != "streets" or steady is None:
            return None
        return steady / PUBLISHED_Q4_PER_S


def measure(row: Row, folder: Path, repeat: int) -> tuple[Figures, Answers]:
    """Runs a row ``repeat`` times; ``folder`` keeps the inputs, results are removed again.

    Raises:
        RunFailedError: when the program does not end with status 0.
    """
    inputs = make_inputs(row.size, folder)
    results = folder / "results"
    starts, wholes = [], []
    try:
        for _ in range(repeat):
            starts.append(run_program(row, inputs, inputs.first_record, results))
            wholes.append(run_program(row, inputs, inputs.telemetry, results))
            answers = read_answers(results)
            starts.append(run_program(row, inputs, inputs.first_record, results))
    finally:
        shutil.rmtree(results, ignore_errors=True)
    figures = Figures(
        row,
        combined(starts, min),
        combined(wholes, median),
        inputs.shares,
        answers.zone_events.total(),
        answers.alarms.total(),
        answers.encounters,
    )
    return figures, answers


def run_program(row: Row, inputs: Inputs, telemetry: Path, results: Path) -> Usage:
    """Runs the row's program once on ``telemetry``; its results are in ``results`` afterwards.

    Raises:
        RunFailedError: when the program does not end with status 0.
    """
    shutil.rmtree(results, ignore_errors=True)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("FARWATCH", "BYTEWAX"))}
    environment |= {
        "PYTHONPATH": str(_ROOT),
        "FARWATCH_FRAME_ROWS": str(row.frame_rows),
        "FARWATCH_ANALYTICS": "on" if row.analytics else "off",
        "FARWATCH_HAZARD": str(_profile(results)) if row.hazard else "",
    }
    if row.planning:
        environment |= {
            "FARWATCH_TRIGGERS": f"file:{inputs.triggers}",
            "FARWATCH_MISSION_PLANS": f"file:{inputs.plans}",
        }
    if row.planning and not row.hazard:
        # The shipped triggers read scores: here of a vehicle that says nothing else.
        others = results.with_name("scores.ndjson")
        with others.open("wb") as file:
            write_score_of_another(file)
        environment["FARWATCH_HAZARD_SCORES"] = f"file:{others}"
    if row.program == "proximity":
        environment |= {
            "FARWATCH_TELEMETRY": f"file:{telemetry}",
            "FARWATCH_RESULTS": f"dir:{results}",
        }
    command = _command(row, inputs, telemetry, results)
    return run_command(row.program, command, environment, results)


def _profile(results: Path) -> Path:
    """The shipped hazard profile of AUVs, for the generated vehicles, which say no kind."""
    shipped = (_ROOT / "rules" / "library" / "hazard" / "auv.yaml").read_text()
    path = results.with_name("hazard.yaml")
    path.write_text(shipped.replace("kinds: [auv]", "kinds: [vehicle]"))
    return path


def run_command(
    name: str, command: list[str], environment: Mapping[str, str], results: Path
) -> Usage:
    """Runs a command once and says what it took; files of its own lie beside ``results``.

    Raises:
        RunFailedError: when the command does not end with status 0.
    """
    usage, output = (results.with_name(f"results-{file}") for file in ("usage", "output"))
    launcher = [sys.executable, "-I", "-S", str(_HERE / "launcher.py"), str(usage)]
    try:
        with output.open("wb") as said:
            ended = subprocess.run(  # noqa: S603 - our own programs, no shell
                [*launcher, *command], env=environment, stdout=said, stderr=said, check=False
            )
        if ended.returncode != 0:
            lines = output.read_text(errors="replace").strip().splitlines() or ["no output"]
            raise RunFailedError(f"{name} ended with {ended.returncode}: {lines[-1]}")
        return msgspec.json.decode(usage.read_bytes(), type=Usage)
    finally:
        usage.unlink(missing_ok=True)
        output.unlink(missing_ok=True)


def _command(row: Row, inputs: Inputs, telemetry: Path, results: Path) -> list[str]:
    zones, rules = str(inputs.zones), str(inputs.rules)
    if row.program == "watch":
        arguments = ["--telemetry", f"file:{telemetry}", "--zones", f"file:{zones}"]
        arguments += ["--rules", f"file:{rules}", "--results", f"dir:{results}"]
        return [sys.executable, "-m", "scripts.cli", "watch", *arguments]
    if row.program == "proximity":
        return [sys.executable, "-m", "scripts.cli", "run", "proximity"]
    # Run as files, not as modules: the package's own imports are none of theirs.
    if row.program == "decode":
        program, arguments = "decode_only.py", [str(telemetry), str(row.frame_rows)]
    else:
        program, arguments = "per_message.py", [str(telemetry), zones, rules, str(results)]
    return [sys.executable, "-P", str(_HERE / program), *arguments]


def combined(runs: list[Usage], combine: Callable[[Iterable[float]], float]) -> Usage:
    """Each figure of several runs made one."""
    return Usage(
        combine(run.wall_s for run in runs),
        combine(run.cpu_s for run in runs),
        combine(run.peak_mb for run in runs),
    )
