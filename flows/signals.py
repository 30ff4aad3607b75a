"""SIGTERM and Ctrl-C: the flow of this process is drained; a second signal ends it at once."""

import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from threading import Timer
from types import FrameType
from typing import Final

from flows.logs import tell
from flows.steps.drain import Drain

_DRAINING: Final = "draining; a second signal ends it at once"
LINGER_S: Final = 2.0
"""How long a drained process of a cluster stays for the others, which may be draining, too."""


def tell_draining() -> None:
    """Tell that it is drained; from a handler of signals, too."""
    with suppress(RuntimeError):  # Where the signal came while something was being written.
        tell(_DRAINING, logging.INFO)


def not_drained(patience_s: float) -> str:
    """What is told of a flow that takes longer than that to be drained."""
    return f"not drained within {patience_s:g} s; what is not committed is read again"


def drain_on_signals(drain: Drain, patience_s: float, *, leave: bool) -> None:
    """Let SIGTERM and SIGINT drain the flow, from now on and in the main thread.

    What is not drained after ``patience_s`` ends with status 1; that loses nothing, as what is not
    committed is read again. ``leave``: a drained process ends here, with status 0, rather than by
    ``Drained``; the rest of its cluster then ends, too, and must be started again with it.
    """

    def asked(number: int, _frame: FrameType | None) -> None:
        if drain.requested:
            os._exit(128 + number)
        tell_draining()
        _after(patience_s, lambda: _give_up(patience_s))
        drain.request()

    if leave:
        drain.on_drained = lambda: _after(LINGER_S, lambda: os._exit(0))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, asked)


def _after(pause_s: float, act: Callable[[], None]) -> None:
    timer = Timer(pause_s, act)
    timer.daemon = True
    timer.start()


def _give_up(patience_s: float) -> None:
    tell(not_drained(patience_s))
    sys.stderr.flush()
    os._exit(1)
