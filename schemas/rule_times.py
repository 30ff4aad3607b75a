"""How a rule's conditions on time fit together: what asks for what, and what makes no sense."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from schemas.rule import Rule

MAX_COUNT: Final = 1_000


class Misfit(NamedTuple):
    """A key of a rule file that does not fit the others: what is wrong, and the remedy."""

    key: str
    what: str


def misfits(rule: "Rule") -> Iterator[Misfit]:
    """What of a rule's conditions on time does not fit together."""
    yield from _within(rule)
    yield from _absence(rule)
    if rule.for_s and rule.count is not None:
        yield Misfit("for", "`for` and `count` are two ways to say how often: keep one")
    if rule.for_s and rule.then is not None:
        yield Misfit("for", "a sequence is over at once, it cannot last: leave `for` out")
    if rule.keep_firing_for_s == 0:
        yield Misfit("keep_firing_for", "is 0, as it is without: give a longer time")
    solar = rule.schedule is not None and rule.schedule.solar_longitude is not None
    if solar and rule.scope.bodies != ("mars",):
        yield Misfit("schedule", "sols are of Mars: add `scope: {bodies: [mars]}`")


def _within(rule: "Rule") -> Iterator[Misfit]:
    if rule.count is not None and rule.then is not None:
        yield Misfit("count", "`count` does not count sequences: keep `count` or `then`")
    elif rule.within_s is None:
        for key in ("count", "then"):
            if getattr(rule, key) is not None:
                yield Misfit(key, f"`{key}` says not how soon: add `within`, such as `within: 10m`")
    elif rule.count is None and rule.then is None:
        yield Misfit("within", "of what? Add `count` or `then`, or leave `within` out")
    elif rule.within_s == 0:
        yield Misfit("within", "is 0: give a longer time")


def _absence(rule: "Rule") -> Iterator[Misfit]:
    if rule.absent_for_s is None and rule.absent_by is None:
        return
    key = "absent_for" if rule.absent_for_s is not None else "absent_by"
    if rule.absent_for_s is not None and rule.absent_by is not None:
        yield Misfit("absent_by", "`absent_for` and `absent_by` are two rules: write two")
    if rule.absent_for_s == 0:
        yield Misfit(key, "is 0: everything is absent for so long, give a longer time")
    given = {
        "for": rule.for_s or None,
        "count": rule.count,
        "within": rule.within_s,
        "then": rule.then,
        "keep_firing_for": rule.keep_firing_for_s,
        "clear_when": rule.clear_when,
        "once_per_visit": rule.once_per_visit or None,
        "schedule": rule.schedule,
    }
    for other, value in given.items():
        if value is not None:
            yield Misfit(other, f"`{other}` makes no sense with `{key}`: leave one out")
    start, by = rule.effective_from, rule.absent_by
    if start is not None and by is not None and by <= start:
        yield Misfit("absent_by", "is not after `effective_from`: give a later time")
    end = rule.effective_to
    if end is not None and by is not None and by >= end:
        yield Misfit("absent_by", "is not before `effective_to`: give an earlier time")
