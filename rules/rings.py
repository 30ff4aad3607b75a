"""Rings on the globe: what the rings of one polygon enclose, cut at the antimeridian.

Edges are straight in longitude and latitude (RFC 7946 section 3.1.1) and read the short way round:
longitudes that jump by more than 180 deg cross the antimeridian, so a wider edge needs a vertex
between. The one exception is a jump of exactly 360 deg along a parallel: the whole parallel, as
boxes of all longitudes are written. A ring that comes back to its start one turn on holds a pole:
the north pole where it runs east, the south pole where it runs west (the right-hand rule of RFC
7946 section 3.1.6, asked only here; elsewhere either winding is read).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray

from schemas.frame import Bools, Floats, Longs
from schemas.geojson import Rings

Shapes = NDArray[np.object_]

MAX_LONGITUDE: Final = 540.0
MIN_POSITIONS: Final = 4
_WORLD: Final = shapely.box(-180.0, -90.0, 180.0, 90.0)


class RingError(ValueError):
    """Why the rings of one polygon make no valid area."""


@dataclass(frozen=True, slots=True)
class _Ring:
    """A closed ring laid out along the unrolled globe.

    ``lon``: (n,) deg in [-180, 180], as written but for whole turns (which is exact in floating
    point); ``turn``: (n,) the whole turns; ``lat``: (n,) deg. Window w is the stretch from
    -180 + 360 w to 180 + 360 w of the unrolled globe.
    """

    lon: Floats
    lat: Floats
    turn: Longs

    def lonlat(self, window: int) -> Floats:
        """(n, 2): the ring seen from a window; exact for the vertices inside the window."""
        return np.column_stack((self.lon + 360.0 * (self.turn - window), self.lat))

    @property
    def first(self) -> Longs:
        """(n,) the last window that begins at or before each vertex."""
        first: Longs = self.turn + (self.lon == 180.0)
        return first

    @property
    def last(self) -> Longs:
        """(n,) the first window that ends at or after each vertex."""
        last: Longs = self.turn - (self.lon == -180.0)
        return last

    @property
    def net(self) -> int:
        """Turns round the globe from start to end: 0, or +-1 where the ring holds a pole."""
        return int(self.turn[-1] - self.turn[0])

    def shifted(self, turns: int) -> "_Ring":
        return _Ring(self.lon, self.lat, self.turn + turns)


def is_area(shapes: Shapes) -> Bools:
    """Which shapes (n,) are valid and not empty."""
    good: Bools = shapely.is_valid(shapes) & (shapely.area(shapes) > 0)
    return good


def fault(shape: shapely.Geometry) -> str:
    """What keeps a shape from being a valid area, and the remedy."""
    reason = shapely.is_valid_reason(shape)
    if reason == "Valid Geometry":
        reason = "zero area"
    return f"not a valid area: {reason}; draw rings that neither cross nor overlap"


def made_valid(shape: shapely.Geometry) -> shapely.Geometry:
    """The area that any ring of a shape encloses, less what holes enclose; may be empty."""
    made = shapely.make_valid(shape, method="structure", keep_collapsed=False)
    parts = shapely.get_parts(shapely.get_parts(made))
    return joined(parts[shapely.area(parts) > 0.0])


def joined(parts: Sequence[shapely.Geometry] | Shapes) -> shapely.Geometry:
    """Polygons as one shape: the polygon itself where there is one."""
    return parts[0] if len(parts) == 1 else shapely.multipolygons(parts)


def area_of_rings(rings: Rings, *, repair: bool = False) -> shapely.Geometry:
    """The area of one polygon's rings; ``RingError`` where they make none.

    An area across the antimeridian is cut there into parts; one that holds a pole reaches latitude
    +-90 along its whole width. Vertices keep their exact values (up to whole turns), so neighbours
    that share an edge still share it. ``repair``: open rings are closed, rings that cross made
    valid (``made_valid``).
    """
    shell, *holes = (
        _with_crossings(_unrolled(_closed(ring) if repair else ring, f"ring {r}"))
        for r, ring in enumerate(rings, 1)
    )
    if any(abs(ring.net) > 1 for ring in (shell, *holes)):
        raise RingError("a ring goes round the globe more than once: draw it once round")
    if not shell.net:
        if any(hole.net for hole in holes):
            raise RingError("a hole holds a pole and the outer ring does not: check the holes")
        return _cut(shell, [_beside(hole, shell) for hole in holes], repair=repair)
    pole = np.sign(shell.net)
    area = _cut(_over_pole(shell, pole), [], repair=repair)
    for hole in holes:
        gap = _cut(_over_pole(hole, pole) if hole.net else hole, [], repair=repair)
        if not repair and not area.covers(gap):
            raise RingError("not a valid area: Hole lies outside shell; check the holes")
        area = area.difference(gap)
    return area


def _closed(ring: Floats) -> Floats:
    return ring if (ring[:1] == ring[-1:]).all() else np.concatenate((ring, ring[:1]))


def _unrolled(ring: Floats, place: str) -> _Ring:
    lon, lat = ring.T
    if len(ring) < MIN_POSITIONS:
        raise RingError(f"{place} has {len(ring)} positions: give at least {MIN_POSITIONS}")
    if (ring[0] != ring[-1]).any():
        raise RingError(f"{place} is not closed: end it with its first position")
    for number, limit, what in ((lat, 90.0, "latitude"), (lon, MAX_LONGITUDE, "longitude")):
        if (beyond := np.flatnonzero(np.abs(number) > limit)).size:
            i = beyond[0]
            where = f"{place}, position {i + 1}: {what} {number[i]}"
            raise RingError(f"{where} is beyond +-{limit:g}: give [longitude, latitude] in deg")
    step = np.diff(lon)
    whole_parallel = (np.abs(step) == 360.0) & (np.diff(lat) == 0.0)
    jump = np.where((np.abs(step) > 180.0) & ~whole_parallel, np.rint(step / 360.0), 0.0)
    home = np.rint(lon / 360.0)
    turn = home - np.concatenate(([0.0], np.cumsum(jump)))
    return _Ring(lon - 360.0 * home, lat, turn.astype(np.int64))


def _with_crossings(ring: _Ring) -> _Ring:
    """The ring with a vertex wherever an edge crosses from one window to another."""
    # Each edge from its western (a) to its eastern (b) end, so that the neighbour who has the same
    # edge the other way round gets the same crossing to the last bit. An edge is at most 360 deg
    # long, so it crosses at most one border: the eastern end of a's window.
    eastward = 400.0 * np.diff(ring.turn) + np.diff(ring.lon) > 0.0
    start = np.arange(len(eastward))
    a, b = np.where(eastward, start, start + 1), np.where(eastward, start + 1, start)
    edge = np.flatnonzero(ring.last[b] > ring.first[a])
    a, b = a[edge], b[edge]
    window = ring.first[a]
    x_a = ring.lon[a] + 360.0 * (ring.turn[a] - window)
    x_b = ring.lon[b] + 360.0 * (ring.turn[b] - window)
    lat = ring.lat[a] + (ring.lat[b] - ring.lat[a]) * ((180.0 - x_a) / (x_b - x_a))
    return _Ring(
        np.insert(ring.lon, edge + 1, 180.0),
        np.insert(ring.lat, edge + 1, lat),
        np.insert(ring.turn, edge + 1, window),
    )


def _beside(hole: _Ring, shell: _Ring) -> _Ring:
    """The hole moved by whole turns to the first place east of the shell's western end."""
    west = shell.lonlat(0)[:, 0].min() - hole.lonlat(0)[:, 0].min()
    # The allowance takes the rounding of positions a turn away.
    return hole.shifted(int(np.ceil(west / 360.0 - 1e-12)))


def _over_pole(ring: _Ring, pole: int) -> _Ring:
    """A ring once round the globe, closed along the meridian 180 and over the pole (+1 or -1).

    It is closed where it crosses that meridian nearest the pole: no other crossing can lie between.
    """
    border = np.flatnonzero(np.abs(ring.lon[:-1]) == 180.0)
    start = border[np.argmax(ring.lat[border] * pole)]
    order = np.concatenate((np.arange(start, len(ring.lon) - 1), np.arange(start + 1)))
    turned = np.arange(len(order)) >= len(ring.lon) - 1 - start
    turn = ring.turn[order] + ring.net * turned
    lon, lat = ring.lon[order], ring.lat[order]
    return _Ring(
        np.concatenate((lon, [lon[0]] * 3)),
        np.concatenate((lat, [90.0 * pole, 90.0 * pole, lat[0]])),
        np.concatenate((turn, [turn[-1], turn[0], turn[0]])),
    )


def _cut(shell: _Ring, holes: Sequence[_Ring], *, repair: bool) -> shapely.Geometry:
    """The area inside ``shell`` and outside ``holes``, its windows laid over each other."""
    windows = range(int(shell.first.min()), int(shell.last.max()) + 1)
    views = [
        shapely.Polygon(shell.lonlat(w), [hole.lonlat(w) for hole in holes]) for w in windows or [0]
    ]
    if repair:
        views = [made_valid(view) for view in views]
    if not is_area(np.array(views[:1])).all():
        raise RingError(fault(views[0]))
    if len(views) == 1:
        return views[0]
    # A window may cut off less than rounding can show (a vertex at 179.99999999999997): what has
    # no area, or lines and points where an edge runs along the border, is no part.
    parts = shapely.get_parts(shapely.intersection(views, _WORLD))
    parts = shapely.get_parts(parts)
    return shapely.union_all(parts[shapely.area(parts) > 0.0])
