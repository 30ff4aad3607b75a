"""The msgspec struct that fits the records of a stream, derived from the telemetry model."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from types import UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import msgspec
from annotated_types import Ge, Le, MaxLen, MinLen
from pydantic import AfterValidator
from pydantic.fields import FieldInfo

from schemas.telemetry import Telemetry, Turn, field_names

# What no msgspec field can be called: a record with such a key is judged by pydantic.
_UNLEARNABLE: Final = re.compile(r'[\x00-\x1f"\\\ud800-\udfff]')

# An unknown field may hold anything; its numbers are decoded as floats, as all of telemetry's.
_ANYTHING: Final = float | str | bool | list[Any] | dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class FieldRule:
    """What the model says about one field: its names, its Python type and its limits."""

    names: tuple[str, ...]
    base: object
    low: float = -float("inf")
    high: float = float("inf")
    turn: Turn | None = None
    min_length: int = 0
    max_length: int = 0
    pattern: re.Pattern[str] = re.compile("")

    @property
    def json_type(self) -> Any:
        """The type for msgspec; never stricter in meaning than pydantic, null means absent."""
        if self.base is int:
            return Annotated[int, msgspec.Meta(ge=int(self.low), le=int(self.high))] | None
        if self.base is dict:
            return dict[str, float | None] | None
        if self.base is datetime:
            return float | str | None
        return float | None if self.base is float else str | None


def _rule(field: str, info: FieldInfo) -> FieldRule:
    found: dict[str, Any] = {}
    for limit in info.metadata:
        match limit:
            case Ge():
                found["low"] = limit.ge
            case Le():
                found["high"] = limit.le
            case MinLen():
                found["min_length"] = limit.min_length
            case MaxLen():
                found["max_length"] = limit.max_length
            case AfterValidator(func=Turn() as turn):
                found["turn"] = turn
            case object(pattern=str(pattern)):
                found["pattern"] = re.compile(pattern)
    return FieldRule(names=field_names(field), base=_base(info.annotation), **found)


def _base(annotation: Any) -> object:
    if get_origin(annotation) in (Union, UnionType):
        annotation = next(a for a in get_args(annotation) if a is not type(None))
    origin = get_origin(annotation)
    return str if origin is Literal else origin or annotation


RULES: Final[Mapping[str, FieldRule]] = {
    field: _rule(field, info) for field, info in Telemetry.model_fields.items()
}
_TYPE_OF_KEY: Final = {name: rule.json_type for rule in RULES.values() for name in rule.names}

# Keys that no field has may become sensors.
KNOWN_KEYS: Final = frozenset(_TYPE_OF_KEY)


class Layout:
    """A decoder for records whose keys are all among ``keys`` (any order, any of them absent).

    Only the keys that a stream really has are in the struct, so that neither decoding nor taking
    columns pays for the others. ``record`` decodes one object (and lines of objects), ``array``
    an array of them; an unknown key is a ``msgspec.ValidationError``.
    """

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._index = {key: index for index, key in enumerate(keys)}
        struct = msgspec.defstruct(
            "Record",
            [
                (f"f{index}", _TYPE_OF_KEY.get(key, _ANYTHING), None)
                for key, index in self._index.items()
            ],
            rename={f"f{index}": key for key, index in self._index.items()},
            forbid_unknown_fields=True,
            gc=False,  # records never refer to themselves
        )
        self.record: msgspec.json.Decoder[Any] = msgspec.json.Decoder(struct)
        self.array: msgspec.json.Decoder[list[Any]] = msgspec.json.Decoder(list[struct])  # type: ignore[valid-type]  # made at run time

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys this layout knows."""
        return tuple(self._index)

    def values(self, rows: Sequence[Any], key: str) -> list[Any] | None:
        """The values of ``key``, None where absent; None if the layout has no such key."""
        index = self._index.get(key)
        return None if index is None else _column(index)(rows)

    def knowing(self, keys: Iterable[str], limit: int) -> "Layout":
        """The layout for these keys too; the same one if all are known or there is no room."""
        new = [key for key in keys if key not in self._index and not _UNLEARNABLE.search(key)]
        if not new or len(self._index) + len(new) > limit:
            return self
        return Layout([*self._index, *new])


@cache
def _column(index: int) -> Callable[[Sequence[Any]], list[Any]]:
    # A comprehension with the attribute's name compiled in takes half the time of attrgetter, and
    # this is a sixth of all decoding.
    source = f"lambda rows: [row.f{index:d} for row in rows]"
    column: Callable[[Sequence[Any]], list[Any]] = eval(source)  # noqa: S307  # made of an integer
    return column
