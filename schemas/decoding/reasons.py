"""Why a record was rejected, in one line for people: field, value and limit."""

from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from schemas.telemetry import shown

_REASONS: Final = {
    "less_than_equal": "{value} is above {le:.15g}",
    "greater_than_equal": "{value} is below {ge:.15g}",
    "finite_number": "{value} is not finite",
    "float_type": "{value} is not a number",
    "int_type": "{value} is not an integer",
    "string_type": "{value} is not a string",
    "string_too_long": "{value} has more than {max_length} characters",
    "string_too_short": "{value} has less than {min_length} character",
    "string_pattern_mismatch": "{value} does not match {pattern}",
    "string_unicode": "{value} is not Unicode text",
    "literal_error": "{value} is not one of {expected}",
    "dict_type": "{value} is not an object of numbers",
    "too_long": "more than {max_length} entries",
    "missing": "missing",
    "timestamp": "{value} {why}",
}


def rejection(error: ValidationError) -> tuple[str, str]:
    """The field at fault (the first, or empty) and one line with field, value and limit."""
    details = error.errors(include_url=False)
    found = [_explained(detail) for detail in details[:3]]
    more = [f"and {len(details) - 3} more"] if len(details) > 3 else []
    return found[0][0], "; ".join([text for _, text in found] + more)


def _explained(detail: ErrorDetails) -> tuple[str, str]:
    context = detail.get("ctx", {})
    if not detail["loc"]:
        return str(context.get("field", "")), detail["msg"]
    path = [str(part) for part in detail["loc"] if part != "[key]"]
    place = ".".join(part if part.isprintable() else repr(part) for part in path)[:80]
    template = _REASONS.get(detail["type"], detail["msg"].replace("{", "{{").replace("}", "}}"))
    reason = template.format(**context, value=shown(detail["input"]))
    return path[0], f"{place}: {reason}"
