"""Zones and rules in a store: put, listed, ended, read by a flow, heard of."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from itertools import islice
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from connectors import postgres, sqlite
from connectors.contract import ConnectorSettings, SettingsError
from connectors.definitions import who
from connectors.documents import read_document
from connectors.paths import url_path
from connectors.postgres import Change
from flows.steps.registry import load_rule_file, load_zone_file
from scripts.cli import app
from tests.databases import empty_database
from tests.watching import RULES, command, environment, run, telemetry, told, write_inputs


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with ExitStack() as stack:
        if request.param == "sqlite":
            yield f"sqlite:{tmp_path}/store.sqlite"
        else:
            server = request.getfixturevalue("postgresql_url")
            yield stack.enter_context(empty_database(server))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_inputs(tmp_path / "in", telemetry(2_000))
    return tmp_path / "in"


def farwatch(*words: object, status: int = 0) -> str:
    done = CliRunner().invoke(app, [*map(str, words)], env={"FARWATCH_USER": "ana"})
    assert done.exit_code == status, done.output
    return done.output


def rows(store: str, table: str) -> list[dict[str, Any]]:
    if store.startswith("sqlite:"):
        return list(sqlite.read_events(url_path(store), table))
    return list(postgres.read_events(store, table))


def change(folder: Path, **properties: object) -> None:
    zones = json.loads((folder / "zones.geojson").read_text())
    zones["features"][0]["properties"] |= properties
    (folder / "zones.geojson").write_text(json.dumps(zones))


def test_zones_and_rules_come_back_as_they_were_put(store: str, folder: Path) -> None:
    farwatch("zones", "put", folder / "zones.geojson", "--to", store)
    farwatch("rules", "put", folder / "rules.yaml", "--to", store)
    given = load_zone_file(f"file:{folder}/zones.geojson")
    assert [zone.model_copy(update={"line": None}) for zone in load_zone_file(store)] == [
        zone.model_copy(update={"line": None}) for zone in given
    ]
    back = {each.rule.id: each.rule for each in load_rule_file(store)}
    for each in load_rule_file(f"file:{folder}/rules.yaml"):
        assert back[each.rule.id].model_dump(exclude={"line"}) == each.rule.model_dump(
            exclude={"line"}
        )


def test_what_differs_becomes_the_next_version_and_what_does_not_stays(
    store: str, folder: Path
) -> None:
    put = ("zones", "put", folder / "zones.geojson", "--to", store)
    assert "4 new versions of zones, 0 as they were" in farwatch(*put)
    assert "0 new versions of zones, 4 as they were" in farwatch(*put)
    change(folder, max_depth_m=50)
    assert "1 new versions of zones, 3 as they were" in farwatch(*put)
    assert "0 new versions of zones, 4 as they were" in farwatch(*put)
    first, second, *others = load_zone_file(store)
    assert [(zone.id, zone.version) for zone in (first, second)] == [("z0", 1), ("z0", 2)]
    assert [zone.version for zone in others] == [1, 1, 1]
    # What is changed changes now, if nobody says when: the old version ends where it begins.
    assert first.effective_to == second.effective_from is not None
    assert [row["version"] for row in rows(store, "zones") if row["id"] == "z0"] == [1, 2]


def test_a_stated_version_that_is_kept_otherwise_is_refused_whole(store: str, folder: Path) -> None:
    change(folder, version=3)
    put = ("zones", "put", folder / "zones.geojson", "--to", store)
    farwatch(*put)
    change(folder, version=3, max_depth_m=50)
    told = farwatch(*put, status=2)
    assert "keeps `z0` version 3 of its zones with other content; raise the version" in told
    assert len(rows(store, "zones")) == 4


def test_a_removal_is_a_version_that_says_until_when(store: str, folder: Path) -> None:
    farwatch("zones", "put", folder / "zones.geojson", "--to", store)
    end = "2026-01-02T00:00:00Z"
    farwatch("zones", "remove", "z1", "--to", store, "--at", end)
    assert [row["version"] for row in rows(store, "zones") if row["id"] == "z1"] == [1, 2]
    zone = next(zone for zone in load_zone_file(store) if zone.id == "z1")
    assert (zone.version, zone.effective_to_us) == (1, 1_767_312_000_000_000)
    assert "z1  2        always         2026-01-02T00:00:00.000000Z" in farwatch(
        "zones", "list", "--from", store
    )
    again = farwatch("zones", "remove", "z1", "--to", store, "--at", end, status=2)
    assert "`z1` ended already at 2026-01-02" in again
    assert "did you mean `z3`?" in farwatch("zones", "remove", "z33", "--to", store, status=2)
    assert "--at `soon`" in farwatch(
        "zones", "remove", "z2", "--to", store, "--at", "soon", status=2
    )


def test_a_rule_is_ended_in_the_same_way(store: str, folder: Path) -> None:
    farwatch("rules", "put", folder / "rules.yaml", "--to", store)
    farwatch("rules", "remove", "deep", "--to", store)
    [rule] = [each.rule for each in load_rule_file(store) if each.rule.id == "deep"]
    assert (rule.version, rule.for_s) == (1, 30.0)
    assert rule.effective_to is not None


def test_every_change_is_noted_with_who_made_it(store: str, folder: Path) -> None:
    farwatch("zones", "put", folder / "zones.geojson", "--to", store)
    farwatch("zones", "remove", "z1", "--to", store)
    log = [
        (row["action"], row["subject"], row["version"], row["who"])
        for row in rows(store, "audit_log")
    ]
    assert log == [
        *(("zones version put", f"z{number}", 1, "ana") for number in range(4)),
        ("zones version removed", "z1", 2, "ana"),
    ]


def test_a_user_without_a_name_is_told_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FARWATCH_USER", "LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.getuid", lambda: 4_000_000_000)
    assert who() == "uid 4000000000"


def test_a_watch_by_a_store_tells_what_one_by_files_tells(
    store: str, folder: Path, tmp_path: Path
) -> None:
    farwatch("zones", "put", folder / "zones.geojson", "--to", store)
    farwatch("rules", "put", folder / "rules.yaml", "--to", store)
    by_files, by_store = tmp_path / "files", tmp_path / "store"
    # Events of one record come in the order of the rules; a store gives that of their ids.
    assert RULES.index("apei-no-work") < RULES.index("deep") < RULES.index("low-battery")
    settings = {"zones": store, "rules": store, "user": "ben"}
    for out, given in ((by_files, {}), (by_store, settings)):
        env = environment(folder, out, results=f"dir:{out}/topics {store}", **given)
        done = run(command("watch", "--quiet"), env)
        assert done.returncode == 0, done.stderr
    assert told(by_store) == told(by_files)
    assert rows(store, "zone_events")
    # What the flows were judged by was there already: nobody added to it.
    assert {row["who"] for row in rows(store, "audit_log")} == {"ana"}


def test_a_store_without_tables_is_told_in_one_line(
    store: str, folder: Path, tmp_path: Path
) -> None:
    env = environment(folder, tmp_path, zones=store)
    done = run(command("watch", "--quiet"), env)
    assert done.returncode == 2
    assert "name one that a flow has written" in done.stderr
    assert done.stderr.count("\n") == 1


def test_zones_are_not_read_from_what_keeps_none() -> None:
    with pytest.raises(SettingsError, match="zones are read from a file or a store"):
        read_document("dir:results", "zones")


def test_a_sqlite_file_of_the_first_version_gets_the_column_it_lacks(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite"
    sink = sqlite.SqliteSink(f"sqlite:{path}", 1.0)
    sink.write_registry([], [])
    with closing(sqlite3.connect(path)) as file:
        file.execute("ALTER TABLE audit_log DROP COLUMN who")
        file.execute("INSERT INTO audit_log (action) VALUES ('before')")
        file.execute("PRAGMA user_version = 1")
        file.commit()
    sink.write_registry([], [])
    assert [(row["action"], row["who"]) for row in rows(f"sqlite:{path}", "audit_log")] == [
        ("before", None)
    ]


# --- notices of PostgreSQL -------------------------------------------------------------------


@pytest.fixture
def database(postgresql_url: str) -> Iterator[str]:
    with empty_database(postgresql_url) as url:
        yield url


def heard(changes: Iterator[Change | None], many: int) -> list[Change]:
    return list(islice((change for change in changes if change is not None), many))


def test_a_listener_hears_of_each_new_version_once(database: str, folder: Path) -> None:
    farwatch("zones", "put", folder / "zones.geojson", "--to", database)
    changes = postgres.listen(database)
    assert next(changes) is None
    change(folder, max_depth_m=50)
    farwatch("zones", "put", folder / "zones.geojson", "--to", database)
    farwatch("rules", "put", folder / "rules.yaml", "--to", database)
    assert heard(changes, 5) == [
        Change("zones", "z0", 2),
        *(Change("rules", name, 1) for name in ("apei-no-work", "deep", "low-battery", "quiet")),
    ]
    assert next(changes) is None
    changes.close()


def test_a_listener_hears_afterwards_of_what_it_missed(database: str, folder: Path) -> None:
    changes = postgres.listen(database, ConnectorSettings())
    assert next(changes) is None
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    farwatch("zones", "put", folder / "zones.geojson", "--to", database)
    assert heard(changes, 4) == [Change("zones", f"z{number}", 1) for number in range(4)]
    changes.close()


def test_the_history_of_a_rule_tells_who_changed_what_and_why(store: str, folder: Path) -> None:
    farwatch("rules", "put", folder / "rules.yaml", "--to", store)
    changed = (folder / "rules.yaml").read_text().replace("depth_m > 350.0", "depth_m > 300.0")
    (folder / "rules.yaml").write_text(changed)
    words = ("--by", "ben", "--why", "the cable lies at 320 m")
    farwatch("rules", "put", folder / "rules.yaml", "--to", store, *words)
    farwatch("rules", "remove", "deep", "--to", store, "--by", "cleo")
    first, second, third = farwatch("rules", "history", "deep", "--from", store).splitlines()[1:]
    assert " ana " in first
    assert first.endswith("new")
    assert " ben " in second
    assert "the cable lies at 320 m" in second
    assert 'when: "depth_m > 350.0" -> "depth_m > 300.0"' in second
    assert " cleo " in third
    assert "effective_to: none -> " in third
    of_ben = farwatch("audit", "--from", store, "--by", "ben")
    assert "rules version put" in of_ben
    assert " ana " not in of_ben
    assert "3 entries shown" in farwatch("audit", "--from", store, "--subject", "deep")
    assert "1 entries shown" in farwatch("audit", "--from", store, "--limit", "1")
    farwatch("zones", "put", folder / "zones.geojson", "--to", store)
    assert farwatch("zones", "history", "z0", "--from", store).splitlines()[1].endswith("new")


def test_nobody_changes_nothing(store: str, folder: Path) -> None:
    words = ("rules", "put", folder / "rules.yaml", "--to", store, "--by", " ")
    assert "nobody is named who changes this" in farwatch(*words, status=2)
    farwatch("rules", "put", folder / "rules.yaml", "--to", store)
    said = farwatch("rules", "history", "dep", "--from", store, status=2)
    assert "has no `dep` among its rules" in said
    assert "keeps no zones and rules" in farwatch("audit", "--from", "dir:out", status=2)
