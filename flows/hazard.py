"""Hazard: telemetry in, how endangered each vehicle is out, with what makes it so."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import bytewax.operators as op
from bytewax.dataflow import Dataflow, Stream, operator

from connectors.contract import SettingsError
from connectors.paths import from_home
from connectors.terrain import open_terrain
from flows import telemetry
from flows.settings import Settings
from flows.steps.decode import only
from flows.steps.mission import read_given
from flows.steps.results import write_results
from flows.steps.state import Keyed, follow_together
from flows.steps.together import Together
from flows.wiring import Wiring, from_environment
from rules.assessment import KeyGroups
from rules.hazard.cohort import Split, joining
from rules.hazard.group import HazardState, Policy, advance
from rules.hazard.part import Part, Plan, Scored, Served, Whole, serve, split
from rules.hazard.quantities import QUANTITIES
from rules.hazard.stage import Judge
from rules.planning.plans import Plans, in_order
from rules.share import Share, shares
from rules.terrain.ground import Ground, Terrain
from schemas.delivery import Delivery
from schemas.event import identity
from schemas.frame import Frame
from schemas.hazard_file import HazardFileError, parse_profiles
from schemas.hazard_profile import Profile
from schemas.topics import HAZARD_SCORES

LIBRARY: Final = Path(str(files("rules") / "library" / "hazard"))
"""Folder of the shipped profiles: a file ``NAME.yaml`` is the profile ``NAME``."""


@dataclass(frozen=True)
class Scoring:
    """What comes of scoring.

    ``served``: the frames and whom profiles are for. ``scored``: of whom all is told that there is
    to tell of a frame. ``told``: the scores, and what came too late.
    """

    served: Stream[Served]
    scored: Stream[Scored]
    told: Stream[Delivery]


def hazard(wiring: Wiring) -> Dataflow:
    """Score the hazards of all telemetry."""
    wiring.settings.require("hazard")
    flow = Dataflow("hazard")
    decoded = telemetry.read(flow, wiring)
    scoring = score("hazards", decoded.frames, wiring, tell_late=True)
    results = op.merge("results", scoring.told, decoded.dead_letters)
    write_results(results, wiring.sinks, "/farwatch/hazard", wiring.told)
    return flow


@operator
def score(step_id: str, up: Stream[Frame], wiring: Wiring, *, tell_late: bool = False) -> Scoring:
    """The scores of the frames' records, told as the settings say; late records revise.

    ``tell_late``: what comes too late for that is told on ``late_telemetry``.

    Raises:
        SettingsError: a profile or an elevation model cannot be read or has mistakes.
    """
    settings = wiring.settings
    profiles, terrain = load_profiles(settings.hazard), load_terrain(settings)
    missions = load_paths(settings, terrain)
    plans, groups = tuple(map(Plan, profiles)), KeyGroups(settings.key_groups)
    every_us, lateness_us = (
        round(seconds * 1e6) for seconds in (settings.hazard_every_s, settings.lateness_s)
    )
    # Random, so that frames of other processes have other stamps.
    served = op.map("served", up, lambda frame: serve(plans, frame, uuid4().int))
    found: list[Stream[Delivery | Scored]] = []
    for place, plan in enumerate(plans):
        name = plan.profile.id
        policy = Policy(Judge(plan, terrain, every_us, missions), lateness_us, tell_late=tell_late)
        scored: Stream[Delivery | Scored] = follow_together(
            f"hazard-{name}",
            op.flat_map_batch(f"split-{name}", served, _cutting(plan, place, groups)),
            Keyed(
                initial=HazardState(),
                advance=_noting(partial(advance, policy)),
                fingerprint=_fingerprint(settings, plan.profile),
            ),
            Together(joining, Split(groups)),
            wiring.journal,
        )
        found.append(scored)
    scores = op.merge("scores", *found)
    return Scoring(
        served,
        op.flat_map_batch("scored", scores, lambda batch: only(Scored, batch)),
        op.flat_map_batch("told", scores, lambda batch: only(Delivery, batch)),
    )


def _noting(
    advance: Callable[[HazardState, Part], tuple[HazardState, list[Delivery]]],
) -> Callable[[HazardState, Part], tuple[HazardState, list[Delivery | Scored]]]:
    """``advance``, and what was scored: planning waits for that."""

    def advance_and_note(
        state: HazardState, part: Part
    ) -> tuple[HazardState, list[Delivery | Scored]]:
        moved, told = advance(state, part)
        events = tuple(d.event for d in told if d.topic == HAZARD_SCORES)
        return moved, [*told, Scored(part.stamp, part.vehicle_ids, events)]

    return advance_and_note


def _cutting(
    plan: Plan, place: int, groups: KeyGroups
) -> Callable[[list[Served]], Iterator[tuple[str, Share[Whole]]]]:
    """Cuts frames into the shares of key groups in the records that a profile is for.

    ``place``: of the profile among all.
    """

    def cut(batch: list[Served]) -> Iterator[tuple[str, Share[Whole]]]:
        for one in batch:
            part = split(plan, groups, one.frame, one.rows[place], one.stamp)
            if part is not None:
                yield from shares(Whole(part))

    return cut


def asked_for(settings: Settings) -> bool:
    """Whether a flow that does more than hazard scores it."""
    return bool(settings.hazard)


def load_profiles(names: tuple[str, ...]) -> tuple[Profile, ...]:
    """The profiles of some files, in order: shipped ones by name, others by path.

    Raises:
        SettingsError: no such profile, or one line for each mistake in it.
    """
    found: list[Profile] = []
    for name in names:
        shipped = LIBRARY / f"{name}.yaml"
        path = shipped if shipped.is_file() else from_home(name, name)
        try:
            found += parse_profiles(path.read_bytes(), str(path), QUANTITIES)
        except HazardFileError as exc:
            raise SettingsError(str(exc)) from exc
        except OSError as exc:
            known = ", ".join(sorted(one.stem for one in LIBRARY.glob("*.yaml")))
            raise SettingsError(
                f"FARWATCH_HAZARD `{name}`: cannot be read ({exc.strerror}); give the path of a"
                f" profile file or one of {known}"
            ) from exc
    ids = [profile.id for profile in found]
    if twice := sorted({one for one in ids if ids.count(one) > 1}):
        raise SettingsError(
            f"FARWATCH_HAZARD: two profiles have the id `{twice[0]}`; name one of them otherwise"
        )
    return tuple(found)


def load_terrain(settings: Settings) -> Terrain | None:
    """The elevation models of the settings, None where there is none.

    Raises:
        SettingsError: one cannot be read.
    """
    if not settings.terrain:
        return None
    bytes_each = round(settings.terrain_mb * 1e6) // len(settings.terrain)
    rasters = [open_terrain(from_home(name, name)) for name in settings.terrain]
    return Terrain([Ground(raster, bytes_each) for raster in rasters])


def load_paths(settings: Settings, terrain: Terrain | None) -> Plans | None:
    """The plans along whose paths the terrain is looked at: those of a file.

    Plans that come over a topic are no part of it: a score would hang on which came first.

    Raises:
        RegistryError: the file has mistakes.
        SettingsError: it cannot be read.
    """
    if terrain is None or not _looks_along_paths(settings):
        return None
    planned = read_given(settings.mission_plans, "").planned
    return Plans.of({vehicle_id: in_order(ones) for vehicle_id, ones in planned.items()})


def _looks_along_paths(settings: Settings) -> bool:
    return bool(settings.terrain) and settings.mission_plans.startswith("file:")


def _fingerprint(settings: Settings, profile: Profile) -> str:
    """What the state depends on: scores told by another profile could not be corrected."""
    return identity(
        "hazard",
        settings.fingerprint(),
        profile.model_dump_json(),
        *settings.terrain,
        *([settings.mission_plans] if _looks_along_paths(settings) else []),
        settings.hazard_every_s,
        settings.lateness_s,
    )


def __getattr__(name: str) -> Any:
    if name == "flow":
        return from_environment(hazard, zones=False, rules=False)
    raise AttributeError(name)
