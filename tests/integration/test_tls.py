"""TLS with an authority of our own, certificates on both sides, at brokers and databases."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest

from connectors.contract import ConnectorError, ConnectorSettings, RefusedError, SettingsError
from connectors.registry import open_publisher, open_sink, open_source
from schemas.live import telemetry_delivery
from scripts.servers import SERVERS
from scripts.servers.authority import Authority
from scripts.servers.postgresql import PostgresqlServer
from tests.frames import frame_of
from tests.influxdb_buckets import Bucket, new_bucket
from tests.kafka_topics import new_topics
from tests.rabbitmq_broker import empty_topics, new_broker
from tests.redis_tls import mutual_redis
from tests.services import tls_address
from tests.watching import command, environment, run, telemetry, told, write_inputs

SETTINGS = ConnectorSettings(timeout_s=3, patience_s=3)


@pytest.fixture(scope="module")
def trust() -> Authority:
    return SERVERS["rabbitmq"].authority.make()


@pytest.fixture(scope="module")
def stranger(tmp_path_factory) -> Authority:
    """An authority that no server trusts, and that signed none of them."""
    return Authority(tmp_path_factory.mktemp("stranger")).make()


def options(scheme: str, ca: Authority, client: Authority | None) -> str:
    """The query of a URL that trusts ``ca`` and shows the certificate of ``client``."""
    names = {
        "amqps": ("ca", "cert", "key"),
        "kafka": ("ca", "certificate", "key"),
        "postgresql": ("sslrootcert", "sslcert", "sslkey"),
        "rediss": ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile"),
    }[scheme]
    values = (ca.ca, client and client.client, client and client.client_key)
    more = {"kafka": ["tls=true", "create=1"], "postgresql": ["sslmode=verify-full"]}.get(
        scheme, []
    )
    return "&".join(more + [f"{n}={v}" for n, v in zip(names, values, strict=True) if v])


@pytest.fixture(scope="module")
def postgres_tls(postgresql_url, trust, tmp_path_factory) -> Iterator[str]:
    """A server that lets users in by certificate alone."""
    server = PostgresqlServer(tmp_path_factory.mktemp("services"))
    if server.missing:
        pytest.skip(f"no {server.name} of our own: install {' '.join(server.missing)}")
    server.start()
    try:
        data = server._data
        for path in (trust.ca, trust.server, trust.server_key):
            shutil.copy(path, data)
            owner = data.stat()
            shutil.chown(data / path.name, owner.st_uid, owner.st_gid)
            (data / path.name).chmod(0o600)
        with (data / "postgresql.conf").open("a") as conf:
            conf.write("ssl=on\nssl_ca_file='ca.pem'\n")
            conf.write("ssl_cert_file='server.pem'\nssl_key_file='server.key'\n")
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("CREATE ROLE farwatch LOGIN")
            connection.execute("CREATE DATABASE farwatch OWNER farwatch")
            (data / "pg_hba.conf").write_text(
                "hostssl farwatch farwatch 127.0.0.1/32 cert\n"
                "host postgres postgres 127.0.0.1/32 trust\n"
            )
            connection.execute("SELECT pg_reload_conf()")
        yield f"postgresql://farwatch@127.0.0.1:{server.port}/farwatch"
    finally:
        server.stop()
        server.delete()


@pytest.fixture(scope="module")
def redis_tls(redis_url, trust, tmp_path_factory) -> Iterator[str]:
    with mutual_redis(tmp_path_factory.mktemp("redis"), trust) as url:
        yield url


@pytest.fixture
def far_sides(rabbitmq_url, kafka_url, postgres_tls, redis_tls) -> dict[str, str]:
    """Scheme -> URL without the options of TLS."""
    return {
        "amqps": tls_address("rabbitmq"),
        "kafka": f"{tls_address('kafka')}/tls{uuid4().hex}",
        "postgresql": postgres_tls,
        "rediss": redis_tls,
    }


SCHEMES = ("amqps", "kafka", "postgresql", "rediss")


def refused(url: str) -> str:
    with pytest.raises((ConnectorError, SettingsError)) as caught:
        open_sink(url, SETTINGS).check()
    return str(caught.value)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_both_sides_with_certificates_of_the_authority(far_sides, trust, scheme):
    open_sink(f"{far_sides[scheme]}?{options(scheme, trust, trust)}", SETTINGS).check()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_client_without_a_certificate_is_not_let_in(far_sides, trust, scheme):
    said = refused(f"{far_sides[scheme]}?{options(scheme, trust, None)}")
    assert urlsplit(far_sides[scheme]).netloc.rpartition("@")[2] in said


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_client_of_a_stranger_is_not_let_in(far_sides, trust, stranger, scheme):
    said = refused(f"{far_sides[scheme]}?{options(scheme, trust, stranger)}")
    assert "no topic" not in said


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_server_that_nobody_we_trust_vouches_for_is_refused(far_sides, trust, stranger, scheme):
    said = refused(f"{far_sides[scheme]}?{options(scheme, stranger, trust)}")
    assert any(word in said.lower() for word in ("certificate", "tls", "ssl")), said


@pytest.mark.parametrize("scheme", SCHEMES)
def test_without_tls_nobody_is_let_in(far_sides, scheme):
    plain = {"amqps": "amqp", "rediss": "redis"}.get(scheme, scheme)
    url = far_sides[scheme].replace(scheme, plain, 1)
    refused(f"{url}?create=1" if scheme == "kafka" else url)


def test_a_watch_with_every_far_side_behind_tls(
    far_sides, trust, kafka_url, rabbitmq_url, tmp_path
):
    lines = telemetry(300)
    write_inputs(tmp_path, lines)
    with (
        new_topics(kafka_url, "telemetry", partitions=2) as prefix,
        new_broker(rabbitmq_url) as broker,
    ):
        empty_topics(broker)
        kafka = far_sides["kafka"].rpartition("/")[0]
        trusting = options("kafka", trust, trust)
        source = f"{kafka}/{prefix}telemetry?{trusting.replace('&create=1', '')}"
        publisher = open_publisher(source, SETTINGS)
        with closing(publisher):
            for line in lines:
                publisher.publish(line.encode(), "auv")
            publisher.flush()
        open_source(source, SETTINGS).check()
        results = [f"{kafka}/{prefix}?{trusting}"]
        results += [
            f"{far_sides[scheme]}?{options(scheme, trust, trust)}"
            for scheme in ("amqps", "postgresql", "rediss")
        ]
        results.append(f"dir:{tmp_path}/topics")
        env = environment(
            tmp_path, tmp_path, telemetry=f"{source}&until=end", results=" ".join(results)
        )
        done = run(command("watch", "--quiet"), env)
        assert done.returncode == 0, done.stderr
        events = told(tmp_path)
        assert broker.count("geofencing_events") == len(
            [topic for topic, _ in events if topic == "geofencing_events"]
        )
        empty_topics(broker)
    assert len(events) > 100


@pytest.fixture
def influxdb_bucket(influxdb_url) -> Iterator[tuple[Bucket, str]]:
    """An empty bucket, and its URL over TLS: ``ca_file`` is to be added."""
    place = urlsplit(tls_address("influxdb")).netloc
    with new_bucket(influxdb_url) as bucket:
        yield bucket, f"influxdb://{place}/farwatch/{bucket.name}?tls=true"


def test_points_reach_an_influxdb_behind_tls(influxdb_bucket, trust):
    bucket, url = influxdb_bucket
    sink = open_sink(f"{url}&ca_file={trust.ca}", SETTINGS)
    sink.check()
    built = sink.build("/farwatch/test")
    rows = [{"vehicle_id": "a", "time_s": 1_767_225_600 + n, "depth_m": n} for n in range(3)]
    with closing(built.build_part("to_0", built.list_parts()[0], None)) as part:
        part.write_batch([telemetry_delivery("group-0000", frame_of(rows))])
        part.snapshot()
    assert [point["depth_m"] for point in bucket.points("telemetry")] == [0, 1, 2]


def test_an_influxdb_that_nobody_we_trust_vouches_for_is_refused_in_one_line(
    influxdb_bucket, stranger, tmp_path
):
    _, url = influxdb_bucket
    no_pem = tmp_path / "no.pem"
    no_pem.write_text("not a certificate\n")
    for ca_file, why in {
        str(stranger.ca): "unable to get local issuer certificate",
        str(tmp_path / "none.pem"): "no such file or directory",
        str(no_pem): "no certificate or crl found",
    }.items():
        said = refused(f"{url}&ca_file={ca_file}")
        assert said.endswith(f"TLS fails ({why}); check `tls` and `ca_file`"), said
    assert "unable to get local issuer certificate" in refused(url)


def test_a_flow_does_not_wait_for_an_influxdb_it_cannot_trust(influxdb_bucket, stranger):
    _, url = influxdb_bucket
    built = open_sink(f"{url}&ca_file={stranger.ca}", ConnectorSettings(patience_s=60)).build(
        "/farwatch/test"
    )
    row = {"vehicle_id": "a", "time_s": 1_767_225_600, "depth_m": 1.0}
    with closing(built.build_part("to_0", built.list_parts()[0], None)) as part:
        part.write_batch([telemetry_delivery("group-0000", frame_of([row]))])
        with pytest.raises(RefusedError, match="TLS fails"):
            part.snapshot()


def test_tls_on_one_side_alone_is_told_as_what_it_is(influxdb_bucket, influxdb_url):
    _, url = influxdb_bucket
    assert "does not answer as InfluxDB does (400" in refused(url.removesuffix("?tls=true"))
    assert "TLS fails (wrong version number)" in refused(f"{influxdb_url}?tls=true")


def test_keys_are_never_world_readable(trust):
    for path in Path(trust.folder).iterdir():
        if "PRIVATE KEY" in path.read_text():
            assert path.stat().st_mode & 0o077 == 0, path.name
