"""RabbitMQ as a source: order, acknowledgements, outages, streams, questions unanswered."""

import json
import time
from contextlib import closing
from datetime import timedelta
from urllib.parse import urlsplit

import bytewax.operators as op
import numpy as np
import pytest
from bytewax.dataflow import Dataflow
from bytewax.testing import TestingSink, run_main
from pika.exceptions import StreamLostError

from connectors.contract import ConnectorSettings, RefusedError, UnavailableError
from connectors.rabbitmq import consumer
from connectors.registry import open_source
from flows.steps.dead_letter import DeadLetterLimit
from flows.steps.decode import decode
from schemas.decoding import TelemetryDecoder
from schemas.frame import Frame
from schemas.message import Message, Reject
from tests.rabbitmq_broker import Broker, new_broker
from tests.rabbitmq_reading import (
    RECORDS,
    SETTINGS,
    Reading,
    SilentProxy,
    eventually,
    number,
    record,
    shown,
    through,
)
from tests.tcp_proxy import TcpProxy


@pytest.fixture
def broker(rabbitmq_url):
    with new_broker(rabbitmq_url) as broker:
        yield broker


@pytest.fixture
def proxy(rabbitmq_url):
    server = urlsplit(rabbitmq_url)
    with TcpProxy(server.hostname, server.port) as proxy:
        yield proxy


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


@pytest.fixture
def left_behind(broker):
    """3000 records, of which a life read a third, committed that, and had all others un-acked."""
    records = [record(n) for n in range(3000)]
    before = Reading(broker.source(until="end"), settings=ConnectorSettings(batch_rows=100))
    broker.publish(records)
    read = before.take(1000)
    state = before.snapshot()
    assert state.prefetch == 30_000
    before.take(1500, in_one_epoch=True)
    before.die()
    return state, records[len(read) :]


def test_order_is_kept_by_lives_that_begin_without_a_state(broker, left_behind):
    reading = Reading(broker.source(until="end"), settings=ConnectorSettings(batch_rows=100))
    assert reading.take_all() == left_behind[1]


def test_order_is_kept_by_lives_that_are_told_a_smaller_prefetch(broker, left_behind):
    state, records = left_behind
    for prefetch in (40, 70):
        url = broker.source(until="end", prefetch=prefetch)
        reading = Reading(url, state, settings=ConnectorSettings(batch_rows=100))
        assert reading.take(1, in_one_epoch=True)[0] == records[0]
        reading.die()
    reading = Reading(broker.source(until="end", prefetch=40), state)
    assert reading.take_all() == records
    assert reading.snapshot().prefetch == 40
    assert broker.count(f"{broker.exchange}.0") == 0


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
