"""How an AUV spends its days: phases of a dive cycle, and where it is in each.

Distances are metres east and north of the support ship; the earth is flat over a dive's 10 km.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from scripts.scenario.track import SPAN_S, Bools, Floats, Longs

DIVES: Final = 4
PHASES: Final = ("charging", "transit", "descent", "survey", "ascent", "return")
CHARGING, TRANSIT, DESCENT, SURVEY, ASCENT, RETURN = range(6)
DURATION_S: Final = np.array([2.5, 1.25, 1.25, 14.5, 1.0, 1.5]) * 3600.0
SPEED_MPS: Final = np.array([0.1, 1.0, 1.1, 1.0, 1.3, 1.4])
CYCLE_S: Final = float(DURATION_S.sum())
LATEST_START_S: Final = SPAN_S - DIVES * CYCLE_S
_ENDS_S: Final = np.cumsum(DURATION_S)

SITE_NORTH_M: Final = -4500.0  # the dive site lies south of the ship, the transit's length away
LANE_M: Final = 4000.0
SPACING_M: Final = 200.0
SAMPLING_EVERY_S: Final = 5400.0
SAMPLING_S: Final = 720.0
SAMPLING_MPS: Final = 0.2
SPIRAL_RADIUS_M: Final = 120.0
SPIRAL_TURNS: Final = 7.0


@dataclass(frozen=True, slots=True)
class Phases:
    """Where n moments fall in the cycle of dives.

    ``dive``: (n,) int64, 0 to ``DIVES`` (the last: back on the ship for good). ``phase``: (n,)
    int64, index into ``PHASES``. ``into_s``: (n,) seconds since the phase began. ``part``: (n,)
    the same as a part of the phase, 0 to 1.
    """

    dive: Longs
    phase: Longs
    into_s: Floats
    part: Floats

    @property
    def survey_s(self) -> Floats:
        """Seconds of survey done so far in this dive; (n,), the whole survey once it is over."""
        done = np.where(self.phase > SURVEY, DURATION_S[SURVEY], 0.0)
        return np.where(self.phase == SURVEY, self.into_s, done)

    @property
    def away_s(self) -> Floats:
        """Seconds since the vehicle left the ship; (n,), 0 aboard."""
        left_s = self.into_s + (_ENDS_S - DURATION_S)[self.phase] - DURATION_S[CHARGING]
        away_s: Floats = np.maximum(left_s, 0.0)
        return away_s

    @property
    def submerged_s(self) -> Floats:
        """Seconds since the last surface fix; (n,), 0 at the surface."""
        return np.where(self.submerged, self.away_s - DURATION_S[TRANSIT], 0.0)

    @property
    def submerged(self) -> Bools:
        """(n,) bool: below the surface, where nothing can be sent."""
        return (self.phase >= DESCENT) & (self.phase <= ASCENT)


def phases_at(time_s: Floats, start_s: float) -> Phases:
    """The phases at ``time_s`` (n,) of a vehicle whose first cycle starts at ``start_s``."""
    since = time_s - start_s
    dive = np.clip(np.floor(since / CYCLE_S), 0, DIVES).astype(np.int64)
    # Before the first cycle and after the last the vehicle charges on the ship.
    longest = np.where(dive < DIVES, CYCLE_S, DURATION_S[CHARGING] - 1.0)
    in_cycle = np.clip(since - dive * CYCLE_S, 0.0, longest)
    phase = np.minimum(np.searchsorted(_ENDS_S, in_cycle, side="right"), RETURN)
    into_s = in_cycle - (_ENDS_S - DURATION_S)[phase]
    return Phases(dive, phase.astype(np.int64), into_s, into_s / DURATION_S[phase])


def surfacing_s(dive: Longs, start_s: float) -> Floats:
    """When each dive comes back to the surface: seconds, the shape of ``dive``."""
    after_start_s: Floats = dive * CYCLE_S + _ENDS_S[ASCENT]
    return start_s + after_start_s


def survey_speed_mps(survey_s: Floats) -> Floats:
    """Speed over ground ``survey_s`` seconds into a survey: slow while it takes a sample."""
    sampling = survey_s % SAMPLING_EVERY_S >= SAMPLING_EVERY_S - SAMPLING_S
    return np.where(sampling, SAMPLING_MPS, SPEED_MPS[SURVEY])


def survey_distance_m(survey_s: Floats) -> Floats:
    """Distance run ``survey_s`` seconds into a survey: the integral of the speed."""
    running_s = SAMPLING_EVERY_S - SAMPLING_S
    each_m = running_s * SPEED_MPS[SURVEY] + SAMPLING_S * SAMPLING_MPS
    rounds, rest_s = np.divmod(survey_s, SAMPLING_EVERY_S)
    sampling_s = np.maximum(rest_s - running_s, 0.0)
    running_m = np.minimum(rest_s, running_s) * SPEED_MPS[SURVEY]
    distance: Floats = rounds * each_m + running_m + sampling_s * SAMPLING_MPS
    return distance


def lawnmower_m(distance_m: Floats) -> tuple[Floats, Floats]:
    """East and north of a survey's start after ``distance_m``: lanes east and west, going south."""
    lane, along = np.divmod(distance_m, LANE_M + SPACING_M)
    run = np.minimum(along, LANE_M)
    east = np.where(lane % 2 == 0, run, LANE_M - run)
    south = lane * SPACING_M + np.maximum(along - LANE_M, 0.0)
    return east, -south


def path_m(phases: Phases, drift_m: Floats) -> tuple[Floats, Floats]:
    """East and north of the ship; ``drift_m`` (n,) sets the survey so far to the south."""
    east, north = lawnmower_m(survey_distance_m(phases.survey_s))
    north = north + SITE_NORTH_M - drift_m
    # The survey's current point is where the way out leads to and the way back comes from.
    away = np.select(
        [phases.phase == CHARGING, phases.phase == TRANSIT, phases.phase == RETURN],
        [0.0, phases.part, 1.0 - phases.part],
        1.0,
    )
    radius = np.where(
        (phases.phase == DESCENT) | (phases.phase == ASCENT),
        SPIRAL_RADIUS_M * np.sin(np.pi * phases.part),
        0.0,
    )
    angle = 2.0 * np.pi * SPIRAL_TURNS * phases.part
    return away * east + radius * np.cos(angle), away * north + radius * np.sin(angle)


def depth_part(phases: Phases) -> Floats:
    """How far down between surface and survey height, 0 to 1; (n,)."""
    return np.select(
        [phases.phase == DESCENT, phases.phase == SURVEY, phases.phase == ASCENT],
        [phases.part, 1.0, 1.0 - phases.part],
        0.0,
    )
