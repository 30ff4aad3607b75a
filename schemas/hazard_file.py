"""Files of hazard profiles: YAML, a list of profiles, every mistake told at once with its line."""

from collections.abc import Iterable, Iterator
from typing import Any, Final, cast

import yaml
from pydantic import ValidationError

from schemas.hazard_profile import Profile

MAX_FILE_BYTES: Final = 1_000_000
_LOADER: Final = cast("type[yaml.SafeLoader]", getattr(yaml, "CSafeLoader", yaml.SafeLoader))

Place = tuple[int | str, ...]


class HazardFileError(ValueError):
    """A profile file with mistakes: ``mistakes`` has one line each, with place and remedy."""

    def __init__(self, name: str, mistakes: Iterable[tuple[int, str]]) -> None:
        self.mistakes = tuple(f"{name}:{line}: {text}" for line, text in sorted(mistakes))
        super().__init__("\n".join(self.mistakes))


def parse_profiles(text: bytes, name: str, known: Iterable[str]) -> tuple[Profile, ...]:
    """The profiles of a YAML file; ``known``: the quantities that parts may read.

    Raises:
        HazardFileError: every mistake; no profile is taken then.
    """
    root, given = _loaded(text, name)
    mistakes: list[tuple[int, str]] = []
    profiles: list[Profile] = []
    quantities = frozenset(known)
    for place, entry in enumerate(given):
        try:
            profile = Profile.model_validate(entry)
        except ValidationError as error:
            mistakes += [
                (_line(root, (place, *found["loc"])), _told(dict(found)))
                for found in error.errors(include_url=False)
            ]
            continue
        mistakes += [
            (_line(root, (place, *at)), what) for at, what in _unreadable(profile, quantities)
        ]
        if any(one.id == profile.id for one in profiles):
            mistakes.append(
                (_line(root, (place,)), f"`{profile.id}`: is there already; give another id")
            )
        profiles.append(profile)
    if mistakes:
        raise HazardFileError(name, mistakes)
    return tuple(profiles)


def _loaded(text: bytes, name: str) -> tuple[yaml.Node, list[Any]]:
    if len(text) > MAX_FILE_BYTES:
        raise HazardFileError(name, [(1, f"more than {MAX_FILE_BYTES} bytes; split the file")])
    try:
        decoded = text.decode("utf-8-sig")
        root, given = yaml.compose(decoded, _LOADER), yaml.load(decoded, _LOADER)  # noqa: S506 (safe)
    except UnicodeDecodeError:
        raise HazardFileError(name, [(1, "is not UTF-8; save it so")]) from None
    except yaml.MarkedYAMLError as error:
        line = 1 if error.problem_mark is None else int(error.problem_mark.line) + 1
        raise HazardFileError(name, [(line, f"not YAML: {error.problem}")]) from None
    except yaml.YAMLError as error:
        raise HazardFileError(name, [(1, f"not YAML: {str(error).splitlines()[0]}")]) from None
    except (ValueError, RecursionError) as error:  # Also 2026-13-40, which looks like a date.
        raise HazardFileError(name, [(1, f"not YAML: {error}")]) from None
    if root is None or not isinstance(given, list) or not given:
        raise HazardFileError(name, [(1, "is no list of profiles; begin each with `- id: ...`")])
    return root, given


def _unreadable(profile: Profile, known: frozenset[str]) -> Iterator[tuple[Place, str]]:
    for name in profile.parts:
        reads = profile.reads(name)
        if reads not in known and not reads.startswith("sensors."):
            remedy = f"give `reads: sensors.NAME` or one of {', '.join(sorted(known))}"
            yield ("parts", name), f"part `{name}`: there is no quantity `{reads}`; {remedy}"


def _told(error: dict[str, Any]) -> str:
    path = ".".join(map(str, error["loc"]))
    message = str(error["msg"]).removeprefix("Value error, ").replace("Input should", "it should")
    if error["type"] == "missing":
        return f"`{path}` is missing"
    if error["type"] == "extra_forbidden":
        return f"there is no `{path}`; remove it"
    return f"`{path}`: {message}" if path else message


def _line(node: yaml.Node, path: Place) -> int:
    """The line of the innermost part of the path that is written."""
    for key in path:
        below = _below(node, key)
        if below is None:
            break
        node = below
    return int(node.start_mark.line) + 1


def _below(node: yaml.Node, key: int | str) -> yaml.Node | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(key, int):
        return cast("yaml.Node", node.value[key]) if key < len(node.value) else None
    if isinstance(node, yaml.MappingNode):
        found = (value for name, value in node.value if name.value == str(key))
        return next(found, None)
    return None
