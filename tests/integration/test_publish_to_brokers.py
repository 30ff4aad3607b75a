"""`farwatch publish` to real brokers and `farwatch subscribe` from them."""

import json
import re
import subprocess
import sys
from contextlib import closing
from itertools import islice, takewhile
from threading import Event, Thread, Timer
from time import monotonic

import pytest
from typer.testing import CliRunner

from connectors.contract import ConnectorSettings, SettingsError
from connectors.registry import open_publisher, open_subscription
from scripts.cli import app
from tests.kafka_topics import make, new_topics, read, send
from tests.rabbitmq_broker import new_broker
from tests.tcp_proxy import line_to

LINES = [
    json.dumps({"auv_id": f"auv-{i % 5}", "timestamp": 1_767_225_600 + i}).encode()
    for i in range(500)
]


@pytest.fixture
def broker(rabbitmq_url):
    with new_broker(rabbitmq_url) as broker:
        yield broker


@pytest.fixture
def topic(kafka_url):
    with new_topics(kafka_url) as name:
        yield f"{kafka_url}/{name}"


def publish(folder, to, *words):
    path = folder / "in.ndjson"
    path.write_bytes(b"\n".join(LINES) + b"\n")
    done = CliRunner().invoke(app, ["publish", str(path), "--to", to, *words])
    assert done.exit_code == 0, done.stderr
    return done.stderr


def vehicle(body):
    return json.loads(body.splitlines()[0])["auv_id"]


def test_rabbitmq_gets_each_record_once_on_the_queue_of_its_vehicle(broker, tmp_path):
    to = broker.source(queues=2)
    assert "500 records in 500 messages, all confirmed" in publish(tmp_path, to)
    queues = [broker.take(f"{broker.exchange}.{number}") for number in range(2)]
    found = [body for queue in queues for _, _, body in queue]
    assert sorted(found) == sorted(LINES)
    of_queue = [{vehicle(body) for _, _, body in queue} for queue in queues]
    assert not of_queue[0] & of_queue[1]
    prefix = broker.exchange.replace("_", ".")
    for queue in queues:
        for properties, key, body in queue:
            assert key == f"{prefix}.{vehicle(body)}"
            assert (properties.delivery_mode, properties.content_type) == (2, "application/json")
    assert len({properties.message_id for queue in queues for properties, _, _ in queue}) == 500


def test_kafka_gets_each_record_once_in_the_order_of_its_vehicle(topic, kafka_url, tmp_path):
    said = publish(tmp_path, f"{topic}?create=3", "--batch", "7")
    assert "500 records in 75 messages" in said
    messages = read(kafka_url, topic.rpartition("/")[2])
    for one in {vehicle(line) for line in LINES}:
        of_vehicle = [m.value() for m in messages if m.key() == one.encode()]
        lines = [line for body in of_vehicle for line in body.splitlines()]
        assert lines == [line for line in LINES if vehicle(line) == one]


@pytest.mark.parametrize("far_side", ["rabbitmq", "kafka"])
def test_records_are_there_when_they_are_due(far_side, broker, topic, kafka_url, tmp_path):
    path = tmp_path / "in.ndjson"
    at_once, later = LINES[0], b'{"auv_id": "auv-0", "timestamp": 1767229200}'
    path.write_bytes(b"\n".join([at_once] * 10 + [later]))
    name = topic.rpartition("/")[2]
    to = broker.source() if far_side == "rabbitmq" else f"{topic}?create=1"
    command = [sys.executable, "-m", "scripts.cli", "publish", path, "--to", to, "--speed", "1"]

    def there():
        if far_side == "kafka":
            return len(read(kafka_url, name))
        return broker.count(f"{broker.exchange}.0")

    open_publisher(to, ConnectorSettings()).close()
    with subprocess.Popen(command) as publishing:
        try:
            deadline = monotonic() + 240
            while there() < 10:
                assert monotonic() < deadline
            assert publishing.poll() is None
        finally:
            publishing.kill()


def hear(bodies, many, limit_s=60):
    """So many bodies, or those that came in time."""
    until_s = monotonic() + limit_s
    return list(islice(filter(None, takewhile(lambda _: monotonic() < until_s, bodies)), many))


def test_a_subscription_hears_what_is_published_from_then_on(broker, topic, kafka_url, tmp_path):
    kafka_topic = topic.rpartition("/")[2]
    make(kafka_url, [kafka_topic])
    publish(tmp_path, f"{broker.source()}")
    publish(tmp_path, topic)
    for to, url, name in (
        (broker.source(), broker.url, broker.exchange),
        (topic, kafka_url, kafka_topic),
    ):
        with closing(open_subscription(url, name, ConnectorSettings())) as subscription:
            # Before it is asked for anything: what counts is that it is open.
            publish(tmp_path, to)
            bodies = subscription.bodies()
            assert hear(bodies, len(LINES)) == LINES
            assert next(bodies) is None
    url = f"{kafka_url}/?start=earliest"
    with closing(open_subscription(url, kafka_topic, ConnectorSettings())) as subscription:
        all_there = [body for body in islice(subscription.bodies(), 2 * len(LINES) + 20) if body]
    assert all_there == 2 * LINES


def test_a_subscription_to_kafka_hears_what_comes_the_moment_it_is_made(topic, kafka_url):
    name = topic.rpartition("/")[2]
    make(kafka_url, [name])
    send(kafka_url, name, [b"before"])
    with (
        line_to(kafka_url) as (proxy, through),
        closing(open_subscription(through, name, ConnectorSettings())) as subscription,
    ):
        proxy.take_away()
        send(kafka_url, name, [b"after"])
        proxy.bring_back()
        assert hear(subscription.bodies(), 1, limit_s=20) == [b"after"]


@pytest.mark.parametrize("as_json", [True, False], ids=["json", "readable"])
def test_what_a_broker_tells_is_filtered_and_shown(broker, tmp_path, as_json):
    publish(tmp_path, broker.source())
    words = ["subscribe", broker.exchange, "--from", broker.url]
    words += ["--filter", "auv_id=auv-3", *["--json"] * as_json]
    with subprocess.Popen(
        [sys.executable, "-m", "scripts.cli", *words], stdout=subprocess.PIPE, text=True
    ) as subscribing:
        try:
            # It hears what comes from then on, and nobody says when that is.
            stop = Event()
            again = Thread(target=keep_publishing, args=(broker, tmp_path, stop))
            again.start()
            silent = Timer(60, subscribing.kill)
            silent.start()
            shown = [subscribing.stdout.readline().rstrip("\n") for _ in range(3)]
        finally:
            silent.cancel()
            stop.set()
            again.join(60)
            subscribing.kill()
    if as_json:
        assert {json.loads(line)["auv_id"] for line in shown} == {"auv-3"}
        assert {line.encode() for line in shown} <= {*LINES}
    else:
        assert all(re.fullmatch(r"17672\d{5}  auv_id=auv-3", line) for line in shown), shown


def keep_publishing(broker, folder, stop):
    while not stop.wait(0.2):
        publish(folder, broker.source())


def test_what_is_not_there_is_refused_in_one_line(broker, topic, kafka_url):
    for open_it, says in (
        (lambda: open_publisher(topic, ConnectorSettings()), "add `create=PARTITIONS`"),
        (lambda: open_publisher(f"{kafka_url}/", ConnectorSettings()), "names no topic"),
        (lambda: open_publisher(f"{broker.url}?queue=x", ConnectorSettings()), "name one exchange"),
        (lambda: open_subscription(kafka_url, "none", ConnectorSettings()), "no topic `none`"),
        (lambda: open_subscription(broker.url, "none", ConnectorSettings()), "no exchange `none`"),
    ):
        with pytest.raises(SettingsError, match=says) as refused:
            open_it()
        assert "\n" not in str(refused.value)
        assert "guest:guest" not in str(refused.value)


def test_an_exchange_declared_otherwise_is_refused(broker):
    with closing(broker.connect()) as connection:
        connection.channel().exchange_declare(broker.exchange, "fanout", durable=True)
    with pytest.raises(SettingsError, match=f"exchange `{broker.exchange}`"):
        open_publisher(broker.source(), ConnectorSettings())
