"""Bounds on what judging one record may cost; worked out at load, from the tree alone.

Expressions have no loops but macros, whose lists are written out, split from a text or a map of
the record's; and texts only grow by ``+``, ``replace`` and the like. Regular expressions are those
of RE2: time linear in the text.
"""

import math
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from rules.expressions.syntax import children, constant_of, walk

MAX_STEPS: Final = 20_000
"""Steps of one evaluation: operations, those in macros as often as their lists are long."""
MAX_TEXT: Final = 1_000_000
"""Characters a text may grow to."""
MAX_PATTERN: Final = 500
"""Characters of a regular expression."""
MAX_REPEATS: Final = 1_000
"""Repetitions in a regular expression, as in `{3,5}`, added up."""

_REPEATED: Final = re.compile(r"\{(\d+)(?:,(\d*))?\}")
# What is not written out: a text of telemetry has at most so many characters, a map or a list made
# of a text so many members.
_TEXT: Final = 256
_NUMBER: Final = 40
_MEMBERS: Final = 256


def too_costly(root: Any, type_of: Callable[[Any], str]) -> Iterator[tuple[Any, str, str]]:
    """Each bound that an expression passes: the place, what passes it, and a remedy.

    ``type_of``: the CEL type of a part.
    """
    for node in walk(root):
        if node.call_expr.function == "matches":
            pattern = constant_of(children(node)[-1])
            if isinstance(pattern, str) and (what := _too_large(pattern)):
                yield children(node)[-1], what, "shorten it, or split the rule into several"
    if steps(root) > MAX_STEPS:
        inner = _innermost(root, steps, MAX_STEPS)
        yield inner, f"more than {MAX_STEPS} steps", "nest fewer macros, or over shorter lists"
    grown = [node for node in walk(root) if length(node, type_of) > MAX_TEXT]
    if grown:
        what = f"a text that may grow to more than {MAX_TEXT} characters"
        yield grown[-1], what, "replace by shorter texts, or fewer times"


def _too_large(pattern: str) -> str:
    """The bound that a regular expression passes, if any."""
    if len(pattern) > MAX_PATTERN:
        return f"a regular expression of more than {MAX_PATTERN} characters"
    repeats = sum(max(int(n) for n in found if n) for found in _REPEATED.findall(pattern))
    if repeats > MAX_REPEATS:
        return f"a regular expression that repeats more than {MAX_REPEATS} times altogether"
    return ""


def _innermost(expr: Any, measure: Any, limit: int) -> Any:
    for child in children(expr):
        if measure(child) > limit:
            return _innermost(child, measure, limit)
    return expr


def steps(expr: Any) -> int:
    """The steps of evaluating an expression once, at most."""
    parts = expr.comprehension_expr
    if expr.WhichOneof("expr_kind") != "comprehension_expr":
        return 1 + sum(map(steps, children(expr)))
    once = steps(parts.iter_range) + steps(parts.accu_init) + steps(parts.result)
    return once + members(parts.iter_range) * (steps(parts.loop_condition) + steps(parts.loop_step))


def members(expr: Any) -> int:
    """The members of a list or map, at most."""
    kind, parts = expr.WhichOneof("expr_kind"), children(expr)
    if kind in ("list_expr", "struct_expr"):
        return len(parts)
    if kind == "comprehension_expr":  # filter and map make lists no longer than theirs
        return members(expr.comprehension_expr.iter_range)
    if expr.call_expr.function == "_+_":
        return sum(map(members, parts))
    if expr.call_expr.function == "_?_:_":
        return max(map(members, parts[1:]))
    return _MEMBERS


def length(expr: Any, type_of: Callable[[Any], str]) -> int:
    """The characters of a text, or of all texts of a list, at most."""
    text, parts = constant_of(expr), children(expr)
    if isinstance(text, str | bytes):
        return len(text)
    if type_of(expr) not in ("string", "bytes", "list", "dyn"):
        return _NUMBER
    function = expr.call_expr.function
    if function == "replace":
        of, _, by = (length(part, type_of) for part in parts[:3])
        return (of + 1) * max(by, 1)
    if function in ("join", "format"):
        return math.prod(length(part, type_of) + 1 for part in parts)
    if expr.WhichOneof("expr_kind") == "comprehension_expr":
        comprehension = expr.comprehension_expr
        return members(comprehension.iter_range) * length(comprehension.loop_step, type_of)
    return sum(length(part, type_of) for part in parts) or _TEXT
