"""The registry from files: zones and rules read, checked and indexed before a flow starts."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from connectors.contract import SettingsError
from connectors.documents import is_store, read_document
from connectors.registry import masked
from rules.registry import Registry
from rules.rulesets import CompiledRule, load_rules, unknown_zones
from rules.zone_geometry import ZoneGeometryError, zone_shapes
from schemas.effective import Versioned, overlaps, timeline
from schemas.rule import RuleFileError
from schemas.zone import Zone
from schemas.zone_file import ZoneFileError, load_zones


class RegistryError(SettingsError):
    """Zones or rules with mistakes; ``mistakes`` holds one line for each, with its place."""

    def __init__(self, mistakes: Iterable[str]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(self.mistakes))


MAX_ZONE_VERTICES: Final = 1_000_000
"""Positions in a zone, unless a setting says otherwise: larger ones are refused."""


def load_registry(
    zones_url: str = "", rules_url: str = "", max_zone_vertices: int = MAX_ZONE_VERTICES
) -> Registry:
    """The zones and rules that the URLs name; none where no URL is given.

    Raises:
        RegistryError: every mistake in either document; nothing is loaded then.
        SettingsError: a document cannot be read.
    """
    mistakes: list[str] = []
    zones: tuple[Zone, ...] = ()
    rules: tuple[CompiledRule, ...] = ()
    try:
        zones = load_zone_file(zones_url, max_vertices=max_zone_vertices) if zones_url else ()
    except RegistryError as exc:
        mistakes += exc.mistakes
    try:
        rules = load_rule_file(rules_url) if rules_url else ()
    except RegistryError as exc:
        mistakes += exc.mistakes
    if not mistakes:
        mistakes += unknown_zones(rules, zones, masked(rules_url).removeprefix("file:"))
    if mistakes:
        raise RegistryError(mistakes)
    return Registry.of(zones, rules)


def load_zone_file(
    url: str, *, as_kept: bool = False, max_vertices: int = MAX_ZONE_VERTICES
) -> tuple[Zone, ...]:
    """The zones that the URL names; raises as ``load_rule_file``.

    A store's versions follow one another as ``timeline`` says; ``as_kept``: each as it was put.
    """
    document, name = read_document(url, "zones")
    try:
        zones = load_zones(document, name)
        _refuse_large(zones, name, max_vertices)
        zone_shapes(zones, name)
    except (ZoneFileError, ZoneGeometryError) as exc:
        raise RegistryError(exc.mistakes) from exc
    if is_store(url):
        return zones if as_kept else tuple(timeline(zones))
    _refuse_overlaps(zones, name)
    return zones


def load_rule_file(url: str, *, as_kept: bool = False) -> tuple[CompiledRule, ...]:
    """The rules that the URL names; ``as_kept`` as of ``load_zone_file``.

    Raises:
        RegistryError: every mistake in the document.
        SettingsError: it cannot be read.
    """
    document, name = read_document(url, "rules")
    try:
        rules = load_rules(document, name).rules
    except RuleFileError as exc:
        raise RegistryError(exc.mistakes) from exc
    if not is_store(url):
        _refuse_overlaps([compiled.rule for compiled in rules], name)
        return rules
    compiled = {(one.rule.id, one.rule.version): one for one in rules}
    kept = [one.rule for one in rules] if as_kept else timeline(one.rule for one in rules)
    return tuple(replace(compiled[rule.id, rule.version], rule=rule) for rule in kept)


def _refuse_large(zones: Iterable[Zone], name: str, most: int) -> None:
    mistakes = [
        f"{name}:{zone.line}: zone `{zone.id}`: has {zone.geometry.vertices} positions, more than"
        f" {most}; simplify it, or raise FARWATCH_MAX_ZONE_VERTICES"
        for zone in zones
        if zone.geometry.vertices > most
    ]
    if mistakes:
        raise RegistryError(mistakes)


def _refuse_overlaps(versions: Iterable[Versioned], name: str) -> None:
    if mistakes := tuple(overlaps(versions, name)):
        raise RegistryError(mistakes)
