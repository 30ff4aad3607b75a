"""The `farwatch` command."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, ParamSpec, TypeVar

import typer
from rich.console import Console

from connectors.contract import SettingsError
from connectors.readers import FORMATS
from flows.launch import FlowError
from flows.settings import Settings

P = ParamSpec("P")
R = TypeVar("R")

app = typer.Typer(
    name="farwatch",
    help="Watch vehicles nobody can reach: telemetry in, zone events and alarms out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
zones_app = typer.Typer(help="Zones.", no_args_is_help=True)
rules_app = typer.Typer(help="Rules.", no_args_is_help=True)
app.add_typer(zones_app, name="zones")
app.add_typer(rules_app, name="rules")

err = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)

_FORMAT_HELP = "Format of telemetry files: " + "; ".join(
    f"{name} ({what})" for name, what in FORMATS.items()
)


def main() -> None:
    """Run the command; exit status 0 done, 1 failed while running, 2 wrong input or settings."""
    app()


def _exits(command: Callable[P, R]) -> Callable[P, R]:
    """Turn the project's errors into one line (one a mistake) and the exit status."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except SettingsError as exc:
            err.print(f"farwatch: {exc}")
            raise typer.Exit(2) from exc
        except FlowError as exc:
            err.print(f"farwatch: {exc}")
            raise typer.Exit(1) from exc
        except KeyboardInterrupt as exc:
            err.print("farwatch: interrupted; with --recovery the same command goes on from here")
            raise typer.Exit(130) from exc

    return wrapped


@app.command()
@_exits
def watch(  # noqa: PLR0913 (the options of the command)
    *,
    telemetry: Annotated[str | None, typer.Option(help="URL of the telemetry, file:PATH")] = None,
    zones: Annotated[str | None, typer.Option(help="URL of the zones, file:PATH (GeoJSON)")] = None,
    rules: Annotated[str | None, typer.Option(help="URL of the rules, file:PATH (YAML)")] = None,
    results: Annotated[
        list[str] | None,
        typer.Option(help="URL of results, may be repeated: dir:PATH, sqlite:PATH, stdout:"),
    ] = None,
    format_: Annotated[str | None, typer.Option("--format", help=_FORMAT_HELP)] = None,
    report: Annotated[Path | None, typer.Option(help="Write an HTML report here.")] = None,
    basemap: Annotated[
        Path | None, typer.Option(help="GeoJSON of land or coastlines for the report's map.")
    ] = None,
    relief: Annotated[
        Path | None,
        typer.Option(help="Elevation grid under the report's map: JSON with a .bin beside it."),
    ] = None,
    recovery: Annotated[
        Path | None, typer.Option(help="Folder of the recovery store: makes the run resumable.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with more settings.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar, no table.")] = False,
) -> None:
    """Hold telemetry against zones and rules; write zone events and alarms."""
    from scripts.report.from_store import (  # noqa: PLC0415 (slow imports, only where needed)
        read_background,
    )
    from scripts.watch import run_watch  # noqa: PLC0415

    settings = Settings.load(
        config,
        telemetry=telemetry,
        zones=zones,
        rules=rules,
        results=tuple(results or ()),
        format=format_,
        report=report,
        recovery=recovery,
    )
    run_watch(settings, background=read_background(basemap, relief), quiet=quiet)


@app.command()
@_exits
def demo(
    out: Annotated[Path, typer.Option(help="Folder for all that it writes.")] = Path(
        "farwatch-demo"
    ),
    data: Annotated[
        Path | None, typer.Option(help="Folder of real files to run on instead; see README.md.")
    ] = None,
    basemap: Annotated[
        Path | None, typer.Option(help="GeoJSON of land or coastlines for the report's map.")
    ] = None,
) -> None:
    """Run the shipped scenario (or real files) through the watch and write a report."""
    from scripts.demonstration import run_demo  # noqa: PLC0415

    run_demo(out, data, basemap)


@app.command("bench", context_settings={"ignore_unknown_options": True}, add_help_option=False)
def bench(words: Annotated[list[str] | None, typer.Argument()] = None) -> None:
    """Measure the watch against the per-message way; `farwatch bench --help` tells more."""
    from scripts.benchmark import main as measure  # noqa: PLC0415

    command = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    command.command()(measure)
    command(words or [], prog_name="farwatch bench")


@zones_app.command("check")
@_exits
def check_zones(file: Annotated[Path, typer.Argument(help="GeoJSON file of zones.")]) -> None:
    """Check a zone file; every mistake is listed with its line."""
    from flows.steps.registry import load_zone_file  # noqa: PLC0415

    zones = load_zone_file(f"file:{file}")
    err.print(f"{file}: {len(zones)} zones, no mistakes")


@rules_app.command("check")
@_exits
def check_rules(file: Annotated[Path, typer.Argument(help="YAML file of rules.")]) -> None:
    """Check a rule file; every mistake is listed with its line."""
    from flows.steps.registry import load_rule_file  # noqa: PLC0415

    rules = load_rule_file(f"file:{file}")
    err.print(f"{file}: {len(rules)} rules, no mistakes")


if __name__ == "__main__":
    main()
