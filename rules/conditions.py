"""Rule conditions that hold, and the verdicts on stays that they follow from."""

from dataclasses import dataclass, field, replace

import numpy as np

from rules.rulebook import RuleBook
from rules.tracks import Tracks
from rules.verdicts import Verdicts
from rules.visits import Stays
from schemas.frame import Longs, Rows


@dataclass(frozen=True, slots=True)
class Conditions:
    """Rule conditions that hold now, waiting out their ``for`` or with an alarm raised; c of them.

    ``rule``: (c,) index into ``RuleBook.rules``. ``slot``: (c,) roster slot of the vehicle.
    ``zone``: (c,) index into ``Fences.zones`` or ``NO_ZONE``. ``since_us``: (c,) int64 event time.
    Object columns: ``moment`` (of ``Tracks``) and ``since_fix`` name the record it holds since,
    ``visit_id`` the stay ("" for rules on the record alone), ``alarm_id`` the alarm ("" while none
    is raised).
    """

    rule: Rows = field(default_factory=lambda: np.empty(0, np.intp))
    slot: Rows = field(default_factory=lambda: np.empty(0, np.intp))
    zone: Rows = field(default_factory=lambda: np.empty(0, np.intp))
    since_us: Longs = field(default_factory=lambda: np.empty(0, np.int64))
    moment: np.ndarray = field(default_factory=lambda: np.empty(0, object))
    since_fix: np.ndarray = field(default_factory=lambda: np.empty(0, object))
    visit_id: np.ndarray = field(default_factory=lambda: np.empty(0, object))
    alarm_id: np.ndarray = field(default_factory=lambda: np.empty(0, object))

    def __len__(self) -> int:
        return len(self.rule)

    def columns(self) -> tuple[np.ndarray, ...]:
        """All columns in the order of the fields."""
        return (
            self.rule,
            self.slot,
            self.zone,
            self.since_us,
            self.moment,
            self.since_fix,
            self.visit_id,
            self.alarm_id,
        )

    def take(self, rows: Rows | slice) -> "Conditions":
        """The conditions at the given positions."""
        return Conditions(*(column[rows] for column in self.columns()))

    def plus(self, other: "Conditions") -> "Conditions":
        """These conditions and the other ones after them."""
        pairs = zip(self.columns(), other.columns(), strict=True)
        return Conditions(*(np.concatenate(pair) for pair in pairs))


@dataclass(frozen=True, slots=True)
class Judged:
    """Verdicts already known for pairs of a row and a zone: (m,) each, sorted by row, then zone."""

    row: Rows
    zone: Rows
    verdicts: Verdicts


@dataclass(frozen=True, slots=True)
class StayVerdicts:
    """Verdicts of the rules on stays: pairs of a row and a stay, (m,) each, with their zones."""

    row: Rows
    stay: Rows
    zone: Rows
    verdicts: Verdicts


def judge_stays(
    book: RuleBook, tracks: Tracks, stays: Stays, known: Judged | None = None
) -> StayVerdicts:
    """Judge the rules on stays for every row of every stay; ``known`` saves doing it twice."""
    found = _judge_stays(book, tracks, stays, known)
    if tracks.past is None:
        return found
    looking = book.judge_stays(tracks.frame, found.row, found.zone, tracks.past)
    return replace(found, verdicts=found.verdicts.plus(looking))


def _judge_stays(
    book: RuleBook, tracks: Tracks, stays: Stays, known: Judged | None
) -> StayVerdicts:
    row, stay = stays.pairs()
    zone = stays.zone[stay]
    if known is None:
        return StayVerdicts(row, stay, zone, book.judge_stays(tracks.frame, row, zone))
    zones = len(book.fences.zones)
    asked, have = row * zones + zone, known.row * zones + known.zone
    place = np.searchsorted(have, asked)
    found = place < len(have)
    found[found] = have[place[found]] == asked[found]
    if not found.all():
        # Rows without a position of their own, or in an exit buffer: few, judged here.
        return StayVerdicts(row, stay, zone, book.judge_stays(tracks.frame, row, zone))
    return StayVerdicts(row, stay, zone, known.verdicts.take(place))
