"""`farwatch alerts`: alarms listed from every store that keeps them, and commands on them."""

import json
from contextlib import closing

import pytest

from connectors.alarms import read_alarms
from connectors.contract import ConnectorSettings, SettingsError
from connectors.registry import open_sink, open_source
from schemas.command import decode_commands
from schemas.message import Message
from scripts import alerts
from scripts.alerts import Chosen, Given
from scripts.cli import app
from tests.alarm_news import Stage, alarm_id, cleared, command, raised
from tests.databases import empty_database
from tests.kafka_topics import new_topics
from tests.rabbitmq_broker import new_broker


@pytest.fixture
def sqlite(tmp_path):
    return f"sqlite:{tmp_path}/out/results.db"


@pytest.fixture
def postgresql(postgresql_url):
    with empty_database(postgresql_url) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request):
    """Results of alarms: one acknowledged, one shelved, one normal, one superseded, one new."""
    url = request.getfixturevalue(request.param)
    stage = Stage()
    stage.tell(
        raised(1, "deep"),
        command("acknowledge", 2, "deep"),
        raised(3, "tilt", zone="z1", severity="warning"),
        command("shelve", 4, "tilt", until_s=900),
        raised(5, "leak"),
        cleared(6, "leak"),
        command("acknowledge", 7, "leak"),
        raised(8, "slow", visit=1),
        cleared(9, "slow", visit=1),
        raised(10, "slow", visit=2, vehicle="auv-1"),
        raised(11, "deep", vehicle="auv-2"),
        raised(12, "late"),
    )
    stage.tell(raised(12, "late", version=2, retracted=True))
    stage.end()
    sink = open_sink(url, ConnectorSettings()).build("/farwatch/test")
    with closing(sink.build_part("to_0", sink.list_parts()[0], None)) as part:
        for _ in range(2):
            part.write_batch(stage.told)
            part.snapshot()
    return url


def listed(url, capsys, *, as_json=False, **chosen):
    alerts.show_alarms(url, Chosen(**chosen), as_json=as_json)
    return capsys.readouterr().out.splitlines()


def test_alarms_that_are_not_normal_are_listed_each_once(store, capsys):
    head, *lines = listed(store, capsys)
    assert head.split() == [
        *("alarm", "state", "severity", "vehicle", "rule", "zone", "since", "message")
    ]
    assert [line.split()[1:5] for line in lines] == [
        ["acknowledged", "critical", "auv-1", "deep"],
        ["shelved", "warning", "auv-1", "tilt"],
        ["unacknowledged", "critical", "auv-1", "slow"],
        ["unacknowledged", "critical", "auv-2", "deep"],
    ]
    assert lines[2].startswith(alarm_id("slow", 2)[:12])


@pytest.mark.parametrize(
    ("chosen", "rules"),
    [
        ({"state": "shelved"}, ["tilt"]),
        ({"state": "normal"}, ["leak"]),
        ({"vehicle": "auv-2"}, ["deep"]),
        ({"zone": "z1"}, ["tilt"]),
        ({"severity": "warning"}, ["tilt"]),
        ({"all": True, "vehicle": "auv-1"}, ["deep", "tilt", "leak", "slow"]),
        ({"vehicle": "nobody"}, []),
    ],
)
def test_alarms_are_chosen_and_told_as_json(store, capsys, chosen, rules):
    lines = map(json.loads, listed(store, capsys, as_json=True, **chosen))
    assert [line["rule_id"] for line in lines] == rules


def test_a_command_names_the_alarm_it_found_and_who_gives_it(store, tmp_path, monkeypatch):
    monkeypatch.setenv("FARWATCH_USER", "ana")
    file = tmp_path / "commands.ndjson"
    given = Given("shelve", reason="known fault", for_="8h", at="2026-01-01T00:01:00Z")
    alerts.send_command(alarm_id("deep")[:8], given, f"file:{file}", store, None)
    alerts.send_command(alarm_id("deep"), Given("acknowledge"), f"file:{file}", "", "auv-1")
    first, second = decode_commands([Message(file.read_bytes(), "file")])
    assert (first.alarm_id, first.vehicle_id, first.who) == (alarm_id("deep"), "auv-1", "ana")
    assert (first.reason, first.until) == ("known fault", "2026-01-01T08:01:00.000000Z")
    assert second.action == "acknowledge"
    assert first.id != second.id


def test_commands_are_in_the_audit_log_once(store):
    if store.startswith("sqlite"):
        from connectors.paths import url_path  # noqa: PLC0415
        from connectors.sqlite import read_events  # noqa: PLC0415

        log = list(read_events(url_path(store), "audit_log"))
    else:
        from connectors.postgres import read_events as read_postgres  # noqa: PLC0415

        log = list(read_postgres(store, "audit_log"))
    assert [(row["action"], row["subject"], row["who"], row["reason"]) for row in log] == [
        ("alarm acknowledge obeyed", alarm_id("deep"), "ana", "seen"),
        ("alarm shelve obeyed", alarm_id("tilt"), "ana", "seen"),
        ("alarm acknowledge obeyed", alarm_id("leak"), "ana", "seen"),
    ]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("ack", "0123456789", "--from", "{store}", "--to", "file:{tmp}/x"), "knows no alarm"),
        (("ack", "ab", "--from", "{store}", "--to", "file:{tmp}/x"), "give 6 characters of it"),
        (("ack", "0123456789", "--from", "dir:{tmp}", "--to", "file:{tmp}/x"), "keeps no alerts"),
        (("ack", "0123456789", "--from", "{store}"), "give --to or set FARWATCH_COMMANDS"),
        (("shelve", "0123456789"), "give one of --for and --until"),
        (
            ("shelve", "0" * 32, "--vehicle", "a", "--for", "99d", "--to", "file:{tmp}/x"),
            "by 31 days at most",
        ),
        (
            ("shelve", "0" * 32, "--vehicle", "a", "--for", "long", "--to", "file:{tmp}/x"),
            "--for `long`: give a duration",
        ),
        (("list", "--from", "sqlite:{tmp}/none"), "no such file"),
        (("list",), "give --from"),
    ],
)
def test_what_cannot_be_done_ends_with_status_2_and_one_line(words, told, tmp_path, capsys):
    url = f"sqlite:{tmp_path}/kept.db"
    open_sink(url, ConnectorSettings()).build("/farwatch/test").list_parts()
    words = [word.format(store=url, tmp=tmp_path) for word in words]
    assert app(["alerts", *words], standalone_mode=False) == 2
    stderr = capsys.readouterr().err
    assert stderr.count("\n") == 1
    assert told in stderr


def test_alarms_are_not_read_from_what_keeps_none():
    with pytest.raises(SettingsError, match="keeps no alerts that can be read"):
        read_alarms("stdout:")


def read_commands(url):
    """The commands at a source, to its end."""
    built, found = open_source(url, ConnectorSettings()).build(), []
    parts = [built.build_part("commands", name, None) for name in built.list_parts()]
    for part in parts:
        try:
            while True:
                found += decode_commands(list(part.next_batch()))
                part.snapshot()
        except StopIteration:
            continue
    for part in parts:
        part.close()
    return found


def test_commands_go_through_rabbitmq(rabbitmq_url):
    with new_broker(rabbitmq_url) as broker:
        url = broker.source()
        open_source(url, ConnectorSettings()).check()
        given = Given("acknowledge", reason="seen")
        sent = alerts.send_command(alarm_id(), given, url, "", "auv-1")
        assert read_commands(f"{url}&until=end") == [sent]


def test_commands_go_through_kafka(kafka_url):
    with new_topics(kafka_url, "commands") as topic:
        url = f"{kafka_url}/{topic}commands"
        given = Given("clear", reason="mended")
        sent = alerts.send_command(alarm_id(), given, url, "", "auv-1")
        assert read_commands(f"{url}?until=end") == [sent]
