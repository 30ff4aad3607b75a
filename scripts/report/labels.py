"""Room for words on a map: no label over another, on a wide screen and on a phone."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

Box = tuple[float, float, float, float]

# Text heights in units of the drawing, as the style sheet has them: a narrow screen shows the
# drawing smaller, so its text must be larger there.
WIDE_SIZE: Final = 12.0
NARROW_SIZE: Final = 22.0
_CHARACTER: Final = 0.58


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """Words at (x, y), the middle of their height; ``anchor`` as SVG's ``text-anchor``."""

    words: str
    x: float
    y: float
    anchor: str = "middle"

    def box(self, size: float) -> Box:
        """Left, top, right, bottom at that text height."""
        width = len(self.words) * size * _CHARACTER
        left = self.x - {"start": 0.0, "middle": 0.5, "end": 1.0}[self.anchor] * width
        return left, self.y - size * 0.65, left + width, self.y + size * 0.65


@dataclass(slots=True)
class Sheet:
    """The words placed on one map so far, for both text heights."""

    width: float
    height: float
    wide: list[Box] = field(default_factory=list)
    narrow: list[Box] = field(default_factory=list)

    def place(self, candidates: Iterable[Label]) -> tuple[Label, bool] | None:
        """The first candidate that has room and whether it has room on a narrow screen too.

        None if no candidate has room even on a wide screen.
        """
        fitting = [label for label in candidates if self._free(self.wide, label.box(WIDE_SIZE))]
        if not fitting:
            return None
        both = [label for label in fitting if self._free(self.narrow, label.box(NARROW_SIZE))]
        label = both[0] if both else fitting[0]
        self.wide.append(label.box(WIDE_SIZE))
        if both:
            self.narrow.append(label.box(NARROW_SIZE))
        return label, bool(both)

    def put(self, label: Label) -> None:
        """Take the room of a label that stands there in any case."""
        self.wide.append(label.box(WIDE_SIZE))
        self.narrow.append(label.box(NARROW_SIZE))

    def keep_free(self, box: Box) -> None:
        """Let no label lie over this box."""
        self.wide.append(box)
        self.narrow.append(box)

    def _free(self, taken: list[Box], box: Box) -> bool:
        left, top, right, bottom = box
        if left < 0 or top < 0 or right > self.width or bottom > self.height:
            return False
        return not any(
            left < other[2] and other[0] < right and top < other[3] and other[1] < bottom
            for other in taken
        )
