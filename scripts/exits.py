"""How the commands end: one line a mistake, and the exit status."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from types import FrameType
from typing import Final, ParamSpec, TypeVar

import typer
from rich.console import Console

from connectors.contract import ConnectorError, SettingsError
from flows.launch import FlowError
from flows.logs import tell

P = ParamSpec("P")
R = TypeVar("R")

err: Final = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)


class Interrupted(BaseException):
    """A second signal: leave at once, with ``status``."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """SIGTERM and SIGINT end the process at once meanwhile, with one line, as nothing runs yet.

    Not by an exception: libraries that are opening connections do not all survive one.
    """

    def end(number: int, _frame: FrameType | None) -> None:
        with suppress(RuntimeError):  # Where the signal came while something was being written.
            tell("ended by a signal before it had started")
        sys.stderr.flush()
        os._exit(128 + number)

    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, end) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def exits(command: Callable[P, R]) -> Callable[P, R]:
    """Turn the project's errors into one line (one a mistake) and the exit status."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except SettingsError as exc:
            tell(str(exc))
            raise typer.Exit(2) from exc
        except (FlowError, ConnectorError) as exc:
            tell(str(exc))
            raise typer.Exit(1) from exc
        except Interrupted as exc:
            raise typer.Exit(exc.status) from None
        except KeyboardInterrupt as exc:
            tell("interrupted; with --recovery the same command goes on from here")
            raise typer.Exit(130) from exc

    return wrapped
