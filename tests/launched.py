"""A `farwatch run watch` of tests, and what it is seen to do."""

import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.kills import wait_until
from tests.watching import ROOT, command, environment

PACE = {"epoch_s": 0.05, "epoch_rows": 150, "frame_rows": 150, "analytics": "on"}


class Launched:
    """A `farwatch run watch` at `PACE` that has told something since it was started."""

    def __init__(self, inputs: Path, out: Path, **settings: object) -> None:
        self.out = out
        env = environment(inputs, out, recovery=out / "recovery", **PACE | settings)
        before = self.told_bytes()
        self.process = subprocess.Popen(
            command("run", "watch"), env=env, cwd=ROOT, stderr=subprocess.PIPE, text=True
        )
        self.until(lambda: self.told_bytes() > before)

    def until(self, so: Callable[[], bool]) -> None:
        assert wait_until(lambda: so() or self.process.poll() is not None, 120)

    def told_bytes(self) -> int:
        return sum(path.stat().st_size for path in (self.out / "topics").glob("*.ndjson"))

    def children(self) -> list[int]:
        """The processes of the flow, the last made last."""
        return spawned(self.process.pid)

    def end(self) -> tuple[int, str]:
        said = self.process.communicate(timeout=120)[1]
        return self.process.returncode, said


def spawned(launcher: int) -> list[int]:
    """The processes of the flow: children that have imported it, the last made last."""
    children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    lines = {int(pid): Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children}
    return [pid for pid, line in lines.items() if b"spawn_main" in line]
