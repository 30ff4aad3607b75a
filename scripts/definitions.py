"""`farwatch zones` and `farwatch rules`: versions put into a store, listed and ended."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from connectors.contract import Definition, SettingsError
from connectors.definitions import Author, Kind
from connectors.documents import open_definitions
from connectors.registry import masked
from flows.steps.registry import load_rule_file, load_zone_file
from schemas.frame import rfc3339
from schemas.rule import Rule
from schemas.zone import Time, Zone
from scripts.listing import write_listing

Shape = TypeVar("Shape", Zone, Rule)


@dataclass(frozen=True, slots=True)
class Definitions(Generic[Shape]):
    """Zones or rules: how they are read from a URL and how a store keeps one of them."""

    kind: Kind
    load: Callable[..., Sequence[Shape]]
    body: Callable[[Shape], dict[str, Any]]


def _load_rules(url: str, *, as_kept: bool = False) -> list[Rule]:
    return [compiled.rule for compiled in load_rule_file(url, as_kept=as_kept)]


ZONES: Final = Definitions("zones", load_zone_file, Zone.feature)
RULES: Final = Definitions(
    "rules", _load_rules, lambda rule: rule.model_dump(mode="json", exclude_none=True)
)


def put(
    what: Definitions[Shape], file: Path, url: str, by: Author | None = None
) -> tuple[int, int]:
    """Put what a file holds into a store; returns how many versions are new and how many are not.

    Where the file states no version, what differs from the latest one becomes the next.

    Raises:
        SettingsError: a mistake in the file, or a version that is kept with other content.
        ConnectorError: the store is in trouble.
    """
    given = what.load(f"file:{file}")
    store = open_definitions(url)
    store.keep({}, "put")  # Makes the store where absent.
    latest = _latest(what, url)
    chosen = [_versioned(what, one, latest.get(one.id)) for one in given]
    new = store.keep({what.kind: [_definition(what, one) for one in chosen]}, "put", by)
    return new, len(chosen) - new


def show(what: Definitions[Shape], url: str) -> int:
    """Write the latest versions to standard output, a line each; returns how many.

    Raises:
        SettingsError: they cannot be read. ConnectorError: the store is in trouble.
    """
    rows = [("id", "version", "in force from", "until")]
    rows += [_row(one) for one in _latest(what, url).values()]
    write_listing(rows)
    return len(rows) - 1


def remove(
    what: Definitions[Shape], name: str, url: str, at: str | None = None, by: Author | None = None
) -> datetime:
    """End the zone or rule of an id by a further version; returns when it is no longer in force.

    ``at``: that time, RFC 3339; now where none is given.

    Raises:
        SettingsError: there is no such id, or it is not in force then.
        ConnectorError: the store is in trouble.
    """
    end = _time(at)
    latest = _latest(what, url)
    if name not in latest:
        close = get_close_matches(name, latest, 1)
        remedy = (
            f"did you mean `{close[0]}`?" if close else f"`farwatch {what.kind} list` tells all"
        )
        raise SettingsError(f"`{masked(url)}`: has no `{name}` among its {what.kind}; {remedy}")
    old = latest[name]
    for bound, beyond in ((old.effective_from, False), (old.effective_to, True)):
        if bound is not None and (bound <= end if beyond else bound >= end):
            told = "ended already at" if beyond else "begins only at"
            raise SettingsError(f"`{name}` {told} {bound.isoformat()}; give another time with --at")
    ended = old.model_copy(update={"version": old.version + 1, "effective_to": end})
    open_definitions(url).keep({what.kind: [_definition(what, ended)]}, "removed", by)
    return end


def _latest(what: Definitions[Shape], url: str) -> dict[str, Shape]:
    if not open_definitions(url).count(what.kind):
        return {}  # To load nothing is a mistake, but a store may well be empty.
    return {one.id: one for one in what.load(url, as_kept=True)}


def _versioned(what: Definitions[Shape], one: Shape, latest: Shape | None) -> Shape:
    """The zone or rule with the version it is to be kept as."""
    if latest is None or "version" in one.model_fields_set:
        return one
    begun = one.effective_from or latest.effective_from
    same = one.model_copy(update={"version": latest.version, "effective_from": begun})
    if what.body(same) == what.body(latest):
        return same
    # What is changed while it is in force changes at a time: now, if nobody says another.
    begin = one.effective_from or datetime.now(UTC)
    return one.model_copy(update={"version": latest.version + 1, "effective_from": begin})


def _definition(what: Definitions[Shape], one: Shape) -> Definition:
    return Definition(
        id=one.id,
        version=one.version,
        body=what.body(one),
        effective_from_us=one.effective_from_us,
        effective_to_us=one.effective_to_us,
    )


def _row(one: Zone | Rule) -> tuple[str, str, str, str]:
    begin, end = one.effective_from_us, one.effective_to_us
    return (
        one.id,
        str(one.version),
        "always" if begin is None else rfc3339(begin),
        "" if end is None else rfc3339(end),
    )


def _time(at: str | None) -> datetime:
    if at is None:
        return datetime.now(UTC)
    try:
        return _times.validate_python(at)
    except ValidationError as exc:
        told = exc.errors()[0]["msg"].removeprefix("Value error, ")
        raise SettingsError(f"--at `{at}`: {told}") from exc


_times: Final = TypeAdapter[datetime](Time)
