"""Waiting for a far side that does not answer: longer each time, up to a limit, and visibly."""

import logging
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Event
from time import monotonic
from typing import Final, TypeVar

from connectors.contract import FullError, RefusedError, UnavailableError
from connectors.metrics import FAR_SIDE, FAR_SIDE_WAITING_S, RETRIES

Result = TypeVar("Result")

FIRST_S: Final = 0.1
MOST_S: Final = 10.0

STATES: Final = ("up", "away", "full", "refusing")


@dataclass(frozen=True, slots=True)
class FarSide:
    """What a far side is: one of ``STATES``, since ``since_s`` of the monotonic clock."""

    state: str
    since_s: float


_far_sides: dict[str, FarSide] = {}

_log: Final = logging.getLogger(__name__)


def delays_s(first_s: float = FIRST_S, most_s: float = MOST_S) -> Iterator[float]:
    """Seconds to wait before each further try, doubling up to ``most_s``, for ever.

    Each is drawn from the upper half of its span, so that many processes do not knock together.
    """
    span_s = first_s
    while True:
        yield span_s * random.uniform(0.5, 1.0)  # noqa: S311 (no secret: spreads load)
        span_s = min(2 * span_s, most_s)


def note_answer(target: str) -> None:
    """Show in the metrics that the far side ``target`` answers and takes what it is given."""
    _show(target, "up", 0)


def note_waiting(target: str, why: UnavailableError, waited_s: float) -> None:
    """Show in the metrics that a connector has been waiting for ``target``, and why."""
    RETRIES.labels(target).inc()
    _show(target, "full" if isinstance(why, FullError) else "away", waited_s)


def note_refusal(target: str) -> None:
    """Show in the metrics that ``target`` answers and says no."""
    _show(target, "refusing", 0)


def far_sides() -> dict[str, FarSide]:
    """Every far side that this process has heard of or waited for, by its name."""
    return dict(_far_sides)


def _show(target: str, state: str, waited_s: float) -> None:
    FAR_SIDE_WAITING_S.labels(target).set(waited_s)
    known = _far_sides.get(target)
    if known is None or known.state != state:
        _far_sides[target] = FarSide(state, monotonic() - waited_s)
        for each in STATES:
            FAR_SIDE.labels(target, each).set(each == state)


def until_available(target: str, attempt: Callable[[], Result], patience_s: float) -> Result:
    """What ``attempt`` returns, tried again while it raises ``UnavailableError``.

    Blocks the caller, which is the wish of a sink at the end of its epoch: nothing more is read
    meanwhile, so memory stays bounded. ``target`` names the far side, without secrets, in the log
    and in the metric. Raises the last ``UnavailableError`` after ``patience_s``; other errors at
    once.
    """
    began, delays = monotonic(), delays_s()
    waited_s = 0.0
    while True:
        try:
            result = attempt()
        except UnavailableError as exc:
            if not waited_s:
                _log.warning("%s; waiting for it", exc)
            waited_s = monotonic() - began
            note_waiting(target, exc, waited_s)
            if waited_s >= patience_s:
                raise
            pause_s = max(next(delays), exc.retry_after_s)
        except RefusedError:
            note_refusal(target)
            raise
        else:
            note_answer(target)
            return result
        # Not in the handler: an interrupt that comes meanwhile is no consequence of the outage.
        Event().wait(pause_s)
