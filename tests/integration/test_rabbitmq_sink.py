"""RabbitMQ as a sink: confirms, outages, what nobody keeps, topics between flows."""

import json
import re
from contextlib import closing
from datetime import timedelta
from threading import Thread
from urllib.parse import urlsplit

import bytewax.operators as op
import pika
import pytest
from bytewax.dataflow import Dataflow
from bytewax.testing import TestingSource, run_main

from connectors.contract import ConnectorSettings, RefusedError, SettingsError, UnavailableError
from connectors.rabbitmq.address import read_url
from connectors.rabbitmq.publisher import Outgoing, Publisher
from connectors.registry import open_sink, open_source
from schemas.delivery import Delivery
from schemas.event import ZONE_ENTERED, Event
from schemas.topics import CRITICAL_ALERTS, ENRICHED_TELEMETRY, GEOFENCING_EVENTS
from scripts.servers.rabbitmq import RabbitmqServer
from tests.rabbitmq_broker import empty_topics, new_broker
from tests.rabbitmq_reading import RECORDS, SETTINGS, Reading, eventually, number, shown, through
from tests.services import service_control
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
    for event in range(3):
        part.write_batch([delivery(event)])
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
