"""HTML and SVG built so that nothing from outside can become markup."""

import re
from collections.abc import Iterable, Mapping
from html import escape
from typing import Final

# What a reader cannot see and a browser may act on: control characters (but not tab and line
# feed), marks that turn the direction of writing, lone surrogates (not encodable as UTF-8).
_UNSEEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


class Markup(str):
    """Text that is markup already; all other text is escaped where it is put in."""

    __slots__ = ()


def text(value: object) -> Markup:
    """The value as text of a page: markup characters escaped, unseen characters spelt out."""
    if isinstance(value, Markup):
        return value
    return Markup(escape(_UNSEEN.sub(_spelt, str(value))))


def tag(name: str, attributes: Mapping[str, object], *children: object) -> Markup:
    """An element; children and attribute values are escaped unless they are ``Markup``.

    An attribute whose value is None is left out.
    """
    written = "".join(
        f' {key}="{text(value)}"' for key, value in attributes.items() if value is not None
    )
    return Markup(f"<{name}{written}>{join(children)}</{name}>")


def join(children: Iterable[object]) -> Markup:
    """The children one after the other."""
    return Markup("".join(map(text, children)))


def number(value: float) -> str:
    """A coordinate of a drawing: at most one decimal, no trailing zero."""
    return f"{value:.1f}".removesuffix(".0")


def _spelt(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
