"""Kafka as it is: offsets, groups, partitions that come and go, brokers that do not answer."""

import json
import os
import pickle
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future
from datetime import timedelta

import bytewax.operators as op
import pytest
from bytewax.dataflow import Dataflow
from bytewax.errors import BytewaxRuntimeError
from bytewax.testing import TestingSource, run_main
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from connectors.contract import ConnectorSettings, RefusedError, SettingsError, UnavailableError
from connectors.kafka import cluster, publisher, reader, recent, transactions
from connectors.kafka.address import Address
from connectors.kafka.errors import REMEDIES, TRANSIENT, is_transient
from connectors.kafka.lane import LANES
from connectors.kafka.partition import Position
from connectors.registry import masked, open_sink, open_source
from schemas.delivery import Delivery
from schemas.event import ZONE_ENTERED, Event
from schemas.message import Message, Reject
from schemas.topics import DEAD_LETTERS, GEOFENCING_EVENTS
from tests.kafka_topics import (
    add_partitions,
    admin,
    committed,
    make,
    new_topics,
    read,
    remove,
    send,
)
from tests.watching import command, environment, run, telemetry, told, write_inputs

NOBODY = "kafka://127.0.0.1:1"


@pytest.fixture
def topic(kafka_url) -> Iterator[str]:
    """A topic of two partitions."""
    with new_topics(kafka_url, "telemetry", partitions=2) as prefix:
        yield f"{prefix}telemetry"


def records(begin: int, end: int) -> list[bytes]:
    return [b'{"vehicle_id":"auv-1","timestamp":%d}' % number for number in range(begin, end)]


class Reading:
    """All lanes of a source, polled by hand as Bytewax would."""

    def __init__(self, url, state=None, **settings):
        source = open_source(url, ConnectorSettings(**settings))
        source.check()
        lanes = source.build()
        state = pickle.loads(pickle.dumps(state or {}))
        self.lanes = {
            name: lanes.build_part("telemetry", name, state.get(name))
            for name in lanes.list_parts()
        }

    def poll(self) -> list[Message | Reject]:
        return [item for lane in self.lanes.values() for item in lane.next_batch()]

    def take(self, count: int) -> list[Message | Reject]:
        """Poll until that many items have come, then once more."""
        items, deadline = [], time.monotonic() + 10
        while len(items) < count and time.monotonic() < deadline:
            items += self.poll()
        return items + self.poll()

    def snapshot(self):
        return {name: lane.snapshot() for name, lane in self.lanes.items()}

    def close(self):
        for lane in self.lanes.values():
            lane.close()


def bodies(items):
    return [item.body for item in items if isinstance(item, Message)]


# --- source ----------------------------------------------------------------------------------


def test_each_partition_keeps_its_order_and_each_record_its_place(kafka_url, topic):
    send(kafka_url, topic, records(0, 500), 0)
    send(kafka_url, topic, records(500, 800), 1)
    reading = Reading(f"{kafka_url}/{topic}")
    items = reading.take(800)
    reading.close()
    for number, expected in enumerate((records(0, 500), records(500, 800))):
        mine = [item for item in items if f"[{number}]" in item.origin]
        assert bodies(mine) == expected
        origins = [f"kafka:{topic}[{number}]@{offset}" for offset in range(len(expected))]
        assert [item.origin for item in mine] == origins


def test_an_empty_message_is_a_dead_letter_that_names_its_place(kafka_url, topic):
    send(kafka_url, topic, [records(0, 1)[0], None, b"", records(1, 2)[0]])
    reading = Reading(f"{kafka_url}/{topic}")
    items = reading.take(4)
    reading.close()
    assert [type(item) for item in items] == [Message, Reject, Reject, Message]
    assert [item.origin for item in items[1:3]] == [f"kafka:{topic}[0]@1", f"kafka:{topic}[0]@2"]
    assert all("empty" in item.reason and item.raw == b"" for item in items[1:3])


def test_the_cap_of_an_epoch_counts_the_records_in_a_message(kafka_url, topic):
    array = b"[" + b",".join(records(0, 5)) + b"]"
    lines = b"\n".join(records(5, 10))
    send(kafka_url, topic, [array, lines, array])
    reading = Reading(f"{kafka_url}/{topic}", epoch_rows=10, batch_rows=5)
    assert bodies(reading.take(2)) == [array, lines]
    assert [reading.poll() for _ in range(20)] == [[]] * 20
    reading.snapshot()
    assert bodies(reading.take(1)) == [array]
    reading.close()


def test_latest_is_an_offset_from_the_first_start_on(kafka_url, topic):
    send(kafka_url, topic, records(0, 10))
    first = Reading(f"{kafka_url}/{topic}?start=latest")
    assert first.poll() == []
    state = first.snapshot()
    first.close()
    send(kafka_url, topic, records(10, 20))
    again = Reading(f"{kafka_url}/{topic}?start=latest", state)
    assert bodies(again.take(10)) == records(10, 20)
    again.close()


def test_the_group_learns_an_offset_when_its_epoch_is_committed_and_not_before(kafka_url, topic):
    send(kafka_url, topic, records(0, 10))
    reading = Reading(f"{kafka_url}/{topic}?group={topic}")
    assert len(reading.take(10)) == 10
    reading.snapshot()
    time.sleep(1)  # noqa: TID251 (longer than the client takes to send what it knows)
    assert committed(kafka_url, topic, topic, 2) == [-1001, -1001]
    reading.poll()
    wait_for(lambda: committed(kafka_url, topic, topic, 2) == [10, 0])
    reading.close()


def test_without_recovery_state_a_group_goes_on_where_it_committed(kafka_url, topic):
    url = f"{kafka_url}/{topic}?group={topic}&start=latest"
    send(kafka_url, topic, records(0, 10))
    first = Reading(url)
    first.snapshot()
    first.poll()
    first.close()
    send(kafka_url, topic, records(10, 20))
    again = Reading(url)
    assert bodies(again.take(10)) == records(10, 20)
    again.close()


def test_the_state_wins_over_the_group(kafka_url, topic):
    url = f"{kafka_url}/{topic}?group={topic}"
    send(kafka_url, topic, records(0, 10))
    first = Reading(url)
    before = first.snapshot()
    first.take(10)
    first.snapshot()
    first.poll()
    first.close()
    assert committed(kafka_url, topic, topic, 1) == [10]
    again = Reading(url, before)
    assert bodies(again.take(10)) == records(0, 10)
    again.close()


@pytest.mark.parametrize("options", ["start=latest", "start=latest&group={topic}"])
def test_a_partition_added_between_two_runs_is_read_from_its_beginning(kafka_url, topic, options):
    url = f"{kafka_url}/{topic}?" + options.format(topic=topic)
    first = Reading(url)
    state = first.snapshot()
    first.poll()
    first.close()
    add_partitions(kafka_url, topic, LANES + 2)
    send(kafka_url, topic, records(0, 10), 2)
    send(kafka_url, topic, records(10, 20), LANES + 1)
    # Without state only the group tells that the topic was read before.
    again = Reading(url, None if "group" in options else state)
    assert sorted(bodies(again.take(20))) == sorted(records(0, 20))
    assert sum(map(len, again.snapshot().values())) == LANES + 2
    again.close()


def test_a_partition_that_has_no_leader_yet_is_waited_for(kafka_url, topic, monkeypatch):
    elections = [KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE]

    class Electing(reader.Consumer):
        def get_watermark_offsets(self, place, **options):
            if elections and not options.get("cached"):
                raise KafkaException(KafkaError(elections.pop()))
            return super().get_watermark_offsets(place, **options)

    monkeypatch.setattr(reader, "Consumer", Electing)
    send(kafka_url, topic, records(0, 10), 0)
    reading = Reading(f"{kafka_url}/{topic}")
    assert elections == []
    assert bodies(reading.take(10)) == records(0, 10)
    reading.close()


def test_a_broker_that_has_not_read_what_groups_committed_is_waited_for(
    kafka_url, topic, monkeypatch
):
    loading = [KafkaError.COORDINATOR_LOAD_IN_PROGRESS, KafkaError.NOT_COORDINATOR]

    class Loading(cluster.AdminClient):
        def list_consumer_group_offsets(self, *args, **options):
            if not loading:
                return super().list_consumer_group_offsets(*args, **options)
            answer = Future()
            answer.set_exception(KafkaException(KafkaError(loading.pop())))
            return {topic: answer}

    monkeypatch.setattr(cluster, "AdminClient", Loading)
    open_source(f"{kafka_url}/{topic}?group={topic}", ConnectorSettings()).check()
    assert loading == []


def test_a_partition_added_while_the_flow_runs_is_read_from_its_beginning(
    kafka_url, topic, monkeypatch
):
    monkeypatch.setattr(reader, "DISCOVER_S", 0.2)
    reading = Reading(f"{kafka_url}/{topic}?start=latest")
    reading.poll()
    add_partitions(kafka_url, topic, 3)
    send(kafka_url, topic, records(0, 10), 2)
    assert bodies(reading.take(10)) == records(0, 10)
    reading.close()


def test_a_flow_resumes_a_topic_that_has_lost_a_partition_with_one_line(kafka_url, topic):
    send(kafka_url, topic, records(0, 10), 0)
    first = Reading(f"{kafka_url}/{topic}")
    first.take(10)
    state = first.snapshot()
    first.close()
    made_anew(kafka_url, topic, partitions=1)
    send(kafka_url, topic, records(0, 10), 0)
    with pytest.raises(SettingsError, match=r"partition 1 is not there any more: the topic was"):
        Reading(f"{kafka_url}/{topic}", state)


def test_a_watch_started_again_reads_partitions_that_were_added_meanwhile(
    kafka_url, topic, tmp_path
):
    lines = [line.encode() for line in telemetry(600)]
    write_inputs(tmp_path / "in", [])
    env = environment(
        tmp_path / "in",
        tmp_path / "out",
        telemetry=f"{kafka_url}/{topic}?until=end",
        recovery=tmp_path / "recovery",
    )
    (tmp_path / "recovery").mkdir()
    # What is no record is told with its place: of each partition the end has been read.
    send(kafka_url, topic, [*lines[:200], b"{"], 0)
    first = run(command("watch"), env)
    assert first.returncode == 0, first.stderr
    add_partitions(kafka_url, topic, LANES + 3)
    begun = {1: lines[200:400], LANES: lines[400:500], LANES + 2: lines[500:]}
    for partition, sent in begun.items():
        send(kafka_url, topic, [*sent, b"{"], partition)
    again = run(command("watch"), env)
    assert again.returncode == 0, again.stderr
    origins = sorted(
        event["data"]["origin"]
        for (name, _), event in told(tmp_path / "out").items()
        if name == DEAD_LETTERS
    )
    places = {0: 200, 1: 200, LANES: 100, LANES + 2: 100}
    assert origins == sorted(f"kafka:{topic}[{p}]@{offset}" for p, offset in places.items())


def test_a_topic_made_anew_is_not_mistaken_for_the_old_one(kafka_url, topic):
    send(kafka_url, topic, records(0, 10))
    first = Reading(f"{kafka_url}/{topic}")
    first.take(10)
    state = first.snapshot()
    first.close()
    made_anew(kafka_url, topic, partitions=2)
    with pytest.raises(SettingsError, match="ends at offset 0, but was read up to 10"):
        Reading(f"{kafka_url}/{topic}", state)
    send(kafka_url, topic, records(100, 130))
    again = Reading(f"{kafka_url}/{topic}", state)
    with pytest.raises(SettingsError, match="holds another record at offset 9"):
        again.take(20)
    again.close()


def test_records_deleted_before_they_were_read_are_told(kafka_url, topic):
    send(kafka_url, topic, records(0, 30))
    first = Reading(f"{kafka_url}/{topic}", batch_rows=10)
    first.take(10)
    state = first.snapshot()
    first.close()
    read_up_to = max(at.offset for lane in state.values() for at in lane.values())
    client = admin(kafka_url)
    for done in client.delete_records([TopicPartition(topic, 0, 25)]).values():
        done.result(10)
    again = Reading(f"{kafka_url}/{topic}", state)
    items = again.take(6)
    assert isinstance(items[0], Reject)
    assert f"the records {read_up_to} to 24 were deleted" in items[0].reason
    assert items[0].origin == f"kafka:{topic}[0]@{read_up_to}"
    assert bodies(items) == records(25, 30)
    assert again.snapshot()[f"{topic}:00"][0].offset == 30
    again.close()


def test_the_state_of_a_source_keeps_its_names():
    pickled = pickle.dumps({0: Position(1, 2)})
    assert b"connectors.kafka.partition" in pickled
    assert b"Position" in pickled
    assert LANES == 32


def made_anew(kafka_url, topic, partitions):
    remove(kafka_url, [topic])
    wait_for(lambda: topic not in admin(kafka_url).list_topics(timeout=5).topics)
    make(kafka_url, [topic], partitions)


def wait_for(done, longest_s=10.0):
    deadline = time.monotonic() + longest_s
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)  # noqa: TID251 (a test that waits for the broker)


# --- sink ------------------------------------------------------------------------------------


def delivery(number: int, topic: str = GEOFENCING_EVENTS, note: str = "") -> Delivery:
    event = Event(
        type=ZONE_ENTERED,
        event_id=f"e{number}",
        vehicle_id=f"auv-{number % 5}" if topic != DEAD_LETTERS else "",
        time_us=number,
        data={"note": note},
    )
    return Delivery(topic, event)


def write(url, deliveries, **settings):
    made = ConnectorSettings(**settings)
    flow = Dataflow("test")
    keyed = [(one.topic, one) for one in deliveries]
    stream = op.input("deliveries", flow, TestingSource(keyed, 100))
    op.output("results", stream, open_sink(url, made).build("/farwatch/test"))
    run_main(flow, epoch_interval=timedelta(seconds=10))
    return made.refused.take()


def test_the_key_is_the_vehicle_whose_events_keep_their_order(kafka_url):
    with new_topics(kafka_url, GEOFENCING_EVENTS, partitions=3) as prefix:
        write(f"{kafka_url}/{prefix}", map(delivery, range(100)))
        found = read(kafka_url, prefix + GEOFENCING_EVENTS)
        by_vehicle = {f"auv-{n}": [f"e{i}.1" for i in range(n, 100, 5)] for n in range(5)}
        for vehicle, ids in by_vehicle.items():
            mine = [message for message in found if message.key().decode() == vehicle]
            assert len({message.partition() for message in mine}) == 1
            assert [dict(message.headers())["message_id"].decode() for message in mine] == ids
        headers = dict(found[0].headers())
        assert headers["content-type"] == b"application/cloudevents+json; charset=UTF-8"
        assert json.loads(found[0].value())["id"] == headers["message_id"].decode()


def test_ids_written_last_are_remembered_and_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(recent, "MOST", 100)
    ids = recent.RecentIds()
    for number in range(1000):
        assert ids.add("topic", str(number))
        assert not ids.add("topic", str(max(0, number - 99)))
        assert len(ids) <= 200
    assert ids.add("other topic", "999")


def test_an_event_without_vehicle_has_no_key(kafka_url):
    with new_topics(kafka_url, DEAD_LETTERS) as prefix:
        write(f"{kafka_url}/{prefix}", [delivery(1, DEAD_LETTERS)])
        assert [message.key() for message in read(kafka_url, prefix + DEAD_LETTERS)] == [None]


@pytest.mark.parametrize(("limit", "size"), [(10_000, 20_000), (4_000_000, 3_000_000)])
def test_an_event_too_large_for_us_or_the_broker_is_handed_back(kafka_url, limit, size):
    with new_topics(kafka_url, GEOFENCING_EVENTS) as prefix:
        # Random enough for the broker to find it large after compression.
        note = "".join(f"{hash((n, 'salt')):x}" for n in range(size // 8))
        refused = write(
            f"{kafka_url}/{prefix}?max_message_bytes={limit}",
            [delivery(1), delivery(2, note=note), delivery(3)],
        )
        assert [reject.origin for reject in refused] == [f"kafka:{prefix}{GEOFENCING_EVENTS}"]
        assert "max.message.bytes" in refused[0].reason
        kept = [
            json.loads(message.value())["id"]
            for message in read(kafka_url, prefix + GEOFENCING_EVENTS)
        ]
        assert kept == ["e1.1", "e3.1"]


def test_a_sink_whose_brokers_stay_away_stops_the_flow():
    began = time.monotonic()
    with pytest.raises(BytewaxRuntimeError) as stopped:
        write(f"{NOBODY}/", [delivery(1)], timeout_s=0.5, patience_s=1)
    assert 1 <= time.monotonic() - began < 5
    cause = stopped.value.__cause__
    assert isinstance(cause, UnavailableError)
    assert "1 events wait for the brokers (127.0.0.1:1/bootstrap: Connect" in str(cause)


def test_an_event_that_the_brokers_refuse_is_told_and_ends_the_flow(kafka_url):
    with new_topics(kafka_url, DEAD_LETTERS, cleanup="compact") as prefix:
        write(f"{kafka_url}/{prefix}", [])
        with pytest.raises(BytewaxRuntimeError) as stopped:
            # A compacted topic takes nothing without a key.
            write(f"{kafka_url}/{prefix}", [delivery(1, DEAD_LETTERS)])
        assert read(kafka_url, prefix + DEAD_LETTERS) == []
    cause = stopped.value.__cause__
    assert type(cause) is RefusedError
    assert f"`{masked(kafka_url)}/{prefix}`: " in str(cause)


def test_the_producer_writes_idempotently_to_all_replicas(monkeypatch):
    made = []
    monkeypatch.setattr(publisher, "Producer", made.append)
    publisher.Publisher(Address.of(f"{NOBODY}/", ()), 1_000, ConnectorSettings())
    [settings] = made
    assert settings["enable.idempotence"] is True
    assert settings["acks"] == "all"
    assert settings["message.timeout.ms"] == 0
    assert not {"retries", "message.send.max.retries"} & settings.keys()


# --- transactions ----------------------------------------------------------------------------

KILLED = """
import os, signal
from connectors.kafka import transactions

class Killed(transactions.Producer):
    def commit_transaction(self, *given):
        os.kill(os.getpid(), signal.SIGKILL)

transactions.Producer = Killed
from tests.integration.test_kafka import delivery, write
write({url!r}, map(delivery, range(20)))
"""


def ids(found):
    return [dict(message.headers())["message_id"].decode() for message in found]


def test_of_an_epoch_killed_before_its_commit_nothing_is_seen_and_the_next_run_tells_it_once(
    kafka_url,
):
    with new_topics(kafka_url, GEOFENCING_EVENTS) as prefix:
        topic, url = prefix + GEOFENCING_EVENTS, f"{kafka_url}/{prefix}?transactions={prefix}t"
        killed = run([sys.executable, "-c", KILLED.format(url=url)], os.environ)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert len(read(kafka_url, topic, "read_uncommitted")) == 20
        assert read(kafka_url, topic) == []
        write(url, map(delivery, range(20)))
        assert sorted(ids(read(kafka_url, topic))) == sorted(f"e{n}.1" for n in range(20))
        assert len(read(kafka_url, topic, "read_uncommitted")) == 40


def test_who_lost_the_id_to_another_process_writes_nothing_more(kafka_url):
    with new_topics(kafka_url, GEOFENCING_EVENTS) as prefix:
        url = f"{kafka_url}/{prefix}?transactions={prefix}t"
        first, second = (
            open_sink(url, ConnectorSettings()).build("/test").build_part("to_0", "lane-0", None)
            for _ in range(2)
        )
        first.write_batch([delivery(1)])
        with pytest.raises(RefusedError, match="another process writes with the transactions"):
            first.snapshot()
        second.write_batch([delivery(2)])
        second.snapshot()
        assert ids(read(kafka_url, prefix + GEOFENCING_EVENTS)) == ["e2.1"]


def test_an_event_too_large_leaves_the_others_of_its_transaction(kafka_url):
    with new_topics(kafka_url, GEOFENCING_EVENTS) as prefix:
        options = f"transactions={prefix}t&max_message_bytes=4000"
        events = [delivery(1), delivery(2, note="x" * 5000), delivery(3)]
        [refused] = write(f"{kafka_url}/{prefix}?{options}", events)
        assert refused.origin == f"kafka:{prefix}{GEOFENCING_EVENTS}"
        assert ids(read(kafka_url, prefix + GEOFENCING_EVENTS)) == ["e1.1", "e3.1"]


@pytest.mark.parametrize("abort", [False, True], ids=["commit-again", "all-again"])
def test_a_commit_that_fails_on_the_way_is_brought_to_its_end(kafka_url, monkeypatch, abort):
    failures = [KafkaError(KafkaError._TIMED_OUT, "late", False, not abort, abort)]

    class Failing(transactions.Producer):
        def commit_transaction(self, *given):
            if failures:
                raise KafkaException(failures.pop())
            super().commit_transaction(*given)

    monkeypatch.setattr(transactions, "Producer", Failing)
    with new_topics(kafka_url, GEOFENCING_EVENTS) as prefix:
        topic, url = prefix + GEOFENCING_EVENTS, f"{kafka_url}/{prefix}?transactions={prefix}t"
        write(url, map(delivery, range(5)))
        assert ids(read(kafka_url, topic)) == [f"e{n}.1" for n in range(5)]
        assert len(read(kafka_url, topic, "read_uncommitted")) == (10 if abort else 5)
    assert not failures


def test_transactions_need_an_id():
    with pytest.raises(SettingsError, match="`transactions` is ``; write 1 to 100 letters"):
        open_sink(f"{NOBODY}/?transactions=", ConnectorSettings())


def test_missing_topics_are_named_with_the_remedy_or_made(kafka_url):
    with new_topics(kafka_url) as prefix:
        with pytest.raises(SettingsError, match="`create=PARTITIONS`") as refused:
            open_sink(f"{kafka_url}/{prefix}", ConnectorSettings()).check()
        assert f"`{prefix}{DEAD_LETTERS}`" in str(refused.value)
        write(f"{kafka_url}/{prefix}?create=2", [])
        found = admin(kafka_url).list_topics(timeout=5).topics
        assert len(found[prefix + DEAD_LETTERS].partitions) == 2
        open_sink(f"{kafka_url}/{prefix}", ConnectorSettings()).check()


# --- errors and settings ---------------------------------------------------------------------


def test_the_client_knows_every_error_by_the_name_we_use():
    assert [name for name in {*TRANSIENT, *REMEDIES} if not hasattr(KafkaError, name)] == []
    assert not TRANSIENT & set(REMEDIES)
    assert is_transient(KafkaError(KafkaError.NETWORK_EXCEPTION).name())
    assert not is_transient(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED).name())


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("kafka://u@host/t", "no password for user `u`; set FARWATCH_KAFKA_PASSWORD"),
        ("kafka://host/t?sasl=PLAIN", "`sasl` without a user"),
        ("kafka://u:secret@host/t?sasl=SRAM", "`sasl` is `SRAM`; write `PLAIN` or `SCRAM-SHA-256`"),
        ("kafka://u:secret@host/t?ca=none.pem", "`ca` names `none.pem`, which is no file"),
        ("kafka://u:secret@host/t?password=secret", "unknown option `password`"),
        ("kafka://u:secret@host:1/t?tls=true", "no broker can be used ("),
    ],
)
def test_wrong_security_is_one_line_without_the_secret(url, says):
    with pytest.raises(SettingsError) as refused:
        open_source(url, ConnectorSettings(timeout_s=0.2)).check()
    assert says in str(refused.value)
    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_login_is_read_from_environment_and_file(tmp_path, monkeypatch):
    (tmp_path / "password").write_text("secret\n")
    monkeypatch.setenv("FARWATCH_KAFKA_USER", "me")
    monkeypatch.setenv("FARWATCH_KAFKA_PASSWORD_FILE", str(tmp_path / "password"))
    address = reader.Address.of("kafka://host/t?tls=true&sasl=SCRAM-SHA-512", ())
    settings = address.client(print)
    assert settings["security.protocol"] == "sasl_ssl"
    assert settings["sasl.username"] == "me"
    assert settings["sasl.password"] == "secret"
    assert settings["sasl.mechanism"] == "SCRAM-SHA-512"
    assert "secret" not in repr(address)


def test_a_password_is_nowhere_in_what_an_address_shows():
    address = reader.Address.of("kafka://me:secret@host:9092,other/t", ())
    assert address.shown == masked("kafka://me:secret@host:9092,other/t")
    assert "secret" not in f"{address!r} {address.wrong('is wrong', 'change it')}"
    assert address.client(print)["bootstrap.servers"] == "host:9092,other"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"telemetry": f"{NOBODY}/t"}, "no broker can be used ("),
        ({"telemetry": "{kafka}/no-such-topic"}, "there is no topic `no-such-topic`"),
        ({"telemetry": "{kafka_login}/t"}, "check user, password and `sasl`"),
        ({"results": "{kafka}/no-such-prefix-"}, "create=PARTITIONS"),
    ],
    ids=["broker", "topic", "login", "results"],
)
def test_a_wrong_address_ends_the_watch_with_one_line_and_status_2(
    kafka_url, tmp_path, settings, says
):
    write_inputs(tmp_path / "in", telemetry(20))
    login = kafka_url.replace("//", "//me:secret@")
    given = {name: url.format(kafka=kafka_url, kafka_login=login) for name, url in settings.items()}
    done = run(command("watch"), environment(tmp_path / "in", tmp_path / "out", **given))
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert "secret" not in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()
