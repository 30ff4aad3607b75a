"""The registry: the zones and rules that are judged by, as one value with a fingerprint."""

from collections.abc import Sequence
from dataclasses import dataclass

from rules.fences import Fences
from rules.rulebook import RuleBook
from rules.rulesets import CompiledRule
from schemas.event import identity
from schemas.zone import Zone


@dataclass(frozen=True, slots=True)
class Registry:
    """Zones and rules in force; state refers to both by index, so it belongs to one registry.

    ``fingerprint`` is the same exactly for the same zones and rules in the same order.
    """

    fences: Fences
    book: RuleBook
    fingerprint: str

    @classmethod
    def of(cls, zones: Sequence[Zone], rules: Sequence[CompiledRule]) -> "Registry":
        """Build the indexes; raises what ``rules.zone_geometry`` raises on invalid geometry."""
        fences = Fences(zones)
        definitions = [zone.model_dump_json(exclude={"line"}) for zone in fences.zones]
        definitions += [compiled.rule.model_dump_json(exclude={"line"}) for compiled in rules]
        return cls(fences, RuleBook(rules, fences), identity(*definitions))
