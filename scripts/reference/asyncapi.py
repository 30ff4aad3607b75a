"""The topics as an AsyncAPI 3 document."""

from collections.abc import Iterable
from importlib.metadata import version
from typing import Any, Final

from pydantic.json_schema import models_json_schema

from schemas.catalogue import TELEMETRY_TOPICS, TOPICS
from schemas.command import Command
from schemas.payloads import PAYLOADS
from schemas.telemetry import Telemetry
from schemas.topics import ALERT_COMMANDS

_SCHEMAS: Final = "#/components/schemas/"
_MESSAGES: Final = "#/components/messages/"
_TELEMETRY: Final = "telemetry"
_COMMAND: Final = "command"
_INFO: Final = (
    "Telemetry in, events out. Events are CloudEvents 1.0, structured mode; `id` is"
    " `<event_id>.<version>`: of an event keep the highest version. On AMQP a topic is a durable"
    " topic exchange with a quorum queue of its name, on Kafka a topic keyed by vehicle."
)


def asyncapi() -> dict[str, Any]:
    """The document: a channel a topic, a message a type of event."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "farwatch",
            "version": version("farwatch"),
            "description": _INFO,
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/cloudevents+json",
        "channels": dict(_channels()),
        "operations": dict(_operations()),
        "components": {"messages": _messages(), "schemas": _schemas()},
    }


def _channels() -> Iterable[tuple[str, dict[str, Any]]]:
    for name, summary in TELEMETRY_TOPICS.items():
        yield name, _channel(name, summary, [_TELEMETRY])
    yield ALERT_COMMANDS, _channel(ALERT_COMMANDS, "Commands on alarms", [_COMMAND])
    for name, topic in TOPICS.items():
        yield name, _channel(name, topic.summary, topic.types)


def _channel(name: str, summary: str, messages: Iterable[str]) -> dict[str, Any]:
    exchange = {"name": name, "type": "topic", "durable": True, "autoDelete": False}
    return {
        "address": name,
        "description": summary,
        "messages": {each: {"$ref": f"{_MESSAGES}{each}"} for each in messages},
        "bindings": {
            "amqp": {"is": "routingKey", "exchange": exchange, "bindingVersion": "0.3.0"},
            "kafka": {"topic": name, "bindingVersion": "0.5.0"},
        },
    }


def _operations() -> Iterable[tuple[str, dict[str, Any]]]:
    for action, names in (("receive", [*TELEMETRY_TOPICS, ALERT_COMMANDS]), ("send", TOPICS)):
        for name in names:
            yield (
                f"{action}_{name}",
                {"action": action, "channel": {"$ref": f"#/channels/{name}"}},
            )


def _messages() -> dict[str, dict[str, Any]]:
    record = {"$ref": f"{_SCHEMAS}{Telemetry.__name__}"}
    telemetry = {
        "name": _TELEMETRY,
        "title": "Telemetry",
        "summary": "One record, an array of records, or one a line (NDJSON)",
        "contentType": "application/json",
        "payload": {"anyOf": [record, {"type": "array", "items": record}]},
    }
    events = {
        kind: {
            "name": kind,
            "title": model.__name__,
            "summary": (model.__doc__ or "").split("\n")[0],
            "contentType": "application/cloudevents+json",
            "payload": _envelope(kind, model.__name__),
        }
        for kind, model in PAYLOADS.items()
    }
    command = {
        "name": _COMMAND,
        "title": Command.__name__,
        "summary": (Command.__doc__ or "").split("\n")[0],
        "contentType": "application/json",
        "payload": {"$ref": f"{_SCHEMAS}{Command.__name__}"},
    }
    return {_TELEMETRY: telemetry, _COMMAND: command} | events


def _envelope(kind: str, payload: str) -> dict[str, Any]:
    own = {"type": {"const": kind}, "data": {"$ref": f"{_SCHEMAS}{payload}"}}
    return {
        "allOf": [{"$ref": f"{_SCHEMAS}CloudEvent"}, {"type": "object", "properties": own}],
    }


def _schemas() -> dict[str, Any]:
    models = [(model, "validation") for model in (Telemetry, Command, *PAYLOADS.values())]
    _, shared = models_json_schema(models, ref_template=f"{_SCHEMAS}{{model}}")  # type: ignore[arg-type]
    schemas: dict[str, Any] = shared["$defs"]
    return schemas | {"CloudEvent": _cloud_event()}


def _cloud_event() -> dict[str, Any]:
    text = {"type": "string"}
    return {
        "type": "object",
        "required": ["specversion", "id", "source", "type", "datacontenttype", "data"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": text | {"description": "`<event_id>.<version>`"},
            "source": text | {"description": "`/farwatch/<flow>`"},
            "type": text,
            "subject": text | {"description": "the vehicle, where one is known"},
            "time": text | {"format": "date-time", "description": "event time, UTC"},
            "datacontenttype": {"const": "application/json"},
            "data": {"type": "object"},
        },
    }
