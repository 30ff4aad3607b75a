"""What every sink must do that shows the present: one suite over Redis and InfluxDB."""

from contextlib import closing
from datetime import timedelta
from itertools import chain
from urllib.parse import urlsplit

import bytewax.operators as op
import pytest
import redis
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import TestingSource, run_main

from connectors.contract import ConnectorSettings, SettingsError, UnavailableError
from connectors.registry import open_sink
from schemas.delivery import Delivery
from schemas.event import ZONE_ENTERED, Event
from schemas.topics import BETWEEN_TOPICS, RESULT_TOPICS
from tests.influxdb_buckets import new_bucket
from tests.redis_tls import tls_redis
from tests.tcp_proxy import line_to
from tests.views import VIEWS, InfluxdbUnderTest, RedisUnderTest, view_deliveries

DELIVERIES = list(chain(*map(view_deliveries, range(40))))


@pytest.fixture
def influxdb(influxdb_url):
    with new_bucket(influxdb_url) as bucket:
        yield InfluxdbUnderTest(bucket)


@pytest.fixture
def plain_redis(redis_url):
    view = RedisUnderTest(f"redis://{urlsplit(redis_url).netloc}/8")
    with closing(redis.Redis.from_url(view.url)) as client:
        client.flushdb()
        yield view
        client.flushdb()


@pytest.fixture
def redis_over_tls(redis_url, tmp_path):
    with tls_redis(tmp_path) as (url, pem):
        yield RedisUnderTest(f"{url}?ssl_ca_certs={pem}")


FIXTURES = {"influxdb": "influxdb", "redis": "plain_redis", "rediss": "redis_over_tls"}


@pytest.fixture(params=VIEWS)
def view(request):
    return request.getfixturevalue(FIXTURES[request.param])


@pytest.fixture
def recovery(tmp_path):
    folder = tmp_path / "recovery"
    folder.mkdir()
    init_db_dir(folder, 1)
    return RecoveryConfig(str(folder), timedelta(0))


def write(view, items, batch_size=1, recovery=None):
    sink = open_sink(view.url, ConnectorSettings())
    sink.check()
    keyed = [item if not isinstance(item, Delivery) else (item.topic, item) for item in items]
    flow = Dataflow("test")
    deliveries = op.input("deliveries", flow, TestingSource(keyed, batch_size))
    op.output("results", deliveries, sink.build("/farwatch/test"))
    run_main(flow, epoch_interval=timedelta(0), recovery_config=recovery)


def test_a_view_that_is_told_nothing_shows_nothing(view):
    before = view.shown()
    write(view, [])
    assert view.shown() == before
    assert not any(before.values())


def test_a_view_shows_the_same_however_told(view):
    write(view, DELIVERIES, 1)
    shown = view.shown()
    assert any(shown.values())
    for batch_size in (7, len(DELIVERIES)):
        write(view, DELIVERIES, batch_size)
        assert view.shown() == shown
    write(view, DELIVERIES[: len(DELIVERIES) // 2], 3)
    assert view.shown() == shown


def test_an_abort_changes_nothing_of_what_a_view_shows(view, recovery):
    cut = 3 * len(DELIVERIES) // 5
    items = [*DELIVERIES[:cut], TestingSource.ABORT(), *DELIVERIES[cut:]]
    write(view, items, 4, recovery)
    assert any(view.shown().values())
    write(view, items, 4, recovery)
    shown = view.shown()
    write(view, DELIVERIES)
    assert view.shown() == shown


def test_events_of_other_kinds_are_let_pass(view):
    before = view.shown()
    event = Event(type=ZONE_ENTERED, event_id="e", vehicle_id="v", time_us=1, data={})
    topics = (*RESULT_TOPICS, *BETWEEN_TOPICS, "_tracks", "_tallies")
    write(view, [Delivery(topic, event) for topic in topics])
    assert view.shown() == before


def test_a_check_leaves_nothing_behind(view):
    before = view.shown()
    open_sink(view.url, ConnectorSettings()).check()
    assert view.shown() == before


def test_a_view_refuses_a_url_it_cannot_use_in_one_line_without_the_secret(view):
    for url in view.bad_urls:
        with pytest.raises(SettingsError) as refused:
            open_sink(url, ConnectorSettings()).check()
        assert "`" in str(refused.value)
        assert "\n" not in str(refused.value)
        assert "pass" not in str(refused.value).replace("password", "")


def test_a_server_that_does_not_answer_is_told_in_one_line(view, unused_tcp_ports):
    port = urlsplit(view.url).port
    url = view.url.replace(f":{port}/", f":{unused_tcp_ports[1]}/")
    with pytest.raises(UnavailableError, match="does not answer") as away:
        open_sink(url, ConnectorSettings(timeout_s=0.5)).check()
    assert "\n" not in str(away.value)


def test_a_view_that_loses_its_connection_shows_the_same_over_another(view):
    with line_to(view.url) as (proxy, through):
        built = open_sink(through, ConnectorSettings(patience_s=30)).build("/farwatch/test")
        [name] = built.list_parts()
        with closing(built.build_part("results", name, None)) as part:
            for at in range(0, len(DELIVERIES), 8):
                part.write_batch(DELIVERIES[at : at + 8])
                proxy.cut()
                part.snapshot()
    shown = view.shown()
    assert any(shown.values())
    write(view, DELIVERIES)
    assert view.shown() == shown


def test_a_failed_run_can_be_run_again(view):
    flow = Dataflow("test")
    items = [(one.topic, one) for one in DELIVERIES]
    deliveries = op.input("deliveries", flow, TestingSource(items))
    checked = op.map("fail", deliveries, lambda item: item if item is not items[-1] else 1 / 0)
    sink = open_sink(view.url, ConnectorSettings())
    op.output("results", checked, sink.build("/farwatch/test"))
    with pytest.raises(Exception, match="fail"):
        run_main(flow, epoch_interval=timedelta(0))
    write(view, DELIVERIES)
    shown = view.shown()
    write(view, DELIVERIES)
    assert view.shown() == shown
