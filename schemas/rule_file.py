"""Files of rules: YAML, a list of rules, read with everything that is wrong told at once.

Each mistake has its line and column, and nothing in a file is ignored. Scalars are taken as written
(YAML 1.1 would read ``for: 1:30`` in base 60); anchors, aliases and tags are refused.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, ClassVar, Final, cast

import yaml
from pydantic import BaseModel, ValidationError

from schemas.rule import (
    Flapping,
    Handling,
    Inhibits,
    Misfits,
    Mistake,
    Rule,
    RuleFileError,
    Scope,
    ZoneScope,
)
from schemas.schedule import Schedule
from schemas.yaml_places import Place, place_in, place_of

MAX_FILE_BYTES: Final = 16_000_000
MAX_DEPTH: Final = 8

_KEYS: Final = tuple(
    field.alias or name for name, field in Rule.model_fields.items() if name != "line"
)
_KEYS_BELOW: Final[dict[tuple[int | str, ...], tuple[str, ...]]] = {
    (): _KEYS,
    ("scope",): tuple(Scope.model_fields),
    ("scope", "zones"): tuple(ZoneScope.model_fields),
    ("alarm",): tuple(Handling.model_fields),
    ("alarm", "flapping"): tuple(Flapping.model_fields),
    ("alarm", "inhibits"): tuple(Inhibits.model_fields),
    ("schedule",): tuple(Schedule.model_fields),
}
_LOADER: Final = cast("type[yaml.SafeLoader]", getattr(yaml, "CSafeLoader", yaml.SafeLoader))

Path = tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One rule of a file: ``rule`` is None where it has mistakes.

    ``label`` names it in mistakes. ``when`` and ``message`` are there if they are texts, so that
    they can be checked all the same; ``text_at`` says where in the file a character of them is.
    ``also``: further conditions, by key.
    """

    label: str
    rule: Rule | None
    when: str | None
    message: str | None
    text_at: Callable[[str, int, int], Place]
    also: Mapping[str, str] = field(default_factory=dict)


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
    nodes, mistakes = entry_nodes(text)
    lines = text.decode("utf-8-sig").splitlines() if nodes else []
    entries: list[Entry] = []
    first: dict[tuple[str, int], int] = {}
    for place, node in enumerate(nodes, 1):
        reader = EntryReader(node, place, lines)
        entry = reader.read()
        entries.append(entry)
        mistakes += reader.mistakes
        if entry.rule is not None:
            here, column = place_of(node)
            line = first.setdefault((entry.rule.id, entry.rule.version), here)
            if line != here:
                what = f"version {entry.rule.version} is also in line {line}"
                remedy = "give another id or a higher `version`"
                mistakes.append(Mistake(here, f"{entry.label}: {what}: {remedy}", column))
    return tuple(entries), mistakes


def entry_nodes(text: bytes, noun: str = "rule") -> tuple[list[yaml.Node], list[Mistake]]:
    """The nodes of the list's entries, or the mistakes that make it no list of them."""
    if len(text) > MAX_FILE_BYTES:
        told = f"{len(text)} bytes are more than {MAX_FILE_BYTES}: split the file"
        return [], [Mistake(1, told)]
    try:
        decoded = text.decode("utf-8-sig")
        if refused := list(_refused(decoded)):
            return [], refused
        root = yaml.compose(decoded, Loader=_LOADER)
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        return [], [Mistake(line, "a byte is not UTF-8: save the file as UTF-8")]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line, column = (1, 1) if mark is None else (int(mark.line) + 1, int(mark.column) + 1)
        return [], [Mistake(line, f"not YAML: {error.problem or error.context}", column)]
    except yaml.YAMLError as error:
        return [], [Mistake(1, f"not YAML: {str(error).splitlines()[0]}")]
    return _entries(root, noun)


def _entries(root: yaml.Node | None, noun: str) -> tuple[list[yaml.Node], list[Mistake]]:
    if root is None:
        return [], [Mistake(1, f"the file is empty: give a list of {noun}s")]
    line, column = place_of(root)
    if not isinstance(root, yaml.SequenceNode):
        told = f"a {noun} file is a list: begin each {noun} with `- id: ...`"
        return [], [Mistake(line, told, column)]
    if not root.value:
        return [], [Mistake(line, f"the list is empty: give at least one {noun}", column)]
    return root.value, []


def _refused(text: str) -> Iterator[Mistake]:
    """What of YAML no rule needs: anchors, aliases, tags and deep nesting."""
    depth = 0
    event: Any
    for event in yaml.parse(text, Loader=_LOADER):
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            told = f"more than {MAX_DEPTH} levels: rules are not nested so deep"
            yield Mistake(line, told, column)
            return
        if getattr(event, "anchor", None) is not None:
            told = f"`{event.anchor}`: no anchors or aliases here, write the value out"
            yield Mistake(line, told, column)
        if getattr(event, "tag", None) is not None:
            yield Mistake(line, f"`{event.tag}`: no tags here, write the plain value", column)


class EntryReader:
    """One entry of the list on its way to a rule, with the mistakes found in it.

    ``model``: what an entry is; ``noun``: what it is called; ``keys``: those known, by path.
    """

    model: ClassVar[type[BaseModel]] = Rule
    noun: ClassVar[str] = "rule"
    keys: ClassVar[Mapping[Path, tuple[str, ...]]] = _KEYS_BELOW

    def __init__(self, node: yaml.Node, place: int, lines: Sequence[str]) -> None:
        self._node = node
        self._label = f"{self.noun} {place}"
        self._lines = lines
        self._places: dict[Path, Place] = {}
        self._texts: dict[Path, yaml.ScalarNode] = {}
        self.mistakes: list[Mistake] = []

    def read(self) -> Entry:
        """The entry; mistakes are in ``mistakes`` then."""
        given, rule = self.read_model()
        when, message = given.get("when"), given.get("message")
        return Entry(
            label=self._label,
            rule=rule if isinstance(rule, Rule) and not self.mistakes else None,
            when=when if isinstance(when, str) and when else None,
            message=message if isinstance(message, str) else None,
            text_at=self._text_at,
            also={
                key: text
                for key in ("then", "clear_when")
                if isinstance(text := given.get(key), str) and text
            },
        )

    def read_model(self) -> tuple[dict[str, Any], BaseModel | None]:
        """What is written, and the model made of it, None where that cannot be."""
        if not isinstance(self._node, yaml.MappingNode):
            self._wrong((), f"a {self.noun} is a mapping: begin with `- id: ...`")
            return {}, None
        self._name(self._node)
        given = self._plain(self._node, ())
        return given, self._model(given)

    def _text_at(self, name: str, line: int, column: int) -> Place:
        """Where a character of a field's text is: of its ``line`` the ``column``, from 1."""
        node = self._texts.get((name,))
        if node is None:
            return self._place_of((name,))
        return place_in(node, self._lines, line, column)

    def _name(self, node: yaml.MappingNode) -> None:
        for key, value in node.value:
            if key.value == "id" and isinstance(value, yaml.ScalarNode) and value.value:
                self._label = f'{self.noun} "{value.value}"'
                return

    def _plain(self, node: yaml.Node, path: Path) -> Any:
        """The node as dicts, lists and strings as written; None for nothing written."""
        self._places.setdefault(path, place_of(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.ScalarNode):
            self._texts[path] = node
        if isinstance(node, yaml.SequenceNode):
            return [self._plain(child, (*path, i)) for i, child in enumerate(node.value)]
        return None if node.tag == "tag:yaml.org,2002:null" else node.value

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        out: dict[str, Any] = {}
        known = self.keys.get(path)
        for key_node, value_node in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else "?"
            if key in out:
                self._wrong(path, f"`{key}` is given twice: keep one", place_of(key_node))
            elif known is not None and key not in known:
                self._wrong(path, _unknown(key, path, known), place_of(key_node))
            else:
                # Of what is not written the key is the place.
                if isinstance(value_node, yaml.ScalarNode) and not value_node.value:
                    self._places[*path, key] = place_of(key_node)
                out[key] = self._plain(value_node, (*path, key))
        return out

    def _model(self, given: dict[str, Any]) -> BaseModel | None:
        misfits = Misfits()
        try:
            model = self.model.model_validate(given, context=misfits)
            for key, what in misfits.found:
                self._wrong((key,), what if what.startswith("`") else f"`{key}`: {what}")
            return model.model_copy(update={"line": place_of(self._node)[0]})
        except ValidationError as error:
            for found in error.errors(include_url=False):
                self._wrong(found["loc"], _explain(dict(found), self.noun))
        return None

    def _wrong(self, path: Path, what: str, place: Place | None = None) -> None:
        line, column = place or self._place_of(path)
        self.mistakes.append(Mistake(line, f"{self._label}: {what}", column))

    def _place_of(self, path: Path) -> Place:
        """The place of the innermost part of the path that is written."""
        for end in range(len(path), -1, -1):
            if path[:end] in self._places:
                return self._places[path[:end]]
        return place_of(self._node)


_REMEDIES: Final = {
    "tuple_type": "give a list, such as [a, b]",
    "model_type": "give a mapping, such as {kinds: [auv]}",
    "string_type": "give a text",
    "string_pattern_mismatch": "use 1 to 128 of A-Z a-z 0-9 . _ : -",
}


def _unknown(key: str, path: Path, known: tuple[str, ...]) -> str:
    close = get_close_matches(key, known, n=1)
    remedy = f"did you mean `{close[0]}`?" if close else f"known are {', '.join(known)}"
    return f"there is no `{'.'.join(map(str, (*path, key)))}`: {remedy}"


def _explain(error: dict[str, Any], noun: str) -> str:
    path = ".".join(map(str, error["loc"]))
    if error["type"] == "missing":
        whose = noun if len(error["loc"]) == 1 else error["loc"][-2]
        return f"`{path}` is missing: every {whose} needs it"
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
