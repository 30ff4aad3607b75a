"""Results in PostgreSQL: what is peculiar to ``postgresql://``."""

import json
import random
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event as Waiting
from threading import Timer
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors import postgres, sqlite
from connectors.contract import (
    ConnectorSettings,
    RefusedError,
    SettingsError,
    UnavailableError,
)
from connectors.postgres.schema import SCHEMA_VERSION
from connectors.postgres.server import Server, is_transient
from connectors.tables import TABLES
from schemas.delivery import Delivery
from schemas.event import ALARM_RAISED, TELEMETRY_REJECTED, ZONE_EXITED, Event
from schemas.message import Reject
from schemas.topics import (
    ALERT_NOTIFICATIONS,
    ANALYTICS_DATA,
    BETWEEN_TOPICS,
    COMPLIANCE_VIOLATIONS,
    CRITICAL_ALERTS,
    DEAD_LETTERS,
    GEOFENCING_EVENTS,
    WARNING_ALERTS,
)
from scripts.servers.postgresql import PostgresqlServer
from tests.databases import empty_database
from tests.watching import ROOT, command, environment, run, telemetry, write_inputs

TIME_US = 1_700_000_000_123_456
TIME = "2023-11-14T22:13:20.123456Z"
EVENT_TABLES = ("zone_events", "violations", "alerts", "late_telemetry", "dead_letters")


@pytest.fixture
def database(postgresql_url: str) -> Iterator[str]:
    with empty_database(postgresql_url) as url:
        yield url


@pytest.fixture(scope="module")
def own_server(
    postgresql_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PostgresqlServer]:
    """A server that tests may stop, kill and set up as they like; nobody else uses it."""
    server = PostgresqlServer(tmp_path_factory.mktemp("services"))
    if server.missing:
        pytest.skip(f"no {server.name} of our own: install {' '.join(server.missing)}")
    server.start()
    yield server
    server.stop()
    server.delete()


@contextmanager
def opened(
    url: str, settings: ConnectorSettings | None = None, resume: list[Reject] | None = None
) -> Iterator[Any]:
    sink = postgres.PostgresSink(url, settings or ConnectorSettings()).build("/farwatch/watch")
    [name] = sink.list_parts()
    with closing(sink.build_part("results", name, resume)) as part:
        yield part


def write(url: str, *deliveries: Delivery) -> None:
    with opened(url) as part:
        part.write_batch([*deliveries])
        part.snapshot()


def rows(url: str, table: str) -> list[dict[str, Any]]:
    return list(postgres.read_events(url, table))


def ids(url: str, table: str) -> list[str]:
    return [row["event_id"] for row in rows(url, table)]


def execute(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def alarm(event_id: str = "e1", **data: object) -> Event:
    known = {
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
        type=ALARM_RAISED,
        event_id=event_id,
        vehicle_id="auv-1",
        time_us=TIME_US,
        data=known | data,
    )


def alert(event_id: str = "e1", **data: object) -> Delivery:
    return Delivery(CRITICAL_ALERTS, alarm(event_id, **data))


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


# --- rows ------------------------------------------------------------------------------------


def test_an_alarm_is_a_row_with_columns_to_search_by_and_its_whole_payload(database: str) -> None:
    write(database, Delivery(COMPLIANCE_VIOLATIONS, alarm()))
    [row] = rows(database, "violations")
    data = row.pop("data")
    assert row == {
        "event_id": "e1",
        "version": 1,
        "retracted": False,
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


def test_an_alert_told_on_three_topics_is_one_row(database: str) -> None:
    topics = (CRITICAL_ALERTS, WARNING_ALERTS, ALERT_NOTIFICATIONS)
    write(database, *(Delivery(topic, alarm()) for topic in topics))
    write(database, *(Delivery(topic, alarm()) for topic in reversed(topics)))
    assert ids(database, "alerts") == ["e1"]


def test_dead_letters_keep_their_bytes_and_the_order_they_came_in(database: str) -> None:
    raws = [b'{"latitude": 91}', b"\xff\x00", b"", b"\\.\n\t\\N"]
    write(database, *(reject(number, raw) for number, raw in enumerate(raws)))
    kept = rows(database, "dead_letters")
    assert [row["raw"] for row in kept] == raws
    assert [row["received"] for row in kept] == sorted(row["received"] for row in kept)
    assert (kept[1]["vehicle_id"], kept[1]["time"], kept[1]["field"]) == ("", None, "latitude")


def test_a_topic_without_a_table_is_refused_and_windows_and_frames_between_flows_are_not_kept(
    database: str,
) -> None:
    unkept = (ANALYTICS_DATA, *BETWEEN_TOPICS)
    write(database, *(Delivery(topic, alarm(topic)) for topic in unkept))
    assert [ids(database, table) for table in EVENT_TABLES] == [[]] * len(EVENT_TABLES)
    with pytest.raises(RefusedError, match="no table for the topic `gossip`"):
        write(database, Delivery("gossip", alarm()))


def test_an_epoch_is_one_transaction_and_the_next_another(database: str) -> None:
    with opened(database) as part:
        for number in (1, 2):
            part.write_batch([alert(f"a{number}")])
            part.write_batch([Delivery(COMPLIANCE_VIOLATIONS, alarm(f"v{number}"))])
            part.snapshot()
    with psycopg.connect(database) as connection:
        found = [
            connection.execute(
                f"SELECT xmin::text FROM {table} ORDER BY event_id".encode()
            ).fetchall()
            for table in ("alerts", "violations")
        ]
    alerts, violations = found
    assert alerts == violations
    assert alerts[0] != alerts[1]


def test_statements_do_not_grow_with_the_rows(database: str) -> None:
    def statements(rows: int) -> int:
        with opened(database) as part:
            part.write_batch([alert(f"{rows}-{number}") for number in range(rows)])
            with counted_statements() as count:
                part.snapshot()
        return len(count)

    assert statements(1) == statements(3_000) > 0
    assert len(ids(database, "alerts")) == 3_001


@contextmanager
def counted_statements() -> Iterator[list[object]]:
    """What is sent meanwhile, a COPY with all of its rows counted once."""
    seen: list[object] = []
    execute, copy = psycopg.Cursor.execute, psycopg.Cursor.copy

    def executing(self: Any, query: Any, *more: Any, **options: Any) -> Any:
        seen.append(query)
        return execute(self, query, *more, **options)

    def copying(self: Any, statement: Any, *more: Any, **options: Any) -> Any:
        seen.append(statement)
        return copy(self, statement, *more, **options)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(psycopg.Cursor, "execute", executing)
        patched.setattr(psycopg.Cursor, "copy", copying)
        yield seen


def test_rows_of_an_epoch_that_did_not_end_are_not_seen(database: str) -> None:
    with opened(database) as part:
        part.write_batch([alert("e1")])
        assert ids(database, "alerts") == []
        part.snapshot()
        part.write_batch([alert("e2")])
    assert ids(database, "alerts") == ["e1"]


def test_a_sink_keeps_its_connection_from_epoch_to_epoch(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    connect = Server.connect
    monkeypatch.setattr(Server, "connect", lambda server: made.append(1) or connect(server))
    with opened(database) as part:
        made.clear()
        for number in range(5):
            part.write_batch([alert(f"e{number}")])
            part.snapshot()
    assert len(made) == 1
    assert ids(database, "alerts") == [f"e{number}" for number in range(5)]


def test_more_rows_than_one_statement_takes_are_stored(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.postgres.store.CHUNK_BYTES", 5_000)
    write(database, *(alert(f"e{number:04}") for number in range(300)))
    assert ids(database, "alerts") == [f"e{number:04}" for number in range(300)]


# --- hostile content -------------------------------------------------------------------------


def test_text_that_postgresql_has_not_is_replaced(database: str) -> None:
    write(database, alert("e\0", message="a\0b\ud800", note={"\0": ["\ud800", "\\u0000"]}))
    [row] = rows(database, "alerts")
    assert (row["event_id"], row["message"]) == ("e\ufffd", "a\ufffdb?")
    assert row["data"]["note"] == {"\ufffd": ["?", "\\u0000"]}


@pytest.mark.parametrize(
    "value", ["text", 5, 2**70, -1.5, True, None, [1], {"a": None}, float("inf"), float("nan")]
)
def test_a_value_of_another_type_than_its_column_stops_nothing(
    database: str, value: object
) -> None:
    data = {"zone_id": value, "zone_version": value, "longitude": value, "reason": value}
    event = Event(type=ZONE_EXITED, event_id="e", vehicle_id="v", time_us=TIME_US, data=data)
    write(database, Delivery(GEOFENCING_EVENTS, event))
    assert ids(database, "zone_events") == ["e"]


def test_a_huge_payload_is_kept_whole(database: str) -> None:
    write(
        database, alert("e1", note="x" * 20_000_000), reject(1, random.Random(1).randbytes(10**7))
    )
    assert len(rows(database, "alerts")[0]["data"]["note"]) == 20_000_000
    assert len(rows(database, "dead_letters")[0]["raw"]) == 10**7


def test_a_row_that_cannot_be_stored_goes_to_the_dead_letters_and_the_others_are_kept(
    database: str,
) -> None:
    too_long = "".join(random.Random(2).choices("0123456789abcdef", k=20_000))
    settings = ConnectorSettings()
    told = [alert(f"e{number}") for number in range(20)]
    told[7:7] = [alert(too_long)]
    told[3:3] = [alert(too_long + "2")]
    with opened(database, settings) as part:
        part.write_batch([*told, Delivery(GEOFENCING_EVENTS, alarm("z"))])
        state = part.snapshot()
    assert set(ids(database, "alerts")) == {f"e{number}" for number in range(20)}
    assert ids(database, "zone_events") == ["z"]
    refused = settings.refused.take()
    assert state == refused
    assert [json.loads(each.raw)["event_id"] for each in refused] == [too_long + "2", too_long]
    assert "`alerts`" in refused[0].reason
    assert "index row" in refused[0].reason
    assert "\n" not in refused[0].reason


def test_what_was_refused_comes_back_after_a_restart(database: str) -> None:
    settings = ConnectorSettings()
    waiting = [Reject("cannot be stored", "", b"{}", "postgresql://h/d/alerts")]
    with opened(database, settings, waiting) as part:
        assert settings.refused.waiting() == part.snapshot() == waiting


text = st.text(max_size=30)
value = st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | text
data = st.dictionaries(text, value | st.lists(value) | st.dictionaries(text, value), max_size=5)


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(told=st.lists(data, min_size=1, max_size=20))
def test_any_payload_is_stored_as_sqlite_stores_it(
    database: str, tmp_path: Path, told: list[dict[str, Any]]
) -> None:
    salt = uuid4().hex
    deliveries = [alert(f"{salt}.{number}", note=data) for number, data in enumerate(told)]
    write(database, *deliveries)
    with closing(sqlite_part(tmp_path / "beside.sqlite")) as part:
        part.write_batch(deliveries)
        part.snapshot()
    ours = [row for row in rows(database, "alerts") if row["event_id"].startswith(salt)]
    theirs = sqlite.read_events(tmp_path / "beside.sqlite", "alerts")
    expected = [row for row in theirs if row["event_id"].startswith(salt)]
    assert plain(ours) == plain(expected)


def plain(value: Any) -> Any:
    """Without U+0000, and numbers as JSON knows them: it does not tell 1e16 from 10 to the 16th."""
    if isinstance(value, dict):
        return {plain(key): plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    if type(value) is int:
        return float(value)
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value


def sqlite_part(path: Path) -> Any:
    sink = sqlite.SqliteSink(f"sqlite:{path}", 1.0).build("/farwatch/watch")
    return sink.build_part("results", sink.list_parts()[0], None)


# --- the tables ------------------------------------------------------------------------------


def test_processes_that_start_at_once_make_the_tables_together(database: str) -> None:
    def start(_number: int) -> None:
        postgres.PostgresSink(database, ConnectorSettings()).check()
        write(database)

    with ThreadPoolExecutor(8) as together:
        list(together.map(start, range(32)))
    with psycopg.connect(database) as connection:
        found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        assert {name for (name,) in found} == {*TABLES, "farwatch_schema"}
        assert connection.execute("SELECT version FROM farwatch_schema").fetchall() == [
            (SCHEMA_VERSION,)
        ]


def test_a_check_of_an_empty_database_makes_no_table(database: str) -> None:
    postgres.PostgresSink(database, ConnectorSettings()).check()
    with psycopg.connect(database) as connection:
        found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        assert found.fetchall() == []


def test_tables_of_an_older_version_get_what_they_lack(database: str) -> None:
    write(database, alert("e1"))
    execute(
        database,
        "ALTER TABLE alerts DROP COLUMN message",
        "DROP TABLE hazards",
        "UPDATE farwatch_schema SET version = 0",
    )
    write(database, alert("e2"))
    assert [row["message"] for row in rows(database, "alerts")] == [None, "at work in Área 3"]
    assert rows(database, "hazards") == []


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("CREATE TABLE zones (id TEXT)", "a table `zones` of another application; name another"),
        (
            "CREATE TABLE farwatch_schema AS SELECT 99 AS version",
            "tables of version 99, this farwatch knows .*; update farwatch",
        ),
    ],
)
def test_a_database_of_others_is_refused(database: str, statement: str, says: str) -> None:
    execute(database, statement)
    with pytest.raises(SettingsError, match=says):
        postgres.PostgresSink(database, ConnectorSettings()).check()
    with pytest.raises(SettingsError, match=says):
        write(database)


# --- set-up ----------------------------------------------------------------------------------


def refused(url: str) -> str:
    with pytest.raises(SettingsError) as raised:
        postgres.PostgresSink(url, ConnectorSettings()).check()
    told = str(raised.value)
    assert "\n" not in told
    assert "secret" not in told
    return told


def test_a_host_that_nobody_knows_is_a_wrong_setting() -> None:
    assert "unknown host" in refused("postgresql://u:secret@nobody.invalid/d")


@pytest.mark.parametrize("where", ["u:secret@h/%db", "%ff:secret@h/d", "u:secret%ff@h/d"])
def test_an_address_that_is_no_utf_8_is_a_wrong_setting(where: str) -> None:
    assert "`%25`" in refused(f"postgresql://{where}")


def test_a_server_that_does_not_answer_is_unavailable(unused_tcp_ports: list[int]) -> None:
    url = f"postgresql://u:secret@127.0.0.1:{unused_tcp_ports[0]}/d"
    with pytest.raises(UnavailableError, match=r"u:\*\*\*@.*does not answer.*refused") as raised:
        postgres.PostgresSink(url, ConnectorSettings()).check()
    assert "secret" not in str(raised.value)


def test_an_absent_database_is_a_wrong_setting(postgresql_url: str) -> None:
    url = urlsplit(postgresql_url)._replace(path="/nowhere").geturl()
    assert 'database "nowhere" does not exist; make it with `createdb`' in refused(url)


def test_tls_that_a_server_has_not_is_a_wrong_setting(own_server: PostgresqlServer) -> None:
    told = refused(f"{own_server.url}?sslmode=require")
    assert "server does not support SSL, but SSL was required; set sslmode" in told


@pytest.fixture
def user(own_server: PostgresqlServer) -> Iterator[str]:
    """The URL of a database for a user of few rights who must give the password "sesame"."""
    hba = own_server._data / "pg_hba.conf"
    trusted = hba.read_text()
    with empty_database(own_server.url) as url:
        hba.write_text(f"host all guest 127.0.0.1/32 scram-sha-256\n{trusted}")
        execute(
            own_server.url,
            "DROP ROLE IF EXISTS guest",
            "CREATE ROLE guest LOGIN PASSWORD 'sesame'",
            "SELECT pg_reload_conf()",
        )
        parts = urlsplit(url)
        yield parts._replace(netloc=f"guest@127.0.0.1:{parts.port}").geturl()
    hba.write_text(trusted)


def test_a_wrong_or_missing_password_is_told_without_it(user: str) -> None:
    wrong = user.replace("guest@", "guest:secret@")
    assert "password authentication failed" in refused(wrong)
    assert "FARWATCH_POSTGRESQL_PASSWORD" in refused(user)


def test_the_password_may_come_from_the_environment_or_a_file(
    own_server: PostgresqlServer, user: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = urlsplit(user).path
    execute(
        urlsplit(own_server.url)._replace(path=database).geturl(),
        "GRANT ALL ON SCHEMA public TO guest",
    )
    monkeypatch.setenv("FARWATCH_POSTGRESQL_PASSWORD", "sesame")
    write(user, alert("e1"))
    monkeypatch.delenv("FARWATCH_POSTGRESQL_PASSWORD")
    (tmp_path / "password").write_text("sesame\n")
    monkeypatch.setenv("FARWATCH_POSTGRESQL_PASSWORD_FILE", str(tmp_path / "password"))
    write(user, alert("e2"))
    assert ids(user, "alerts") == ["e1", "e2"]
    monkeypatch.delenv("FARWATCH_POSTGRESQL_PASSWORD_FILE")
    (tmp_path / "pgpass").write_text("*:*:*:guest:sesame\n")
    (tmp_path / "pgpass").chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "pgpass"))
    assert ids(user, "alerts") == ["e1", "e2"]


def test_missing_rights_are_told_before_anything_starts(
    own_server: PostgresqlServer, user: str
) -> None:
    url = user.replace("guest@", "guest:sesame@")
    owner = urlsplit(own_server.url)._replace(path=urlsplit(user).path).geturl()
    name = urlsplit(user).path[1:]
    assert "may make no tables; GRANT CREATE ON SCHEMA public" in refused(url)
    write(owner)
    assert "permission denied for table farwatch_schema" in refused(url)
    execute(owner, "GRANT SELECT ON farwatch_schema TO guest")
    assert "may not write `alerts`, `dead_letters`" in refused(url)
    execute(owner, "GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO guest")
    write(url, alert("e1"))
    execute(owner, f'REVOKE TEMPORARY ON DATABASE "{name}" FROM PUBLIC')
    assert "no temporary tables" in refused(url)
    execute(own_server.url, f'REVOKE CONNECT ON DATABASE "{name}" FROM PUBLIC')
    assert "GRANT CONNECT" in refused(url)


def test_what_may_pass_is_waited_for_and_what_may_not_is_told() -> None:
    lost = psycopg.OperationalError("server closed the connection unexpectedly")
    cut = psycopg.OperationalError("SSL SYSCALL error: EOF detected")
    passing = [
        lost,
        cut,
        *map(psycopg.errors.lookup, ("57P01", "57014", "53300", "40P01", "25006")),
    ]
    lasting = [psycopg.OperationalError('FATAL:  database "x" does not exist')]
    lasting += [psycopg.errors.lookup(state)() for state in ("42501", "42P01", "22P05")]
    assert all(is_transient(error if error in (lost, cut) else error()) for error in passing)
    assert not any(map(is_transient, lasting))


# --- outages ---------------------------------------------------------------------------------


def test_an_epoch_outlives_a_restart_of_the_server(own_server: PostgresqlServer) -> None:
    with empty_database(own_server.url) as url, opened(url) as part:
        part.write_batch([alert("e1")])
        part.snapshot()
        part.write_batch([alert("e2")])
        own_server.kill()
        back = Timer(1.0, own_server.start)
        back.start()
        part.write_batch([alert("e3")])
        part.snapshot()
        back.join(90)
        assert ids(url, "alerts") == ["e1", "e2", "e3"]


def test_a_server_that_stays_away_ends_the_flow_in_one_line(own_server: PostgresqlServer) -> None:
    with empty_database(own_server.url) as url:
        with opened(url, ConnectorSettings(patience_s=0.3)) as part:
            part.write_batch([alert("e1")])
            own_server.stop()
            with pytest.raises(UnavailableError, match="does not answer") as raised:
                part.snapshot()
            assert "\n" not in str(raised.value)
        own_server.start()


def test_a_connection_cut_while_rows_are_sent_is_made_again(database: str) -> None:
    with opened(database) as part:
        for number in range(5):
            part.write_batch([alert(f"e{number}")])
            part.snapshot()
            execute(
                database,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()",
            )
    assert ids(database, "alerts") == [f"e{number}" for number in range(5)]


def test_a_table_locked_by_others_is_waited_for(database: str) -> None:
    write(database)
    short = ConnectorSettings(timeout_s=0.2)
    with opened(database, short) as part, psycopg.connect(database) as other:
        part.write_batch([alert("e1")])
        other.execute("LOCK TABLE alerts")
        Timer(0.7, other.commit).start()
        part.snapshot()
    assert ids(database, "alerts") == ["e1"]


# --- the watch -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    write_inputs(folder, telemetry(4_000))
    return folder


@pytest.fixture(scope="module")
def undisturbed(inputs: Path) -> Path:
    """The SQLite file of one watch over ``inputs``."""
    path = inputs / "results.sqlite"
    done = run(command("watch", "--quiet"), environment(inputs, inputs, results=f"sqlite:{path}"))
    assert done.returncode == 0, done.stderr
    return path


def test_watches_that_start_at_once_keep_the_rows_that_sqlite_keeps(
    inputs: Path, undisturbed: Path, database: str, tmp_path: Path
) -> None:
    env = environment(inputs, tmp_path, results=database)
    with ThreadPoolExecutor(2) as together:
        done = list(together.map(lambda _: run(command("watch", "--quiet"), env), range(2)))
    assert [each.stderr for each in done] == ["", ""]
    for table in TABLES:
        expected = list(sqlite.read_events(undisturbed, table))
        assert same(rows(database, table)) == same(expected), table
    for table in ("zone_events", "violations", "alerts", "dead_letters", "zones", "rules"):
        assert rows(database, table), f"{table} is empty: the run proves nothing about it"


def test_a_watch_killed_again_and_again_keeps_the_same_rows(
    inputs: Path, undisturbed: Path, database: str, tmp_path: Path
) -> None:
    paced = {"epoch_s": 0.05, "epoch_rows": 150, "frame_rows": 150}
    folder = tmp_path / "recovery"
    env = environment(inputs, tmp_path, results=database, recovery=folder, **paced)
    rng, kills, kept = random.Random(5), 0, 0
    while True:
        flow = subprocess.Popen(command("watch", "--quiet"), env=env, cwd=ROOT)
        while kills < 2 and flow.poll() is None and many(database) <= kept:
            Waiting().wait(0.01)
        try:
            flow.wait(rng.uniform(0, 0.1) if kills < 2 else 120)
        except subprocess.TimeoutExpired:
            flow.kill()
            flow.wait(60)
            kills, kept = kills + 1, many(database)
            continue
        assert flow.returncode == 0
        break
    assert kills == 2
    for table in EVENT_TABLES:
        expected = list(sqlite.read_events(undisturbed, table))
        assert same(rows(database, table)) == same(expected), table


def many(url: str) -> int:
    """How many events the database holds; 0 before there are tables."""
    with psycopg.connect(url) as connection:
        try:
            [(found,)] = connection.execute("SELECT count(*) FROM zone_events").fetchall()
        except psycopg.errors.UndefinedTable:
            return 0
        return int(found)


def same(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without numbers of arrival, which have gaps where rows came twice, and the clock's time."""
    odd = {"received", "entry"} | ({"time"} if found and "action" in found[0] else set())
    return [{name: row[name] for name in row if name not in odd} for row in found]
