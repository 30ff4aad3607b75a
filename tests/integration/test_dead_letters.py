"""`farwatch dead-letters`: rejected records looked at and published again."""

import json
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from typer.testing import CliRunner

from connectors.contract import SettingsError
from connectors.dead_letters import read_dead_letters
from scripts.cli import app
from tests.databases import empty_database
from tests.kafka_topics import new_topics, read
from tests.rabbitmq_broker import new_broker
from tests.watching import command, environment, run, write_inputs

GOOD = '{"vehicle_id":"auv-1","timestamp":1767225600,"latitude":1,"longitude":1}'
BAD = (
    '{"vehicle_id":"auv-1","timestamp":1767225601,"latitude":95,"longitude":1}',
    '{"vehicle_id":"auv-1","timestamp":1767225602,"latitude":1,"longitude":1,"depth_m":"50%_"}',
    '{"vehicle_id":"auv-1","timestamp":1767225603,"latitude":96,"longitude":1,"status":"\\u001b[2J"}',
    "no JSON at all",
)


@pytest.fixture(scope="module", params=["dir", "sqlite", "postgresql"])
def results(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The URL of the results of a watch that rejected what is in ``BAD``."""
    folder = tmp_path_factory.mktemp("watched")
    write_inputs(folder, [GOOD] * 6 + list(BAD))
    with ExitStack() as stack:
        url = f"{request.param}:{folder}/results"
        if request.param == "postgresql":
            url = stack.enter_context(empty_database(request.getfixturevalue("postgresql_url")))
        done = run(command("watch", "--quiet"), environment(folder, folder, results=url))
        assert done.returncode == 0, done.stderr
        yield url


def farwatch(*words: object) -> tuple[str, str]:
    done = CliRunner().invoke(app, ["dead-letters", *map(str, words)])
    assert done.exit_code == 0, done.output
    return done.stdout, done.stderr


def test_each_is_listed_with_where_it_came_from_and_why(results: str) -> None:
    told, said = farwatch("list", "--from", results)
    lines = told.splitlines()
    assert len(lines) == len(BAD)
    assert said == "4 dead letters shown\n"
    assert "telemetry.ndjson:7: " in lines[0]
    assert "latitude: 95 is above 90" in lines[0]
    assert lines[0].endswith(BAD[0])
    assert lines[3].endswith(BAD[3])


def test_the_latest_come_in_the_order_they_came_in(results: str) -> None:
    told, _ = farwatch("list", "--from", results, "--limit", 2)
    assert [line.rpartition("ndjson:")[2][:2] for line in told.splitlines()] == ["9:", "10"]


def test_a_reason_is_looked_for_as_it_is_written(results: str) -> None:
    assert [each.raw.decode() for each in read_dead_letters(results, "LATITUDE")] == [
        BAD[0],
        BAD[2],
    ]
    assert [each.raw.decode() for each in read_dead_letters(results, "50%_")] == [BAD[1]]
    assert list(read_dead_letters(results, "5%_")) == []


def test_those_published_again_are_the_bytes_that_came(results: str, tmp_path: Path) -> None:
    again = tmp_path / "again.ndjson"
    farwatch("retry", "--from", results, "--to", f"file:{again}", "--reason", "latitude")
    farwatch("retry", "--from", results, "--to", f"file:{again}", "--reason", "depth_m")
    assert again.read_text().splitlines() == [BAD[0], BAD[2], BAD[1]]


def test_mended_records_pass_when_they_are_published_again(results: str, tmp_path: Path) -> None:
    write_inputs(tmp_path, [])
    (tmp_path / "telemetry.ndjson").unlink()
    again = tmp_path / "telemetry.ndjson"
    farwatch("retry", "--from", results, "--to", f"file:{again}", "--reason", "latitude")
    again.write_text(again.read_text().replace("95", "59").replace("96", "69"))
    done = run(command("watch", "--quiet"), environment(tmp_path, tmp_path))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "topics" / "dead_letters.ndjson").read_text() == ""


@pytest.mark.parametrize("far_side", ["rabbitmq", "kafka"])
def test_they_are_published_again_to_brokers_by_their_vehicle(
    far_side: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    letters = [{"reason": "r", "field": "", "raw": b64encode(raw.encode()).decode(), "origin": "o"}
               for raw in BAD]  # fmt: skip
    (tmp_path / "dead_letters.ndjson").write_text(
        "".join(json.dumps({"data": letter}) + "\n" for letter in letters)
    )
    url = request.getfixturevalue(f"{far_side}_url")
    words = ("retry", "--from", f"dir:{tmp_path}", "--to")
    if far_side == "rabbitmq":
        with new_broker(url) as broker:
            farwatch(*words, broker.source())
            found = [(key, body) for _, key, body in broker.take(f"{broker.exchange}.0")]
        of_vehicle = [body for key, body in found if key.endswith(".auv-1")]
    else:
        with new_topics(url) as prefix:
            farwatch(*words, f"{url}/{prefix}again?create=1")
            found = [(m.key(), m.value()) for m in read(url, f"{prefix}again")]
        of_vehicle = [body for key, body in found if key == b"auv-1"]
    assert [body.decode() for _, body in found] == list(BAD)
    assert [body.decode() for body in of_vehicle] == list(BAD[:3])


def test_a_record_of_several_lines_becomes_one(tmp_path: Path) -> None:
    letter = {
        "reason": "r",
        "field": "",
        "raw": "ewogImEiOgoxfQ==",
        "origin": "amqp:auv_telemetry.0",
    }
    (tmp_path / "dead_letters.ndjson").write_text(json.dumps({"data": letter}) + "\n")
    farwatch("retry", "--from", f"dir:{tmp_path}", "--to", f"file:{tmp_path}/again")
    assert (tmp_path / "again").read_bytes() == b'{  "a": 1}\n'


def test_control_characters_of_a_record_do_not_reach_the_terminal(tmp_path: Path) -> None:
    letter = {"reason": "r", "field": "", "raw": "G1sySgr/", "origin": "o"}
    (tmp_path / "dead_letters.ndjson").write_text(json.dumps({"data": letter}) + "\n")
    told, _ = farwatch("list", "--from", f"dir:{tmp_path}")
    assert told == "o: r: \\x1b[2J\\n\\xff\n"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("memory:x", "dead letters are read from one of `dir:`, `sqlite:`, `postgresql:`"),
        ("dir:{folder}/none", "cannot read `dead_letters.ndjson` .*; name a folder of results"),
        ("dir:{folder}", "dead_letters.ndjson:1`: is no dead letter"),
        ("sqlite:{folder}/none", "no such file"),
    ],
)
def test_what_holds_no_dead_letters_is_told(tmp_path: Path, url: str, says: str) -> None:
    (tmp_path / "dead_letters.ndjson").write_text("{}\n")
    with pytest.raises(SettingsError, match=says):
        list(read_dead_letters(url.format(folder=tmp_path)))
