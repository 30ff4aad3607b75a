"""The registry: the zones and rules that are judged by, as one value with a fingerprint."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rules.fences import Fences
from rules.rulebook import RuleBook
from rules.rulesets import CompiledRule
from rules.tracks import FOREVER, NEVER
from schemas.effective import Versioned
from schemas.event import identity
from schemas.rule import Rule
from schemas.zone import Zone

Contents = Mapping[str, Mapping[str, Mapping[str, str]]]
"""What (zone, rule) -> id -> version -> hash of what it says."""


@dataclass(frozen=True, slots=True)
class Registry:
    """Zones and rules, all their versions; memories refer to both by place (``rules.editions``).

    ``fingerprint`` is the same exactly for the same zones and rules in the same order.
    """

    fences: Fences
    book: RuleBook
    fingerprint: str

    def changed_us(self, other: "Registry") -> int:
        """The earliest event time at which the two do not say the same, ``FOREVER`` = never."""
        differ = FOREVER
        for mine, others in (
            (_spans(self.fences.zones), _spans(other.fences.zones)),
            (_spans(c.rule for c in self.book.rules), _spans(c.rule for c in other.book.rules)),
        ):
            for key in mine.keys() | others.keys():
                a, b = mine.get(key), others.get(key)
                if a != b:
                    differ = min(differ, _first_difference(a, b))
        return differ

    def contents(self) -> Contents:
        """What each version says, as a hash, but for when it ends."""
        zones = [(z.id, z.version, _said(z, {"line", "effective_to"})) for z in self.fences.zones]
        rules = [
            (c.rule.id, c.rule.version, _said(c.rule, {"line", "effective_to"}))
            for c in self.book.rules
        ]
        return {"zone": _by_version(zones), "rule": _by_version(rules)}

    @classmethod
    def of(cls, zones: Sequence[Zone], rules: Sequence[CompiledRule]) -> "Registry":
        """Build the indexes; raises what ``rules.zone_geometry`` raises on invalid geometry."""
        fences = Fences(zones)
        definitions = [zone.model_dump_json(exclude={"line"}) for zone in fences.zones]
        definitions += [compiled.rule.model_dump_json(exclude={"line"}) for compiled in rules]
        return cls(fences, RuleBook(rules, fences), identity(*definitions))


_Span = tuple[int, int]


def _spans(versions: Iterable[Versioned]) -> dict[tuple[str, int], _Span]:
    """(id, version) -> from when until when it is in force."""
    return {
        (one.id, one.version): (
            NEVER if one.effective_from_us is None else one.effective_from_us,
            FOREVER if one.effective_to_us is None else one.effective_to_us,
        )
        for one in versions
    }


def _first_difference(a: _Span | None, b: _Span | None) -> int:
    if a is None or b is None:
        present = a or b
        return FOREVER if present is None else present[0]
    return min(a[0], b[0]) if a[0] != b[0] else min(a[1], b[1])


def broken_promise(old: Contents, new: Contents) -> str:
    """How the new contents break with the old ones, in one line; "" where they only add to them.

    A version says the same for ever, and only a later one of its id may take its place.
    """
    for what, of_ids in old.items():
        for name, versions in of_ids.items():
            kept = new.get(what, {}).get(name, {})
            newest = max(map(int, kept), default=0)
            for version, said in versions.items():
                if version in kept and kept[version] != said:
                    return (
                        f"{what} `{name}` version {version} says something else than before; give"
                        " what changes a higher `version`"
                    )
                if newest < int(version):
                    return (
                        f"{what} `{name}` version {version} is gone; end it with `effective_to`"
                        " instead"
                    )
    return ""


def _said(one: Zone | Rule, without: set[str]) -> str:
    return identity(one.model_dump_json(exclude=without))[:16]


def _by_version(versions: Iterable[tuple[str, int, str]]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for name, version, said in versions:
        found.setdefault(name, {})[str(version)] = said
    return found
