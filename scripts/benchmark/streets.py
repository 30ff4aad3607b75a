"""A generated town: a graph of streets with speeds by class, and the fastest ways through it.

A square grid with its corners shaken; every fifth line is a main street, the middle line each way
and the ring around are freeways, and a fifth of the side streets that the town can spare are gone.
Speeds are those that BerlinMOD (Düntgen, Behr, Güting 2009) gives its three classes of road.
"""

from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Final

import numpy as np

from schemas.frame import Bools, Floats, Longs

LINES: Final = 41  # streets each way
BLOCK_M: Final = 250.0
SIDE_M: Final = (LINES - 1) * BLOCK_M
SIDE_STREET, MAIN_STREET, FREEWAY = range(3)
SPEED_MPS: Final[Floats] = np.array([30.0, 50.0, 70.0]) / 3.6  # by class
_MAIN_EVERY = 5
_SHAKEN_M = 60.0
_SPARED = 0.2


@dataclass(frozen=True, slots=True)
class Streets:
    """N corners and E streets between them, each both ways.

    ``corner_m``: (N, 2) east and north in m. ``ends``: (E, 2) corners. ``kind``: (E,) class.
    ``length_m``: (E,) m. ``leading``: of each corner, its (other corner, street, seconds).
    """

    corner_m: Floats
    ends: Longs
    kind: Longs
    length_m: Floats
    leading: list[list[tuple[int, int, float]]]
    _ways: dict[int, list[int]] = field(default_factory=dict)

    def way(self, start: int, goal: int) -> list[int]:
        """The corners of the fastest way, both ends included."""
        if start not in self._ways:
            self._ways[start] = self._fastest_from(start)
        before, way = self._ways[start], [goal]
        while way[-1] != start:
            way.append(before[way[-1]])
        return way[::-1]

    def street(self, corner: int, other: int) -> int:
        """The street between two neighbouring corners."""
        return next(street for to, street, _ in self.leading[corner] if to == other)

    def _fastest_from(self, start: int) -> list[int]:
        """Dijkstra: of each corner the one before it on the fastest way from ``start``."""
        before, best_s = [-1] * len(self.corner_m), [np.inf] * len(self.corner_m)
        best_s[start] = 0.0
        queue = [(0.0, start)]
        while queue:
            at_s, corner = heappop(queue)
            if at_s > best_s[corner]:
                continue
            for to, _, lasts_s in self.leading[corner]:
                if at_s + lasts_s < best_s[to]:
                    best_s[to], before[to] = at_s + lasts_s, corner
                    heappush(queue, (at_s + lasts_s, to))
        return before


def build_streets(seed: int) -> Streets:
    """The town of this seed; every corner can be reached from every other."""
    rng = np.random.default_rng([seed, 4])
    column, row = (axis.ravel() for axis in np.meshgrid(np.arange(LINES), np.arange(LINES)))
    corner_m = np.stack([column, row], axis=1).astype(np.float64) * BLOCK_M
    corner_m += rng.uniform(-_SHAKEN_M, _SHAKEN_M, corner_m.shape)
    corner = np.arange(LINES * LINES).reshape(LINES, LINES)
    east = np.stack([corner[:, :-1].ravel(), corner[:, 1:].ravel()], axis=1)
    north = np.stack([corner[:-1].ravel(), corner[1:].ravel()], axis=1)
    ends = np.concatenate([east, north])
    # A street along a line has that line's class: rows for those going east, columns for north.
    kind = _class_of_line(np.concatenate([row[east[:, 0]], column[north[:, 0]]]))
    kept = _kept(rng, ends, kind)
    ends, kind = ends[kept], kind[kept]
    length_m: Floats = np.hypot(*(corner_m[ends[:, 0]] - corner_m[ends[:, 1]]).T)
    lasts_s = length_m / SPEED_MPS[kind]
    leading: list[list[tuple[int, int, float]]] = [[] for _ in corner_m]
    for street, ((a, b), seconds) in enumerate(zip(ends.tolist(), lasts_s.tolist(), strict=True)):
        leading[a].append((b, street, seconds))
        leading[b].append((a, street, seconds))
    return Streets(corner_m, ends, kind, length_m, leading)


def _class_of_line(line: Longs) -> Longs:
    freeway = (line == 0) | (line == LINES - 1) | (line == LINES // 2)
    main = line % _MAIN_EVERY == 0
    return np.where(freeway, FREEWAY, np.where(main, MAIN_STREET, SIDE_STREET))


def _kept(rng: np.random.Generator, ends: Longs, kind: Longs) -> Bools:
    """Which streets stay: all but a share of the side streets outside a random spanning tree."""
    group = list(range(LINES * LINES))

    def root(corner: int) -> int:
        while group[corner] != corner:
            group[corner] = group[group[corner]]
            corner = group[corner]
        return corner

    kept: Bools = (kind != SIDE_STREET) | (rng.random(len(ends)) >= _SPARED)
    for street in rng.permutation(len(ends)).tolist():
        a, b = root(int(ends[street, 0])), root(int(ends[street, 1]))
        if a != b:
            group[a] = b
            kept[street] = True
    return kept
