"""Shares: what the key groups of a worker take in together is passed on by key, but not cut."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, Self, TypeVar


class _Whole(Protocol):
    @property
    def keys(self) -> tuple[str, ...]: ...

    def alone(self, key: str) -> Self: ...


Whole = TypeVar("Whole", bound=_Whole)


@dataclass(frozen=True, slots=True)
class Share(Generic[Whole]):
    """A key group's share in a whole: cut out only where it leaves the process."""

    key: str
    whole: Whole

    def __reduce__(self) -> tuple[type["Share[Whole]"], tuple[str, Whole]]:
        return Share, (self.key, self.whole.alone(self.key))


def shares(whole: Whole) -> Iterator[tuple[str, Share[Whole]]]:
    """The shares of all keys of a whole, each with its key."""
    for key in whole.keys:
        yield key, Share(key, whole)
