"""The signs of the report: their shapes, patterns and legend. Shape tells as much as colour."""

from collections.abc import Sequence
from typing import Final

from scripts.report.markup import Markup, join, tag

# Each sign is drawn about (0, 0) within 7 units; colours are in the style sheet (class = name).
_SHAPES: Final = {
    "emergency": Markup('<path d="M-3-7H3L7-3V3L3 7H-3L-7 3V-3Z"/><path d="M-3-3L3 3M3-3L-3 3"/>'),
    "critical": Markup('<path d="M0-7L7 0L0 7L-7 0Z"/>'),
    "warning": Markup('<path d="M0-6.5L7 5.5H-7Z"/>'),
    "info": Markup('<path d="M-5-5H5V5H-5Z"/>'),
    "entered": Markup('<circle r="5"/>'),
    "exited": Markup('<circle r="5"/>'),
    "last": Markup('<circle r="3.5"/>'),
}
_MEANINGS: Final = {
    "emergency": "emergency raised",
    "critical": "critical alarm raised",
    "warning": "warning raised",
    "info": "information raised",
    "entered": "zone entered",
    "exited": "zone exited",
    "last": "last fix",
}

# Fill patterns of time spans, so that severities differ in black and white too.
_PATTERNS: Final = {
    "emergency": Markup('<path d="M0 0L6 6M6 0L0 6"/>'),
    "critical": Markup(""),
    "warning": Markup('<path d="M-1 1L1-1M0 6L6 0M5 7L7 5"/>'),
    "info": Markup('<circle cx="3" cy="3" r="1"/>'),
}


def definitions() -> Markup:
    """The signs and patterns, defined once for the whole page."""
    signs = [
        tag("g", {"id": f"sign-{name}", "class": f"sign {name}"}, drawn)
        for name, drawn in _SHAPES.items()
    ]
    patterns = [
        tag(
            "pattern",
            {
                "id": f"span-{name}",
                "class": f"span {name}",
                "width": 6,
                "height": 6,
                "patternUnits": "userSpaceOnUse",
            },
            Markup('<rect width="6" height="6"/>'),
            drawn,
        )
        for name, drawn in _PATTERNS.items()
    ]
    attributes = {"class": "definitions", "width": 0, "height": 0, "aria-hidden": "true"}
    return tag("svg", attributes, tag("defs", {}, *signs, *patterns))


def sign(name: str) -> Markup:
    """The sign as it stands in a line of text."""
    attributes = {"class": "inline-sign", "viewBox": "-9 -9 18 18", "aria-hidden": "true"}
    return tag("svg", attributes, tag("use", {"href": f"#sign-{name}"}))


def severity_badge(severity: str) -> Markup:
    """A severity in words with its sign."""
    return tag("span", {"class": f"severity {severity}"}, sign(severity), severity)


def legend(signs: Sequence[str], kinds: Sequence[str]) -> Markup:
    """What the maps' signs and the fills of zones (kinds in the order of their styles) mean."""
    track = Markup('<path class="track" d="M-8 3L-2-3L2 3L8-3"/>')
    entries = [_entry(track, "track")]
    entries += [_entry(tag("use", {"href": f"#sign-{name}"}), _MEANINGS[name]) for name in signs]
    entries += [
        _entry(
            tag("path", {"class": f"zone {zone_class(style)}", "d": "M-8-6H8V6H-8Z"}),
            f"zone: {kind}",
        )
        for style, kind in enumerate(kinds)
    ]
    return tag("ul", {"class": "legend"}, join(entries))


def zone_class(style: int) -> str:
    """The style class of a kind of zone; six differ in hue and outline, then they repeat."""
    return f"kind-{style % 6}"


def _entry(drawn: Markup, words: str) -> Markup:
    attributes = {"class": "inline-sign", "viewBox": "-9 -9 18 18", "aria-hidden": "true"}
    return tag("li", {}, tag("svg", attributes, drawn), words)
