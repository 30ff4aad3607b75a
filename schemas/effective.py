"""Times in force: which versions of one thing would be in force at the same time."""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Protocol


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
