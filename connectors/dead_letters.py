"""Dead letters read back from where results were written to."""

from base64 import b64decode
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from connectors import postgres
from connectors.contract import SettingsError
from connectors.directory import file_name
from connectors.paths import url_path
from connectors.registry import masked
from connectors.sqlite import open_readonly
from connectors.tables import REJECTED
from schemas.topics import DEAD_LETTERS

_ANY_CHARACTERS: Final = "%"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that was rejected: why, which field, its bytes as they came, from where."""

    reason: str
    field: str
    raw: bytes
    origin: str


def read_dead_letters(
    url: str, reason: str = "", latest: int | None = None
) -> Iterator[DeadLetter]:
    """The dead letters in order of arrival: those whose reason holds a text, the latest so many.

    Upper and lower case are the same in ``reason``.

    Raises:
        SettingsError: dead letters are not kept there or cannot be read.
        ConnectorError: the store does not answer.
    """
    scheme = url.partition(":")[0]
    if scheme not in _READ:
        known = ", ".join(f"`{name}:`" for name in _READ)
        raise SettingsError(f"`{masked(url)}`: dead letters are read from one of {known}")
    return _READ[scheme](url, reason, latest)


def _in_folder(url: str, reason: str, latest: int | None) -> Iterator[DeadLetter]:
    path = url_path(url) / file_name(DEAD_LETTERS)
    wanted = reason.lower()
    try:
        with path.open("rb") as file:
            letters = (_of_line(line, f"{path}:{n}") for n, line in enumerate(file, start=1))
            chosen = (letter for letter in letters if wanted in letter.reason.lower())
            yield from chosen if latest is None else deque(chosen, maxlen=latest)
    except OSError as exc:
        raise SettingsError(
            f"`{url}`: cannot read `{path.name}` ({exc.strerror}); name a folder of results"
        ) from exc


def _of_line(line: bytes, place: str) -> DeadLetter:
    try:
        data = _line.decode(line).data
    except msgspec.DecodeError as exc:
        raise SettingsError(f"`{place}`: is no dead letter ({exc}); mend or remove it") from exc
    return DeadLetter(data.reason, data.field, b64decode(data.raw), data.origin)


def _in_sqlite(url: str, reason: str, latest: int | None) -> Iterator[DeadLetter]:
    query, values = _query("?", reason, latest)
    with closing(open_readonly(url_path(url))) as file:
        yield from (_of_row(dict(row)) for row in file.execute(query, values))


def _in_postgres(url: str, reason: str, latest: int | None) -> Iterator[DeadLetter]:
    yield from map(_of_row, postgres.select(url, *_query("%s", reason, latest)))


def _query(mark: str, reason: str, latest: int | None) -> tuple[str, list[object]]:
    """The query with its values; ``mark`` stands for a value."""
    pattern = "".join("\\" + each if each in "\\%_" else each for each in reason.lower())
    chosen = (
        f'SELECT * FROM "{REJECTED.name}" '  # noqa: S608 (the names are ours)
        f"WHERE lower(reason) LIKE {mark} ESCAPE '\\'"
    )
    values: list[object] = [_ANY_CHARACTERS + pattern + _ANY_CHARACTERS]
    if latest is not None:
        chosen += f" ORDER BY {REJECTED.order} DESC LIMIT {mark}"
        values.append(latest)
    columns = "reason, field, raw, origin"
    return f"SELECT {columns} FROM ({chosen}) AS chosen ORDER BY {REJECTED.order}", values  # noqa: S608


def _of_row(row: Mapping[str, Any]) -> DeadLetter:
    return DeadLetter(**row)


class _Data(msgspec.Struct):
    reason: str
    field: str
    raw: str
    origin: str


class _Line(msgspec.Struct):
    data: _Data


_line: Final = msgspec.json.Decoder(_Line)
_READ: Final[Mapping[str, Callable[[str, str, int | None], Iterator[DeadLetter]]]] = {
    "dir": _in_folder,
    "sqlite": _in_sqlite,
    "postgresql": _in_postgres,
    "postgres": _in_postgres,
}
