"""RabbitMQ: what is particular to it, against a real broker."""

import json
import pickle
import re
import socket
import struct
import time
from contextlib import closing, suppress
from datetime import timedelta
from threading import Thread
from urllib.parse import urlsplit

import bytewax.operators as op
import numpy as np
import pika
import pytest
from bytewax.dataflow import Dataflow
from bytewax.testing import TestingSink, TestingSource, run_main
from pika.exceptions import StreamLostError
from prometheus_client import REGISTRY

from connectors.contract import (
    ConnectorSettings,
    RefusedError,
    SettingsError,
    UnavailableError,
)
from connectors.rabbitmq import consumer
from connectors.rabbitmq.address import read_url
from connectors.rabbitmq.publisher import Outgoing, Publisher
from connectors.registry import open_sink, open_source
from flows.steps.dead_letter import DeadLetterLimit
from flows.steps.decode import decode
from schemas.decoding import TelemetryDecoder
from schemas.delivery import Delivery
from schemas.event import ZONE_ENTERED, Event
from schemas.frame import Frame
from schemas.message import Message, Reject
from schemas.topics import CRITICAL_ALERTS, ENRICHED_TELEMETRY, GEOFENCING_EVENTS
from scripts.servers.rabbitmq import RabbitmqServer
from tests.rabbitmq_broker import Broker, empty_topics, new_broker
from tests.services import service_control
from tests.tcp_proxy import TcpProxy, tls_front

SETTINGS = ConnectorSettings(batch_rows=50, patience_s=30)


def record(number: int, vehicles: int = 5) -> bytes:
    return json.dumps({"vehicle_id": f"auv-{number % vehicles}", "timestamp": number}).encode()


def number(body: bytes) -> int:
    return json.loads(body)["timestamp"]


RECORDS = [record(n) for n in range(600)]


@pytest.fixture
def broker(rabbitmq_url):
    with new_broker(rabbitmq_url) as broker:
        yield broker


@pytest.fixture
def proxy(rabbitmq_url):
    server = urlsplit(rabbitmq_url)
    with TcpProxy(server.hostname, server.port) as proxy:
        yield proxy


def through(url: str, proxy: TcpProxy) -> str:
    parts = urlsplit(url)
    return url.replace(f"{parts.hostname}:{parts.port}", f"127.0.0.1:{proxy.port}")


class Reading:
    """A partition driven as Bytewax would: epochs end, and are committed, where the test says."""

    def __init__(self, url, state=None, settings=SETTINGS, part=0):
        self.source = open_source(url, settings)
        self.source.check()
        built = self.source.build()
        self.name = built.list_parts()[part]
        self.part = built.build_part("telemetry", self.name, state)
        self.longest_s = 0.0

    def take(self, at_least: int, in_one_epoch: bool = False) -> list[bytes]:
        """Bodies until there are so many, or the source ends.

        An epoch ends, and is committed, whenever nothing comes for a moment, unless all are to be
        of one.
        """
        found: list[bytes] = []
        deadline = time.monotonic() + 20
        while len(found) < at_least:
            began = time.monotonic()
            try:
                batch = [message.body for message in self.part.next_batch()]
            except StopIteration:
                return found
            self.longest_s = max(self.longest_s, time.monotonic() - began)
            found += batch
            if not batch and not in_one_epoch:
                self.part.snapshot()
            assert time.monotonic() < deadline, f"only {len(found)} messages came"
        return found

    def take_all(self) -> list[bytes]:
        """Bodies to the end of the source."""
        return self.take(1_000_000)

    def snapshot(self):
        return pickle.loads(pickle.dumps(self.part.snapshot()))

    def die(self):
        self.part.close()


def eventually(holds, within_s: float = 60.0) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)  # noqa: TID251 (a test that waits for the broker)


class SilentProxy(TcpProxy):
    """Keeps from the client the methods (class, method) of AMQP that are in ``kept``."""

    kept: frozenset[tuple[int, int]] = frozenset()

    def _pass_back(self, read, write):
        with closing(read), suppress(OSError), read.makefile("rb") as frames:
            while head := frames.read(7):
                rest = frames.read(int.from_bytes(head[3:], "big") + 1)
                method = struct.unpack_from(">HH", rest) if head[0] == 1 else None
                if method not in self.kept:
                    write.sendall(head + rest)
            write.shutdown(socket.SHUT_RDWR)


# --- source ----------------------------------------------------------------------------------


def test_a_flow_reads_what_was_published_in_order_and_leaves_nothing(broker):
    source = open_source(broker.source(until="end"), SETTINGS)
    source.check()
    broker.publish(RECORDS)
    seen: list = []
    flow = Dataflow("test")
    op.output("seen", op.input("telemetry", flow, source.build()), TestingSink(seen))
    run_main(flow, epoch_interval=timedelta(seconds=0.1))
    assert [message.body for message in seen] == RECORDS
    assert {message.origin for message in seen} == {f"amqp:{broker.exchange}.0"}
    eventually(lambda: broker.count(f"{broker.exchange}.0") == 0)
    assert Reading(broker.source(until="end")).take_all() == []


def test_a_vehicle_stays_on_one_queue_and_no_message_is_left_out(broker):
    records = [record(n, vehicles=40) for n in range(400)]
    url = broker.source(queues=4, until="end")
    readings = [Reading(url, part=part) for part in range(4)]
    broker.publish(records)
    found = [reading.take_all() for reading in readings]
    vehicles = [{json.loads(body)["vehicle_id"] for body in bodies} for bodies in found]
    assert sum(map(len, vehicles)) == len(set.union(*vehicles)) == 40
    assert sorted(number(body) for bodies in found for body in bodies) == list(range(400))
    for bodies in found:
        assert [number(body) for body in bodies] == sorted(map(number, bodies))
    assert sum(bool(bodies) for bodies in found) > 1


@pytest.mark.parametrize("with_ids", [True, False], ids=["message-ids", "bodies"])
def test_a_source_resumes_wherever_it_died(broker, with_ids):
    reading = Reading(broker.source(until="end"))
    broker.publish(RECORDS, ids=[f"m{n}" for n in range(600)] if with_ids else None)
    found: list[bytes] = []
    for epoch in range(5):
        found += reading.take(60)
        state = reading.snapshot()
        if epoch % 2:
            reading.part.next_batch()  # The epoch is committed: acknowledges. What it took is lost.
        reading.die()
        reading = Reading(broker.source(until="end"), state)
    found += reading.take_all()
    assert found == RECORDS


def test_nothing_is_acknowledged_before_its_epoch_is_committed(broker):
    reading = Reading(broker.source())
    broker.publish(RECORDS[:100])
    assert reading.take(100, in_one_epoch=True) == RECORDS[:100]
    reading.snapshot()
    reading.die()
    eventually(lambda: broker.count(f"{broker.exchange}.0") == 100)
    again = Reading(broker.source())
    assert again.take(100, in_one_epoch=True) == RECORDS[:100]
    again.snapshot()
    again.part.next_batch()
    again.part.next_batch()
    again.die()
    eventually(lambda: broker.count(f"{broker.exchange}.0") == 0)


def test_one_consumer_at_a_time_has_the_queue_and_the_next_goes_on_in_order(broker):
    first = Reading(broker.source())
    first.part.next_batch()
    second = Reading(broker.source())
    broker.publish(RECORDS)
    taken = first.take(100)
    first.snapshot()
    first.part.next_batch()  # That epoch is committed: it is acknowledged.
    until = time.monotonic() + 0.5
    while time.monotonic() < until:
        assert second.part.next_batch() == []
    first.die()
    rest: list[bytes] = []
    while not {*RECORDS} <= {*taken, *rest}:
        rest += second.take(1)
    assert list(dict.fromkeys(rest)) == sorted({*rest}, key=number)
    second.die()


def test_thousands_of_records_a_message_become_rows_of_frames(broker):
    source = open_source(broker.source(until="end"), ConnectorSettings())
    source.check()
    lines = [record(n) for n in range(7_500)]
    broker.publish([b"\n".join(lines[at : at + 2_500]) for at in range(0, 7_500, 2_500)])
    frames: list[Frame] = []
    flow = Dataflow("test")
    messages = op.input("telemetry", flow, source.build())
    decoded = decode(messages, 2_000, DeadLetterLimit(), TelemetryDecoder())
    op.output("seen", decoded.frames, TestingSink(frames))
    op.output("refused", decoded.dead_letters, TestingSink([]))
    run_main(flow, epoch_interval=timedelta(seconds=1))
    times_us = np.concatenate([frame.time_us for frame in frames])
    assert times_us.tolist() == [n * 1_000_000 for n in range(7_500)]
    assert max(map(len, frames)) == 2_000
    assert broker.count(f"{broker.exchange}.0") == 0


def test_a_message_published_twice_under_one_id_counts_once(broker):
    reading = Reading(broker.source(until="end"))
    broker.publish([b"1", b"2", b"1 again", b"3"], ids=["m1", "m2", "m1", "m3"])
    assert reading.take_all() == [b"1", b"2", b"3"]


def test_prefetch_grows_with_what_comes_and_order_is_kept(broker):
    records = [record(n) for n in range(3000)]
    reading = Reading(broker.source(until="end"), settings=ConnectorSettings(batch_rows=100))
    broker.publish(records)
    assert reading.snapshot().prefetch == 256
    found = reading.take_all()
    assert found == records
    assert reading.snapshot().prefetch == 30_000


def test_a_lost_connection_loses_and_doubles_nothing(broker, proxy):
    reading = Reading(through(broker.source(until="end"), proxy))
    broker.publish(RECORDS)
    found: list[bytes] = []
    for epoch in range(5):
        found += reading.take(60)
        proxy.cut()
        found += reading.take(30)
        reading.snapshot()
        if epoch == 3:
            proxy.cut()
    found += reading.take_all()
    assert found == RECORDS
    assert reading.longest_s < 1.0


def test_a_source_waits_for_a_broker_that_is_away(broker, proxy):
    reading = Reading(through(broker.source(until="end"), proxy))
    broker.publish(RECORDS)
    found = reading.take(60)
    proxy.take_away()
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        found += [message.body for message in reading.part.next_batch()]
        assert reading.part.next_awake() is None or reading.part.next_awake().timestamp() < (
            time.time() + 0.1
        )
    proxy.bring_back()
    found += reading.take_all()
    assert found == RECORDS
    assert reading.longest_s < 1.0


def test_a_source_gives_up_when_its_patience_ends(broker, proxy):
    settings = ConnectorSettings(patience_s=0.3)
    reading = Reading(through(broker.source(), proxy), settings=settings)
    broker.publish(RECORDS[:1])
    reading.take(1)
    proxy.take_away()
    with pytest.raises(UnavailableError, match="see that"):
        reading.take(1)


def test_a_queue_that_is_deleted_stops_the_source_with_one_line(broker):
    reading = Reading(broker.source())
    broker.publish(RECORDS[:1])
    reading.take(1)
    broker.forget(f"{broker.exchange}.0")
    with pytest.raises(RefusedError, match="no queue") as refused:
        reading.take(1)
    assert "\n" not in str(refused.value)


def test_a_message_the_flow_dies_of_is_refused_after_bounded_tries_and_no_other(broker):
    records = [record(n) for n in range(120)]
    deadly = records[70]
    open_source(broker.source(), SETTINGS).check()
    broker.publish(records)
    counted, refused_ones, state, lives = [], [], None, 0
    while len(counted) + len(refused_ones) < len(records):
        lives += 1
        assert lives < 30
        reading = Reading(broker.source(until="end"), state)
        alive = True
        while alive:
            while not (batch := next_of(reading)) and batch is not None:
                state = reading.snapshot()
            batch = batch or []
            bodies = [item.body for item in batch if isinstance(item, Message)]
            alive = bool(batch) and deadly not in bodies
            if alive:  # Else it dies in this epoch.
                counted += bodies
                refused_ones += [item for item in batch if isinstance(item, Reject)]
                state = reading.snapshot()
        reading.die()
    assert sorted(map(number, counted)) == [n for n in range(120) if n != 70]
    [reject] = refused_ones
    assert reject.raw == deadly
    assert "the flow ended 5 times" in reject.reason
    assert reject.origin == f"amqp:{broker.exchange}.0"


def next_of(reading):
    """The next batch, None at the end."""
    try:
        return reading.part.next_batch()
    except StopIteration:
        return None


def test_a_queue_is_read_by_its_name(broker):
    open_source(broker.source(), SETTINGS).check()
    broker.publish(RECORDS[:10])
    url = f"{broker.url}?queue={broker.exchange}.0&until=end"
    assert Reading(url).take_all() == RECORDS[:10]


# --- streams ---------------------------------------------------------------------------------


def test_the_end_is_not_reached_while_another_connection_keeps_messages(broker):
    open_source(broker.source(), SETTINGS).check()
    broker.publish(RECORDS[:10])
    with closing(broker.connect()) as dying:
        channel = dying.channel()
        kept: list[bytes] = []
        channel.basic_consume(f"{broker.exchange}.0", lambda *came: kept.append(came[-1]))
        while len(kept) < 10:
            dying.process_data_events(1)
        reading = Reading(broker.source(until="end"))
        until = time.monotonic() + 1.0
        while time.monotonic() < until:
            assert reading.part.next_batch() == []
            dying.process_data_events(0)
    assert reading.take_all() == RECORDS[:10]
    reading.die()


def test_a_stream_is_read_from_its_first_message_and_resumed_at_its_offset(broker):
    url = broker.source(type="stream", until="end")
    reading = Reading(url)
    broker.publish(RECORDS)
    found = reading.take(100)
    state = reading.snapshot()
    assert state.mark == len(found)
    reading.take(50)  # Not committed.
    reading.die()
    found += Reading(url, state).take_all()
    assert found == RECORDS
    assert Reading(url).take_all() == RECORDS


def test_a_stream_that_loses_its_connection_goes_on_at_its_offset(broker, proxy):
    reading = Reading(through(broker.source(type="stream", until="end"), proxy))
    broker.publish(RECORDS)
    found = reading.take(100)
    proxy.cut()
    found += reading.take_all()
    assert found == RECORDS


def test_a_stream_may_be_read_from_a_time_on(broker):
    open_source(broker.source(type="stream"), SETTINGS).check()
    broker.publish(RECORDS[:10])
    tomorrow = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 86_400))
    assert Reading(broker.source(type="stream", until="end", since=tomorrow)).take_all() == []
    past = Reading(broker.source(type="stream", until="end", since="2026-01-01T00:00:00Z"))
    assert past.take_all() == RECORDS[:10]


# --- set-up ----------------------------------------------------------------------------------


def refused(url: str) -> str:
    with pytest.raises((SettingsError, UnavailableError)) as error:
        open_source(url, ConnectorSettings(timeout_s=2)).check()
    assert "\n" not in str(error.value)
    assert "s3cret" not in str(error.value)
    return str(error.value)


def test_declaring_again_changes_nothing(broker):
    for _ in range(3):
        open_source(broker.source(queues=2), SETTINGS).check()
    broker.publish(RECORDS[:10])
    eventually(lambda: sum(broker.count(f"{broker.exchange}.{n}") for n in range(2)) == 10)


def test_a_queue_of_another_form_is_refused(broker):
    with closing(broker.connect()) as connection:
        connection.channel().queue_declare(f"{broker.exchange}.0", durable=True)
    said = refused(broker.source())
    assert f"queue `{broker.exchange}.0` is there with" in said
    assert "delete it or name another" in said


def test_an_exchange_of_another_form_is_refused(broker):
    with closing(broker.connect()) as connection:
        connection.channel().exchange_declare(broker.exchange, "direct", durable=True)
    said = refused(broker.source())
    assert f"exchange `{broker.exchange}` is there with `type` `direct`, not `topic`" in said


def test_fewer_queues_than_there_are_would_leave_some_unread_and_are_refused(broker):
    open_source(broker.source(queues=3), SETTINGS).check()
    assert f"there is a queue `{broker.exchange}.2`" in refused(broker.source(queues=2))


def test_a_queue_that_is_not_there_is_refused(broker):
    assert "no queue `nonesuch`; check `queue=`" in refused(f"{broker.url}?queue=nonesuch")


def test_wrong_credentials_host_port_and_virtual_host_are_refused(broker):
    parts = urlsplit(broker.url)
    place = f"{parts.hostname}:{parts.port}"
    assert "refuses the user" in refused(f"amqp://guest:s3cret@{place}/?exchange=x")
    no_such_host = f"amqp://guest:guest@{place}/nonesuch?exchange=x"
    assert "refuses the virtual host" in refused(no_such_host)
    assert "unknown host" in refused("amqp://a:s3cret@nobody.invalid/?exchange=x")
    assert "does not answer" in refused("amqp://a:s3cret@127.0.0.1:1/?exchange=x")
    assert "TLS failed" in refused(f"amqps://a:s3cret@{place}/?exchange=x")


def test_tls_with_an_authority_of_ones_own(broker, tmp_path):
    parts = urlsplit(broker.url)
    with tls_front(tmp_path, parts.hostname, parts.port) as (port, pem):
        url = f"amqps://guest:guest@127.0.0.1:{port}/?exchange={broker.exchange}&queues=1"
        assert "TLS failed" in refused(url)
        reading = Reading(f"{url}&until=end&ca={pem}")
        broker.publish(RECORDS)
        assert reading.take_all() == RECORDS


# --- sink ------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [(60, 21), (50, 11)], ids=["consume-ok", "declare-ok"])
def test_a_queue_that_leaves_a_question_unanswered_is_asked_over_another_connection(
    broker, monkeypatch, caplog, method
):
    monkeypatch.setattr(consumer, "ANSWER_S", 0.5)
    monkeypatch.setattr(consumer, "DEPTH_EVERY_S", 0.1)
    parts = urlsplit(broker.url)
    with SilentProxy(parts.hostname, parts.port) as proxy:
        source = open_source(through(broker.source(), proxy), SETTINGS)
        source.check()
        built = source.build()
        part = built.build_part("telemetry", built.list_parts()[0], None)
        proxy.kept = frozenset({method})
        found: list[bytes] = []

        def take() -> int:
            found.extend(message.body for message in part.next_batch())
            part.snapshot()
            return len(found)

        eventually(lambda: take() or shown(through(broker.url, proxy), "away"))
        assert "did not answer for 0.5 s; see that it has a leader" in caplog.text
        proxy.kept = frozenset()
        broker.publish(RECORDS[:10])
        eventually(lambda: take() == 10)
        eventually(lambda: take() and shown(through(broker.url, proxy), "up"))
        part.close()
    assert sorted(map(number, found)) == [*range(10)]


def test_no_test_waits_for_ever_for_a_queue_that_does_not_answer(broker):
    open_source(broker.source(), SETTINGS).check()
    parts = urlsplit(broker.url)
    with SilentProxy(parts.hostname, parts.port) as proxy:
        proxy.kept = frozenset({(50, 11)})
        through_it = Broker(through(broker.url.removesuffix("/%2f"), proxy))
        channel = through_it.connect(0.5).channel()
        with pytest.raises(StreamLostError, match="not answered after"):
            channel.queue_declare(f"{broker.exchange}.0", passive=True)


@pytest.fixture
def results(broker):
    empty_topics(broker)
    yield broker
    empty_topics(broker)


def delivery(number: int, topic: str = CRITICAL_ALERTS, **data: object) -> Delivery:
    event = Event(
        type=ZONE_ENTERED,
        event_id=f"e{number:06}",
        vehicle_id="" if data else f"auv-{number % 5}",
        time_us=1_700_000_000_000_000 + number,
        data={"zone_id": "apei-3", **data},
    )
    return Delivery(topic, event)


def told(broker, topic: str = CRITICAL_ALERTS) -> list[str]:
    return [properties.message_id for properties, _, _ in broker.take(topic)]


def part_of(url: str, settings: ConnectorSettings = SETTINGS):
    sink = open_sink(url, settings)
    sink.check()
    built = sink.build("/farwatch/test")
    [name] = built.list_parts()
    return built.build_part("results", name, None)


def test_an_event_is_a_persistent_message_with_its_identity(results):
    flow = Dataflow("test")
    items = [(CRITICAL_ALERTS, delivery(1))]
    sink = open_sink(results.url, SETTINGS).build("/farwatch/test")
    op.output("results", op.input("in", flow, TestingSource(items)), sink)
    run_main(flow, epoch_interval=timedelta(seconds=1))
    [(properties, key, body)] = results.take(CRITICAL_ALERTS)
    assert properties.message_id == json.loads(body)["id"] == "e000001.1"
    assert properties.delivery_mode == 2
    assert properties.content_type == "application/cloudevents+json"
    assert key == "critical_alerts.auv-1"


def test_events_leave_at_once_and_not_only_when_the_epoch_ends(results):
    part = part_of(results.url)
    for number in range(3):
        part.write_batch([delivery(number)])
        eventually(lambda: told(results) != [])
    part.close()


def test_many_events_are_confirmed_by_the_end_of_the_epoch(results):
    part = part_of(results.url)
    for first in range(0, 1500, 100):
        part.write_batch([delivery(n) for n in range(first, first + 100)])
    part.snapshot()
    part.close()
    assert told(results) == [f"e{n:06}.1" for n in range(1500)]


def test_a_connection_lost_in_the_middle_loses_no_event(results, proxy):
    part = part_of(through(results.url, proxy))
    for first in range(0, 1000, 100):
        part.write_batch([delivery(n) for n in range(first, first + 100)])
        if first in (300, 700):
            proxy.cut()
        if first == 500:
            part.snapshot()
    part.snapshot()
    part.close()
    # Sent again in order: each id's first place in the queue is its own.
    assert list(dict.fromkeys(told(results))) == [f"e{n:06}.1" for n in range(1000)]


def test_a_sink_waits_for_a_broker_that_is_away(results, proxy):
    part = part_of(through(results.url, proxy))
    part.write_batch([delivery(1)])
    part.snapshot()
    proxy.take_away()
    part.write_batch([delivery(2)])
    part.write_batch([delivery(3)])
    proxy.bring_back()
    part.snapshot()
    part.close()
    assert told(results) == ["e000001.1", "e000002.1", "e000003.1"]


def test_a_sink_gives_up_when_its_patience_ends(results, proxy):
    part = part_of(through(results.url, proxy), ConnectorSettings(patience_s=0.3))
    part.write_batch([delivery(1)])
    part.snapshot()
    proxy.take_away()
    part.write_batch([delivery(2)])
    with pytest.raises(UnavailableError) as error:
        part.snapshot()
    assert "\n" not in str(error.value)
    part.close()


def test_a_queue_that_takes_no_more_is_a_state_that_passes(results):
    part = part_of(results.url)
    part.write_batch([delivery(1)])
    part.snapshot()
    full = f"{results.exchange}.0"
    with closing(results.connect()) as connection:
        channel = connection.channel()
        limits = {"x-max-length": 1, "x-overflow": "reject-publish"}
        channel.queue_declare(full, durable=True, arguments=limits)
        channel.queue_bind(full, CRITICAL_ALERTS, "#")
    part.write_batch([delivery(2), delivery(3), delivery(4)])
    writing = Thread(target=part.snapshot)
    try:
        writing.start()
        eventually(lambda: shown(results.url, "full"))
        assert writing.is_alive()
    finally:
        results.forget(full)
        writing.join(20)
    assert not writing.is_alive()
    assert shown(results.url, "up")
    assert not shown(results.url, "full")
    part.close()
    assert {*told(results)} == {f"e{n:06}.1" for n in range(1, 5)}


def test_a_broker_short_of_memory_is_waited_for_as_full_and_loses_and_doubles_nothing(
    broker, results, caplog
):
    server = service_control("rabbitmq").server
    if not isinstance(server, RabbitmqServer):
        pytest.skip("the limit of a container is not ours to set")
    patient = ConnectorSettings(timeout_s=1, patience_s=120)
    source = broker.source()
    open_source(source, SETTINGS).check()
    part = part_of(results.url, patient)
    part.write_batch([delivery(1)])
    part.snapshot()
    broker.publish(RECORDS[:10])
    try:
        server.limit_memory("1MB")
        part.write_batch([delivery(2), delivery(3)])
        writing = Thread(target=part.snapshot)
        writing.start()
        eventually(lambda: shown(results.url, "full"), 30)
        assert writing.is_alive()
        # One that begins meanwhile fares the same, and what is there can still be read.
        late = part_of(results.url, patient)
        late.write_batch([delivery(4)])
        late_writing = Thread(target=late.snapshot)
        late_writing.start()
        assert sorted(map(number, read(source, 10))) == [*range(10)]
        assert late_writing.is_alive()
    finally:
        server.limit_memory()
    for thread in (writing, late_writing):
        thread.join(30)
        assert not thread.is_alive()
    assert shown(results.url, "up")
    assert not shown(results.url, "full")
    part.close()
    late.close()
    assert sorted(told(results)) == [f"e{n:06}.1" for n in range(1, 5)]
    [line, *_] = [one for one in caplog.messages if "blocked" in one]
    assert re.search(r"did not confirm in time \(it is blocked: low on memory\); waiting", line)


def read(url: str, many: int) -> list[bytes]:
    """So many messages of the first queue of a source without end."""
    built = open_source(url, SETTINGS).build()
    part = built.build_part("telemetry", built.list_parts()[0], None)
    found: list[bytes] = []

    def all_there() -> bool:
        found.extend(message.body for message in part.next_batch())
        part.snapshot()
        return len(found) >= many

    eventually(all_there)
    part.close()
    return found


def shown(url: str, state: str) -> bool:
    """Whether the metrics show the broker in this state."""
    labels = {"target": read_url(url, ())[0].name, "state": state}
    return REGISTRY.get_sample_value("farwatch_far_side_state", labels) == 1


def test_frames_between_flows_need_their_reader(results):
    part = part_of(results.url)
    part.write_batch([delivery(1, ENRICHED_TELEMETRY, group="g3")])
    with pytest.raises(RefusedError, match="nobody keeps what goes to exchange `enriched_tel"):
        part.snapshot()
    part.close()


def test_frames_of_a_key_group_keep_their_order_through_a_sharded_topic(results):
    url = f"{results.url}?exchange={ENRICHED_TELEMETRY}&queues=2&until=end"
    readings = [Reading(url, part=part) for part in range(2)]
    part = part_of(results.url)
    part.write_batch([delivery(n, ENRICHED_TELEMETRY, group=f"g{n % 8}", n=n) for n in range(64)])
    part.snapshot()
    part.close()
    found = [[json.loads(body)["data"] for body in one.take_all()] for one in readings]
    groups = [{data["group"] for data in one} for one in found]
    assert not groups[0] & groups[1]
    for one in found:
        for group in {data["group"] for data in one}:
            numbers = [data["n"] for data in one if data["group"] == group]
            assert numbers == sorted(numbers)
    assert sum(map(len, found)) == 64
    stem = ENRICHED_TELEMETRY
    results.forget(f"{stem}.0", f"{stem}.1", exchanges=[f"{stem}.hash"])


def test_events_nobody_keeps_are_dropped_where_the_url_says_so(results):
    part = part_of(f"{results.url}?keep=no")
    part.write_batch([delivery(1)])
    part.snapshot()
    with closing(results.connect()) as connection:
        channel = connection.channel()
        channel.queue_declare("watching", exclusive=True)
        channel.queue_bind("watching", CRITICAL_ALERTS, "#")
        part.write_batch([delivery(2)])
        part.snapshot()
        _, properties, _ = channel.basic_get("watching", auto_ack=True)
        assert properties.message_id == "e000002.1"
        assert channel.basic_get("watching", auto_ack=True)[0] is None
    part.close()


def test_a_sink_refuses_a_queue_of_another_form(results):
    with closing(results.connect()) as connection:
        connection.channel().queue_declare(GEOFENCING_EVENTS, durable=True)
    with pytest.raises(SettingsError, match=f"queue `{GEOFENCING_EVENTS}` is there with"):
        open_sink(results.url, SETTINGS).check()


def test_a_check_of_a_sink_declares_nothing(results):
    open_sink(results.url, SETTINGS).check()
    with closing(results.connect()) as connection:
        channel = connection.channel()
        with pytest.raises(pika.exceptions.ChannelClosedByBroker):
            channel.queue_declare(CRITICAL_ALERTS, passive=True)


def test_confirms_are_not_waited_for_one_by_one(broker):
    open_source(broker.source(), SETTINGS).check()
    address, _ = read_url(broker.url, ())
    publisher = Publisher(address, 5.0, lambda _link: None, mandatory=True)
    most = 0
    for n in range(20):
        some = [Outgoing(broker.exchange, "k", f"m{n}-{i}", "text/plain", b"x") for i in range(500)]
        publisher.publish(some, 30)
        most = max(most, publisher.unconfirmed_bytes)
    publisher.flush(30)
    publisher.close()
    assert most >= 100, "messages in flight at once"


def test_a_publisher_bounds_what_is_in_flight(broker):
    open_source(broker.source(), SETTINGS).check()
    address, _ = read_url(broker.url, ())
    publisher = Publisher(address, 5.0, lambda _link: None, mandatory=True)
    body = b"x" * 2**20
    sent = 0
    for n in range(80):
        publisher.publish([Outgoing(broker.exchange, "k", f"m{n}", "text/plain", body)], 30)
        sent = max(sent, publisher.unconfirmed_bytes)
    publisher.flush(30)
    publisher.close()
    assert sent < 64 * 2**20
    eventually(lambda: broker.count(f"{broker.exchange}.0") == 80)
    assert publisher.unconfirmed_bytes == 0
