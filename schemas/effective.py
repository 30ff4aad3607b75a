"""Times in force: which versions of one thing would be in force at the same time."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import pairwise
from typing import Any, Protocol, TypeVar


class Versioned(Protocol):
    """A zone or a rule: one version of it, in force from and until (event time, None = open)."""

    @property
    def id(self) -> str: ...  # noqa: D102 (the names say it)
    @property
    def version(self) -> int: ...  # noqa: D102
    @property
    def line(self) -> int | None: ...  # noqa: D102
    @property
    def effective_from_us(self) -> int | None: ...  # noqa: D102
    @property
    def effective_to_us(self) -> int | None: ...  # noqa: D102


class Kept(Versioned, Protocol):
    """A version as a store keeps it: a pydantic model."""

    @property
    def effective_from(self) -> datetime | None: ...  # noqa: D102
    @property
    def effective_to(self) -> datetime | None: ...  # noqa: D102
    def model_dump(self) -> dict[str, Any]: ...  # noqa: D102
    def model_copy(self, *, update: dict[str, Any]) -> "Kept": ...  # noqa: D102


Shape = TypeVar("Shape", bound=Kept)


def timeline(versions: Iterable[Shape]) -> list[Shape]:
    """Versions of one thing after the other, as a store's versions are meant.

    A version counts from its ``effective_from`` on; from then on those before it do not, and where
    it has none, they never did. One that differs from the version before it in its end alone sets
    that version's end. In the order of the ids' first version.
    """
    by_id: dict[str, list[Shape]] = {}
    for one in sorted(versions, key=lambda v: v.version):
        kept = by_id.setdefault(one.id, [])
        if kept and _but_end(kept[-1]) == _but_end(one):
            kept[-1] = _ended(kept[-1], one.effective_to)
        else:
            kept[:] = [_cut(old, one.effective_from) for old in kept if _began(old, one)]
            kept.append(one)
    return [one for kept in by_id.values() for one in kept]


def _but_end(one: Kept) -> dict[str, Any]:
    return {k: v for k, v in one.model_dump().items() if k not in ("version", "effective_to")}


def _began(old: Kept, new: Kept) -> bool:
    """Whether the old version was in force before the new one begins."""
    start = new.effective_from
    return start is not None and (old.effective_from is None or old.effective_from < start)


def _cut(old: Shape, at: datetime | None) -> Shape:
    if at is None or (old.effective_to is not None and old.effective_to <= at):
        return old
    return _ended(old, at)


def _ended(old: Shape, at: datetime | None) -> Shape:
    ended: Any = old.model_copy(update={"effective_to": at})
    found: Shape = ended
    return found


def overlaps(items: Iterable[Versioned], name: str) -> Iterator[str]:
    """One line for each two versions of one id that are in force together; ``name``: the file's."""
    by_id: dict[str, list[Versioned]] = {}
    for item in items:
        by_id.setdefault(item.id, []).append(item)
    for versions in by_id.values():
        versions.sort(key=lambda v: (v.effective_from_us is not None, v.effective_from_us or 0))
        for one, next_ in pairwise(versions):
            until, start = one.effective_to_us, next_.effective_from_us
            if until is None or start is None or start < until:
                yield (
                    f'{name}:{next_.line or 1}: "{next_.id}": version {next_.version} is in force'
                    f" together with version {one.version}; end that (`effective_to`) where this"
                    " begins (`effective_from`)"
                )
