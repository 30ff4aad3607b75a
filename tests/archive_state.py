"""A recovery folder of this version with the results so far, archived for later versions.

`python -m tests.archive_state` writes it to tests/archived/. Where a change gives the state another
form, who runs the version before cannot take their state along: run this with that change alone.
"""

import signal
import subprocess
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.kills import wait_until
from tests.watching import ROOT, command, environment, telemetry, write_inputs

ARCHIVE = ROOT / "tests" / "archived" / "half-way.tar.gz"
OTHER_FORM = ARCHIVE.with_name("other-form.tar.gz")
"""What a version with another form of state left, to be refused; kept as it is."""
RECORDS = 3_000
KEPT = ("recovery", "topics", "results.sqlite")


def archived_env() -> dict[str, str]:
    """The environment of the watch in its own folder: paths are part of what state belongs to."""
    env = environment(Path(), Path(), recovery="recovery", key_groups=2, lateness_s=600)
    paths = {"TELEMETRY": "file:telemetry.ndjson", "ZONES": "file:zones.geojson"}
    paths |= {"RULES": "file:rules.yaml", "RESULTS": "dir:topics sqlite:results.sqlite"}
    given = {f"FARWATCH_{name}": url for name, url in paths.items()}
    return env | given | {"PYTHONPATH": str(ROOT)}


def write_archived_inputs(folder: Path) -> None:
    """What the watch of the archive reads."""
    write_inputs(folder, telemetry(RECORDS, vehicles=5))


def main() -> None:
    """Run the watch half-way and archive what it leaves."""
    with TemporaryDirectory() as made:
        folder = Path(made)
        write_archived_inputs(folder)
        pace = {"FARWATCH_EPOCH_S": "0.05", "FARWATCH_EPOCH_ROWS": "50"}
        pace["FARWATCH_FRAME_ROWS"] = "50"
        watch = subprocess.Popen(command("run", "watch"), env=archived_env() | pace, cwd=folder)
        topics = folder / "topics"
        assert wait_until(
            lambda: sum(path.stat().st_size for path in topics.glob("*.ndjson")) > 150_000, 60
        )
        watch.send_signal(signal.SIGTERM)
        assert watch.wait(60) == 0
        ARCHIVE.parent.mkdir(exist_ok=True)
        with tarfile.open(ARCHIVE, "w:gz") as archive:
            for name in KEPT:
                archive.add(folder / name, name)
    sys.stdout.write(f"{ARCHIVE}: {ARCHIVE.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
