"""The roles of deploy/sql on a real PostgreSQL: each can do its work and no more."""

import hashlib
import hmac
import json
import os
import re
import shutil
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from connectors.tables import TABLES
from tests.databases import empty_database
from tests.watching import ROOT, command, environment, run, telemetry, write_inputs

ROLES_SQL = (ROOT / "deploy" / "sql" / "roles.sql").read_text()
LOGINS = ("admin", "flow", "reader", "registrar")
READ_ONLY = {"zones", "rules", "farwatch_schema"}


@dataclass(frozen=True)
class Database:
    """A database with the roles; ``logins``: role -> URL of a user who has it alone."""

    owner: str
    logins: dict[str, str]


def execute(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


@pytest.fixture(scope="module")
def database(postgresql_url: str) -> Iterator[Database]:
    with empty_database(postgresql_url) as owner:
        parts = urlsplit(owner)
        name = parts.path[1:]
        logins = {role: f"{name}_{role}" for role in LOGINS}
        execute(owner, ROLES_SQL)
        try:
            for role, user in logins.items():
                execute(owner, f'CREATE ROLE "{user}" LOGIN IN ROLE farwatch_{role}')
            execute(owner, f"ALTER ROLE \"{logins['admin']}\" SET role = 'farwatch_admin'")
            urls = {
                role: parts._replace(netloc=f"{user}@{parts.hostname}:{parts.port}").geturl()
                for role, user in logins.items()
            }
            made = run(command("tables", "--to", urls["admin"]), environment(ROOT, ROOT))
            assert made.returncode == 0, made.stderr
            execute(owner, ROLES_SQL, ROLES_SQL)
            yield Database(owner, urls)
        finally:
            for user in logins.values():
                execute(owner, f'DROP OWNED BY "{user}"', f'DROP ROLE "{user}"')


def put(database: Database, folder, env) -> None:
    for kind, file in (("zones", "zones.geojson"), ("rules", "rules.yaml")):
        done = run(command(kind, "put", f"{folder}/{file}", "--to", database.logins["admin"]), env)
        assert done.returncode == 0, done.stderr


def test_a_watch_runs_with_the_rights_of_a_flow_alone(database, tmp_path):
    write_inputs(tmp_path, telemetry(2000))
    flow = database.logins["flow"]
    env = environment(tmp_path, tmp_path, results=flow, zones=flow, rules=flow)
    put(database, tmp_path, env)
    done = run(command("watch", "--quiet"), env)
    assert done.returncode == 0, done.stderr
    with psycopg.connect(database.logins["reader"]) as connection:
        for table in ("zone_events", "violations", "alerts", "dead_letters", "vehicle_states"):
            [(count,)] = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchall()
            assert count > 0, table
    status = run(command("status", "--from", database.logins["reader"], "--json"), env)
    assert json.loads(status.stdout.splitlines()[0])["vehicle_id"]


def test_a_flow_with_zones_of_its_own_is_told_what_it_lacks(database, tmp_path):
    write_inputs(tmp_path, telemetry(100))
    zones = (tmp_path / "zones.geojson").read_text().replace('"z0"', '"another"')
    (tmp_path / "zones.geojson").write_text(zones)
    done = run(
        command("watch", "--quiet"),
        environment(tmp_path, tmp_path, results=database.logins["flow"]),
    )
    assert done.returncode in (1, 2)
    assert "permission denied for table zones" in done.stderr


def granted(database: Database, role: str) -> dict[str, set[str]]:
    """Table -> privileges, of all relations in all schemas that are not PostgreSQL's own."""
    with psycopg.connect(database.owner) as connection:
        found = connection.execute(
            """
            SELECT c.relname, p.name FROM pg_class c
            JOIN pg_namespace n ON n.oid = c.relnamespace,
            unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES',
                'TRIGGER']) AS p(name)
            WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
                AND n.nspname NOT LIKE 'pg_temp%%' AND n.nspname NOT LIKE 'pg_toast_temp%%'
                AND c.relkind IN ('r', 'v', 'm', 'p') AND has_table_privilege(%s, c.oid, p.name)
            """,
            (role,),
        ).fetchall()
    privileges: dict[str, set[str]] = {}
    for table, privilege in found:
        privileges.setdefault(table, set()).add(privilege)
    return privileges


def test_a_flow_can_do_no_more(database):
    events = {t.name for t in TABLES.values() if "event_id" in t.columns}
    expected = {name: {"SELECT", "INSERT"} for name in events}
    expected |= {name: {"SELECT"} for name in READ_ONLY}
    expected["audit_log"] = {"INSERT"}
    expected["vehicle_states"] = {"SELECT", "INSERT", "UPDATE"}
    assert granted(database, "farwatch_flow") == expected


def test_a_reader_reads_and_no_more(database):
    tables = {*TABLES, "farwatch_schema"}
    assert granted(database, "farwatch_reader") == {name: {"SELECT"} for name in tables}


def test_a_registrar_adds_versions_and_no_more(database):
    assert granted(database, "farwatch_registrar") == {
        **{name: {"SELECT", "INSERT"} for name in ("zones", "rules")},
        "audit_log": {"INSERT"},
        "farwatch_schema": {"SELECT"},
    }


FORBIDDEN = (
    "CREATE TABLE public.mine (a int)",
    "CREATE SCHEMA mine",
    "CREATE ROLE mine",
    "CREATE EXTENSION dblink",
    "CREATE OR REPLACE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "ALTER TABLE zone_events ADD COLUMN mine int",
    "ALTER TABLE zone_events DISABLE TRIGGER ALL",
    "DROP TABLE zone_events",
    "TRUNCATE zone_events",
    "DELETE FROM audit_log",
    "UPDATE zones SET version = 9",
    "INSERT INTO zones (id, version, definition) VALUES ('x', 1, '{}')",
    "UPDATE audit_log SET who = 'somebody else'",
    "SELECT * FROM audit_log",
    "COPY zone_events TO PROGRAM 'true'",
    "COPY zone_events FROM '/etc/hostname'",
    "SELECT pg_read_file('/etc/hostname')",
    "SET ROLE farwatch_admin",
    "SET SESSION AUTHORIZATION postgres",
    "GRANT farwatch_admin TO CURRENT_USER",
    "ALTER SYSTEM SET log_statement = 'all'",
    "SELECT rolpassword FROM pg_authid",
    "SELECT pg_reload_conf()",
)


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_what_is_not_granted_is_refused_to_a_flow(database, statement):
    with (
        psycopg.connect(database.logins["flow"], autocommit=True) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(statement.encode())


def test_other_users_do_not_even_get_in(database):
    name = urlsplit(database.owner).path[1:] + "_stranger"
    execute(database.owner, f'CREATE ROLE "{name}" LOGIN')
    try:
        parts = urlsplit(database.owner)
        url = parts._replace(netloc=f"{name}@{parts.hostname}:{parts.port}").geturl()
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(url)
    finally:
        execute(database.owner, f'DROP ROLE "{name}"')


def test_no_secret_stands_in_the_roles():
    statement = sql.SQL(ROLES_SQL).as_string(None)
    code = "\n".join(line for line in statement.splitlines() if not line.startswith("--"))
    assert "PASSWORD" not in code.upper()


def with_logins(owner: str, prefix: str, folder: Path) -> dict[str, str]:
    """URLs of the users of logins.sql by role; each is named with ``prefix`` in place of `fw`."""
    for role in ("admin", "flow", "reader"):
        (folder / f"postgresql_{role}_password").write_text(f"{role}'s own\n")
    script = (ROOT / "deploy" / "sql" / "logins.sql").read_text()
    (folder / "logins.sql").write_text(script.replace("fw_", f"{prefix}_"))
    words = ["psql", "-qX", "-v", "ON_ERROR_STOP=1", "-d", owner, "-f", f"{folder}/logins.sql"]
    done = subprocess.run(
        words,
        env={"PATH": os.environ["PATH"], "SECRETS": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    parts = urlsplit(owner)
    return {
        role: parts._replace(netloc=f"{prefix}_{role}@{parts.hostname}:{parts.port}").geturl()
        for role in ("admin", "flow", "reader")
    }


def fits(password: str, kept: str) -> bool:
    """Whether that is the password of which PostgreSQL keeps this (RFC 5803)."""
    _, iterations, salt, keys = re.split(r"[$:]", kept, maxsplit=3)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), b64decode(salt), int(iterations))
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    return keys.startswith(b64encode(stored).decode())


def test_a_database_of_a_superusers_tables_is_taken_over_and_flows_go_on(postgresql_url, tmp_path):
    if shutil.which("psql") is None:
        pytest.skip("no psql: apt-get install postgresql-client")
    prefix = f"t{uuid4().hex[:12]}"
    write_inputs(tmp_path, telemetry(500))
    with empty_database(postgresql_url) as owner:
        try:
            # As an earlier deployment left it: made by a flow that was the superuser.
            before = run(command("tables", "--to", owner), environment(ROOT, ROOT))
            assert before.returncode == 0, before.stderr
            for _ in range(2):  # What `deploy/up` does at each start.
                execute(owner, ROLES_SQL)
                logins = with_logins(owner, prefix, tmp_path)
                made = run(command("tables", "--to", logins["admin"]), environment(ROOT, ROOT))
                assert made.returncode == 0, made.stderr
                execute(owner, ROLES_SQL)
            # Zones and rules are files, which a flow keeps beside its results.
            env = environment(tmp_path, tmp_path, results=logins["flow"])
            done = run(command("run", "watch"), env)
            assert done.returncode == 0, done.stderr
            with psycopg.connect(logins["reader"]) as connection:
                for table in ("zone_events", "zones", "rules"):
                    query = f"SELECT count(*) FROM {table}"
                    [(count,)] = connection.execute(query.encode()).fetchall()
                    assert count > 0, table
            for statement in ("DELETE FROM zone_events", "DROP TABLE zones", "CREATE ROLE mine"):
                with (
                    psycopg.connect(logins["flow"], autocommit=True) as connection,
                    pytest.raises(psycopg.errors.InsufficientPrivilege),
                ):
                    connection.execute(statement.encode())
            with psycopg.connect(owner) as connection:
                kept = connection.execute(
                    "SELECT rolname, rolpassword, rolsuper FROM pg_authid WHERE rolname LIKE %s",
                    (f"{prefix}%",),
                ).fetchall()
            assert len(kept) == 3
            for name, password, is_superuser in kept:
                assert fits(f"{name.removeprefix(prefix)[1:]}'s own", password)
                assert not is_superuser
        finally:
            for role in ("admin", "flow", "reader"):
                execute(owner, f"DROP OWNED BY {prefix}_{role}", f"DROP ROLE {prefix}_{role}")
