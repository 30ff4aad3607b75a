"""Key groups that planning follows together: whose each vehicle is, and how far each one's time is.

Groups of one worker share a state, but not a clock: what moves one on reaches each of them with a
share of its own, and until then its vehicles are not taken for silent, nor their deadlines for
over.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from rules.assessment import KeyGroups
from rules.tracks import NEVER
from schemas.frame import Bools, Ints, Longs


@dataclass(frozen=True, slots=True)
class Groups:
    """``key_groups``: of all. ``of_slot``: (slots,) the group of each vehicle of a roster.

    ``clock_us``: (groups,) the newest event time that each was told of, ``NEVER`` = of none.
    """

    key_groups: KeyGroups
    of_slot: Ints
    clock_us: Longs

    @classmethod
    def alike(cls, key_groups: KeyGroups, ids: tuple[str, ...], clock_us: int) -> "Groups":
        """The groups of a roster of vehicles, all told of the same time."""
        return cls(key_groups, key_groups.of_ids(ids), np.full(key_groups.count, clock_us))

    def only(self, group: int) -> "Groups":
        """With all but one of them told of no time."""
        clocks_us = np.full(self.key_groups.count, NEVER)
        clocks_us[group] = self.clock_us[group]
        return replace(self, clock_us=clocks_us)

    def grown(self, ids: tuple[str, ...]) -> "Groups":
        """With all vehicles of a roster that begins with those known."""
        new = self.key_groups.of_ids(ids[len(self.of_slot) :])
        return replace(self, of_slot=np.append(self.of_slot, new)) if len(new) else self

    def told(self, keys: Iterable[str], clock_us: int) -> "Groups":
        """With some groups told of a time."""
        clocks_us = self.clock_us.copy()
        mine = [self.key_groups.group(key) for key in keys]
        clocks_us[mine] = np.maximum(clocks_us[mine], clock_us)
        return replace(self, clock_us=clocks_us)

    def among(self, keys: Iterable[str]) -> Bools:
        """(groups,) which of them these keys are of."""
        found = np.zeros(self.key_groups.count, np.bool_)
        found[[self.key_groups.group(key) for key in keys]] = True
        return found

    def clock_of(self, vehicle_id: str) -> int:
        """How far event time has come for a vehicle, known or not."""
        return int(self.clock_us[self.key_groups.of(vehicle_id)])
