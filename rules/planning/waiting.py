"""Waiting: records are judged together with the hazard scores that are told of them.

Scores come behind the records they are of, from a step that has them to judge first. Judged before,
a trigger that reads scores would miss those of records that are settled at once, and all others
would be judged again.
"""

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import chain

import numpy as np

from rules.planning.part import Part, Scores


@dataclass(slots=True)
class _Scored:
    """Scores of a frame: how many vehicles have theirs, by key, until its records go on."""

    vehicles: Counter[str] = field(default_factory=Counter)
    scores: list[Scores] = field(default_factory=list)

    def take(self, part: Part) -> None:
        """Take in scores."""
        self.vehicles.update(dict(zip(part.keys, part.vehicles, strict=True)))
        if part.scores:
            self.scores.append(part.scores)


class Waiting:
    """The parts of some key groups that wait for scores, in the order they came.

    What was taken in of a frame is handed out by the time all of it, and of its scores, has been
    taken in: so nothing is held between epochs, which end with all that came of their records.
    """

    def __init__(self) -> None:
        self._parts: deque[Part] = deque()
        self._scored: dict[int, _Scored] = {}

    @property
    def held(self) -> int:
        """How many parts wait, and of how many frames scores."""
        return len(self._parts) + len(self._scored)

    def take(self, part: Part) -> Iterator[Part]:
        """Take in a part; those that nothing is missing of any more, in the order they came.

        What is of no frame waits for nothing.
        """
        if not part.stamp:
            yield part
            return
        if part.scores is not None:
            self._scored.setdefault(part.stamp, _Scored()).take(part)
        else:
            self._parts.append(part)
        while self._parts and self._is_complete(self._parts[0]):
            yield self._with_scores(self._parts.popleft())

    def _is_complete(self, part: Part) -> bool:
        scored = self._scored.get(part.stamp, _Scored()).vehicles
        return all(scored[key] == n for key, n in zip(part.keys, part.vehicles, strict=True))

    def _with_scores(self, part: Part) -> Part:
        """The part with the scores of its vehicles: triggers are about no others."""
        scored = self._scored.get(part.stamp)
        if scored is None:
            return part
        # Groups that this worker sees for the first time may have a part of their own.
        for key in part.keys:
            del scored.vehicles[key]
        if not scored.vehicles:
            del self._scored[part.stamp]
        if part.frame is None or not scored.scores:
            return part
        scores, known = _joined(scored.scores), frozenset(part.frame.vehicle_ids)
        rows = np.flatnonzero([name in known for name in scores.vehicle_ids])
        return replace(part, scores=scores.take(rows)) if len(rows) else part


def _joined(scores: list[Scores]) -> Scores:
    return Scores(
        tuple(chain.from_iterable(one.vehicle_ids for one in scores)),
        np.concatenate([one.time_us for one in scores]),
        np.concatenate([one.values for one in scores], axis=1),
    )
