"""Rule sets: a file of rules read, compiled and checked as a whole."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from string import Formatter
from typing import Any, Final

from rules.expressions import Columns, Expression, ExpressionError, compile_expression
from rules.expressions.expression import read
from rules.expressions.inputs import Input, input_of
from rules.expressions.mistakes import closest
from rules.expressions.vocabulary import RECORD_TYPES, WHOLES, ZONE_TYPES
from schemas.rule import Mistake, Rule, RuleFileError
from schemas.rule_file import Entry, read_rules
from schemas.zone import Zone

UNKNOWN_TEXT: Final = "unknown"

_DECIMALS: Final = {"longitude": 5, "latitude": 5}
_PLACEHOLDERS: Final = (*RECORD_TYPES, *(f"zone.{name}" for name in ZONE_TYPES))


class TemplateError(ValueError):
    """A message with a mistake: what is wrong and what to do; ``name``: of which placeholder."""

    def __init__(self, told: str, name: str = "") -> None:
        super().__init__(told)
        self.name = name


class Template:
    """A message with ``{placeholders}`` for fields of the record, its sensors and its zone.

    Raises TemplateError for what is no message, and for a zone where the rule has none.
    """

    def __init__(self, text: str, *, has_zone: bool) -> None:
        # Each piece: text as it is, then the input whose value follows, if any.
        self._pieces = tuple(_pieces(text))
        self.inputs: Final = tuple(column for _, column in self._pieces if column is not None)
        for _, column in self._pieces:
            if column is not None and column.of_zone and not has_zone:
                what = f"`{{{column.name}}}` asks for a zone, and the rule is about none"
                raise TemplateError(f"{what}: name zones in `scope` or in `when`", column.name)

    @property
    def reads(self) -> tuple[str, ...]:
        """The names of what it shows."""
        return tuple(column.name for _, column in self._pieces if column is not None)

    @property
    def uses_past(self) -> bool:
        """Whether it shows something of earlier records."""
        return any(column.of_past for column in self.inputs)

    def of_vehicle(self, vehicle_id: str) -> str:
        """The message where there is no record: all that it may show is the vehicle's id."""
        return "".join(
            text + ("" if column is None else vehicle_id) for text, column in self._pieces
        )

    def render(self, columns: Columns, row: int) -> str:
        """The message for one row; what is absent reads "unknown"."""
        here = columns.row(row)
        return "".join(
            literal if column is None else literal + _shown(column, here)
            for literal, column in self._pieces
        )


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A rule ready to be judged: its condition on columns and its message.

    ``condition``: what must hold for an alarm, of a sequence that of ``then``; ``first``: what must
    have held before it, of a sequence that of ``when``; ``clear``: that of ``clear_when``.
    ``by_record``: the places in its file, line and column, of what no operation on columns does.
    """

    rule: Rule
    condition: Expression
    message: Template
    first: Expression | None = None
    clear: Expression | None = None
    by_record: tuple[tuple[int, int], ...] = ()

    @property
    def uses_zone(self) -> bool:
        """Whether the rule is about records in a zone: by its condition or its scope."""
        return _has_zone(self.rule, self.condition)

    @property
    def uses_past(self) -> bool:
        """Whether the rule looks back: its condition or its message asks for earlier records."""
        return self.condition.uses_past or self.message.uses_past

    @property
    def expressions(self) -> tuple[Expression, ...]:
        """Its conditions."""
        return tuple(e for e in (self.condition, self.first, self.clear) if e is not None)

    @property
    def previous(self) -> frozenset[str]:
        """The fields of the vehicle's last record that it asks for."""
        names = [*self.message.reads, *(name for e in self.expressions for name in e.inputs)]
        before = "previous."
        return frozenset(n.removeprefix(before) for n in names if n.startswith(before))

    @property
    def first_uses_zone(self) -> bool:
        """Whether the first condition of a sequence is about records in a zone."""
        return self.first is not None and _has_zone(self.rule, self.first)

    def render(self, columns: Columns, row: int) -> str:
        """What to say about one row."""
        return self.message.render(columns.no_older_than(self.condition.stale_us), row)


@dataclass(frozen=True, slots=True)
class RuleSet:
    """The rules of one file, in its order."""

    rules: tuple[CompiledRule, ...]


def load_rules(text: bytes, name: str) -> RuleSet:
    """Read and compile a file of rules; ``name`` names it in mistakes.

    Raises RuleFileError with every mistake: of YAML, of fields, of conditions (with the column
    inside the file) and of messages. A file with any mistake gives no rules.
    """
    entries, mistakes = read_rules(text)
    compiled = [_compiled(entry, mistakes) for entry in entries]
    if mistakes:
        raise RuleFileError(name, mistakes)
    return RuleSet(tuple(rule for rule in compiled if rule is not None))


def slow_parts(rules: Iterable[CompiledRule], name: str) -> Iterator[str]:
    """A line for each part of a condition that Google's runtime computes record by record."""
    for compiled in rules:
        for line, column in compiled.by_record:
            what = "computed record by record, some 5 µs each: no operation on columns does it"
            yield f'{name}:{line}:{column}: rule "{compiled.rule.id}": {what}'


def unknown_zones(rules: Iterable[CompiledRule], zones: Iterable[Zone], name: str) -> Iterator[str]:
    """A line for each zone that a rule asks the distance to and that is not among the zones."""
    ids = {zone.id for zone in zones}
    for compiled in rules:
        asked = [zone_id for e in compiled.expressions for zone_id in e.named_zones]
        for zone_id in dict.fromkeys(asked):
            if zone_id not in ids:
                place = name if compiled.rule.line is None else f"{name}:{compiled.rule.line}:1"
                what = f'rule "{compiled.rule.id}": there is no zone `{zone_id}`'
                remedy = closest(zone_id, ids) or "give one of the zones' ids"
                yield f"{place}: {what}: {remedy}"


def _compiled(entry: Entry, mistakes: list[Mistake]) -> CompiledRule | None:
    """The entry's rule compiled; what is wrong with it is added to ``mistakes``."""
    rule, when = entry.rule, _condition(entry, mistakes)
    also = _further(entry, mistakes)
    if also is None:
        return None
    condition = also.get("then", when)
    # Where rule or condition has mistakes, nobody knows yet whether there is a zone.
    has_zone = rule is None or condition is None or _has_zone(rule, condition)
    try:
        message = Template(entry.message or (rule.id if rule else ""), has_zone=has_zone)
    except TemplateError as error:
        at = (entry.message or "").find("{" + error.name) if error.name else -1
        mistakes.append(_mistake(entry, "message", f"`message`: {error}", max(at, 0) + 1))
        return None
    if rule is None or condition is None or when is None:
        return None
    before = len(mistakes)
    mistakes += _unfit(entry, rule, condition, also)
    looking = (when, *also.values())
    if rule.stale_after_s is not None and not any(e.uses_past for e in looking):
        mistakes += _never_stale(entry, message)
    if len(mistakes) > before:
        return None
    first = when if "then" in also else None
    return CompiledRule(
        rule, condition, message, first, also.get("clear_when"), _by_record(entry, when, also)
    )


def _by_record(
    entry: Entry, when: Expression, also: Mapping[str, Expression]
) -> tuple[tuple[int, int], ...]:
    """The places in the file of what is computed record by record."""
    found = [
        entry.text_at(key, *place)
        for key, expression in {"when": when, **also}.items()
        for place in expression.by_record
    ]
    return tuple(sorted(found))


def _further(entry: Entry, mistakes: list[Mistake]) -> dict[str, Expression] | None:
    """The entry's conditions beside ``when`` by their keys, None where one has mistakes."""
    compiled = {}
    for key, text in entry.also.items():
        found = _expression(entry, key, text, mistakes)
        if found is not None:
            compiled[key] = found
    return compiled if len(compiled) == len(entry.also) else None


def _unfit(
    entry: Entry, rule: Rule, condition: Expression, also: dict[str, Expression]
) -> Iterator[Mistake]:
    """What asks for a zone where the rule is about none, or for a record where there is none."""
    has_zone = _has_zone(rule, condition)
    remedy = "name zones in `scope` or in `when`"
    if rule.once_per_visit and not has_zone:
        what = "`once_per_visit`: the rule is about no zone, so there are no visits"
        yield _mistake(entry, "when", f"{what}: {remedy}")
    if "clear_when" in also and also["clear_when"].uses_zone and not has_zone:
        what = "`clear_when` asks for a zone, and the rule is about none"
        yield _mistake(entry, "clear_when", f"{what}: {remedy}")
    if rule.is_about_absence:
        for name in Template(rule.message or rule.id, has_zone=True).reads:
            if name != "vehicle_id":
                what = f"`message`: `{{{name}}}` has no value while something is absent"
                yield _mistake(entry, "message", f"{what}: ask for `{{vehicle_id}}` alone")


def _never_stale(entry: Entry, message: Template) -> Iterator[Mistake]:
    """``stale_after`` of a rule whose conditions look back on nothing."""
    if not message.uses_past:
        what = "`stale_after`: the rule looks back on nothing, so nothing can be stale"
        remedy = "ask for `previous.NAME` or `rate(...)`, or leave `stale_after` out"
        yield _mistake(entry, "stale_after", f"{what}: {remedy}")


def _condition(entry: Entry, mistakes: list[Mistake]) -> Expression | None:
    return None if entry.when is None else _expression(entry, "when", entry.when, mistakes)


def _expression(entry: Entry, key: str, text: str, mistakes: list[Mistake]) -> Expression | None:
    """The condition that a field holds; what is wrong with it is added to ``mistakes``."""
    stale_us = None if entry.rule is None else entry.rule.stale_after_us
    try:
        return compile_expression(text, stale_us)
    except ExpressionError as error:
        for found in error.mistakes:
            line, column = entry.text_at(key, found.line, found.column)
            mistakes.append(Mistake(line, f"{entry.label}: `{key}`: {found.told}", column))
        return None


def _mistake(entry: Entry, key: str, told: str, column: int = 1) -> Mistake:
    """A mistake at a character of a field's text."""
    line, column = entry.text_at(key, 1, column)
    return Mistake(line, f"{entry.label}: {told}", column)


def _has_zone(rule: Rule, condition: Expression) -> bool:
    return condition.uses_zone or bool(rule.scope.zones.kind or rule.scope.zones.id)


def _pieces(text: str) -> Iterator[tuple[str, Input | None]]:
    try:
        parsed = list(Formatter().parse(text))
    except ValueError as error:
        raise TemplateError(f"{error}: write `{{{{` for a brace that is none") from None
    for literal, name, spec, conversion in parsed:
        if spec or conversion:
            raise TemplateError(
                f"`{{{name}...}}`: write the name alone, as `{{{name}}}`", name or ""
            )
        yield literal, None if name is None else _placeholder(name)


def _placeholder(name: str) -> Input:
    path = tuple(name.split("."))
    column = input_of(path)
    if column is None:
        remedy = closest(name, _PLACEHOLDERS)
        if path[0] in WHOLES and len(path) == 1:
            remedy = f"ask for one of its fields, `{{{name}.name}}`"
        raise TemplateError(f"there is no `{{{name}}}`" + (f": {remedy}" if remedy else ""), name)
    return column


def _shown(column: Input, here: Columns) -> str:
    value: Any = read(column, here)
    if value is None:
        return UNKNOWN_TEXT
    if isinstance(value, float):
        decimals = _DECIMALS.get(column.name, 2)
        return f"{value:.{decimals}f}".rstrip("0").rstrip(".")
    return str(value)
