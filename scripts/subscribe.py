"""`farwatch subscribe`: the messages of a topic as they come, readable or as JSON lines."""

import os
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any, Final

import msgspec
from cel_expr_python import cel
from rich.console import Console
from rich.text import Text

from connectors.contract import ConnectorSettings, SettingsError
from connectors.registry import open_subscription

Message = dict[str, Any]
Filter = Callable[[Message], bool]

_FIELD: Final = re.compile(r"([A-Za-z_][\w.]*)=(?!=)(.*)", re.DOTALL)
# Told in front, or of no use to a reader.
_NOT_SHOWN: Final = ("event_id", "version", "retracted", "vehicle_id", "time", "severity")
_STYLES: Final = {"emergency": "bold red", "critical": "red", "warning": "yellow", "info": "cyan"}
_decode: Final = msgspec.json.Decoder().decode


def run_subscribe(topic: str, url: str, *, filters: Sequence[str], as_json: bool) -> None:
    """Print what comes on the topic until interrupted or until nobody reads.

    Raises:
        SettingsError: the URL, the topic or a filter is wrong.
        ConnectorError: the far side refuses or does not answer.
    """
    wanted = [read_filter(text) for text in filters]
    show = _json_line if as_json else _Readable()
    try:
        with closing(open_subscription(url, topic, ConnectorSettings())) as subscription:
            for body in subscription.bodies():
                for line in (body or b"").splitlines():
                    if line.strip() and passes(line, wanted):
                        show(line)
    except KeyboardInterrupt:
        pass  # The way to end it.
    except BrokenPipeError:
        # Python would complain when it flushes standard output at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def read_filter(text: str) -> Filter:
    """A filter from ``field=value`` or a CEL expression over ``event`` and ``data``.

    ``event`` is the whole message, ``data`` the payload of an event, else the message. A field is
    looked for in the payload, then in the message; ``a.b`` goes deeper. A message that lacks what
    an expression reads does not pass.

    Raises:
        SettingsError: the expression is wrong, or is no condition.
    """
    if field := _FIELD.fullmatch(text):
        path, value = field[1].split("."), field[2]
        return lambda message: any(
            _as_text(_at(place, path)) == value for place in (_data(message), message)
        )
    try:
        expression = _environment().compile(text)
    except RuntimeError as exc:
        what = " ".join(str(exc).split("\n")[0].split())
        raise SettingsError(
            f"--filter `{text}`: {what}; write field=value or a CEL expression over `data`"
        ) from exc
    return lambda message: (
        expression.eval(data={"event": message, "data": _data(message)}).value() is True
    )


def passes(line: bytes, wanted: Sequence[Filter]) -> bool:
    """Whether a message passes all filters; what is no JSON object passes only no filter."""
    if not wanted:
        return True
    message = _message(line)
    return message is not None and all(one(message) for one in wanted)


def _environment() -> Any:
    return cel.NewEnv(variables={"event": cel.Type.DYN, "data": cel.Type.DYN})


def _message(line: bytes) -> Message | None:
    try:
        message = _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return message if isinstance(message, dict) else None


def _data(message: Message) -> Message:
    data = message.get("data")
    return data if isinstance(data, dict) else message


def _at(place: Any, path: Sequence[str]) -> Any:
    for name in path:
        place = place.get(name) if isinstance(place, dict) else None
    return place


def _as_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()


def _json_line(line: bytes) -> None:
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


class _Readable:
    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)

    def __call__(self, line: bytes) -> None:
        message = _message(line)
        if message is None:
            text = Text(line.decode(errors="backslashreplace"))
        else:
            text = readable(message)
        self._console.print(text)
        sys.stdout.flush()


def readable(message: Message) -> Text:
    """A message on one line: time, type, vehicle, then what it says."""
    data = _data(message)
    severity = data.get("severity")
    kind = str(message.get("type", "")).removeprefix("farwatch.").removesuffix(".v1")
    front = [
        message.get("time") or data.get("time") or data.get("timestamp"),
        kind,
        message.get("subject") or data.get("vehicle_id"),
        severity,
    ]
    text = Text()
    for part in front:
        if part:
            text.append(f"{part}  ", _STYLES.get(str(severity)) if part == severity else None)
    said = data.get("message")
    if isinstance(said, str):
        return text.append(said)
    shown = {name: value for name, value in data.items() if name not in _NOT_SHOWN}
    if data is message:
        shown.pop("timestamp", None)
    pairs = [f"{name}={_as_text(value)}" for name, value in shown.items() if value is not None]
    return text.append(" ".join(pairs))
