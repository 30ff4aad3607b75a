"""Files of zones: GeoJSON, read with every mistake told at once, each with its line."""

import codecs
import re
from bisect import bisect_left
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

import msgspec
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from schemas.zone import MAX_ID_CHARACTERS, PROPERTY_NAMES, Zone, is_zone_id


class ZoneFileError(ValueError):
    """A zone file with mistakes: ``mistakes`` has one line each, with place, value and remedy."""

    def __init__(self, mistakes: tuple[str, ...]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


def load_zones(text: bytes, name: str) -> tuple[Zone, ...]:
    """The zones of a GeoJSON FeatureCollection, in the file's order.

    ``name`` names the file in mistakes. Properties without a value (``null``) are absent; lists
    and objects among unknown properties are left out. Raises ``ZoneFileError`` with every mistake;
    whether rings make a valid area is for ``rules.zone_geometry`` to say.
    """
    source = _Source(text, name)
    zones: list[Zone] = []
    mistakes: list[str] = []
    line_of: dict[tuple[str, int], int] = {}
    for feature in source.features():
        zone = feature.zone()
        mistakes += feature.mistakes
        if zone is None:
            continue
        first = line_of.setdefault((zone.id, zone.version), feature.line)
        if len(line_of) == len(zones):
            what = f"version {zone.version} is also in line {first}"
            mistakes.append(feature.say(f"{what}: give another id or a higher version"))
        else:
            zones.append(zone)
    if mistakes:
        raise ZoneFileError(tuple(mistakes))
    return tuple(zones)


class _Collection(msgspec.Struct):
    type: Any = None
    features: list[msgspec.Raw] | None = None


class _Source:
    """The bytes of a zone file and the way from a byte to its line."""

    def __init__(self, text: bytes, name: str) -> None:
        self.text = text
        self.name = name
        self.line_ends = [match.start() for match in re.finditer(b"\n", text)]

    def line(self, offset: int) -> int:
        return bisect_left(self.line_ends, offset) + 1

    def wrong(self, offset: int, what: str) -> ZoneFileError:
        return ZoneFileError((f"{self.name}:{self.line(offset)}: {what}",))

    def features(self) -> Iterator["_Feature"]:
        raws = self._collection().features
        if not raws:
            raise self.wrong(0, "the collection holds no features: give at least one zone")
        offset = 0
        for raw in raws:
            # Features follow each other in the text with nothing but blanks and commas between,
            # so the first match from the last one's end on is this feature.
            data = bytes(raw)
            offset = self.text.index(data, offset)
            yield _Feature(self, offset, data)
            offset += len(data)

    def _collection(self) -> _Collection:
        if not self.text.strip():
            raise self.wrong(0, "the file is empty: give a GeoJSON FeatureCollection")
        try:
            self.text.decode()
            collection = msgspec.json.decode(
                self.text.removeprefix(codecs.BOM_UTF8), type=_Collection
            )
        except UnicodeDecodeError as error:
            raise self.wrong(error.start, "a byte is not UTF-8: save the file as UTF-8") from None
        except msgspec.ValidationError as error:
            raise self.wrong(0, f"not a GeoJSON FeatureCollection: {error}") from None
        except (msgspec.DecodeError, RecursionError) as error:
            byte = re.search(r"\(byte (\d+)\)", str(error))
            offset = int(byte[1]) if byte else len(self.text.rstrip())
            raise self.wrong(offset, f"not JSON: {error}") from None
        if collection.type != "FeatureCollection":
            what = f"not a GeoJSON FeatureCollection: its `type` is {collection.type!r}"
            raise self.wrong(0, f"{what}: put the zones into one as features")
        return collection


class _Feature:
    """One feature of a file on its way to a zone, with the mistakes found in it."""

    def __init__(self, source: _Source, offset: int, raw: bytes) -> None:
        self.source = source
        self.offset = offset
        self.raw = raw
        self.line = source.line(offset)
        self.label = "feature"
        self.mistakes: list[str] = []

    def say(self, what: str, key: str = "") -> str:
        """A mistake, placed at the line of property ``key`` where the feature has it."""
        found = re.search(rb'"%s"\s*:' % re.escape(key.encode()), self.raw) if key else None
        line = self.source.line(self.offset + found.start()) if found else self.line
        return f"{self.source.name}:{line}: {self.label}: {what}"

    def zone(self) -> Zone | None:
        """The zone, or None where there are mistakes."""
        try:
            feature = msgspec.json.decode(self.raw)
        except (msgspec.MsgspecError, RecursionError) as error:
            self.mistakes.append(self.say(str(error)))
            return None
        if not isinstance(feature, dict) or feature.get("type") != "Feature":
            self.mistakes.append(self.say('not a GeoJSON Feature: give `type` "Feature"'))
            return None
        fields = {"geometry": feature.get("geometry"), "line": self.line}
        fields |= self._identity(feature.get("id"))
        fields |= self._properties(feature.get("properties"))
        try:
            zone = Zone.model_validate(fields)
        except ValidationError as error:
            self.mistakes += [self._told(one) for one in error.errors() if one["loc"] != ("id",)]
            return None
        return None if self.mistakes else zone

    def _identity(self, given: object) -> dict[str, str]:
        if isinstance(given, int) and not isinstance(given, bool):
            given = str(given)
        if not isinstance(given, str):
            was = "missing" if given is None else f"{given!r}"
            self.mistakes.append(self.say(f"`id` is {was}: give the feature a string as `id`"))
            return {}
        self.label = f"zone {msgspec.json.encode(given).decode()}"
        if not is_zone_id(given):
            what = f"give 1 to {MAX_ID_CHARACTERS} printable characters"
            self.mistakes.append(self.say(f"`id` has {len(given)} characters: {what}", "id"))
        return {"id": given}

    def _properties(self, given: object) -> dict[str, Any]:
        if given is None:
            return {}
        if not isinstance(given, dict):
            self.mistakes.append(self.say(f"`properties` is {given!r}: give an object"))
            return {}
        present = {key: value for key, value in given.items() if value is not None}
        known = {key: value for key, value in present.items() if key in PROPERTY_NAMES}
        others = {key: value for key, value in present.items() if key not in PROPERTY_NAMES}
        for key in others:
            near = get_close_matches(key.lower(), PROPERTY_NAMES, n=1, cutoff=0.8)
            if near and near[0] not in given:
                what = f"property `{key}` is not known: did you mean `{near[0]}`?"
                self.mistakes.append(self.say(what, key))
        scalars = {k: v for k, v in others.items() if isinstance(v, str | int | float | bool)}
        return {**known, "properties": scalars}

    def _told(self, error: ErrorDetails) -> str:
        key = str(error["loc"][0]) if error["loc"] else ""
        name = ".".join(part for part in error["loc"] if isinstance(part, str))
        what = error["msg"].removeprefix("Value error, ")
        if not key:
            return self.say(what)
        if key == "geometry":
            return self.say(what, key)
        return self.say(f"`{name}` is {error['input']!r}: {what[:1].lower()}{what[1:]}", key)
