"""Messages cut into the raw bytes of single records, with the place each one came from.

Cutting looks only at brackets, strings and line ends, so that a record with any mistake inside
comes out alone, its neighbours whole.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import accumulate, chain
from typing import Final, NamedTuple

import msgspec

from schemas.message import Message

WHITESPACE: Final = b" \t\r\n"
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"

# A JSON string has no raw line end; possessive quantifiers keep the scan linear on any input.
_TOKEN: Final = re.compile(rb'"(?:[^"\\\n]++|\\[^\n])*+"|["\[\]{},]')
_MISFITS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_VALUE: Final = msgspec.json.Decoder(msgspec.Raw)
_ARRAY: Final = msgspec.json.Decoder(list[msgspec.Raw])
_STEP: Final = {b"[": 1, b"{": 1, b"]": -1, b"}": -1}


class _Part(NamedTuple):
    """The records of one message, in order."""

    raws: list[bytes]
    lines: Sequence[int]  # counted from 0 inside the message
    elements: list[int | None]  # position in a JSON array, None for what stands alone
    many_lines: bool


def bare(body: bytes) -> bytes:
    """The body without byte order mark and without white space around it."""
    return body.removeprefix(BYTE_ORDER_MARK).strip(WHITESPACE)


class Pieces:
    """The records of some messages, in order. They are cut apart at the first question.

    Cutting a message stops after ``limit`` + 1 records.
    """

    def __init__(self, messages: Sequence[Message], limit: int) -> None:
        self._messages = messages
        self._limit = limit

    def __len__(self) -> int:
        return sum(len(part.raws) for part in self._parts)

    def __iter__(self) -> Iterator[bytes]:
        return chain.from_iterable(part.raws for part in self._parts)

    def raw(self, index: int) -> bytes:
        """The bytes of that record alone."""
        part, at = self._place(index)
        return self._parts[part].raws[at]

    def origin(self, index: int) -> str:
        """Where that record came from: ``source``, ``source:line``, ``source[element]``."""
        number, at = self._place(index)
        message, part = self._messages[number], self._parts[number]
        line = ""
        if message.first_line is not None:
            line = f":{message.first_line + part.lines[at]}"
        elif part.many_lines:
            line = f":{part.lines[at] + 1}"
        element = part.elements[at]
        return f"{message.origin}{line}" + ("" if element is None else f"[{element}]")

    def _place(self, index: int) -> tuple[int, int]:
        part = bisect_right(self._starts, index) - 1
        return part, index - self._starts[part]

    @cached_property
    def _parts(self) -> list[_Part]:
        return [_cut(message.body, self._limit) for message in self._messages]

    @cached_property
    def _starts(self) -> list[int]:
        return list(accumulate((len(part.raws) for part in self._parts[:-1]), initial=0))


def _cut(body: bytes, limit: int) -> _Part:
    whole = bare(body)
    first = body[: body.find(whole[:1])].count(b"\n")
    if b"\n" not in whole or _is_one_value(whole, limit):
        return _with_elements([whole], [first], limit, many_lines=False)
    raws = [line.strip(WHITESPACE) for line in whole.split(b"\n")]
    lines: Sequence[int] = range(first, first + len(raws))
    if not all(raws):
        lines = [line for line, raw in zip(lines, raws, strict=True) if raw]
        raws = [raw for raw in raws if raw]
    return _with_elements(raws, lines, limit, many_lines=True)


def _is_one_value(whole: bytes, limit: int) -> bool:
    """Whether the lines are those of one value (which need not be right), not of many."""
    try:
        _VALUE.decode(whole)
    except _MISFITS:
        # Where further lines begin with a brace, a broken record is likelier than one object.
        is_lines = whole.startswith(b"{") and b"\n{" in whole
        return not is_lines and _elements(whole, limit) is not None
    return True


def _with_elements(
    raws: list[bytes], lines: Sequence[int], limit: int, *, many_lines: bool
) -> _Part:
    """The part with each array among the values replaced by its elements."""
    if b"[" not in {raw[:1] for raw in raws}:
        return _Part(raws, lines, [None] * len(raws), many_lines)
    single: list[tuple[bytes, int, int | None]] = []
    for line, raw in zip(lines, raws, strict=True):
        elements = _elements(raw, limit) if raw.startswith(b"[") else None
        if elements is None:
            single.append((raw, line, None))
        else:
            single.extend((element, line, index) for index, element in enumerate(elements))
        if len(single) > limit:
            break
    return _Part(
        [raw for raw, _, _ in single],
        [line for _, line, _ in single],
        [element for _, _, element in single],
        many_lines,
    )


def _elements(raw: bytes, limit: int) -> list[bytes] | None:
    """The comma-separated parts of one bracketed value, or None if it is not exactly one."""
    try:
        return [bytes(element) for element in _ARRAY.decode(raw)]
    except _MISFITS:
        pass  # some element is not JSON: find its ends by brackets
    depth, start, parts = 0, 1, []
    for token in _TOKEN.finditer(raw):
        sign = token[0]
        depth += _STEP.get(sign, 0)
        if sign == b'"' or token.start() == depth == 0:
            return None  # a string without end, or no opening bracket in front
        if depth == 0 or (sign == b"," and depth == 1):
            parts.append(raw[start : token.start()].strip(WHITESPACE))
            start = token.end()
        if len(parts) > limit:
            return parts
        if depth == 0:
            return (parts if parts != [b""] else []) if start == len(raw) else None
    return None
