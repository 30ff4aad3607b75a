"""Where the outside data sets and test suites lie, if they are on this machine."""

import os
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
_FOLDER = Path(os.environ.get("FARWATCH_DATA", _ROOT.parent / "shared" / "data"))

DATA = _FOLDER if _FOLDER.is_dir() else None
MISSING = "no outside data: set FARWATCH_DATA to the folder that holds it"
