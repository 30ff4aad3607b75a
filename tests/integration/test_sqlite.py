"""Results in a SQLite file: what is peculiar to ``sqlite:``."""

import sqlite3
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from bytewax.outputs import StatefulSinkPartition

from connectors.contract import Definition, RefusedError, SettingsError, UnavailableError
from connectors.sqlite import SCHEMA_VERSION, SqliteSink, open_readonly, read_events
from schemas.delivery import Delivery
from schemas.event import ALARM_RAISED, TELEMETRY_REJECTED, ZONE_EXITED, Event
from schemas.topics import (
    ALERT_NOTIFICATIONS,
    ANALYTICS_DATA,
    BETWEEN_TOPICS,
    COMPLIANCE_VIOLATIONS,
    CRITICAL_ALERTS,
    DEAD_LETTERS,
    GEOFENCING_EVENTS,
    LATE_TELEMETRY,
    NOTIFICATIONS,
    RESULT_TOPICS,
    WARNING_ALERTS,
)
from tests.full_disk import file_limit

CONTRACT = {
    "zones",
    "rules",
    "zone_events",
    "violations",
    "alerts",
    "hazards",
    "plan_requests",
    "dead_letters",
    "audit_log",
}
TIME_US = 1_700_000_000_123_456
TIME = "2023-11-14T22:13:20.123456Z"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "results" / "today.db"


@contextmanager
def opened(path: Path) -> Iterator[StatefulSinkPartition[Delivery, None]]:
    sink = SqliteSink(f"sqlite:{path}", timeout_s=0.05).build("/farwatch/watch")
    [name] = sink.list_parts()
    with closing(sink.build_part("results", name, None)) as part:
        yield part


def write(path: Path, *deliveries: Delivery) -> None:
    with opened(path) as part:
        part.write_batch([*deliveries])
        part.snapshot()


def rows(path: Path, table: str) -> list[dict[str, Any]]:
    return list(read_events(path, table))


def alarm(event_id: str = "e1", time_us: int = TIME_US) -> Event:
    data = {
        "alarm_id": "a1",
        "rule_id": "apei-no-work",
        "rule_version": 2,
        "severity": "critical",
        "state": "raised",
        "time": TIME,
        "message": "at work in Área 3",
        "zone_id": "apei-3",
        "decision": {"inputs": {"depth_m": 4100.5}, "limit": 0.5, "fixes": ["m1", "m2"]},
    }
    return Event(
        type=ALARM_RAISED, event_id=event_id, vehicle_id="auv-1", time_us=time_us, data=data
    )


def reject(number: int, raw: bytes) -> Delivery:
    data = {
        "reason": "`latitude` 91: must be within -90..90",
        "field": "latitude",
        "raw": b64encode(raw).decode(),
        "origin": f"file:telemetry.ndjson:{number}",
    }
    event = Event(
        type=TELEMETRY_REJECTED, event_id=f"r{9 - number}", vehicle_id="", time_us=None, data=data
    )
    return Delivery(DEAD_LETTERS, event)


def test_all_tables_are_there_even_if_nothing_happens(path: Path) -> None:
    with opened(path):
        pass
    with closing(open_readonly(path)) as file:
        found = file.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    assert {name for (name,) in found} >= CONTRACT


def test_an_alarm_is_a_row_with_columns_to_search_by_and_its_whole_payload(path: Path) -> None:
    write(path, Delivery(COMPLIANCE_VIOLATIONS, alarm()))
    [row] = rows(path, "violations")
    data = row.pop("data")
    assert row == {
        "event_id": "e1",
        "version": 1,
        "retracted": 0,
        "type": ALARM_RAISED,
        "vehicle_id": "auv-1",
        "time": TIME,
        "alarm_id": "a1",
        "rule_id": "apei-no-work",
        "rule_version": 2,
        "severity": "critical",
        "state": "raised",
        "zone_id": "apei-3",
        "visit_id": None,
        "message": "at work in Área 3",
    }
    identity = {"event_id": "e1", "version": 1, "retracted": False, "vehicle_id": "auv-1"}
    assert data == identity | alarm().data


def test_an_alert_told_on_three_topics_is_one_row(path: Path) -> None:
    topics = (CRITICAL_ALERTS, WARNING_ALERTS, ALERT_NOTIFICATIONS)
    write(path, *(Delivery(topic, alarm()) for topic in topics))
    write(path, *(Delivery(topic, alarm()) for topic in reversed(topics)))
    assert [row["event_id"] for row in rows(path, "alerts")] == ["e1"]
    assert rows(path, "violations") == []


def test_a_zone_event_keeps_where_and_how_long(path: Path) -> None:
    data = {"zone_id": "z", "visit_id": "v", "longitude": -120.5, "depth_m": 0.0, "duration_s": 3}
    event = Event(
        type=ZONE_EXITED, event_id="e", vehicle_id="auv-1", time_us=TIME_US, data=data, version=2
    )
    write(path, Delivery(GEOFENCING_EVENTS, event))
    [row] = rows(path, "zone_events")
    assert row.items() >= (data | {"version": 2, "latitude": None, "reason": None}).items()


def test_a_dead_letter_keeps_the_raw_bytes_in_the_order_of_arrival(path: Path) -> None:
    raws = [b'{"latitude": 91}', b"\xff\x00", b""]
    write(path, *(reject(number, raw) for number, raw in enumerate(raws)))
    kept = rows(path, "dead_letters")
    assert [row["received"] for row in kept] == [1, 2, 3]
    assert [row["raw"] for row in kept] == raws
    assert kept[1]["origin"] == "file:telemetry.ndjson:1"
    assert (kept[1]["vehicle_id"], kept[1]["time"], kept[1]["field"]) == ("", None, "latitude")


def test_internal_topics_are_kept_apart_for_the_report(path: Path) -> None:
    write(path, Delivery("_tracks", alarm("t1")), Delivery("_tallies", alarm("t2")))
    kept = rows(path, "internal")
    assert [(row["topic"], row["event_id"]) for row in kept] == [
        ("_tracks", "t1"),
        ("_tallies", "t2"),
    ]
    assert kept[0]["data"]["rule_id"] == "apei-no-work"


def test_result_topics_have_a_table_but_windows_and_frames_between_flows_have_none(
    path: Path,
) -> None:
    unkept = (ANALYTICS_DATA, NOTIFICATIONS, *BETWEEN_TOPICS)
    topics = [topic for topic in RESULT_TOPICS if topic not in (*unkept, DEAD_LETTERS)]
    write(path, *(Delivery(topic, alarm(topic)) for topic in [*topics, *unkept]))
    tables = (
        "zone_events",
        "proximity_events",
        "violations",
        "alerts",
        "late_telemetry",
        "hazards",
        "plan_requests",
    )
    kept = {row["event_id"] for table in tables for row in rows(path, table)}
    kept |= {row["message_id"].removesuffix(".1") for row in rows(path, "audit_log")}
    assert kept == set(topics) >= {LATE_TELEMETRY}
    with pytest.raises(RefusedError, match="no table for the topic `gossip`"):
        write(path, Delivery("gossip", alarm()))


def test_rows_come_in_order_of_event_time(path: Path) -> None:
    told = [Delivery(CRITICAL_ALERTS, alarm(f"e{9 - n}", TIME_US + n // 2)) for n in range(6)]
    write(path, *reversed(told))
    expected = sorted((one.event.time_us or 0, one.event.event_id) for one in told)
    assert [row["event_id"] for row in rows(path, "alerts")] == [name for _, name in expected]


def test_what_no_snapshot_committed_is_rolled_back(path: Path) -> None:
    with opened(path) as part:
        part.write_batch([Delivery(CRITICAL_ALERTS, alarm("e1"))])
        part.snapshot()
        part.write_batch([Delivery(CRITICAL_ALERTS, alarm("e2"))])
        assert [row["event_id"] for row in rows(path, "alerts")] == ["e1"]
    assert [row["event_id"] for row in rows(path, "alerts")] == ["e1"]


def test_after_a_run_and_a_reading_there_is_one_file(path: Path) -> None:
    write(path, Delivery(CRITICAL_ALERTS, alarm()))
    rows(path, "alerts")
    assert list(path.parent.iterdir()) == [path]


def test_a_reader_cannot_write(path: Path) -> None:
    write(path)
    with closing(open_readonly(path)) as file, pytest.raises(sqlite3.OperationalError):
        file.execute("DELETE FROM alerts")


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("CREATE TABLE parts (part_index)", "tables of another application; name another file"),
        ("PRAGMA application_id = 7", "tables of another application; name another file"),
        (f"PRAGMA user_version = {SCHEMA_VERSION + 1}", "update farwatch or name another file"),
    ],
)
def test_a_database_of_others_is_refused_and_kept(path: Path, statement: str, says: str) -> None:
    if "user_version" in statement:
        write(path)
    path.parent.mkdir(exist_ok=True)
    with closing(sqlite3.connect(path)) as file:
        file.execute(statement)
    before = path.read_bytes()
    with pytest.raises(SettingsError, match=says):
        SqliteSink(f"sqlite:{path}", 1.0).check()
    with pytest.raises(SettingsError, match=says), opened(path):
        pass
    with pytest.raises(SettingsError, match=says):
        open_readonly(path)
    assert path.read_bytes() == before


def test_a_missing_file_is_not_made_by_reading(path: Path) -> None:
    with pytest.raises(SettingsError, match=r"today\.db`: no such file; name one"):
        open_readonly(path)
    assert not path.exists()


def test_a_file_that_another_process_keeps_locked_is_unavailable(path: Path) -> None:
    write(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(UnavailableError, match="keeps it locked; end that or try again"):
            SqliteSink(f"sqlite:{path}", 0.05).check()
        with pytest.raises(UnavailableError, match="keeps it locked"):
            write(path, Delivery(CRITICAL_ALERTS, alarm()))


def test_a_full_disk_is_told_in_one_line(path: Path) -> None:
    write(path)
    told = [Delivery(CRITICAL_ALERTS, alarm(f"e{number}")) for number in range(2000)]
    with file_limit(path.stat().st_size + 20_000), pytest.raises(RefusedError) as refused:
        write(path, *told)
    assert "today.db`: cannot be used (" in str(refused.value)
    assert "\n" not in str(refused.value)
    write(path, *told)
    assert len(rows(path, "alerts")) == 2000


def test_flows_that_start_at_once_make_the_tables_together(tmp_path: Path) -> None:
    def start(number: int) -> None:
        sink = SqliteSink(f"sqlite:{tmp_path}/{number // 4}.db", 5.0)
        sink.check()
        sink.write_registry([zone()], [])

    with ThreadPoolExecutor(4) as together:
        list(together.map(start, range(80)))
    for path in tmp_path.glob("*.db"):
        assert [row["version"] for row in rows(path, "zones")] == [1]


def zone(version: int = 1, name: str = "APEI 3") -> Definition:
    return Definition(
        id="apei-3", version=version, body={"name": name, "n": [1.5]}, effective_from_us=TIME_US
    )


def test_zones_and_rules_are_kept_once_and_noted_in_the_audit_log(path: Path) -> None:
    sink = SqliteSink(f"sqlite:{path}", 1.0)
    rule = Definition(id="r", version=1, body={"when": "true"})
    sink.write_registry([zone()], [rule])
    sink.write_registry([zone(), zone(2)], [rule])
    assert rows(path, "zones") == [
        {
            "id": "apei-3",
            "version": version,
            "effective_from": TIME,
            "effective_to": None,
            "definition": {"name": "APEI 3", "n": [1.5]},
        }
        for version in (1, 2)
    ]
    assert [row["definition"] for row in rows(path, "rules")] == [{"when": "true"}]
    log = [(row["action"], row["subject"], row["version"]) for row in rows(path, "audit_log")]
    assert log == [
        ("zones version kept", "apei-3", 1),
        ("rules version kept", "r", 1),
        ("zones version kept", "apei-3", 2),
    ]


def test_a_version_once_kept_cannot_change(path: Path) -> None:
    sink = SqliteSink(f"sqlite:{path}", 1.0)
    sink.write_registry([zone()], [])
    with pytest.raises(SettingsError, match=r"`apei-3` version 1 .* raise the version or name"):
        sink.write_registry([zone(2), zone(1, "another name")], [])
    assert [row["version"] for row in rows(path, "zones")] == [1]
