"""Mistakes in an expression, told so that the author of the rule can mend them."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from rules.expressions.vocabulary import FUNCTIONS, NAMES, RECORD_TYPES, ZONE_TYPES


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake: ``column`` (and ``line``) inside the expression, counted from 1."""

    message: str
    column: int
    suggestion: str = ""
    line: int = 1

    def __str__(self) -> str:
        place = f"column {self.column}"
        if self.line > 1:
            place = f"its line {self.line}, {place}"
        return f"{place}: {self.told}"

    @property
    def told(self) -> str:
        """What is wrong and what to do, without the place."""
        return f"{self.message}: {self.suggestion}" if self.suggestion else self.message


class ExpressionError(ValueError):
    """An expression that cannot be used, with every mistake found in it."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("; ".join(map(str, self.mistakes)))

    @property
    def message(self) -> str:
        """What is wrong, of the first mistake."""
        return self.mistakes[0].message

    @property
    def column(self) -> int:
        """Where in the expression, counted from 1, of the first mistake."""
        return self.mistakes[0].column

    @property
    def suggestion(self) -> str:
        """What to do, of the first mistake; empty where nothing better than the message."""
        return self.mistakes[0].suggestion


def closest(name: str, names: Iterable[str]) -> str:
    """A suggestion of the name most like ``name``, or the empty string."""
    found = get_close_matches(name, list(names), n=1, cutoff=0.6)
    return f"did you mean `{found[0]}`?" if found else ""


_REPORT: Final = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
_UNDECLARED: Final = re.compile(r"undeclared reference to '(.*)' \(in container")
_NO_FIELD: Final = re.compile(r"undefined field '(.*)' not found in struct 'farwatch\.(\w+)'")
_NO_OVERLOAD: Final = re.compile(r"found no matching overload for '(.*)' applied to '\((.*)\)'")
_EXPECTING: Final = re.compile(r" expecting \{.*\}")


def mistakes_of_checker(report: str, expression: str) -> list[Mistake]:
    """The mistakes that Google's parser and checker tell of, in words that name a remedy."""
    found = []
    lines = expression.split("\n")
    for line_, column_, message in _REPORT.findall(report):
        if "*error*" in message:  # the echo of a mistake already told
            continue
        line, column = int(line_), int(column_)
        called = (match := _UNDECLARED.match(message)) and _called(lines, line, column, match[1])
        if match and called:
            suggestion = closest(match[1], FUNCTIONS)
            found.append(Mistake(f"there is no `{match[1]}()`", called, suggestion, line))
        else:
            found.append(Mistake(_explain(message)[0], column, _explain(message)[1], line))
    found.sort(key=lambda mistake: (mistake.line, mistake.column))
    return found or [Mistake(report.partition(" [")[0].strip(), 1)]


def _called(lines: Sequence[str], line: int, column: int, name: str) -> int:
    """The column at which a function is named, whose `(` is at ``column``; 0 = it is none."""
    before = lines[line - 1][: column - 1] if line <= len(lines) else ""
    is_call = lines[line - 1][column - 1 : column] == "(" if line <= len(lines) else False
    return before.rfind(name) + 1 if is_call else 0


def _explain(message: str) -> tuple[str, str]:
    if match := _UNDECLARED.match(message):
        return f"there is no `{match[1]}`", closest(match[1], NAMES)
    if match := _NO_FIELD.match(message):
        names = ZONE_TYPES.keys() | {"properties"} if match[2] == "Zone" else RECORD_TYPES.keys()
        remedy = closest(match[1], names)
        if match[2] == "Zone" and not remedy:
            remedy = f'a property of your own is written `zone.properties["{match[1]}"]`'
        return f"a {match[2].lower()} has no `{match[1]}`", remedy
    if match := _NO_OVERLOAD.match(message):
        return _no_overload(match[1], match[2])
    if message.startswith("has() argument"):
        return "`has()` needs a path", "write `has(record.depth_m)` to ask whether a record has it"
    return _EXPECTING.sub("", message).removeprefix("Syntax error: "), ""


def _no_overload(function: str, types: str) -> tuple[str, str]:
    # `_>_`, `_?_:_`, `@in`, but `distance_to`.
    operator = function if function[0].isalpha() else function.lstrip("@").replace("_", "")
    kinds = types.replace("google.protobuf.", "").lower()
    suggestion = ""
    if "double" in kinds and re.search(r"\bint\b", kinds):
        suggestion = "write the number with a decimal point (200.0), or convert it with double()"
    return f"`{operator}` does not take ({kinds})", suggestion
