"""Scopes: which rules ask about which records, found without a look at every rule's condition.

Rules of one scope and one time in force share a place. What a frame holds (kinds, bodies, vehicles,
missions, times) tells at once which places have any of its rows; all other rules cost nothing.
"""

import re
from collections.abc import Iterator, Sequence
from fnmatch import translate
from typing import Final

import numpy as np

from rules.schedules import Timetable
from rules.tracks import FOREVER, NEVER
from schemas.frame import BODIES, KINDS, Bools, Frame, Ints, Longs, Rows, where
from schemas.rule import Rule
from schemas.schedule import Schedule
from schemas.trigger import Trigger

MAX_KNOWN: Final = 100_000
"""Vehicles and missions whose places are remembered."""
_WILD: Final = re.compile(r"[*?\[]")


class Scopes:
    """The different scopes of rules; ``of_rule``: (rules,) the place of each one's scope."""

    def __init__(self, rules: Sequence[Rule | Trigger]) -> None:
        different: dict[_Key, int] = {}
        self.of_rule = np.array(
            [different.setdefault(_key(r), len(different)) for r in rules], np.intp
        )
        keys = list(different)
        # (places,) each: bits of the kinds and bodies asked about; times in force, microseconds.
        self.kinds = np.array([_bits(KINDS, kinds) for kinds, *_ in keys], np.int64)
        self.bodies = np.array([_bits(BODIES, bodies) for _, bodies, *_ in keys], np.int64)
        self.from_us: Longs = np.array([key[4] for key in keys], np.int64)
        self.to_us: Longs = np.array([key[5] for key in keys], np.int64)
        # (places,) the windows in which each is in force, None = always.
        self.timetables = [Timetable(key[6]) if key[6] else None for key in keys]
        # Whether any place asks about kinds, bodies, times.
        self.ask_kinds = bool((self.kinds != _bits(KINDS, ())).any())
        self.ask_bodies = bool((self.bodies != _bits(BODIES, ())).any())
        self.ask_times = bool((self.from_us != NEVER).any() or (self.to_us != FOREVER).any())
        self.vehicles = _Names([key[2] for key in keys])
        self.missions = _Names([key[3] for key in keys])

    def __len__(self) -> int:
        return len(self.kinds)

    def within(self, frame: Frame) -> "Within":
        """The scopes as they meet the records of a frame."""
        return Within(self, frame)


class Within:
    """The scopes as they meet one frame; each is held against the records once."""

    def __init__(self, scopes: Scopes, frame: Frame) -> None:
        self._scopes, self._frame = scopes, frame
        self._masks: dict[tuple[int, bool], Bools | None] = {}
        # Place -> codes of the vehicles (missions) that it asks about by name.
        self._vehicles: dict[int, list[int]] = {}
        self._missions: dict[int, list[int]] = {}
        self._mission = frame.text("mission_id") if scopes.missions.asks else None
        if scopes.vehicles.asks:
            self._vehicles = scopes.vehicles.codes(frame.vehicle, frame.vehicle_ids)
        if self._mission is not None:
            self._missions = scopes.missions.codes(self._mission.codes, self._mission.values)
        self._met = self._any_met()

    def met(self, rules: Rows) -> Bools:
        """(rules,) whether the scope of each may meet a record of the frame."""
        met: Bools = self._met[self._scopes.of_rule[rules]]
        return met

    def mask(self, rule: int, *, at_any_time: bool = False) -> Bools | None:
        """(n,) the records that a rule is about, at its times unless any will do; None = all."""
        return self.mask_at(int(self._scopes.of_rule[rule]), at_any_time=at_any_time)

    def mask_at(self, place: int, *, at_any_time: bool = False) -> Bools | None:
        """As ``mask``, of the rules of the scope at a place."""
        key = place, at_any_time
        if key not in self._masks:
            tests = list(self._places(place))
            tests += [] if at_any_time else self._times(place)
            mask = np.logical_and.reduce(tests) if tests else None
            self._masks[key] = None if mask is None or mask.all() else mask
        return self._masks[key]

    def _any_met(self) -> Bools:
        """(places,) whether any record of the frame may be in each scope."""
        scopes, frame = self._scopes, self._frame
        if not len(frame):
            return np.zeros(len(scopes), np.bool_)
        met = np.ones(len(scopes), np.bool_)
        if scopes.ask_kinds:
            met &= (scopes.kinds & _present(frame.kind, len(KINDS))) != 0
        if scopes.ask_bodies:
            met &= (scopes.bodies & _present(frame.body, len(BODIES))) != 0
        if scopes.ask_times:
            met &= (scopes.from_us <= frame.time_us.max()) & (scopes.to_us > frame.time_us.min())
        for names, found in (
            (scopes.vehicles, self._vehicles),
            (scopes.missions, self._missions),
        ):
            if names.asks:
                there = ~names.asked
                there[list(found)] = True
                met &= there
        return met

    def _places(self, place: int) -> Iterator[Bools]:
        scopes, frame = self._scopes, self._frame
        if scopes.kinds[place] != _bits(KINDS, ()):
            yield (scopes.kinds[place] >> frame.kind) & 1 == 1
        if scopes.bodies[place] != _bits(BODIES, ()):
            yield (scopes.bodies[place] >> frame.body) & 1 == 1
        if scopes.vehicles.asked[place]:
            yield _has(frame.vehicle, self._vehicles.get(place, []), len(frame.vehicle_ids))
        if self._mission is not None and scopes.missions.asked[place]:
            codes, count = self._mission.codes, len(self._mission.values)
            yield _has(codes, self._missions.get(place, []), count)

    def _times(self, place: int) -> Iterator[Bools]:
        scopes, frame = self._scopes, self._frame
        if scopes.from_us[place] != NEVER:
            yield frame.time_us >= scopes.from_us[place]
        if scopes.to_us[place] != FOREVER:
            yield frame.time_us < scopes.to_us[place]
        timetable = scopes.timetables[place]
        if timetable is not None:
            yield timetable.open_at(frame.time_us)


def _has(codes: Ints, wanted: Sequence[int], count: int) -> Bools:
    """(n,) which codes (-1 = absent) are among those wanted."""
    if len(wanted) == 1:
        only: Bools = codes == wanted[0]
        return only
    about = np.zeros(count + 1, np.bool_)
    about[list(wanted)] = True
    return about[codes]


class _Names:
    """Patterns of names as in a shell, some for each place; ``asked``: (places,) where any are."""

    def __init__(self, patterns: Sequence[tuple[str, ...]]) -> None:
        self.asked = np.array([bool(of_place) for of_place in patterns], np.bool_)
        self.asks = bool(self.asked.any())
        self._exact: dict[str, list[int]] = {}
        self._wild: list[tuple[re.Pattern[str], int]] = []
        for place, of_place in enumerate(patterns):
            for pattern in of_place:
                if _WILD.search(pattern):
                    self._wild.append((re.compile(translate(pattern)), place))
                else:
                    self._exact.setdefault(pattern, []).append(place)
        self._known: dict[str, frozenset[int]] = {}

    def codes(self, codes: Ints, names: Sequence[str]) -> dict[int, list[int]]:
        """Place -> the codes (of ``names``) among ``codes`` that it asks about, -1 left out."""
        found: dict[int, list[int]] = {}
        for code in where(np.bincount(codes + 1, minlength=1)[1:] > 0).tolist():
            for place in self._places(names[code]):
                found.setdefault(place, []).append(code)
        return found

    def _places(self, name: str) -> frozenset[int]:
        found = self._known.get(name)
        if found is None:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            wild = [place for pattern, place in self._wild if pattern.match(name)]
            found = self._known[name] = frozenset(wild + self._exact.get(name, []))
        return found


_Texts = tuple[str, ...]
_Key = tuple[_Texts, _Texts, _Texts, _Texts, int, int, Schedule | None]


def _key(rule: Rule | Trigger) -> _Key:
    """What rules of one place have in common: kinds, bodies, vehicles, missions, times."""
    scope, begin, end = rule.scope, rule.effective_from_us, rule.effective_to_us
    return (
        tuple(sorted(set(scope.kinds))),
        tuple(sorted(set(scope.bodies))),
        tuple(sorted(set(scope.vehicles))),
        # A mission is named as it is.
        tuple(sorted({_literal(name) for name in scope.missions})),
        NEVER if begin is None else begin,
        FOREVER if end is None else end,
        rule.schedule,
    )


def _literal(name: str) -> str:
    """The pattern that only a name itself matches."""
    return re.sub(r"([*?\[])", r"[\1]", name)


def _bits(names: tuple[str, ...], chosen: Sequence[str]) -> int:
    """One bit for each of the names that is chosen; none chosen are all."""
    return sum(1 << i for i, name in enumerate(names) if not chosen or name in chosen)


def _present(codes: np.ndarray, count: int) -> int:
    """One bit for each code that occurs."""
    return sum(1 << code for code in where(np.bincount(codes, minlength=count) > 0).tolist())
