"""Walking, cutting and writing the syntax tree of CEL (``cel.expr.Expr``)."""

import json
from collections.abc import Iterator
from typing import Any, Final

from cel.expr import syntax_pb2

_BINARY: Final = {
    "_&&_", "_||_", "_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "_+_", "_-_", "_*_", "_/_",
    "_%_", "@in",
}  # fmt: skip
READING: Final = {"rate", "distance_to"}
"""Functions whose answer depends on the record, whatever they are given."""
_UNARY: Final = {"!_": "!", "-_": "-"}


def children(expr: Any) -> list[Any]:
    """The direct subexpressions, in the order they are written."""
    return list(_CHILDREN.get(expr.WhichOneof("expr_kind"), lambda _: ())(expr))


def _of_call(expr: Any) -> Iterator[Any]:
    if expr.call_expr.HasField("target"):
        yield expr.call_expr.target
    yield from expr.call_expr.args


def _of_struct(expr: Any) -> Iterator[Any]:
    for entry in expr.struct_expr.entries:
        if entry.HasField("map_key"):
            yield entry.map_key
        yield entry.value


def _of_comprehension(expr: Any) -> Iterator[Any]:
    parts = expr.comprehension_expr
    yield from (parts.iter_range, parts.accu_init, parts.loop_condition)
    yield from (parts.loop_step, parts.result)


_CHILDREN: Final[dict[str, Any]] = {
    "select_expr": lambda expr: (expr.select_expr.operand,),
    "call_expr": _of_call,
    "list_expr": lambda expr: expr.list_expr.elements,
    "struct_expr": _of_struct,
    "comprehension_expr": _of_comprehension,
}


def walk(expr: Any) -> Iterator[Any]:
    """The expression and everything below it."""
    yield expr
    for child in children(expr):
        yield from walk(child)


def free_names(expr: Any) -> frozenset[str]:
    """The variables an expression reads, those that a macro inside it binds left out.

    A function that reads something by itself (``READING``) counts as a variable of its name.
    """
    kind = expr.WhichOneof("expr_kind")
    if expr.call_expr.function in READING:
        return frozenset([expr.call_expr.function]).union(*map(free_names, children(expr)))
    if kind == "ident_expr":
        return frozenset([expr.ident_expr.name])
    if kind == "comprehension_expr":
        parts = expr.comprehension_expr
        inner = [free_names(part) for part in (parts.loop_condition, parts.loop_step)]
        bound = {parts.iter_var, parts.iter_var2, parts.accu_var}
        return (
            free_names(parts.iter_range)
            | free_names(parts.accu_init)
            | (frozenset().union(*inner) - bound)
            | (free_names(parts.result) - {parts.accu_var})
        )
    return frozenset().union(*map(free_names, children(expr)))


def substitute(expr: Any, name: str, by: Any) -> Any:
    """A copy of ``expr`` with the variable ``name`` replaced by the expression ``by``."""
    out = copy_of(expr)
    _substitute(out, name, by)
    return out


def _substitute(expr: Any, name: str, by: Any) -> None:
    kind = expr.WhichOneof("expr_kind")
    if kind == "ident_expr" and expr.ident_expr.name == name:
        expr.CopyFrom(by)
    elif kind == "comprehension_expr" and name in (
        expr.comprehension_expr.iter_var,
        expr.comprehension_expr.iter_var2,
    ):
        # The same name is bound anew inside: only what the macro runs over is outside.
        _substitute(expr.comprehension_expr.iter_range, name, by)
    else:
        for child in children(expr):
            _substitute(child, name, by)


def copy_of(expr: Any) -> Any:
    """A copy that may be changed."""
    out = syntax_pb2.Expr()
    out.CopyFrom(expr)
    return out


def call_of(function: str, *args: Any) -> Any:
    """The call of a function, at the place of its first argument."""
    out = syntax_pb2.Expr(id=args[0].id)
    out.call_expr.function = function
    out.call_expr.args.extend(args)
    return out


def variable(name: str) -> Any:
    """A variable."""
    out = syntax_pb2.Expr()
    out.ident_expr.name = name
    return out


def name_of(expr: Any) -> str:
    """The name of a variable; the empty string for any other expression."""
    return str(expr.ident_expr.name)


def constant_of(expr: Any) -> Any:
    """The Python value of a literal, or None where the expression is none."""
    if expr.WhichOneof("expr_kind") != "const_expr":
        return None
    return getattr(expr.const_expr, expr.const_expr.WhichOneof("constant_kind"))


def written(expr: Any) -> str:
    """The expression as CEL text, with every operation inside another one in parentheses.

    Equal text means equal meaning: the text also serves as the name of a subexpression.
    """
    return str(_WRITERS[expr.WhichOneof("expr_kind")](expr))


def _inner(expr: Any) -> str:
    text, function = written(expr), expr.call_expr.function
    operation = function in _BINARY or function in _UNARY or function == "_?_:_"
    return f"({text})" if operation or text.startswith("-") else text


def _write_constant(expr: Any) -> str:
    kind, value = expr.const_expr.WhichOneof("constant_kind"), constant_of(expr)
    if kind == "string_value":
        return json.dumps(value, ensure_ascii=False)  # CEL knows all escapes of JSON
    if kind == "uint64_value":
        return f"{value}u"
    if kind == "null_value":
        return "null"
    return str(value).lower() if kind == "bool_value" else repr(value)


def _write_select(expr: Any) -> str:
    path = f"{_inner(expr.select_expr.operand)}.{expr.select_expr.field}"
    return f"has({path})" if expr.select_expr.test_only else path


def _write_call(expr: Any) -> str:
    function = expr.call_expr.function
    parts = [_inner(child) for child in children(expr)]
    if function in _BINARY:
        return f" {function.strip('_@')} ".join(parts)
    if function in _UNARY:
        return _UNARY[function] + parts[0]
    if function == "_?_:_":
        return f"{parts[0]} ? {parts[1]} : {parts[2]}"
    if function == "_[_]":
        return f"{parts[0]}[{written(expr.call_expr.args[1])}]"
    plain = [written(child) for child in children(expr)]
    if expr.call_expr.HasField("target"):
        return f"{parts[0]}.{function}({', '.join(plain[1:])})"
    return f"{function}({', '.join(plain)})"


def _write_struct(expr: Any) -> str:
    pairs = (
        f"{written(entry.map_key) if entry.HasField('map_key') else entry.field_key}: "
        f"{written(entry.value)}"
        for entry in expr.struct_expr.entries
    )
    return f"{expr.struct_expr.message_name}{{{', '.join(pairs)}}}"


def _write_comprehension(expr: Any) -> str:
    # No CEL text has this form: macros are expanded before we see them.
    parts = expr.comprehension_expr
    inner = ", ".join(written(child) for child in children(expr))
    return f"fold({parts.iter_var}, {parts.accu_var}, {inner})"


_WRITERS: Final[dict[str, Any]] = {
    "const_expr": _write_constant,
    "ident_expr": lambda expr: expr.ident_expr.name,
    "select_expr": _write_select,
    "call_expr": _write_call,
    "list_expr": lambda expr: f"[{', '.join(map(written, expr.list_expr.elements))}]",
    "struct_expr": _write_struct,
    "comprehension_expr": _write_comprehension,
}
