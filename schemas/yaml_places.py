"""Where the characters of a YAML scalar stand in its file, whatever style it is written in."""

from collections.abc import Sequence
from typing import Final

import yaml

Place = tuple[int, int]
"""Line and column in a file, both from 1."""

_HEX: Final = {"x": 2, "u": 4, "U": 8}


def place_of(node: yaml.Node) -> Place:
    """Where a node begins."""
    return int(node.start_mark.line) + 1, int(node.start_mark.column) + 1


def place_in(node: yaml.ScalarNode, lines: Sequence[str], line: int, column: int) -> Place:
    """Where a character of a scalar's value stands: of its ``line`` the ``column``, both from 1.

    ``lines``: of the file. The scalar's own place where its writing cannot be followed.
    """
    value = str(node.value)
    begins = [0, *(i + 1 for i, character in enumerate(value) if character == "\n")]
    offset = begins[min(line, len(begins)) - 1] + column - 1
    try:
        places = _block(node, lines) if node.style in ("|", ">") else _flow(node, lines)
    except IndexError:
        return place_of(node)
    found, at = places[min(offset, len(places) - 1)] if places else (place_of(node)[0] - 1, 0)
    # Behind the last character: where something is missing at the end.
    return found + 1, at + 1 + max(offset - len(places) + 1, 0)


def _flow(node: yaml.ScalarNode, lines: Sequence[str]) -> list[Place]:
    """The places (from 0) of the characters of a plain or quoted scalar."""
    quote = node.style or ""
    line, column = int(node.start_mark.line), int(node.start_mark.column) + len(quote)
    places: list[Place] = []
    while len(places) < len(node.value):
        rest = lines[line][column:]
        if not rest.strip():
            # Breaks fold: one is a space, of more all but the first are kept.
            breaks = 1
            while not lines[line + breaks].strip():
                breaks += 1
            places += [(line, column)] * max(breaks - 1, 1)
            line += breaks
            column = _indent(lines[line])
        elif quote == '"' and rest == "\\":
            line, column = line + 1, _indent(lines[line + 1])
        else:
            places.append((line, column))
            column += _width(rest, quote)
    return places


def _width(rest: str, quote: str) -> int:
    """How many characters the first one of a value takes."""
    if quote == '"' and rest[0] == "\\":
        return 2 + _HEX.get(rest[1], 0)
    return 2 if quote == "'" and rest.startswith("''") else 1


def _block(node: yaml.ScalarNode, lines: Sequence[str]) -> list[Place]:
    """The places (from 0) of the characters of a literal or folded scalar."""
    line = int(node.start_mark.line) + 1
    while not lines[line].strip():
        line += 1
    indent = _indent(lines[line])
    first, folds = int(node.start_mark.line) + 1, node.style == ">"
    places: list[Place] = [(line, 0) for line in range(first, line)]
    while len(places) < len(node.value):
        text = lines[line][indent:]
        places += [(line, indent + i) for i in range(len(text))]
        after = line + 1
        while after < len(lines) and not lines[after].strip():
            after += 1
        blank = after - line - 1
        beside = lines[after][indent : indent + 1] if after < len(lines) else ""
        folded = folds and text[:1] != " " and beside not in ("", " ")
        places += [(line, indent + len(text))] * (max(blank, 1) if folded else blank + 1)
        line = after
    return places


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
