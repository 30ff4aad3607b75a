"""How the commands end: one line a mistake, and the exit status."""

from collections.abc import Callable
from functools import wraps
from typing import Final, ParamSpec, TypeVar

import typer
from rich.console import Console

from connectors.contract import ConnectorError, SettingsError
from flows.launch import FlowError

P = ParamSpec("P")
R = TypeVar("R")

err: Final = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)


def exits(command: Callable[P, R]) -> Callable[P, R]:
    """Turn the project's errors into one line (one a mistake) and the exit status."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except SettingsError as exc:
            err.print(f"farwatch: {exc}")
            raise typer.Exit(2) from exc
        except (FlowError, ConnectorError) as exc:
            err.print(f"farwatch: {exc}")
            raise typer.Exit(1) from exc
        except KeyboardInterrupt as exc:
            err.print("farwatch: interrupted; with --recovery the same command goes on from here")
            raise typer.Exit(130) from exc

    return wrapped
