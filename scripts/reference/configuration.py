"""The settings as a page of Markdown, from their model."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from flows.settings import PREFIX, Settings

_HEAD: Final = """\
# Configuration

Made by `scripts/docs` from `flows/settings.py`: change it there.

Every setting is an environment variable and a key of the TOML file that `FARWATCH_CONFIG`, or
`--config`, names; some are options of `farwatch watch` and `farwatch run`. The option wins over
the variable, that over the file. A variable or a key that is unknown is an error, with status 2.

| variable | key | value | default | |
|---|---|---|---|---|
"""
_OTHERS: Final = (
    ("`FARWATCH_CONFIG`", "the TOML file"),
    ("`FARWATCH_USER`", "who changes zones and rules, as the audit log shows it"),
    ("`FARWATCH_DATA`", "folder of outside data, for tests alone"),
    ("`FARWATCH_SERVICES`", "`none`: without servers, for tests alone"),
    (
        "`FARWATCH_<FAR SIDE>_USER`, `_PASSWORD`, `_TOKEN`",
        "a login that no URL should hold: `FARWATCH_RABBITMQ_PASSWORD`, `FARWATCH_POSTGRESQL_USER`,"
        " `FARWATCH_KAFKA_PASSWORD`, `FARWATCH_REDIS_PASSWORD`, `FARWATCH_INFLUXDB_TOKEN`, ...",
    ),
    ("the same and `_FILE`", "a file that holds it"),
    (
        "`BYTEWAX_PROCESS_ID`, or `BYTEWAX_POD_NAME` and `BYTEWAX_STATEFULSET_NAME`",
        "which process of a cluster this one is",
    ),
    (
        "`BYTEWAX_ADDRESSES` (`;` between), or `BYTEWAX_HOSTFILE_PATH` (a line each)",
        "`HOST:PORT` of each process",
    ),
)
_UNITS: Final = {"integer": "whole number", "number": "number", "string": "text"}


def configuration() -> str:
    """The page, a row a setting."""
    shapes = Settings.model_json_schema()["properties"]
    others = "".join(f"| {name} | {what} |\n" for name, what in _OTHERS)
    tail = f"\n## Other variables\n\n| variable | |\n|---|---|\n{others}"
    return _HEAD + "".join(_rows(shapes)) + tail


def _rows(shapes: Mapping[str, Any]) -> Iterable[str]:
    for name, shape in shapes.items():
        default = _default(shape.get("default"))
        yield (
            f"| `{PREFIX}{name.upper()}` | `{name}` | {_value(shape)} | {default} |"
            f" {shape['description']} |\n"
        )


def _value(shape: Mapping[str, Any]) -> str:
    """What may be given, in words."""
    if "anyOf" in shape:
        [one] = [each for each in shape["anyOf"] if each.get("type") != "null"]
        return _value(one)
    if "$ref" in shape:  # A form of its own, which the description shows.
        return _UNITS["string"]
    if "enum" in shape:
        return ", ".join(f"`{each}`" for each in shape["enum"])
    if shape["type"] == "array":
        return "words, or a list in TOML"
    if shape["type"] == "object":
        return f"`KIND={_value(shape['additionalProperties'])} ...`, or a table in TOML"
    words = "path" if shape.get("format") == "path" else _UNITS[shape["type"]]
    return " ".join([words, *_bounds(shape)])


def _bounds(shape: Mapping[str, Any]) -> Iterable[str]:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    found = [f"{sign} {shape[name]:,}" for name, sign in signs.items() if name in shape]
    return [", ".join(found)] if found else []


def _default(value: object) -> str:
    return "" if value in (None, "", [], {}) else f"`{value}`"
