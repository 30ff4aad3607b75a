"""The registry: the zones and rules that are judged by, as one value with a fingerprint."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rules.fences import Fences
from rules.rulebook import RuleBook
from rules.rulesets import CompiledRule
from rules.tracks import FOREVER, NEVER
from schemas.effective import Versioned
from schemas.event import identity
from schemas.zone import Zone


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
