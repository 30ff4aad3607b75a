"""Editions: zones and rules change while there are memories that refer to them by place.

A registry never changes; another one takes its place. What is remembered is carried over by id and
version, which are for ever.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from rules.memory import Memory
from rules.registry import Registry
from rules.rulebook import NO_ZONE
from schemas.frame import Rows, where

Version = tuple[str, int]


class GoneError(ValueError):
    """A zone or rule in which vehicles are is in the registry no more; the message says which."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Which zones and rules (id and version) the places in a memory mean."""

    zones: Mapping[int, Version] = field(default_factory=dict)
    rules: Mapping[int, Version] = field(default_factory=dict)


def keys_of(registry: Registry, memory: Memory) -> Keys:
    """The keys of the places that a memory of this registry refers to."""
    zones, rules = registry.fences.zones, registry.book.rules
    remembered = (
        memory.visits,
        memory.approaches,
        memory.outings,
        memory.conditions,
        memory.timers,
    )
    used = np.unique(np.concatenate([part.zone for part in remembered]))
    by_rules = (memory.conditions, memory.timers, memory.sightings)
    used_rules = np.unique(np.concatenate([part.rule for part in by_rules]))
    return Keys(
        {z: (zones[z].id, zones[z].version) for z in used.tolist() if z != NO_ZONE},
        {r: (rules[r].rule.id, rules[r].rule.version) for r in used_rules.tolist()},
    )


def carried_over(memory: Memory, keys: Keys, registry: Registry) -> Memory:
    """The memory with the places of another registry; the cells of fixes are not known there.

    Raises:
        GoneError: the registry has no version of a zone or rule that the memory refers to.
    """
    zones = _places(keys.zones, registry.fences.place_of, "zone")
    rules = _places(keys.rules, registry.book.place_of, "rule")
    visits, approaches, conditions = memory.visits, memory.approaches, memory.conditions
    timers, sightings, roster = memory.timers, memory.sightings, memory.roster
    cell = np.full_like(roster.fixes.cell, -1)
    return replace(
        memory,
        roster=replace(roster, fixes=replace(roster.fixes, cell=cell)),
        visits=replace(visits, zone=_moved(visits.zone, zones)),
        approaches=replace(approaches, zone=_moved(approaches.zone, zones)),
        outings=replace(memory.outings, zone=_moved(memory.outings.zone, zones)),
        conditions=replace(
            conditions,
            rule=_moved(conditions.rule, rules),
            zone=_moved_if_any(conditions.zone, zones),
        ),
        timers=replace(
            timers, rule=_moved(timers.rule, rules), zone=_moved_if_any(timers.zone, zones)
        ),
        sightings=replace(sightings, rule=_moved(sightings.rule, rules)),
    )


def _moved_if_any(zone: Rows, zones: Mapping[int, int]) -> Rows:
    """New places of zones of which some are ``NO_ZONE``."""
    moved, with_zone = zone.copy(), where(zone != NO_ZONE)
    moved[with_zone] = _moved(zone[with_zone], zones)
    return moved


def _places(
    keys: Mapping[int, Version], place_of: Mapping[Version, int], what: str
) -> dict[int, int]:
    """The new place of each old one: that of the same version, else of the next one kept."""
    places = {}
    for old, (name, version) in keys.items():
        later = sorted(v for n, v in place_of if n == name and v >= version)
        if not later:
            raise GoneError(
                f"{what} `{name}` version {version} is gone while it is in use; end it with"
                " `effective_to` instead"
            )
        places[old] = place_of[name, later[0]]
    return places


def _moved(places: Rows, new: Mapping[int, int]) -> Rows:
    if not len(places):
        return places
    lookup = np.zeros(int(places.max()) + 1, np.intp)
    for old, place in new.items():
        if old < len(lookup):
            lookup[old] = place
    return lookup[places]
