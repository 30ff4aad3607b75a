"""RabbitMQ: what is declared, and what is refused before a flow starts."""

from contextlib import closing
from urllib.parse import urlsplit

import pytest

from connectors.contract import ConnectorSettings, SettingsError, UnavailableError
from connectors.rabbitmq import topology
from connectors.registry import open_publisher, open_source
from tests.rabbitmq_broker import new_broker
from tests.rabbitmq_reading import RECORDS, SETTINGS, Reading, eventually
from tests.tcp_proxy import tls_front


@pytest.fixture
def broker(rabbitmq_url):
    with new_broker(rabbitmq_url) as broker:
        yield broker


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


def warned(caplog):
    return [r.getMessage() for r in caplog.records if r.name == "connectors.rabbitmq.source"]


@pytest.mark.parametrize("kind", ["quorum", "stream"])
def test_a_ring_that_is_there_is_kept_and_told_of(broker, caplog, kind):
    stem = broker.exchange if kind == "quorum" else f"{broker.exchange}.stream"
    with closing(broker.connect()) as connection:
        connection.channel().exchange_declare(f"{stem}.hash", "x-consistent-hash", durable=True)
    open_source(broker.source(queues=2, type=kind), SETTINGS).check()
    [said] = warned(caplog)
    assert "changes when the broker restarts" in said
    assert f"delete the exchange `{stem}.hash`" in said
    broker.publish(RECORDS[:10])
    if kind == "quorum":
        eventually(lambda: sum(broker.count(f"{stem}.{n}") for n in range(2)) == 10)


def test_a_broker_without_the_plugin_takes_a_ring_and_one_without_any_is_refused(
    broker, caplog, monkeypatch
):
    monkeypatch.setattr(topology, "STABLE", "x-unknown-hash")
    open_source(broker.source(), SETTINGS).check()
    assert not warned(caplog), "one queue has no order to lose"
    open_source(broker.source(queues=2), SETTINGS).check()
    assert len(warned(caplog)) == 1
    publisher = open_publisher(broker.source(queues=2), SETTINGS)
    publisher.publish(RECORDS[0], "auv-1")
    publisher.flush()
    publisher.close()
    eventually(lambda: sum(broker.count(f"{broker.exchange}.{n}") for n in range(2)) == 1)
    monkeypatch.setattr(topology, "RING", "x-other-hash")
    with new_broker(broker.url.removesuffix("/%2f")) as another:
        assert "rabbitmq-plugins enable rabbitmq_sharding" in refused(another.source())


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
