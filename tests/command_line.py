"""The watch as a command on given inputs, and what it says where it refuses."""

from pathlib import Path
from subprocess import CompletedProcess

from tests.watching import command, environment, run


def watch(given: Path, tmp_path: Path, *words: str, **settings: object) -> CompletedProcess[str]:
    """Run `farwatch watch` on the inputs to its end; results below ``tmp_path``/out."""
    return run(command("watch", *words), environment(given, tmp_path / "out", **settings))


def refused(done: CompletedProcess[str], *says: str) -> list[str]:
    """The lines said by a run that was refused; asserts that all of ``says`` is in them."""
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    for text in says:
        assert text in done.stderr
    return done.stderr.splitlines()
