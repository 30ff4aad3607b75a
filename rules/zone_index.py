"""Which zones hold a position: exact answers, most of them from memory.

Positions far from every edge, which are most, get the answer that the first position of their
region of cells got by geometry (``rules.zone_cells``); positions near an edge are always tested.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import shapely

from rules.crossings import NO_STRETCHES, Ends, Stretches, ZoneEdges
from rules.zone_cells import EDGE, ZoneCells
from rules.zone_geometry import Shapes, zone_shapes
from schemas.frame import BODIES, Bools, Codes, Floats, Ints, Longs, Rows
from schemas.zone import Zone

# Preparing a shape takes about 250 bytes a vertex and makes a test 2 (64 vertices) to 1000 times
# faster: always for shapes of many vertices, for all where all together are few.
MANY_VERTICES: Final = 256
FEW_VERTICES_IN_ALL: Final = 200_000

# Sets of zones by number: none, and not known.
NO_ZONES: Final = 0
UNKNOWN: Final = -1


@dataclass(frozen=True, slots=True)
class Hits:
    """Pairs of a position and a zone that holds it in plan, sorted by row, then zone.

    ``row``: (h,) positions in the columns asked about; ``zone``: (h,) positions in
    ``ZoneIndex.zones``, halos after them. ``cell``: (n,) int32 for every row: where two rows have
    the same cell >= 0, the straight line between them touches no zone's edge; -1 = nothing is
    known. Cells of different indexes, and of rows without a position, mean nothing.
    """

    row: Rows
    zone: Rows
    cell: Ints


class ZoneIndex:
    """The zones of all bodies, found by position.

    The boundary belongs to the zone. Longitudes 180 and -180 are one meridian; at a pole every
    longitude is the same point. Raises ``ZoneGeometryError`` where a zone has no valid area. Not
    for several threads at once: answers are kept for later calls.
    """

    def __init__(self, zones: Sequence[Zone], halos: Shapes | None = None) -> None:
        self.zones = tuple(zones)
        self._halos = np.full(len(self.zones), None, object) if halos is None else halos
        if len(self._halos) != len(self.zones):
            raise ValueError(f"{len(self._halos)} halos for {len(self.zones)} zones: give one each")
        self.shapes = zone_shapes(self.zones)
        shapes = np.concatenate((self.shapes, self._halos))
        body = np.tile([BODIES.index(zone.body) for zone in self.zones], 2)
        body[shapely.is_missing(shapes)] = _NO_BODY
        self._bodies: dict[int, _BodyZones] = {}
        cells = 0
        for code in np.unique(body[body != _NO_BODY]).tolist():
            members = np.flatnonzero(body == code)
            self._bodies[code] = _BodyZones(shapes[members], members, cells)
            cells += len(self._bodies[code].cells.region)

    def __reduce__(self) -> tuple[Any, ...]:
        return ZoneIndex, (self.zones, self._halos)

    def locate(self, body: Codes, longitude: Floats, latitude: Floats) -> Hits:
        """The zones that hold each position in plan.

        ``body``: (n,) index into ``BODIES``; ``longitude`` in [-180, 180], ``latitude``: (n,) deg.
        A position with a NaN is in no zone; depth, altitude and time are not asked.
        """
        if not len(body):
            return _NO_HITS
        codes = [code for code in self._bodies if (body == code).any()]
        if len(codes) == 1 and (body == codes[0]).all():
            return self._bodies[codes[0]].locate(longitude, latitude)
        cell = np.full(len(body), -1, np.int32)
        rows, zones = [_NO_HITS.row], [_NO_HITS.zone]
        for code in codes:
            of_body = np.flatnonzero(body == code)
            hits = self._bodies[code].locate(longitude[of_body], latitude[of_body])
            rows.append(of_body[hits.row])
            zones.append(hits.zone)
            cell[of_body] = hits.cell
        row = np.concatenate(rows)
        order = np.argsort(row, kind="stable")
        return Hits(row[order], np.concatenate(zones)[order], cell)

    def crossings(
        self, body: Codes, lon0: Floats, lat0: Floats, lon1: Floats, lat1: Floats
    ) -> Stretches:
        """Which stretches of the ways from position to position lie in which zones, in plan.

        ``body``: (n,) index into ``BODIES``; ways from (lon0, lat0) to (lon1, lat1), (n,) deg each,
        straight in longitude and latitude and the short way round in longitude. A way with a NaN
        meets nothing.
        """
        found = []
        for code, zones in self._bodies.items():
            of_body = np.flatnonzero(body == code)
            if of_body.size:
                ends = lon0[of_body], lat0[of_body], lon1[of_body], lat1[of_body]
                found.append(zones.crossings(ends, of_body))
        return _merged(found)


_NO_BODY: Final = -1
_NO_HITS: Final = Hits(np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0, np.int32))


class _BodyZones:
    """The zones of one body; zones are counted from 0 within the body until ``locate`` returns.

    ``numbers``: (z,) ascending, what ``Hits.zone`` calls each zone; ``first_cell`` keeps cells of
    different bodies apart.
    """

    def __init__(self, shapes: Shapes, numbers: Rows, first_cell: int) -> None:
        # A part is one polygon of a zone: parts of a zone cut at the antimeridian lie far apart.
        self._parts, self._zone_of_part = shapely.get_parts(shapes, return_index=True)
        # Parts are in the order of their zones: those of zone z begin at _first_part[z].
        self._first_part = np.searchsorted(self._zone_of_part, np.arange(len(shapes) + 1))
        self._tree = shapely.STRtree(self._parts)
        _prepare(self._parts)
        self.cells = ZoneCells(_edges(self._parts))
        self._numbers = numbers
        self._first_cell = first_cell
        self._sets = _ZoneSets(len(shapes))
        # The set of zones of each region of cells; UNKNOWN until a position asks, and of ``EDGE``
        # for ever.
        self._set_of = np.full(self.cells.regions, UNKNOWN, np.int32)
        west, south, east, north = shapely.bounds(shapes).T
        self._at_pole = {-90.0: np.flatnonzero(south == -90.0), 90.0: np.flatnonzero(north == 90.0)}
        self._at_seam = bool((west == -180.0).any() or (east == 180.0).any())
        self._has_special = self._at_seam or any(zones.size for zones in self._at_pole.values())
        # Now rather than when a way first asks: of 50,000 zones that takes seconds.
        self._edges = self._all_edges()

    def locate(self, longitude: Floats, latitude: Floats) -> Hits:
        run = self.cells.run(longitude, latitude)
        if self._has_special:
            run[_is_special(longitude, latitude)] = EDGE
        region = self.cells.region[run]
        sets = self._set_of[region]
        cell = run
        if self._first_cell:
            cell = np.where(run == EDGE, np.int32(-1), run + np.int32(self._first_cell))
        if not (sets == UNKNOWN).any():
            row, zone = self._sets.pairs(sets)
            return Hits(row, self._numbers[zone], cell)
        # One test for all rows near an edge and for one row of each region not yet known.
        near = np.flatnonzero(run == EDGE)
        new = np.flatnonzero((sets == UNKNOWN) & (run != EDGE))
        new_region, first = np.unique(region[new], return_index=True)
        tested = np.concatenate((near, new[first]))
        i, zone_i = self._test(longitude[tested], latitude[tested])
        if new.size:
            learned = np.arange(len(near), len(tested))
            self._set_of[new_region] = self._sets.numbers(i, zone_i, learned)
            sets = self._set_of[region]
        row, zone = self._sets.pairs(sets)
        of_near = slice(np.searchsorted(i, len(near)))
        row = np.concatenate((row, near[i[of_near]]))
        order = np.argsort(row, kind="stable")
        return Hits(row[order], self._numbers[np.concatenate((zone, zone_i[of_near]))[order]], cell)

    def _test(self, longitude: Floats, latitude: Floats) -> tuple[Rows, Rows]:
        """All pairs (position, zone) by geometry, sorted."""
        i, zone = self._in_plane(longitude, latitude)
        if self._has_special:
            more = [(i, zone)]
            seam = np.flatnonzero(np.abs(longitude) == 180.0)
            j, zone_j = self._in_plane(-longitude[seam], latitude[seam])
            more.append((seam[j], zone_j))
            for pole, zones in self._at_pole.items():
                at = np.flatnonzero((latitude == pole) & ~np.isnan(longitude))
                more.append((np.repeat(at, len(zones)), np.tile(zones, len(at))))
            i, zone = (np.concatenate(column) for column in zip(*more, strict=True))
        # Once each: parts of a zone may touch in a point, and both sides of the seam may answer.
        pair = np.sort(i * len(self._numbers) + zone)
        i, zone = np.divmod(pair[np.diff(pair, prepend=-1) != 0], len(self._numbers))
        return i, zone

    def crossings(self, ends: Ends, rows: Rows) -> Stretches:
        """The stretches of ways, which are called ``rows``."""
        found = self._edges.stretches(ends, self._hold)
        return replace(found, segment=rows[found.segment], zone=self._numbers[found.zone])

    def _all_edges(self) -> ZoneEdges:
        rings, part = shapely.get_rings(self._parts, return_index=True)
        lines, zones = [rings], [self._zone_of_part[part]]
        for latitude, at_pole in self._at_pole.items():
            # A pole belongs to the zones that reach it, whatever the longitude: an edge all along.
            pole = shapely.linestrings([(-180.0, latitude), (180.0, latitude)])
            lines.append(np.full(len(at_pole), pole))
            zones.append(at_pole)
        return ZoneEdges(np.concatenate(lines), np.concatenate(zones))

    def _hold(self, zone: Rows, longitude: Floats, latitude: Floats) -> Bools:
        """Whether each zone (m,) holds the position (m,), which is at no pole."""
        held = self._hold_in_plane(zone, longitude, latitude)
        if self._at_seam:
            seam = np.flatnonzero(np.abs(longitude) == 180.0)
            held[seam] |= self._hold_in_plane(zone[seam], -longitude[seam], latitude[seam])
        return held

    def _hold_in_plane(self, zone: Rows, longitude: Floats, latitude: Floats) -> Bools:
        first = self._first_part[zone]
        one = self._first_part[zone + 1] - first == 1
        if one.all():
            held: Bools = shapely.intersects_xy(self._parts[first], longitude, latitude)
            return held
        held = np.zeros(len(zone), np.bool_)
        held[one] = shapely.intersects_xy(self._parts[first[one]], longitude[one], latitude[one])
        many = np.flatnonzero(~one)
        i, part = self._tree.query(shapely.points(longitude[many], latitude[many]))
        i = many[i]
        of_zone = self._zone_of_part[part] == zone[i]
        i, part = i[of_zone], part[of_zone]
        held[i[shapely.intersects_xy(self._parts[part], longitude[i], latitude[i])]] = True
        return held

    def _in_plane(self, longitude: Floats, latitude: Floats) -> tuple[Rows, Rows]:
        i, part = self._tree.query(shapely.points(longitude, latitude))
        held = shapely.intersects_xy(self._parts[part], longitude[i], latitude[i])
        return i[held], self._zone_of_part[part[held]]


def _merged(found: Sequence[Stretches]) -> Stretches:
    """The stretches of different bodies, sorted."""
    if len(found) < 2:
        return found[0] if found else NO_STRETCHES
    segment = np.concatenate([part.segment for part in found])
    # A segment is of one body, so its pairs stay together and in order, and so do their stretches.
    order = np.argsort(segment, kind="stable")
    place = np.empty(len(order), np.intp)
    place[order] = np.arange(len(order))
    before = np.cumsum([0, *(len(part.segment) for part in found[:-1])])
    pair = place[np.concatenate([f.pair + b for f, b in zip(found, before, strict=True)])]
    by_pair = np.argsort(pair, kind="stable")
    zone, begin, end = (
        np.concatenate([getattr(part, name) for part in found]) for name in ("zone", "begin", "end")
    )
    return Stretches(segment[order], zone[order], pair[by_pair], begin[by_pair], end[by_pair])


class _ZoneSets:
    """The distinct sets of zones met so far: NO_ZONES (0), 1 + z for zone z alone, then others."""

    def __init__(self, zones: int) -> None:
        # members of set s: _members[_first[s] : _first[s] + _count[s]], ascending.
        self._zones = zones
        self._first = np.concatenate(([0], np.arange(zones)))
        self._count = np.concatenate(([0], np.ones(zones, np.intp)))
        self._members: Rows = np.arange(zones)
        self._known: dict[bytes, int] = {}

    def numbers(self, i: Rows, zone: Rows, wanted: Rows) -> Longs:
        """The numbers of the sets of the ``wanted`` positions in sorted pairs (i, zone)."""
        begin, end = np.searchsorted(i, wanted), np.searchsorted(i, wanted, side="right")
        count = end - begin
        sets = np.zeros(len(wanted), np.int64)
        one = count == 1
        sets[one] = zone[begin[one]] + 1
        # One at a time, but once for each region of cells that several zones hold.
        new: list[Rows] = []
        for k in np.flatnonzero(count > 1):
            members = zone[begin[k] : end[k]]
            number = self._known.setdefault(members.tobytes(), len(self._first) + len(new))
            if number == len(self._first) + len(new):
                new.append(members)
            sets[k] = number
        if new:
            self._add(new)
        return sets

    def _add(self, sets: list[Rows]) -> None:
        count = np.array([len(members) for members in sets])
        first = len(self._members) + np.cumsum(count) - count
        self._first = np.concatenate((self._first, first))
        self._count = np.concatenate((self._count, count))
        self._members = np.concatenate((self._members, *sets))

    def pairs(self, sets: Ints) -> tuple[Rows, Rows]:
        """All pairs (row, zone) of rows that have the given sets, sorted; UNKNOWN gives none."""
        held = np.flatnonzero(sets > NO_ZONES)
        sets = sets[held]
        if not held.size or sets.max() <= self._zones:
            return held, sets - np.intp(1)
        count = self._count[sets]
        end = np.cumsum(count)
        within = np.arange(end[-1]) - np.repeat(end - count, count)
        return np.repeat(held, count), self._members[np.repeat(self._first[sets], count) + within]


def _is_special(longitude: Floats, latitude: Floats) -> Bools:
    """Positions that the plane has twice or more often: on the meridian 180 and at the poles."""
    special: Bools = (np.abs(longitude) == 180.0) | (np.abs(latitude) == 90.0)
    return special


def _prepare(parts: Shapes) -> None:
    vertices = shapely.get_num_coordinates(parts)
    if vertices.sum() > FEW_VERTICES_IN_ALL:
        parts = parts[vertices >= MANY_VERTICES]
    shapely.prepare(parts)


def _edges(parts: Shapes) -> Floats:
    """All edges of all rings: (4, m), lon and lat of both ends, deg."""
    lonlat, ring = shapely.get_coordinates(shapely.get_rings(parts), return_index=True)
    same = ring[1:] == ring[:-1]
    lon, lat = lonlat.T
    return np.stack((lon[:-1][same], lat[:-1][same], lon[1:][same], lat[1:][same]))
