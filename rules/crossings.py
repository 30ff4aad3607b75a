"""Which stretches of straight ways lie inside which zones: exact up to the rounding of positions.

A way from position to position and the edges of zones are straight in longitude and latitude. Where
a way meets edges of a zone it is cut; each piece between two cuts lies wholly inside or wholly
outside, so the position in its middle, judged by geometry, decides it. A cut too many does no harm,
so edges count as met as soon as they come within ``NEAR_DEG``; vertices, holes and touching parts
need no rules of their own.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any, Final

import numpy as np
import shapely

from rules.coverage import Coverage
from rules.zone_cells import counted
from rules.zone_geometry import Shapes
from schemas.frame import Bools, Floats, Rows

NEAR_DEG: Final = 1e-12
"""0.1 um: above every rounding error (2e-13 deg where an edge is as long as the globe)."""

# Edges are kept, found and tested in chunks of so many: one box in the tree, one row of numbers.
_EDGES: Final = 16
_CHUNKS_AT_ONCE: Final = 10_000
# A shorter way has no direction that numbers can hold.
_NO_LENGTH_DEG: Final = 1e-100

Ends = tuple[Floats, Floats, Floats, Floats]
"""Longitude and latitude of where ways begin, then of where they end."""

Holds = Callable[[Rows, Floats, Floats], Bools]
"""Whether zones (m,) hold positions (m,), longitude in [-180, 180] and latitude, deg."""


@dataclass(frozen=True, slots=True)
class Stretches:
    """What is inside of segments whose way meets an edge: pairs (segment, zone) and stretches.

    ``segment``, ``zone``: (p,) the pairs met, sorted by segment, then zone: at least one edge of
    the zone touches the segment. ``zone`` counts as ``Hits.zone``. ``pair``: (k,) index into the
    pairs, ascending; ``begin``, ``end``: (k,) share of the way from 0 to 1, begin < end, ascending
    and disjoint within a pair: stretches that touch are one. A pair without a stretch is never
    inside for more than a touch.
    """

    segment: Rows
    zone: Rows
    pair: Rows
    begin: Floats
    end: Floats


_NOTHING: Final[Rows] = np.empty(0, np.intp)
NO_STRETCHES: Final = Stretches(_NOTHING, _NOTHING, _NOTHING, np.empty(0), np.empty(0))


@dataclass(frozen=True, slots=True)
class _Ways:
    """Ways in the plane: (n,) each, deg.

    ``segment``: which of the ways asked about; from (``lon0``, ``lat0``) to (``lon1``, ``lat1``);
    longitudes unwrapped, so one may lie beyond 180.
    """

    segment: Rows
    lon0: Floats
    lat0: Floats
    lon1: Floats
    lat1: Floats

    def take(self, rows: Rows, shift_deg: float = 0.0) -> "_Ways":
        """The ways at ``rows``, moved east."""
        lon0, lon1 = self.lon0[rows] + shift_deg, self.lon1[rows] + shift_deg
        return _Ways(self.segment[rows], lon0, self.lat0[rows], lon1, self.lat1[rows])

    @property
    def ends(self) -> Ends:
        return self.lon0, self.lat0, self.lon1, self.lat1

    @property
    def length(self) -> Floats:
        length: Floats = np.hypot(self.lon1 - self.lon0, self.lat1 - self.lat0)
        return length


@dataclass(frozen=True, slots=True)
class _Cuts:
    """Where ways meet edges: (c,) each.

    ``segment``, ``zone``: who meets whom; ``low``, ``high``: share of the way: the same place, or
    from where to where it runs along an edge; ``on_edge``: it does so to the last bit.
    """

    segment: Rows
    zone: Rows
    low: Floats
    high: Floats
    on_edge: Bools


@dataclass(frozen=True, slots=True)
class _Pieces:
    """The pieces between cuts: those of a pair one after the other, from 0 to 1.

    ``pair``, ``begin``, ``end``: (t,) index into the pairs, share of the way; ``first``, ``count``:
    (p,) for each pair the first of its pieces and how many they are.
    """

    pair: Rows
    first: Rows
    count: Rows
    begin: Floats
    end: Floats

    @property
    def middle(self) -> Floats:
        middle: Floats = (self.begin + self.end) / 2.0
        return middle


class ZoneEdges:
    """The edges of the zones of one body, found by the ways that meet them.

    ``lines``: (l,) rings and lines, deg; what they are made of are edges of zone ``zone_of_line``
    (l,). Takes about 20 bytes an edge and 400 a line.
    """

    def __init__(self, lines: Shapes, zone_of_line: Rows) -> None:
        lonlat = shapely.get_coordinates(lines)
        vertices = shapely.get_num_coordinates(lines).astype(np.intp)
        # A line of v vertices has v - 1 edges, in chunks as even as can be; a chunk ends with the
        # vertex that the next one begins with.
        chunks = -(-(vertices - 1) // _EDGES)
        line = np.repeat(np.arange(len(lines)), chunks)
        nth, edges = counted(chunks), vertices[line] - 1
        first, last = nth * edges // chunks[line], (nth + 1) * edges // chunks[line]
        # (chunks, _EDGES + 1): the vertices of each chunk in order; its last one fills up the row.
        vertex = np.minimum(first[:, None] + np.arange(_EDGES + 1), last[:, None])
        vertex += (np.cumsum(vertices) - vertices)[line][:, None]
        self._lon, self._lat = lonlat[vertex, 0], lonlat[vertex, 1]
        self._zone = zone_of_line[line]
        self._zones = int(zone_of_line.max()) + 1
        # The tree asks a shape for its box alone, and a diagonal has that for less memory.
        low = np.stack((self._lon.min(axis=1), self._lat.min(axis=1)), -1) - NEAR_DEG
        high = np.stack((self._lon.max(axis=1), self._lat.max(axis=1)), -1) + NEAR_DEG
        self._tree = shapely.STRtree(shapely.linestrings(np.stack((low, high), axis=1)))
        self._coverage = Coverage(low, high)

    def stretches(self, ends: Ends, holds: Holds) -> Stretches:
        """Pairs and stretches of the ways (lon0, lat0, lon1, lat1), (n,) each, deg.

        The way from longitude to longitude is the short one. One with a NaN, and one of no length,
        meets nothing. ``holds`` decides the pieces.
        """
        asked, ways = _unwrapped(*ends)
        cuts = self._cuts(_windows(ways)) if len(asked) else None
        if cuts is None:
            return NO_STRETCHES
        pairs, pieces = _pieces(ways, cuts, self._zones)
        segment, zone = np.divmod(pairs, self._zones)
        inside = _run_along(cuts, pairs, pieces, self._zones)
        rest = np.flatnonzero(~inside)
        pair = pieces.pair[rest]
        inside[rest] = holds(zone[pair], *_positions(ways, segment[pair], pieces.middle[rest]))
        first, last = _outer(inside, pieces)
        return Stretches(
            asked[segment], zone, pieces.pair[first], pieces.begin[first], pieces.end[last]
        )

    def _cuts(self, ways: _Ways) -> _Cuts | None:
        """All places where ways meet edges, as both lie in the plane."""
        # Of each way its begin and end, of these lon and lat.
        ends = np.stack(ways.ends, -1).reshape(-1, 2, 2)
        asked = np.flatnonzero(self._coverage.may_meet(ends.min(axis=1), ends.max(axis=1)))
        way, chunk = self._tree.query(shapely.linestrings(ends[asked]))
        way = asked[way]
        batches = [
            cuts
            for begin in range(0, len(way), _CHUNKS_AT_ONCE)
            for batch in [slice(begin, begin + _CHUNKS_AT_ONCE)]
            if (cuts := self._cuts_of(ways.take(way[batch]), chunk[batch])) is not None
        ]
        return _Cuts(*_joined(batches)) if batches else None

    def _cuts_of(self, ways: _Ways, chunk: Rows) -> _Cuts | None:
        """Where each way meets the edges of its chunk: (n,) ways, (n,) chunks."""
        length = ways.length
        east, north = (ways.lon1 - ways.lon0) / length, (ways.lat1 - ways.lat0) / length
        # (n, _EDGES + 1), by vertex, deg. u, v: from the start of the way to the vertex; side: how
        # far to the left of the way's line it lies.
        u = self._lon[chunk] - ways.lon0[:, None]
        v = self._lat[chunk] - ways.lat0[:, None]
        side = east[:, None] * v - north[:, None] * u
        side[np.abs(side) <= NEAR_DEG] = 0.0
        # From here on by edge that meets the line of its way: (m,), and its two vertices (2, m).
        i, edge = np.nonzero(side[:, :-1] * side[:, 1:] <= 0.0)
        vertex = i, np.stack((edge, edge + 1))
        side, ahead = side[vertex], east[i] * u[vertex] + north[i] * v[vertex]
        low, high, slack = _places(side, ahead)
        met = np.flatnonzero((high >= -slack) & (low <= length[i] + slack))
        if not met.size:
            return None
        i, edge, length = i[met], edge[met], length[i[met]]
        low, high = (np.clip(place[met], 0.0, length) / length for place in (low, high))
        on_edge = low < high
        if on_edge.any():
            vertex = chunk[i], np.stack((edge, edge + 1))
            on_edge = _are_on_line(ways.take(i), on_edge, self._lon[vertex], self._lat[vertex])
        return _Cuts(ways.segment[i], self._zone[chunk[i]], low, high, on_edge)


def _places(side: Floats, ahead: Floats) -> tuple[Floats, Floats, Floats]:
    """Where along the line of a way edges meet it, deg: first and last place, and how unsure.

    ``side``, ``ahead``: (2, m) how far left of the line and how far along it both vertices are.
    An edge that crosses the line has one place, an edge along it those of both its ends.
    """
    along = ~side.any(axis=0)
    slope = (ahead[1] - ahead[0]) / np.where(along, 1.0, side[0] - side[1])
    place = ahead[0] + side[0] * slope
    # The flatter the edge lies, the further the place moves if a vertex moves by ``NEAR_DEG``.
    slack = NEAR_DEG * (1.0 + np.abs(slope))
    if not along.any():
        return place, place, slack
    low, high = np.minimum(*ahead), np.maximum(*ahead)
    return np.where(along, low, place), np.where(along, high, place), slack


def _joined(pieces: Sequence[_Ways] | Sequence[_Cuts]) -> Iterator[Any]:
    for field in fields(pieces[0]):
        yield np.concatenate([getattr(piece, field.name) for piece in pieces])


def _are_on_line(ways: _Ways, near: Bools, lon: Floats, lat: Floats) -> Bools:
    """Which edges (m,) lie on the lines of ways (m,) to the last bit; ``near``: which may.

    ``lon``, ``lat``: (2, m) their vertices.
    """
    level = (ways.lat0 == ways.lat1) & (lat == ways.lat0).all(axis=0)
    upright = (ways.lon0 == ways.lon1) & (lon == ways.lon0).all(axis=0)
    on_line: Bools = near & (level | upright)
    # One at a time: nothing else is so near to a line by chance.
    for k in np.flatnonzero(near & ~on_line).tolist():
        lon0, lat0, lon1, lat1 = (Fraction(column[k].item()) for column in ways.ends)
        on_line[k] = all(
            (lon1 - lon0) * (Fraction(y) - lat0) == (lat1 - lat0) * (Fraction(x) - lon0)
            for x, y in zip(lon[:, k].tolist(), lat[:, k].tolist(), strict=True)
        )
    return on_line


def _unwrapped(lon0: Floats, lat0: Floats, lon1: Floats, lat1: Floats) -> tuple[Rows, _Ways]:
    """The ways that have a length, at most 180 deg of longitude each, and which those are."""
    dlon = lon1 - lon0
    lon1 = lon1 - np.where(dlon > 180.0, 360.0, np.where(dlon < -180.0, -360.0, 0.0))
    asked = np.flatnonzero(np.hypot(lon1 - lon0, lat1 - lat0) > _NO_LENGTH_DEG)
    return asked, _Ways(np.arange(len(asked)), lon0[asked], lat0[asked], lon1[asked], lat1[asked])


def _windows(ways: _Ways) -> _Ways:
    """The ways as they lie in the plane; one that reaches the antimeridian lies in it twice."""
    east = np.flatnonzero(np.maximum(ways.lon0, ways.lon1) >= 180.0)
    west = np.flatnonzero(np.minimum(ways.lon0, ways.lon1) <= -180.0)
    if not east.size and not west.size:
        return ways
    return _Ways(*_joined((ways, ways.take(east, -360.0), ways.take(west, 360.0))))


def _pieces(ways: _Ways, cuts: _Cuts, zones: int) -> tuple[Rows, _Pieces]:
    """The pairs met, as segment * ``zones`` + zone, ascending, and the pieces of their ways."""
    number = cuts.segment * zones + cuts.zone
    long = np.flatnonzero(cuts.high > cuts.low)
    number = np.concatenate((number, number[long]))
    place = np.concatenate((cuts.low, cuts.high[long]))
    order = np.lexsort((place, number))
    number, place = number[order], place[order]
    new = np.diff(number, prepend=-1) != 0
    pairs = number[new]
    near = NEAR_DEG / np.maximum(ways.length[pairs // zones], NEAR_DEG)
    # Cuts as near to each other, or to an end, as rounding may bring them are one.
    pair = np.cumsum(new) - 1
    inner = np.flatnonzero((place > near[pair]) & (place < 1.0 - near[pair]))
    pair, place = pair[inner], place[inner]
    apart = (np.diff(pair, prepend=-1) != 0) | (np.diff(place, prepend=0.0) > near[pair])
    pair, place = pair[apart], place[apart]
    count = np.bincount(pair, minlength=len(pairs)) + 1
    first = np.cumsum(count) - count
    starts = np.zeros(len(pairs) + len(place), np.bool_)
    starts[first] = True
    begin, end = np.zeros(len(starts)), np.ones(len(starts))
    begin[~starts] = end[np.flatnonzero(~starts) - 1] = place
    return pairs, _Pieces(np.repeat(np.arange(len(pairs)), count), first, count, begin, end)


def _positions(ways: _Ways, way: Rows, share: Floats) -> tuple[Floats, Floats]:
    """Longitude in [-180, 180] and latitude at the given share of each way."""
    lon0, lat0 = ways.lon0[way], ways.lat0[way]
    lon = lon0 + share * (ways.lon1[way] - lon0)
    lon -= 360.0 * ((lon > 180.0) * 1.0 - (lon < -180.0))
    return lon, lat0 + share * (ways.lat1[way] - lat0)


def _run_along(cuts: _Cuts, pairs: Rows, pieces: _Pieces, zones: int) -> Bools:
    """Which pieces lie on an edge, where rounding would decide if geometry did."""
    inside = np.zeros(len(pieces.pair), np.bool_)
    on_edge = np.flatnonzero(cuts.on_edge)
    if not on_edge.size:
        return inside
    pair = np.searchsorted(pairs, cuts.segment[on_edge] * zones + cuts.zone[on_edge])
    # Each run along an edge by each piece of its way.
    count = pieces.count[pair]
    piece = np.repeat(pieces.first[pair], count) + counted(count)
    low, high = np.repeat(cuts.low[on_edge], count), np.repeat(cuts.high[on_edge], count)
    middle = pieces.middle[piece]
    inside[piece[(low < middle) & (middle < high)]] = True
    return inside


def _outer(inside: Bools, pieces: _Pieces) -> tuple[Rows, Rows]:
    """The first and the last piece of each stretch: inside pieces of a pair that touch are one."""
    joined = inside[1:] & inside[:-1] & (pieces.pair[1:] == pieces.pair[:-1])
    first, last = inside.copy(), inside.copy()
    first[1:] &= ~joined
    last[:-1] &= ~joined
    return np.flatnonzero(first), np.flatnonzero(last)
