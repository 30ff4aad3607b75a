"""Runs one command as its own process and says what it took.

``python launcher.py USAGE.json COMMAND...`` writes wall time, CPU time and peak memory of the
command, and ends with its exit status. It stands between the benchmark and the measured program
because Linux counts the peak of whoever starts a process as that process's own: this file imports
next to nothing, so its 10 MB hide under any Python program.
"""

import json
import os
import sys
import time
from pathlib import Path

_BYTES_A_UNIT = 1 if sys.platform == "darwin" else 1024  # unit of ru_maxrss


def main(usage_file: str, command: list[str]) -> int:
    """Runs the command; returns its exit status, 128 + signal where a signal ended it."""
    began = time.perf_counter()
    process = os.posix_spawn(command[0], command, os.environ)
    _, status, usage = os.wait4(process, 0)
    wall_s = time.perf_counter() - began
    took = {
        "wall_s": wall_s,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "peak_mb": usage.ru_maxrss * _BYTES_A_UNIT / 1e6,
    }
    Path(usage_file).write_text(json.dumps(took))
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
