"""Rows of text on standard output, in columns as wide as they need."""

import sys
from collections.abc import Sequence


def write_listing(rows: Sequence[Sequence[str]]) -> None:
    """Write the rows, the first of which names the columns; no cell can end its line."""
    shown = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        padded = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        sys.stdout.write(f"{padded.rstrip()}\n")


def printable(text: str) -> str:
    """The text with escapes for what would end the line or move a terminal's cursor."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )
