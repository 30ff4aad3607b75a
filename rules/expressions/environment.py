"""Google's CEL runtime: checks expressions, and computes what is not worth a column operation.

The checker knows every name with its type (``vocabulary``), so a misspelt field is a mistake at
load. Record and zone are declared as protobuf messages for that alone: no message is ever made.
The orderings get the numeric overloads across types of the CEL language definition ("List of
Standard Definitions"), so that ``depth_m > 200`` may be written.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final

from cel.expr import checked_pb2, syntax_pb2
from cel_expr_python import cel
from cel_expr_python.ext import ext_math, ext_strings
from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, struct_pb2, timestamp_pb2

from rules.expressions.mistakes import ExpressionError, Mistake, mistakes_of_checker
from rules.expressions.vocabulary import RECORD_TYPES, VEHICLE_FIELDS, ZONE_TYPES
from schemas.frame import EPOCH

MAX_CHARACTERS: Final = 4_000

ORDERINGS: Final = {
    "_<_": "less",
    "_<=_": "less_equals",
    "_>_": "greater",
    "_>=_": "greater_equals",
}
_ORDERED: Final = {
    "bool": cel.Type.BOOL,
    "int64": cel.Type.INT,
    "uint64": cel.Type.UINT,
    "double": cel.Type.DOUBLE,
    "string": cel.Type.STRING,
    "bytes": cel.Type.BYTES,
    "timestamp": cel.Type.TIMESTAMP,
    "duration": cel.Type.DURATION,
}
_NUMERIC: Final = ("int64", "uint64", "double")
_VARIABLES: Final = {
    "double": cel.Type.DOUBLE,
    "string": cel.Type.STRING,
    "int": cel.Type.INT,
    "timestamp": cel.Type.TIMESTAMP,
}
_FIELD: Final = descriptor_pb2.FieldDescriptorProto
_FIELDS: Final = {
    "double": (_FIELD.TYPE_DOUBLE, None),
    "string": (_FIELD.TYPE_STRING, None),
    "int": (_FIELD.TYPE_INT64, None),
    "timestamp": (_FIELD.TYPE_MESSAGE, ".google.protobuf.Timestamp"),
    "properties": (_FIELD.TYPE_MESSAGE, ".google.protobuf.Struct"),
}


class EvaluationError(Exception):
    """The runtime's answer is an error: ``args[0]`` says which."""


class Program:
    """A subexpression run by Google's runtime on given variables."""

    def __init__(self, expr: Any) -> None:
        packed = any_pb2.Any()
        packed.Pack(syntax_pb2.ParsedExpr(expr=expr))
        self._run = _runtime().deserialize(packed.SerializeToString())

    def __call__(self, variables: Mapping[str, Any]) -> Any:
        """The value (times as whole microseconds); a variable left out is unbound.

        Raises EvaluationError where the answer is a CEL error.
        """
        try:
            value = self._run.eval(data=variables)
        except RuntimeError as error:  # what it gives up: too many steps, a key given twice
            raise EvaluationError(str(error).rpartition(" [")[0]) from None
        if value.type() == cel.Type.ERROR:
            raise EvaluationError(str(value).partition(": ")[2])
        return microseconds(value.plain_value())


def check(text: str, checker: Any = None) -> Any:
    """The checked tree (``cel.expr.CheckedExpr``) of an expression: types, overloads, places.

    ``checker``: one of ``checker_with``, else that of the names of rules. Raises ExpressionError
    with every mistake the parser and the type checker find.
    """
    if len(text) > MAX_CHARACTERS:
        too_long = f"{len(text)} characters are more than {MAX_CHARACTERS}"
        raise ExpressionError([Mistake(too_long, 1, "split the rule into several")])
    if not text.strip():
        raise ExpressionError([Mistake("the expression is empty", 1)])
    try:
        packed = any_pb2.Any.FromString((checker or _checker()).compile(text).serialize())
    except RuntimeError as error:
        raise ExpressionError(mistakes_of_checker(str(error), text)) from None
    checked = checked_pb2.CheckedExpr()
    packed.Unpack(checked)
    return checked


def microseconds(value: Any) -> Any:
    """A time as columns hold it: microseconds since 1970 UTC, or of duration; others unchanged."""
    if isinstance(value, datetime):
        value -= EPOCH
    return value // timedelta(microseconds=1) if isinstance(value, timedelta) else value


def _extensions() -> list[Any]:
    return [ext_strings.ExtStrings(), ext_math.ExtMath()]


@cache
def _runtime() -> Any:
    return cel.NewEnv(extensions=_extensions())


@cache
def _checker() -> Any:
    return cel.NewEnv(
        descriptor_pool=_messages(),
        variables={name: _VARIABLES[type_] for name, type_ in RECORD_TYPES.items()}
        | {
            "record": cel.Type("farwatch.Record"),
            "vehicle": cel.Type("farwatch.Vehicle"),
            "previous": cel.Type("farwatch.Record"),
            "zone": cel.Type("farwatch.Zone"),
            "sensors": cel.Type.Map(cel.Type.STRING, cel.Type.DOUBLE),
        },
        **_with_functions(dialect()),
    )


def checker_with(wholes: Mapping[str, Mapping[str, str]], maps: Mapping[str, str]) -> Any:
    """A checker of expressions on records that knows further names, and no zone.

    ``wholes``: name -> its fields with their types. ``maps``: name -> the whole (by its name) that
    each key of it is.
    """
    pool, file = _messages(), descriptor_pb2.FileDescriptorProto()
    file.name, file.package, file.syntax = "farwatch/more.proto", "farwatch", "proto3"
    for name, types in wholes.items():
        _add_message(file, name.capitalize(), types)
    pool.AddSerializedFile(file.SerializeToString())
    of_whole = {name: cel.Type(f"farwatch.{name.capitalize()}") for name in wholes}
    return cel.NewEnv(
        descriptor_pool=pool,
        variables={name: _VARIABLES[type_] for name, type_ in RECORD_TYPES.items()}
        | {
            "record": cel.Type("farwatch.Record"),
            "vehicle": cel.Type("farwatch.Vehicle"),
            "sensors": cel.Type.Map(cel.Type.STRING, cel.Type.DOUBLE),
        }
        | {name: type_ for name, type_ in of_whole.items() if name not in maps.values()}
        | {name: cel.Type.Map(cel.Type.STRING, of_whole[whole]) for name, whole in maps.items()},
        **dialect(),
    )


def _with_functions(spoken: dict[str, Any]) -> dict[str, Any]:
    """A dialect with the functions that only columns know: Google's runtime cannot run them."""
    rate = cel.FunctionDecl(
        "rate",
        [
            cel.Overload("rate_double", cel.Type.DOUBLE, [cel.Type.DOUBLE]),
            cel.Overload("rate_int64", cel.Type.DOUBLE, [cel.Type.INT]),
        ],
    )
    distance_to = cel.FunctionDecl(
        "distance_to",
        [
            cel.Overload("distance_to_id", cel.Type.DOUBLE, [cel.Type.STRING]),
            cel.Overload("distance_to_zone", cel.Type.DOUBLE, [cel.Type("farwatch.Zone")]),
        ],
    )
    return spoken | {"functions": [*spoken["functions"], rate, distance_to]}


def dialect() -> dict[str, Any]:
    """What makes an environment (``cel.NewEnv``) speak as rules do, names of fields aside."""
    excluded = "".join(f'  - name: "{name}"\n' for name in ORDERINGS)
    return {
        "config": cel.NewEnvConfigFromYaml(f"stdlib:\n  exclude_functions:\n{excluded}"),
        "functions": [_ordering(name, overload) for name, overload in ORDERINGS.items()],
        "extensions": _extensions(),
    }


def _ordering(name: str, overload: str) -> Any:
    same = [
        cel.Overload(f"{overload}_{type_}", cel.Type.BOOL, [cel_type, cel_type])
        for type_, cel_type in _ORDERED.items()
    ]
    across = [
        cel.Overload(f"{overload}_{a}_{b}", cel.Type.BOOL, [_ORDERED[a], _ORDERED[b]])
        for a in _NUMERIC
        for b in _NUMERIC
        if a != b
    ]
    return cel.FunctionDecl(name, same + across)


def _messages() -> Any:
    file = descriptor_pb2.FileDescriptorProto(
        name="farwatch/rule.proto",
        package="farwatch",
        syntax="proto3",
        dependency=[struct_pb2.DESCRIPTOR.name, timestamp_pb2.DESCRIPTOR.name],
    )
    _add_message(file, "Zone", ZONE_TYPES | {"properties": "properties"})
    _add_message(file, "Vehicle", dict.fromkeys(VEHICLE_FIELDS, "string"))
    record = _add_message(file, "Record", RECORD_TYPES)
    # map<string, double> sensors, as protobuf descriptors spell a map.
    entry = record.nested_type.add(name="SensorsEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=_FIELD.TYPE_STRING, label=1)
    entry.field.add(name="value", number=2, type=_FIELD.TYPE_DOUBLE, label=1)
    record.field.add(
        name="sensors",
        number=len(RECORD_TYPES) + 1,
        type=_FIELD.TYPE_MESSAGE,
        type_name=".farwatch.Record.SensorsEntry",
        label=_FIELD.LABEL_REPEATED,
    )
    pool = descriptor_pool.DescriptorPool()
    for module in (struct_pb2, timestamp_pb2):
        pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    return pool


def _add_message(file: Any, name: str, types: Mapping[str, str]) -> Any:
    message = file.message_type.add(name=name)
    for number, (field, type_) in enumerate(types.items(), 1):
        kind, type_name = _FIELDS[type_]
        message.field.add(
            name=field, number=number, type=kind, type_name=type_name, label=_FIELD.LABEL_OPTIONAL
        )
    return message
