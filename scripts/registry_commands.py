"""`farwatch zones`, `farwatch rules` and `farwatch triggers`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from scripts.exits import err, exits

if TYPE_CHECKING:
    from connectors.definitions import Author

zones_app: Final = typer.Typer(help="Zones.", no_args_is_help=True)
rules_app: Final = typer.Typer(help="Rules.", no_args_is_help=True)
triggers_app: Final = typer.Typer(help="Triggers of plan requests.", no_args_is_help=True)


@zones_app.command("check")
@exits
def check_zones(file: Annotated[Path, typer.Argument(help="GeoJSON file of zones.")]) -> None:
    """Check a zone file; every mistake and every repair is listed with its line."""
    from flows.steps.registry import load_zone_file  # noqa: PLC0415
    from rules.zone_geometry import repairs  # noqa: PLC0415

    zones = load_zone_file(f"file:{file}")
    for line in repairs(zones, str(file)):
        err.print(line)
    err.print(f"{file}: {len(zones)} zones, no mistakes")


@rules_app.command("check")
@exits
def check_rules(file: Annotated[Path, typer.Argument(help="YAML file of rules.")]) -> None:
    """Check a rule file; every mistake, and what will be slow, is listed with its place."""
    from flows.steps.registry import load_rule_file  # noqa: PLC0415
    from rules.rulesets import slow_parts  # noqa: PLC0415

    rules = load_rule_file(f"file:{file}")
    for line in slow_parts(rules, str(file)):
        err.print(line)
    err.print(f"{file}: {len(rules)} rules, no mistakes")


@triggers_app.callback()
def _triggers() -> None:
    """Triggers of plan requests."""


@triggers_app.command("check")
@exits
def check_triggers(
    file: Annotated[Path, typer.Argument(help="YAML file of triggers.")],
) -> None:
    """Check a trigger file; every mistake is listed with its line."""
    from flows.steps.mission import load_trigger_file  # noqa: PLC0415

    triggers = load_trigger_file(f"file:{file}")
    err.print(f"{file}: {len(triggers)} triggers, no mistakes")


_To = Annotated[str, typer.Option("--to", help="URL of the store: postgresql://..., sqlite:PATH")]
_From = Annotated[
    str, typer.Option("--from", help="URL of the store: postgresql://..., sqlite:PATH")
]
_By = Annotated[
    str | None, typer.Option(help="Who changes it; FARWATCH_USER, else the user, if not given.")
]
_Why = Annotated[str | None, typer.Option(help="Reason for the audit log.")]
_At = Annotated[str | None, typer.Option(help="When it ends, RFC 3339; now if not given.")]


@zones_app.command("put")
@exits
def put_zones(
    file: Annotated[Path, typer.Argument(help="GeoJSON file of zones.")],
    to: _To,
    by: _By = None,
    why: _Why = None,
) -> None:
    """Add the zones of a file to a store, as new versions where they differ."""
    from scripts import definitions  # noqa: PLC0415

    new, kept = definitions.put(definitions.ZONES, file, to, _author(by, why))
    err.print(f"{new} new versions of zones, {kept} as they were")


@zones_app.command("list")
@exits
def list_zones(source: _From) -> None:
    """List the latest version of each zone in a store."""
    from scripts import definitions  # noqa: PLC0415

    definitions.show(definitions.ZONES, source)


@zones_app.command("remove")
@exits
def remove_zone(
    name: Annotated[str, typer.Argument(metavar="ID")],
    to: _To,
    at: _At = None,
    by: _By = None,
    why: _Why = None,
) -> None:
    """End a zone: a new version says until when it is in force; nothing is deleted."""
    from scripts import definitions  # noqa: PLC0415

    end = definitions.remove(definitions.ZONES, name, to, at, _author(by, why))
    err.print(f"zone {name} is in force until {end.isoformat()}")


@rules_app.command("test")
@exits
def try_rules_on_telemetry(  # noqa: PLR0913 (the options of the command)
    *,
    rules: Annotated[str, typer.Option(help="YAML file of rules, or URL of a store.")],
    telemetry: Annotated[str, typer.Option(help="URL of recorded telemetry, file:PATH")],
    zones: Annotated[str, typer.Option(help="URL of the zones, file:PATH or a store.")] = "",
    against: Annotated[
        str, typer.Option(help="URL of the rules in force: tells what would change.")
    ] = "",
    from_: Annotated[
        str | None, typer.Option("--from", help="From this time on, RFC 3339.")
    ] = None,
    to: Annotated[str | None, typer.Option(help="Until before this time, RFC 3339.")] = None,
    format_: Annotated[
        str | None, typer.Option("--format", help="Format of the telemetry.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="A JSON object a rule, one a line.")] = False,
    config: Annotated[Path | None, typer.Option(help="TOML file with settings.")] = None,
) -> None:
    """Try rules on recorded telemetry: what would fire, how often, on whom, and what it costs."""
    from flows.settings import Settings  # noqa: PLC0415
    from scripts.rule_trial import Span, show_findings, try_rules  # noqa: PLC0415

    url = rules if ":" in rules else f"file:{rules}"
    found = try_rules(
        url,
        telemetry,
        zones_url=zones,
        against_url=against,
        span=Span.of(from_, to),
        settings=Settings.load(config, format=format_),
    )
    show_findings(found, as_json=json)


@rules_app.command("put")
@exits
def put_rules(
    file: Annotated[Path, typer.Argument(help="YAML file of rules.")],
    to: _To,
    by: _By = None,
    why: _Why = None,
) -> None:
    """Add the rules of a file to a store, as new versions where they differ."""
    from scripts import definitions  # noqa: PLC0415

    new, kept = definitions.put(definitions.RULES, file, to, _author(by, why))
    err.print(f"{new} new versions of rules, {kept} as they were")


@rules_app.command("list")
@exits
def list_rules(source: _From) -> None:
    """List the latest version of each rule in a store."""
    from scripts import definitions  # noqa: PLC0415

    definitions.show(definitions.RULES, source)


@rules_app.command("remove")
@exits
def remove_rule(
    name: Annotated[str, typer.Argument(metavar="ID")],
    to: _To,
    at: _At = None,
    by: _By = None,
    why: _Why = None,
) -> None:
    """End a rule: a new version says until when it is in force; nothing is deleted."""
    from scripts import definitions  # noqa: PLC0415

    end = definitions.remove(definitions.RULES, name, to, at, _author(by, why))
    err.print(f"rule {name} is in force until {end.isoformat()}")


@zones_app.command("history")
@exits
def zone_history(name: Annotated[str, typer.Argument(metavar="ID")], source: _From) -> None:
    """Tell all versions of a zone: who put each, when, why, and what it changed."""
    from scripts.audit import show_history  # noqa: PLC0415

    show_history("zones", name, source)


@rules_app.command("history")
@exits
def rule_history(name: Annotated[str, typer.Argument(metavar="ID")], source: _From) -> None:
    """Tell all versions of a rule: who put each, when, why, and what it changed."""
    from scripts.audit import show_history  # noqa: PLC0415

    show_history("rules", name, source)


def _author(by: str | None, why: str | None) -> "Author | None":
    from connectors.definitions import Author, who  # noqa: PLC0415

    return None if by is None and why is None else Author(who() if by is None else by, why)
