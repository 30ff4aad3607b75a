"""The log: on standard error, quiet unless something is wrong, as lines of text or of JSON."""

import logging
import os
import sys
from typing import Final, Literal

import msgspec
from opentelemetry import trace

from schemas.frame import rfc3339

Form = Literal["text", "json"]
_LEVELS: Final = ("debug", "info", "warning", "error")
Level = Literal["debug", "info", "warning", "error"]

_log: Final = logging.getLogger("farwatch")
_FIELDS: Final = frozenset(vars(logging.makeLogRecord({})))


def set_up_logs(form: Form, level: Level = "warning", **about: str) -> None:
    """Write the log in this form from now on; ``about``: fields of every line of JSON."""
    handler = _ToStandardError()
    handler.setFormatter(_Json(about) if form == "json" else logging.Formatter("%(message)s"))
    root = logging.getLogger()
    for old in [one for one in root.handlers if isinstance(one, _ToStandardError)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())


def tell(line: str, level: int = logging.ERROR) -> None:
    """Tell a line of farwatch's own, whatever the level of the log is."""
    if os.environ.get("FARWATCH_LOG") == "json" and not _is_json():
        set_up_logs("json")  # A mistake in the settings comes before them.
    if _is_json():
        record = _log.makeRecord("farwatch", level, "", 0, line, (), None)
        logging.getLogger().handle(record)
    else:
        sys.stderr.write(f"farwatch: {line}\n")


def _is_json() -> bool:
    ours = [one for one in logging.getLogger().handlers if isinstance(one, _ToStandardError)]
    return any(isinstance(one.formatter, _Json) for one in ours)


class _ToStandardError(logging.StreamHandler):  # type: ignore[type-arg]
    """Standard error as it is when something is written, which the launcher may have moved."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


class _Json(logging.Formatter):
    """One JSON object a line: time, level, logger, message, what is known besides, the trace."""

    def __init__(self, about: dict[str, str]) -> None:
        super().__init__()
        self._about = about

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": rfc3339(round(record.created * 1e6)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **self._about,
            **{name: value for name, value in vars(record).items() if name not in _FIELDS},
        }
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            line |= {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str).decode()
