"""The servers that tests stand on: each answers, and comes back from kill -9 with its data."""

import json
import os
import signal
import subprocess
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode, urlsplit
from urllib.request import urlopen

import pika
import psycopg
import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient
from influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException
from redis import Redis, RedisError

from scripts.servers import SERVERS, processes
from scripts.servers.redis import RedisServer
from tests.services import service_control
from tests.watching import ROOT


@pytest.fixture
def name() -> str:
    return f"farwatch-test-{uuid.uuid4().hex}"


def test_a_confirmed_message_outlives_a_killed_rabbitmq(rabbitmq_url, name):
    def with_channel(do):
        with pika.BlockingConnection(pika.URLParameters(rabbitmq_url)) as connection:
            return do(connection.channel())

    def put(channel):
        channel.confirm_delivery()
        channel.queue_declare(name, durable=True)
        lasting = pika.BasicProperties(delivery_mode=2)
        channel.basic_publish("", name, b"a record", lasting, mandatory=True)

    with_channel(put)
    # Which queues there are the broker (Erlang's disk_log) keeps in memory for two seconds.
    time.sleep(3)  # noqa: TID251
    kill_and_start("rabbitmq")
    assert with_channel(lambda channel: channel.basic_get(name, auto_ack=True))[2] == b"a record"
    with_channel(lambda channel: channel.queue_delete(name))


def test_a_committed_row_outlives_a_killed_postgresql(postgresql_url, name):
    with psycopg.connect(postgresql_url) as connection:
        connection.execute(f'CREATE TABLE "{name}" AS SELECT 7 AS depth_m')
    kill_and_start("postgresql")
    with psycopg.connect(postgresql_url) as connection:
        assert connection.execute(f'SELECT depth_m FROM "{name}"').fetchall() == [(7,)]
        connection.execute(f'DROP TABLE "{name}"')


def test_an_acknowledged_key_outlives_a_killed_redis(redis_url, name):
    with Redis.from_url(redis_url) as client:
        client.set(name, "here", ex=300)
    kill_and_start("redis")
    with Redis.from_url(redis_url) as client:
        assert client.get(name) == b"here"
        client.delete(name)


def test_an_acknowledged_record_outlives_a_killed_kafka(kafka_url, name):
    servers = {"bootstrap.servers": kafka_url.removeprefix("kafka://")}
    producer = Producer(servers | {"acks": "all"})
    producer.produce(name, b"a record")
    assert producer.flush(20) == 0
    kill_and_start("kafka")
    group = {"group.id": name, "auto.offset.reset": "earliest"}
    consumer = Consumer(servers | group)
    consumer.subscribe([name])
    message = consumer.poll(30)
    consumer.close()
    assert message is not None
    assert message.error() is None
    assert message.value() == b"a record"
    admin = AdminClient(servers)
    admin.delete_topics([name])[name].result(20)


def test_a_written_point_outlives_a_killed_influxdb(influxdb_url, name):
    address = urlsplit(influxdb_url)
    organisation, bucket = address.path.strip("/").split("/")
    client = InfluxDBClient(f"http://{address.netloc}", token="any", org=organisation)
    with client, client.write_api(write_options=SYNCHRONOUS) as writer:
        writer.write(bucket, record=f"{name} depth_m=7 1000", write_precision="ms")
        with pytest.raises(ApiException, match="field type conflict"):
            writer.write(bucket, record=f'{name} depth_m="deep" 1000', write_precision="ms")
    kill_and_start("influxdb")
    query = urlencode({"db": bucket, "epoch": "ms", "q": f'SELECT depth_m FROM "{name}"'})
    with urlopen(f"http://{address.netloc}/query?{query}", timeout=10) as answer:
        found = json.load(answer)
    assert found["results"][0]["series"][0]["values"] == [[1000, 7]]


def test_what_is_stopped_is_not_up_and_what_is_started_twice_stays(redis_url):
    control = service_control("redis")
    control.stop()
    assert not control.is_up()
    with pytest.raises(RedisError), Redis.from_url(redis_url) as client:
        client.ping()
    control.start()
    with Redis.from_url(redis_url) as client:
        before = client.info("server")["process_id"]
        control.start()
        assert client.info("server")["process_id"] == before


def test_two_checkouts_have_servers_of_their_own(redis_url, tmp_path):
    other = RedisServer(tmp_path)
    if other.missing:
        pytest.skip(f"install {' '.join(other.missing)}")
    try:
        other.start()
        assert other.url != redis_url
        with Redis.from_url(other.url) as theirs, Redis.from_url(redis_url) as ours:
            theirs.set(tmp_path.name, "here")
            assert ours.get(tmp_path.name) is None
    finally:
        other.stop()
        other.delete()
    assert not other.ready()
    assert not other.folder.exists()


def test_two_checkouts_that_start_at_once_have_servers_of_their_own(redis_url, tmp_path):
    class SlowRedisServer(RedisServer):
        def launch(self):
            time.sleep(0.3)  # noqa: TID251 (Kafka formats its storage meanwhile)
            super().launch()

    both = [SlowRedisServer(tmp_path / name) for name in ("one", "other")]
    if both[0].missing:
        pytest.skip(f"install {' '.join(both[0].missing)}")
    try:
        with ThreadPoolExecutor() as together:
            assert list(together.map(RedisServer.start, both)) == [True, True]
        assert all(server.ready() for server in both)
        assert len({redis_url, *(server.url for server in both)}) == 3
    finally:
        for server in both:
            server.stop()


def test_status_gives_the_addresses_as_json(redis_url):
    command = [ROOT / "scripts" / "services", "status", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    shown = json.loads(done.stdout)
    assert shown["redis"]["up"]
    assert {name: state["url"] for name, state in shown.items()} == {
        name: server.url for name, server in SERVERS.items()
    }


def test_what_ignores_a_stop_is_killed_with_its_children(tmp_path):
    pid_file, children = tmp_path / "pid", tmp_path / "children"
    stubborn = f"trap '' TERM; sleep 300 & echo $! > {children}; wait"
    processes.spawn(["/bin/sh", "-c", stubborn], pid_file, tmp_path / "log")
    assert processes.wait_until(lambda: children.exists() and children.read_text() != "", 10)
    processes.stop(pid_file, signal.SIGTERM, patience_s=0.2)
    assert processes.running(pid_file) is None
    assert processes.has_ended(int(children.read_text()))


def test_a_process_that_got_the_number_of_an_ended_one_is_not_taken_for_it(tmp_path):
    pid_file = tmp_path / "pid"
    pid_file.write_text(f"{os.getpid()} 1\n")
    assert processes.running(pid_file) is None


def kill_and_start(server: str) -> None:
    control = service_control(server)
    control.kill9()
    assert not control.is_up()
    control.start()
    assert control.is_up()
    assert SERVERS[server].url == control.url
