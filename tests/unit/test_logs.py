"""The log as lines of text and of JSON."""

import json
import logging

import pytest
from opentelemetry.sdk.trace import TracerProvider

from connectors.tracing import TRACING
from flows.logs import set_up_logs, tell
from flows.steps.tracing import span


@pytest.fixture(autouse=True)
def _as_before():
    root = logging.getLogger()
    handlers, level = root.handlers.copy(), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_json_is_one_object_a_line_with_what_is_known(capsys):
    set_up_logs("json", flow="watch")
    logging.getLogger("connectors.x").warning("`%s`: away\nfor long", "redis://h", extra={"n": 1})
    tell("settings are wrong")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["message"] for line in lines] == [
        "`redis://h`: away\nfor long",
        "settings are wrong",
    ]
    assert lines[0]["level"] == "warning"
    assert lines[0]["logger"] == "connectors.x"
    assert lines[0]["flow"] == "watch"
    assert lines[0]["n"] == 1
    assert lines[0]["time"].endswith("Z")


def test_text_is_as_ever(capsys):
    set_up_logs("text")
    logging.getLogger("connectors.x").warning("away")
    logging.getLogger("connectors.x").info("not told")
    tell("wrong")
    assert capsys.readouterr().err == "away\nfarwatch: wrong\n"


def test_set_up_twice_tells_once(capsys):
    set_up_logs("text")
    set_up_logs("json")
    logging.getLogger("x").error("once")
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_mistakes_before_the_settings_are_json_too(capsys, monkeypatch):
    monkeypatch.setenv("FARWATCH_LOG", "json")
    tell("unknown setting")
    assert json.loads(capsys.readouterr().err)["message"] == "unknown setting"


def test_an_exception_is_one_line(capsys):
    set_up_logs("json")
    try:
        int("boom")
    except ValueError:
        logging.getLogger("x").exception("failed")
    [line] = capsys.readouterr().err.splitlines()
    assert "ValueError: invalid literal" in json.loads(line)["exception"]


def test_what_is_logged_within_a_span_says_its_trace(capsys, monkeypatch):
    monkeypatch.setattr(TRACING, "tracer", TracerProvider().get_tracer("farwatch"))
    set_up_logs("json")
    with span("watch", []) as context:
        logging.getLogger("x").warning("within")
    tell("outside")
    within, outside = map(json.loads, capsys.readouterr().err.splitlines())
    assert context.startswith(f"00-{within['trace_id']}-{within['span_id']}-")
    assert "trace_id" not in outside
