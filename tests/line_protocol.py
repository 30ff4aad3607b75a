"""A reader of InfluxDB line protocol, strict as influxdata's own: the oracle for what we write."""

import re
from dataclasses import dataclass

_SPACE = rb"[ ]+"
# A backslash before a character that ends the token makes it part of it; else it is itself.
_MEASUREMENT = re.compile(rb"(?:\\[, ]|[^\x00-\x1f\x7f, ])+")
_NAME = re.compile(rb"(?:\\[,= ]|[^\x00-\x1f\x7f,= ])+")
_STRING = re.compile(rb'"((?:\\.|[^"\\])*)"', re.DOTALL)
_FLOAT = re.compile(rb"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_WHOLE = re.compile(rb"([-+]?\d+)([iu])")
_ESCAPED = {b'"': b'"', b"\\": b"\\", b"n": b"\n", b"r": b"\r", b"t": b"\t"}
_BOOLS = dict.fromkeys((b"t", b"T", b"true", b"True", b"TRUE"), True)
_BOOLS |= dict.fromkeys((b"f", b"F", b"false", b"False", b"FALSE"), False)


class LineError(ValueError):
    """The text is no line protocol."""


@dataclass(frozen=True)
class Unsigned:
    """A field of the type ``uint``."""

    value: int


@dataclass(frozen=True)
class Point:
    """A point as it was written; ``time`` None = not given."""

    measurement: str
    tags: dict[str, str]
    fields: dict[str, object]
    time: int | None


def parse(text: bytes) -> list[Point]:
    """The points of the text; raises LineError."""
    return _Text(text).points()


class _Text:
    def __init__(self, text: bytes) -> None:
        self.text = text
        self.at = 0

    def points(self) -> list[Point]:
        found = []
        while True:
            self._skip(rb"[ \n\r]*(?:#[^\n]*(?:\n|$)[ \n\r]*)*")
            if self.at == len(self.text):
                return found
            found.append(self._point())

    def _point(self) -> Point:
        measurement = self._token(_MEASUREMENT, rb"\\([, ])")
        tags: dict[str, str] = {}
        while self._next(b","):
            key = self._token(_NAME, rb"\\([,= ])")
            self._expect(b"=")
            if key in tags:
                raise LineError(f"tag {key} twice")
            tags[key] = self._token(_NAME, rb"\\([,= ])")
        if not self._skip(_SPACE):
            raise LineError("no fields")
        fields = {}
        while True:
            key = self._token(_NAME, rb"\\([,= ])")
            self._expect(b"=")
            fields[key] = self._value()
            if not self._next(b","):
                break
        time = None
        if self._skip(_SPACE) and not self._ended():
            time = self._time()
        self._skip(rb" *")
        if not self._ended():
            raise LineError("more behind the point")
        return Point(measurement, tags, fields, time)

    def _time(self) -> int:
        found = self._match(re.compile(rb"-?\d+"))
        time = int(found[0])
        if not -(2**63) <= time < 2**63:
            raise LineError("time beyond 64 bits")
        return time

    def _value(self) -> object:
        if self.text[self.at : self.at + 1] == b'"':
            string = self._match(_STRING)[1]
            return re.sub(rb'\\(["\\nrt])', lambda found: _ESCAPED[found[1]], string).decode()
        token = self._match(re.compile(rb"[^,\s]+"))[0]
        if token in _BOOLS:
            return _BOOLS[token]
        if whole := _WHOLE.fullmatch(token):
            number, unsigned = int(whole[1]), whole[2] == b"u"
            low, high = (0, 2**64) if unsigned else (-(2**63), 2**63)
            if not low <= number < high:
                raise LineError("beyond 64 bits")
            return Unsigned(number) if unsigned else number
        if not _FLOAT.fullmatch(token):
            raise LineError(f"no value: {token!r}")
        number = float(token)
        if number in (float("inf"), float("-inf")):
            raise LineError("beyond a double")
        return number

    def _token(self, form: re.Pattern[bytes], escaped: bytes) -> str:
        raw = self._match(form)[0]
        try:
            return re.sub(escaped, rb"\1", raw).decode()
        except UnicodeDecodeError as exc:
            raise LineError(str(exc)) from exc

    def _match(self, form: re.Pattern[bytes]) -> re.Match[bytes]:
        found = form.match(self.text, self.at)
        if found is None:
            raise LineError(f"at {self.at}: no {form.pattern!r}")
        self.at = found.end()
        return found

    def _skip(self, form: bytes) -> bool:
        found = re.compile(form).match(self.text, self.at)
        before = self.at
        self.at = found.end() if found else before
        return self.at > before

    def _next(self, one: bytes) -> bool:
        if self.text[self.at : self.at + 1] != one:
            return False
        self.at += 1
        return True

    def _expect(self, one: bytes) -> None:
        if not self._next(one):
            raise LineError(f"at {self.at}: no {one!r}")

    def _ended(self) -> bool:
        return self.text[self.at : self.at + 1] in (b"", b"\n", b"\r")
