"""`farwatch zones` and `farwatch rules`."""

from pathlib import Path
from typing import Annotated, Final

import typer

from scripts.exits import err, exits

zones_app: Final = typer.Typer(help="Zones.", no_args_is_help=True)
rules_app: Final = typer.Typer(help="Rules.", no_args_is_help=True)


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
    """Check a rule file; every mistake is listed with its line."""
    from flows.steps.registry import load_rule_file  # noqa: PLC0415

    rules = load_rule_file(f"file:{file}")
    err.print(f"{file}: {len(rules)} rules, no mistakes")


_To = Annotated[str, typer.Option("--to", help="URL of the store: postgresql://..., sqlite:PATH")]
_From = Annotated[
    str, typer.Option("--from", help="URL of the store: postgresql://..., sqlite:PATH")
]
_At = Annotated[str | None, typer.Option(help="When it ends, RFC 3339; now if not given.")]


@zones_app.command("put")
@exits
def put_zones(
    file: Annotated[Path, typer.Argument(help="GeoJSON file of zones.")], to: _To
) -> None:
    """Add the zones of a file to a store, as new versions where they differ."""
    from scripts import definitions  # noqa: PLC0415

    new, kept = definitions.put(definitions.ZONES, file, to)
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
    name: Annotated[str, typer.Argument(metavar="ID")], to: _To, at: _At = None
) -> None:
    """End a zone: a new version says until when it is in force; nothing is deleted."""
    from scripts import definitions  # noqa: PLC0415

    end = definitions.remove(definitions.ZONES, name, to, at)
    err.print(f"zone {name} is in force until {end.isoformat()}")


@rules_app.command("put")
@exits
def put_rules(file: Annotated[Path, typer.Argument(help="YAML file of rules.")], to: _To) -> None:
    """Add the rules of a file to a store, as new versions where they differ."""
    from scripts import definitions  # noqa: PLC0415

    new, kept = definitions.put(definitions.RULES, file, to)
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
    name: Annotated[str, typer.Argument(metavar="ID")], to: _To, at: _At = None
) -> None:
    """End a rule: a new version says until when it is in force; nothing is deleted."""
    from scripts import definitions  # noqa: PLC0415

    end = definitions.remove(definitions.RULES, name, to, at)
    err.print(f"rule {name} is in force until {end.isoformat()}")
