"""Rule sets: a file of rules read, compiled and checked as a whole."""

from collections.abc import Iterator
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

UNKNOWN_TEXT: Final = "unknown"

_DECIMALS: Final = {"longitude": 5, "latitude": 5}
_PLACEHOLDERS: Final = (*RECORD_TYPES, *(f"zone.{name}" for name in ZONE_TYPES))


class TemplateError(ValueError):
    """A message with a mistake: what is wrong and what to do."""


class Template:
    """A message with ``{placeholders}`` for fields of the record, its sensors and its zone.

    Raises TemplateError for what is no message, and for a zone where the rule has none.
    """

    def __init__(self, text: str, *, has_zone: bool) -> None:
        # Each piece: text as it is, then the input whose value follows, if any.
        self._pieces = tuple(_pieces(text))
        for _, column in self._pieces:
            if column is not None and column.of_zone and not has_zone:
                what = f"`{{{column.name}}}` asks for a zone, and the rule is about none"
                raise TemplateError(f"{what}: name zones in `scope` or in `when`")

    def render(self, columns: Columns, row: int) -> str:
        """The message for one row; what is absent reads "unknown"."""
        here = columns.row(row)
        return "".join(
            literal if column is None else literal + _shown(column, here)
            for literal, column in self._pieces
        )


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A rule ready to be judged: its condition on columns and its message."""

    rule: Rule
    condition: Expression
    message: Template

    @property
    def uses_zone(self) -> bool:
        """Whether the rule is about records in a zone: by its condition or its scope."""
        return _has_zone(self.rule, self.condition)

    def render(self, columns: Columns, row: int) -> str:
        """What to say about one row."""
        return self.message.render(columns, row)


@dataclass(frozen=True, slots=True)
class RuleSet:
    """The rules of one file, in its order."""

    rules: tuple[CompiledRule, ...]


def load_rules(text: bytes, name: str) -> RuleSet:
    """Read and compile a file of rules; ``name`` names it in mistakes.

    Raises RuleFileError with every mistake: of YAML, of fields, of conditions (with the column
    inside the expression) and of messages. A file with any mistake gives no rules.
    """
    entries, mistakes = read_rules(text)
    compiled = [_compiled(entry, mistakes) for entry in entries]
    if mistakes:
        raise RuleFileError(name, mistakes)
    return RuleSet(tuple(rule for rule in compiled if rule is not None))


def _compiled(entry: Entry, mistakes: list[Mistake]) -> CompiledRule | None:
    """The entry's rule compiled; what is wrong with it is added to ``mistakes``."""
    rule, condition = entry.rule, _condition(entry, mistakes)
    # Where rule or condition has mistakes, nobody knows yet whether there is a zone.
    has_zone = rule is None or condition is None or _has_zone(rule, condition)
    try:
        message = Template(entry.message or (rule.id if rule else ""), has_zone=has_zone)
    except TemplateError as error:
        mistakes.append((entry.message_line, f"{entry.label}: `message`: {error}"))
        return None
    if rule is None or condition is None:
        return None
    return CompiledRule(rule, condition, message)


def _condition(entry: Entry, mistakes: list[Mistake]) -> Expression | None:
    if entry.when is None:
        return None
    try:
        return compile_expression(entry.when)
    except ExpressionError as error:
        mistakes += [(entry.when_line, f"{entry.label}: `when`, {m}") for m in error.mistakes]
        return None


def _has_zone(rule: Rule, condition: Expression) -> bool:
    return condition.uses_zone or bool(rule.scope.zones.kind or rule.scope.zones.id)


def _pieces(text: str) -> Iterator[tuple[str, Input | None]]:
    try:
        parsed = list(Formatter().parse(text))
    except ValueError as error:
        raise TemplateError(f"{error}: write `{{{{` for a brace that is none") from None
    for literal, name, spec, conversion in parsed:
        if spec or conversion:
            raise TemplateError(f"`{{{name}...}}`: write the name alone, as `{{{name}}}`")
        yield literal, None if name is None else _placeholder(name)


def _placeholder(name: str) -> Input:
    path = tuple(name.split("."))
    column = input_of(path)
    if column is None:
        remedy = closest(name, _PLACEHOLDERS)
        if path[0] in WHOLES and len(path) == 1:
            remedy = f"ask for one of its fields, `{{{name}.name}}`"
        raise TemplateError(f"there is no `{{{name}}}`" + (f": {remedy}" if remedy else ""))
    return column


def _shown(column: Input, here: Columns) -> str:
    value: Any = read(column, here)
    if value is None:
        return UNKNOWN_TEXT
    if isinstance(value, float):
        decimals = _DECIMALS.get(column.name, 2)
        return f"{value:.{decimals}f}".rstrip("0").rstrip(".")
    return str(value)
