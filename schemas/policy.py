"""The policy: who may change zones and rules, command alarms, arm triggers; the rest is refused."""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

Action = Literal[
    "zones.put",
    "zones.remove",
    "rules.put",
    "rules.remove",
    "alarms.acknowledge",
    "alarms.shelve",
    "alarms.unshelve",
    "alarms.clear",
    "triggers.rearm",
]
"""What is done: to zones and rules by their ids, to alarms and triggers by their vehicles."""

MAX_BYTES: Final = 1_000_000
Names = Annotated[
    tuple[str, ...],
    BeforeValidator(lambda given: (given,) if isinstance(given, str) else given),
    Field(min_length=1),
]
Actions = Annotated[
    tuple[Action, ...],
    BeforeValidator(lambda given: (given,) if isinstance(given, str) else given),
    Field(min_length=1),
]


class PolicyError(ValueError):
    """A policy file with mistakes: ``mistakes`` has one line each, with place, value and remedy."""

    def __init__(self, mistakes: tuple[str, ...]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


class Grant(BaseModel):
    """What some may do: ``may`` on those of ``subjects``, for whoever matches one of ``who``.

    ``who`` and ``subjects`` are patterns (``*``, ``?``, ``[...]``), compared with case.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    who: Names
    may: Actions
    subjects: Names = ("*",)

    def covers(self, who: str, action: Action, subject: str) -> bool:
        """Whether it lets ``who`` do this."""
        return (
            action in self.may
            and any(fnmatchcase(who, pattern) for pattern in self.who)
            and any(fnmatchcase(subject, pattern) for pattern in self.subjects)
        )


class Policy(BaseModel):
    """All grants."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    grants: tuple[Grant, ...] = ()

    def refusal(self, who: str, action: Action, subject: str) -> str:
        """Why ``who`` may not do this to ``subject``, in one line; "" where a grant covers it."""
        if any(grant.covers(who, action, subject) for grant in self.grants):
            return ""
        return f"`{who}` may not {action} `{subject}`: no grant of the policy covers it"


def load_policy(text: bytes, name: str) -> Policy:
    """The policy of a YAML file: a list of grants; ``name`` names the file in mistakes.

    Raises:
        PolicyError: every mistake, each with its line; nothing is granted then.
    """
    root = _root(text, name)
    grants, mistakes = [], []
    for node in root.value:
        place = f"{name}:{node.start_mark.line + 1}"
        try:
            found = _Loader.of(node)
            grants.append(Grant.model_validate(found))
        except ValidationError as exc:
            mistakes += [f"{place}: {told}" for told in _told(exc)]
        except (yaml.YAMLError, ValueError, RecursionError) as exc:  # Also 2026-13-40.
            mistakes.append(f"{place}: {_one_line(exc)}")
    if mistakes:
        raise PolicyError(tuple(mistakes))
    return Policy(grants=tuple(grants))


class _Loader(yaml.SafeLoader):
    @classmethod
    def of(cls, node: yaml.Node) -> Any:
        loader = cls("")
        try:
            return loader.construct_document(node)
        finally:
            loader.dispose()


def _root(text: bytes, name: str) -> yaml.SequenceNode:
    if len(text) > MAX_BYTES:
        raise PolicyError((f"{name}: has more than {MAX_BYTES} bytes; write patterns",))
    try:
        decoded = text.decode()
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(decoded)):
            raise PolicyError((f"{name}: has an alias; write out what it stands for",))
        root = yaml.compose(decoded, yaml.SafeLoader)
    except (UnicodeDecodeError, yaml.YAMLError, RecursionError) as exc:
        raise PolicyError((f"{name}: not YAML: {_one_line(exc)}",)) from exc
    if not isinstance(root, yaml.SequenceNode):
        raise PolicyError(
            (f"{name}: is no list; write `- {{who: ..., may: [...], subjects: ...}}`",)
        )
    return root


def _told(exc: ValidationError) -> Iterator[str]:
    for error in exc.errors(include_url=False):
        place = ".".join(str(part) for part in error["loc"]) or "grant"
        yield f"`{place}` {_one_line(error['input'])!r}: {error['msg'].lower()}"


def _one_line(what: object) -> str:
    return " ".join(str(what).split())[:200]
