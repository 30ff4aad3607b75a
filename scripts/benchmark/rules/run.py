"""Runs one engine on the rules: its answers, and its CPU time a record and rule.

Each engine has a process of its own. It judges record after record until its share of CPU time is
spent, without reading and compiling; farwatch frame after frame, however often.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scripts.benchmark.measure import RunFailedError

_HERE = Path(__file__).resolve().parent
_ROOT = _HERE.parents[2]
PATIENCE_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine: the package its program imports; ``own``: it is farwatch's dependency, or it."""

    name: str
    package: str
    own: bool = False

    @property
    def program(self) -> Path:
        """The file of its program."""
        return _HERE / "programs" / f"{self.name}_rules.py"


ENGINES: Final = (
    Engine("farwatch", "farwatch", own=True),
    Engine("cel_expr", "cel-expr-python", own=True),
    Engine("celpy", "cel-python"),
    Engine("common_cel", "common-expression-language"),
    Engine("datalogic", "datalogic-py"),
)


@dataclass(frozen=True, slots=True)
class Judged:
    """What an engine took for ``records`` and so many rules, and what it answered.

    ``answers``: of the first records, the rules that hold, as hexadecimal numbers.
    """

    rules: int
    records: int
    spent_s: float
    compiled_s: float
    answers: tuple[str, ...]

    @property
    def each_us(self) -> float:
        """CPU time a record and rule, microseconds."""
        return self.spent_s / self.records / self.rules * 1e6

    def differs_from(self, other: "Judged") -> int:
        """Of how many records both answered the answers are not the same."""
        return sum(a != b for a, b in zip(self.answers, other.answers, strict=False))


def run_engine(engine: Engine, python: str, given: Path, folder: Path, budget_s: float) -> Judged:
    """Run an engine on the input ``given``; ``python``: the interpreter that has its package.

    Raises:
        RunFailedError: it ended with an error.
    """
    target = folder / f"{engine.name}.json"
    interpreter = sys.executable if engine.own else python
    environment: Mapping[str, str] = os.environ | {"PYTHONPATH": str(_ROOT)} if engine.own else {}
    ran = subprocess.run(  # noqa: S603 (an interpreter that the user names)
        [interpreter, str(engine.program), str(given), str(target), str(budget_s)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
        env=dict(environment) or None,
    )
    if ran.returncode:
        raise RunFailedError(ran.stderr.strip().splitlines()[-1] if ran.stderr else "no word")
    told = json.loads(target.read_text())
    return Judged(
        len(json.loads(given.read_text())["rules"]),
        told["records"],
        told["spent_s"],
        told["compiled_s"],
        tuple(told["answers"]),
    )
