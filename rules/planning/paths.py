"""Paths: the straight ways ahead of vehicles along their planned paths.

A vehicle goes from where it is to the end of the stretch of the path it is nearest to, and on along
the path from there.
"""

from dataclasses import dataclass, fields

import numpy as np

from rules.geodesy import rough_distance_m
from rules.planning.plans import Plans
from schemas.frame import Codes, Floats, Rows


@dataclass(frozen=True, slots=True)
class Ways:
    """Straight ways ahead of rows; w of them, in degrees.

    ``row``: (w,). ``start_m``: (w,) from the row's position to where the way begins; ``length_m``:
    (w,) how long it is.
    """

    row: Rows
    lon0: Floats
    lat0: Floats
    lon1: Floats
    lat1: Floats
    start_m: Floats
    length_m: Floats


def ways_on_paths(
    body: Codes, at: Floats, plans: Plans, place: Rows, reach_m: Floats
) -> tuple[Ways, Rows]:
    """The ways that begin within ``reach_m`` along planned paths, and the rows past their ends.

    ``at``: (2, n) longitudes and latitudes; ``place``: (n,) the plans in force, which have paths.
    """
    first, end = plans.path_start[place], plans.path_start[place + 1]
    if not len(place):
        return Ways(place, *np.empty((6, 0))), place
    # Beyond +-180 rather than round the body: the path is near the vehicle.
    at = np.stack([at[0] + 360.0 * np.round((plans.path[0, first] - at[0]) / 360.0), at[1]])
    following = _next_point(plans.path, first, end, at)
    on = np.flatnonzero(following < end)
    to = plans.path[:, following[on]]
    length_m = rough_distance_m(body[on], *at[:, on], *to)
    pieces = [Ways(on, at[0, on], at[1, on], to[0], to[1], np.zeros(len(on)), length_m)]
    # Stretch by stretch, of all rows that reach theirs: each adds up its own lengths alone, so that
    # it comes to the same to the bit whatever other rows come with it.
    row, point, begin_m = on, following[on], length_m
    while (going := (begin_m < reach_m[row]) & (point + 1 < end[row])).any():
        row, point, begin_m = row[going], point[going], begin_m[going]
        here, there = plans.path[:, point], plans.path[:, point + 1]
        step_m = rough_distance_m(body[row], *here, *there)
        pieces.append(Ways(row, here[0], here[1], there[0], there[1], begin_m, step_m))
        point, begin_m = point + 1, begin_m + step_m
    ways = Ways(*(np.concatenate([getattr(w, f.name) for w in pieces]) for f in fields(Ways)))
    return ways, np.flatnonzero(following >= end)


def _ranges(first: Rows, end: Rows) -> tuple[Rows, Rows]:
    """All numbers from each first to before its end: which pair each is of, and the number."""
    count = np.maximum(end - first, 0)
    which = np.repeat(np.arange(len(count)), count)
    number = np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count) + first[which]
    return which, number


def _next_point(path: Floats, first: Rows, end: Rows, at: Floats) -> Rows:
    """(rows,) the point each vehicle goes to next; ``end`` where it is past the last.

    ``path``: (2, points). ``first``, ``end``: (rows,) of the vehicle's own; ``at``: (2, rows).
    """
    which, point = _ranges(first, end - 1)
    narrow = np.cos(np.radians(at[1]))[which]
    dx, dy = path[:, point + 1] - path[:, point]
    dx = dx * narrow
    # From the beginning of each stretch to the vehicle.
    x, y = (at[0][which] - path[0, point]) * narrow, at[1][which] - path[1, point]
    share = (x * dx + y * dy) / np.maximum(dx * dx + dy * dy, 1e-300)
    kept = np.clip(share, 0.0, 1.0)
    away = (x - kept * dx) ** 2 + (y - kept * dy) ** 2
    # The nearest stretch of each row: first by distance among those of the row.
    order = np.lexsort((point, np.nan_to_num(away, nan=np.inf), which))
    nearest = order[np.searchsorted(which, np.unique(which))]
    row, stretch, along = which[nearest], point[nearest], share[nearest]
    following = first.copy()
    past = (along >= 1.0) & (stretch + 2 == end[row])
    before = (along <= 0.0) & (stretch == first[row])
    following[row] = np.where(before, stretch, stretch + 1 + past)
    return following
