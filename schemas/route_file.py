"""Files of routes: YAML, read with everything that is wrong told at once, each with its line."""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final, cast

import yaml
from pydantic import ValidationError

from schemas.route import Match, Route, Routing, Target
from schemas.schedule import Schedule

MAX_FILE_BYTES: Final = 1_000_000
MAX_DEPTH: Final = 24
_LOADER: Final = cast("type[yaml.SafeLoader]", getattr(yaml, "CSafeLoader", yaml.SafeLoader))
_VARIABLE: Final = re.compile(r"\$\{(\w+)\}")

Path = tuple[int | str, ...]


class RouteFileError(ValueError):
    """A file of routes with mistakes: ``mistakes`` has one line each, with place and remedy."""

    def __init__(self, mistakes: list[str]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(mistakes))


def load_routes(text: bytes, name: str, environment: Mapping[str, str]) -> Routing:
    """The routes of a YAML file; ``name`` names it in mistakes.

    ``environment``: values of ``${NAME}`` in the URLs of targets.

    Raises:
        RouteFileError: every mistake.
    """
    reader = _Reader(environment)
    routing = reader.read(text)
    if routing is None or reader.mistakes:
        lines = [f"{name}:{line}: {what}" for line, what in sorted(reader.mistakes)]
        raise RouteFileError(lines)
    return routing


class _Reader:
    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._lines: dict[Path, int] = {(): 1}
        self.mistakes: list[tuple[int, str]] = []

    def read(self, text: bytes) -> Routing | None:
        """The routes, with mistakes in ``mistakes``."""
        given = self._given(text)
        if given is None:
            return None
        try:
            routing = Routing.model_validate(given)
        except ValidationError as error:
            for found in error.errors(include_url=False):
                self._wrong(tuple(found["loc"]), _explain(dict(found)))
            return None
        self._names(routing)
        return routing

    def _given(self, text: bytes) -> Any:
        if len(text) > MAX_FILE_BYTES:
            self._wrong((), f"{len(text)} bytes are more than {MAX_FILE_BYTES}: make it smaller")
            return None
        try:
            decoded = text.decode("utf-8-sig")
            self._refuse(decoded)
            root = None if self.mistakes else yaml.compose(decoded, Loader=_LOADER)
        except UnicodeDecodeError:
            self._wrong((), "a byte is not UTF-8: save the file as UTF-8")
            return None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            line = 1 if mark is None else int(mark.line) + 1
            self.mistakes.append((line, f"not YAML: {error.problem or error.context}"))
            return None
        except yaml.YAMLError as error:
            self._wrong((), f"not YAML: {str(error).splitlines()[0]}")
            return None
        if not isinstance(root, yaml.MappingNode):
            if not self.mistakes:
                self._wrong((), "a file of routes is a mapping: begin with `routes:`")
            return None
        return self._plain(root, ())

    def _refuse(self, text: str) -> None:
        """Refuse what no route needs: aliases, which may grow without bound, and deep nesting."""
        depth = 0
        event: Any
        for event in yaml.parse(text, Loader=_LOADER):
            line = event.start_mark.line + 1
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                self.mistakes.append((line, f"more than {MAX_DEPTH} levels: nest less deep"))
                return
            if getattr(event, "anchor", None) is not None:
                what = f"`{event.anchor}`: no anchors or aliases here, write the value out"
                self.mistakes.append((line, what))

    def _plain(self, node: yaml.Node, path: Path) -> Any:
        """The node as dicts, lists and strings as written."""
        self._lines.setdefault(path, int(node.start_mark.line) + 1)
        if isinstance(node, yaml.SequenceNode):
            return [self._plain(child, (*path, i)) for i, child in enumerate(node.value)]
        if not isinstance(node, yaml.MappingNode):
            text = None if node.tag == "tag:yaml.org,2002:null" else node.value
            is_url = len(path) == 3 and path[0] == "targets" and path[2] == "url"
            return self._filled(text, path) if is_url and text else text
        out: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            line = int(key_node.start_mark.line) + 1
            self._lines[*path, key] = line
            if key in out:
                self.mistakes.append((line, f"`{key}` is given twice: keep one"))
            out[key] = self._plain(value_node, (*path, key))
        return out

    def _filled(self, url: str, path: Path) -> str:
        for name in _VARIABLE.findall(url):
            if name not in self._environment:
                self._wrong(path, f"`${{{name}}}` is not set in the environment: set it")
        return _VARIABLE.sub(lambda found: self._environment.get(found[1], "-"), url)

    def _names(self, routing: Routing) -> None:
        """Every target and time to be quiet that is named must be there."""
        for path, route in _all(routing.routes, ("routes",)):
            for key, named, known in (
                ("to", route.to or (), routing.targets),
                ("mute", route.mute or (), routing.mute_times),
            ):
                for place, name in enumerate(named):
                    if name not in known:
                        what = "target" if key == "to" else "mute time"
                        remedy = _closest(name, known) or f"name it under `{_HOME[key]}`"
                        self._wrong((*path, key, place), f"there is no {what} `{name}`: {remedy}")

    def _wrong(self, path: Path, what: str) -> None:
        ends = (path[:end] for end in range(len(path), -1, -1))
        line = next(self._lines[end] for end in ends if end in self._lines)
        self.mistakes.append((line, what))


_HOME: Final = {"to": "targets", "mute": "mute_times"}


def _all(routes: tuple[Route, ...], path: Path) -> Iterator[tuple[Path, Route]]:
    for place, route in enumerate(routes):
        yield (*path, place), route
        yield from _all(route.routes, (*path, place, "routes"))


def _closest(name: str, known: Mapping[str, Any]) -> str:
    close = get_close_matches(name, known, n=1)
    return f"did you mean `{close[0]}`?" if close else ""


_KEYS: Final = [
    *("match", "to", "topics", "group_by", "batch", "repeat_interval", "mute", "cleared"),
    *("continue", "routes", "targets", "mute_times"),
    *Match.model_fields,
    *Target.model_fields,
    *Schedule.model_fields,
]


def _explain(error: dict[str, Any]) -> str:
    path = ".".join(map(str, error["loc"]))
    if error["type"] == "missing":
        return f"`{path}` is missing: give it"
    if error["type"] == "extra_forbidden":
        close = get_close_matches(str(error["loc"][-1]), _KEYS, n=1)
        remedy = f"did you mean `{close[0]}`?" if close else f"known are {', '.join(_KEYS[:12])}"
        return f"there is no `{path}`: {remedy}"
    told = error["msg"].removeprefix("Value error, ").replace("Input should", "it should")
    return f"`{path}` is {error['input']!r}: {told}"
