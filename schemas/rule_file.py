"""Files of rules: YAML, a list of rules, read with everything that is wrong told at once.

Each mistake has its line, and nothing in a file is ignored. Scalars are taken as written (YAML 1.1
would read ``for: 1:30`` in base 60); anchors, aliases and tags are refused.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final, cast

import yaml
from pydantic import ValidationError

from schemas.rule import Mistake, Rule, RuleFileError, Scope, ZoneScope

MAX_FILE_BYTES: Final = 16_000_000
MAX_DEPTH: Final = 8

_KEYS: Final = tuple(
    field.alias or name for name, field in Rule.model_fields.items() if name != "line"
)
_KEYS_BELOW: Final[dict[tuple[int | str, ...], tuple[str, ...]]] = {
    (): _KEYS,
    ("scope",): tuple(Scope.model_fields),
    ("scope", "zones"): tuple(ZoneScope.model_fields),
}
_NOT_YET: Final = (
    *("count", "within", "keep_firing_for", "clear_when", "once_per_visit", "absent_for"),
)
_LOADER: Final = cast("type[yaml.SafeLoader]", getattr(yaml, "CSafeLoader", yaml.SafeLoader))

Path = tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One rule of a file: ``rule`` is None where it has mistakes.

    ``label`` names it in mistakes. ``when`` and ``message`` are there if they are texts, so that
    they can be checked all the same, with the lines they stand in.
    """

    label: str
    rule: Rule | None
    when: str | None
    when_line: int
    message: str | None
    message_line: int


def parse_rules(text: bytes, name: str) -> tuple[Rule, ...]:
    """The rules of a YAML file, in its order; ``name`` names the file in mistakes.

    Conditions are not compiled here. Raises RuleFileError with every mistake.
    """
    entries, mistakes = read_rules(text)
    if mistakes:
        raise RuleFileError(name, mistakes)
    return tuple(entry.rule for entry in entries if entry.rule is not None)


def read_rules(text: bytes) -> tuple[tuple[Entry, ...], list[Mistake]]:
    """The entries of a rule file and every mistake in it."""
    nodes, mistakes = _nodes(text)
    entries: list[Entry] = []
    first: dict[tuple[str, int], int] = {}
    for place, node in enumerate(nodes, 1):
        reader = _EntryReader(node, place)
        entry = reader.read()
        entries.append(entry)
        mistakes += reader.mistakes
        if entry.rule is not None:
            line = first.setdefault((entry.rule.id, entry.rule.version), _line(node))
            if line != _line(node):
                what = f"version {entry.rule.version} is also in line {line}"
                remedy = "give another id or a higher `version`"
                mistakes.append((_line(node), f"{entry.label}: {what}: {remedy}"))
    return tuple(entries), mistakes


def _nodes(text: bytes) -> tuple[list[yaml.Node], list[Mistake]]:
    """The nodes of the list's entries, or the mistakes that make it no list of rules."""
    if len(text) > MAX_FILE_BYTES:
        return [], [(1, f"{len(text)} bytes are more than {MAX_FILE_BYTES}: split the file")]
    try:
        decoded = text.decode("utf-8-sig")
        if refused := list(_refused(decoded)):
            return [], refused
        root = yaml.compose(decoded, Loader=_LOADER)
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        return [], [(line, "a byte is not UTF-8: save the file as UTF-8")]
    except yaml.MarkedYAMLError as error:
        line = 1 if error.problem_mark is None else int(error.problem_mark.line) + 1
        return [], [(line, f"not YAML: {error.problem or error.context}")]
    except yaml.YAMLError as error:
        return [], [(1, f"not YAML: {str(error).splitlines()[0]}")]
    return _entries(root)


def _entries(root: yaml.Node | None) -> tuple[list[yaml.Node], list[Mistake]]:
    if root is None:
        return [], [(1, "the file is empty: give a list of rules")]
    if not isinstance(root, yaml.SequenceNode):
        return [], [(_line(root), "a rule file is a list: begin each rule with `- id: ...`")]
    if not root.value:
        return [], [(_line(root), "the list is empty: give at least one rule")]
    return root.value, []


def _refused(text: str) -> Iterator[Mistake]:
    """What of YAML no rule needs: anchors, aliases, tags and deep nesting."""
    depth = 0
    event: Any
    for event in yaml.parse(text, Loader=_LOADER):
        line = event.start_mark.line + 1
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            yield line, f"more than {MAX_DEPTH} levels: rules are not nested so deep"
            return
        if getattr(event, "anchor", None) is not None:
            yield line, f"`{event.anchor}`: no anchors or aliases here, write the value out"
        if getattr(event, "tag", None) is not None:
            yield line, f"`{event.tag}`: no tags here, write the plain value"


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


class _EntryReader:
    """One entry of the list on its way to a rule, with the mistakes found in it."""

    def __init__(self, node: yaml.Node, place: int) -> None:
        self._node = node
        self._label = f"rule {place}"
        self._lines: dict[Path, int] = {}
        self.mistakes: list[Mistake] = []

    def read(self) -> Entry:
        """The entry; mistakes are in ``mistakes`` then."""
        given: dict[str, Any] = {}
        if isinstance(self._node, yaml.MappingNode):
            self._name(self._node)
            given = self._plain(self._node, ())
            rule = self._rule(given)
        else:
            self._wrong((), "a rule is a mapping: begin with `- id: ...`")
            rule = None
        when, message = given.get("when"), given.get("message")
        return Entry(
            label=self._label,
            rule=None if self.mistakes else rule,
            when=when if isinstance(when, str) and when else None,
            when_line=self._line_of(("when",)),
            message=message if isinstance(message, str) else None,
            message_line=self._line_of(("message",)),
        )

    def _name(self, node: yaml.MappingNode) -> None:
        for key, value in node.value:
            if key.value == "id" and isinstance(value, yaml.ScalarNode) and value.value:
                self._label = f'rule "{value.value}"'
                return

    def _plain(self, node: yaml.Node, path: Path) -> Any:
        """The node as dicts, lists and strings as written; None for nothing written."""
        self._lines.setdefault(path, _line(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._plain(child, (*path, i)) for i, child in enumerate(node.value)]
        return None if node.tag == "tag:yaml.org,2002:null" else node.value

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        out: dict[str, Any] = {}
        known = _KEYS_BELOW.get(path)
        for key_node, value_node in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else "?"
            self._lines.setdefault((*path, key), _line(key_node))
            if key in out:
                self._wrong(path, f"`{key}` is given twice: keep one", _line(key_node))
            elif known is not None and key not in known:
                self._wrong(path, _unknown(key, path, known), _line(key_node))
            else:
                out[key] = self._plain(value_node, (*path, key))
        return out

    def _rule(self, given: dict[str, Any]) -> Rule | None:
        try:
            return Rule.model_validate(given).model_copy(update={"line": _line(self._node)})
        except ValidationError as error:
            for found in error.errors(include_url=False):
                self._wrong(found["loc"], _explain(dict(found)))
        return None

    def _wrong(self, path: Path, what: str, line: int = 0) -> None:
        self.mistakes.append((line or self._line_of(path), f"{self._label}: {what}"))

    def _line_of(self, path: Path) -> int:
        """The line of the innermost part of the path that is written."""
        for end in range(len(path), -1, -1):
            if path[:end] in self._lines:
                return self._lines[path[:end]]
        return _line(self._node)


_REMEDIES: Final = {
    "tuple_type": "give a list, such as [a, b]",
    "model_type": "give a mapping, such as {kinds: [auv]}",
    "string_type": "give a text",
    "string_pattern_mismatch": "use 1 to 128 of A-Z a-z 0-9 . _ : -",
}


def _unknown(key: str, path: Path, known: tuple[str, ...]) -> str:
    if not path and key in _NOT_YET:
        return f"`{key}` is not supported yet: leave it out"
    close = get_close_matches(key, known, n=1)
    remedy = f"did you mean `{close[0]}`?" if close else f"known are {', '.join(known)}"
    return f"there is no `{'.'.join(map(str, (*path, key)))}`: {remedy}"


def _explain(error: dict[str, Any]) -> str:
    path = ".".join(map(str, error["loc"]))
    if error["type"] == "missing":
        return f"`{path}` is missing: every rule needs it"
    value = error["input"]
    message = error["msg"].removeprefix("Value error, ").replace("Input should", "it should")
    if not path:
        return str(message)
    remedy = _closest(value, error) or _REMEDIES.get(error["type"], message)
    if isinstance(value, dict) and error["type"] == "string_type":
        remedy = "put the text in quotes: `{` begins a mapping"
    return f"`{path}` is {_shown(value)}: {remedy}"


def _closest(value: object, error: dict[str, Any]) -> str:
    if error["type"] != "literal_error" or not isinstance(value, str):
        return ""
    choices = error["ctx"]["expected"].replace(" or ", ", ").replace("'", "").split(", ")
    close = get_close_matches(value, choices, n=1)
    return f"did you mean `{close[0]}`?" if close else ""


def _shown(value: object) -> str:
    if value is None:
        return "empty"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
