"""Values of a grid at positions between its cells' centres."""

import numpy as np

from schemas.frame import Floats, Rows


def bilinear(grid: Floats, column: Floats, row: Floats) -> Floats:
    """Values at fractional positions, linear in both directions between cell centres; (n,) each.

    ``grid``: (rows, columns), the centre of cell (r, c) at row r, column c. NaN outside the
    centres, and where a cell that counts is NaN.
    """
    rows, columns = grid.shape
    inside = (column >= 0) & (row >= 0) & (column <= columns - 1) & (row <= rows - 1)
    c0 = np.where(inside, column, 0.0).astype(np.intp)
    r0 = np.where(inside, row, 0.0).astype(np.intp)
    # On the last centre the cell behind it counts nothing, so it may be the cell itself.
    c1, r1 = np.minimum(c0 + 1, columns - 1), np.minimum(r0 + 1, rows - 1)
    u, v = column - c0, row - r0
    flat = grid.reshape(-1)
    upper = _mixed(flat[r0 * columns + c0], flat[r0 * columns + c1], u)
    lower = _mixed(flat[r1 * columns + c0], flat[r1 * columns + c1], u)
    return np.where(inside, _mixed(upper, lower, v), np.nan)


def _mixed(first: Floats, second: Floats, share: Floats) -> Floats:
    """Linear between two values; the first alone where the share of the second is 0."""
    return np.where(share > 0.0, first + share * (second - first), first)


def nearest(grid: Floats, column: Floats, row: Floats) -> Floats:
    """Values of the cells that hold the positions; (n,) each, NaN outside the grid."""
    rows, columns = grid.shape
    c, r = cells(column), cells(row)
    inside = (c >= 0) & (r >= 0) & (c < columns) & (r < rows)
    place = np.where(inside, r * columns + c, 0)
    return np.where(inside, grid.reshape(-1)[place], np.nan)


def cells(position: Floats) -> Rows:
    """The cells that hold positions along one axis; -1 for NaN."""
    found: Rows = np.floor(np.where(np.isnan(position), -1.0, position) + 0.5).astype(np.intp)
    return found
