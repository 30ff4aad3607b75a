"""Logins by SASL at a real Kafka broker, each mechanism that a URL may name."""

from contextlib import closing
from uuid import uuid4

import pytest
from confluent_kafka.admin import (
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from connectors.contract import ConnectorError, ConnectorSettings, SettingsError
from connectors.registry import open_publisher, open_sink, open_source
from schemas.message import Message
from scripts.servers.kafka import SASL_LOGIN
from tests.kafka_topics import admin, new_topics
from tests.services import sasl_address

SETTINGS = ConnectorSettings(timeout_s=3, patience_s=10)
SCRAM = {
    "SCRAM-SHA-256": ScramMechanism.SCRAM_SHA_256,
    "SCRAM-SHA-512": ScramMechanism.SCRAM_SHA_512,
}
RECORDS = [b'{"vehicle_id":"auv-1","timestamp":%d}' % second for second in range(20)]


@pytest.fixture
def listener(kafka_url):
    del kafka_url  # Skips where there is none.
    return sasl_address("kafka")


@pytest.fixture(params=["PLAIN", *SCRAM])
def login(request, kafka_url):
    """Mechanism, user and password, known to the broker."""
    if request.param not in SCRAM:
        return request.param, *SASL_LOGIN
    user, password = f"fw{uuid4().hex[:8]}", f"p@ss/{uuid4().hex}"
    credential = ScramCredentialInfo(SCRAM[request.param], 4096)
    known = UserScramCredentialUpsertion(user, credential, password.encode())
    client = admin(kafka_url)
    for future in client.alter_user_scram_credentials([known]).values():
        future.result(timeout=30)
    return request.param, user, password


def test_with_a_login_telemetry_and_results_pass(kafka_url, listener, login, tmp_path, monkeypatch):
    mechanism, user, password = login
    secret = tmp_path / "password"
    secret.write_text(password + "\n")
    monkeypatch.setenv("FARWATCH_KAFKA_USER", user)
    monkeypatch.setenv("FARWATCH_KAFKA_PASSWORD_FILE", str(secret))
    with new_topics(kafka_url, "telemetry") as prefix:
        url = f"{listener}/{prefix}telemetry?sasl={mechanism}"
        with closing(open_publisher(url, SETTINGS)) as publisher:
            for body in RECORDS:
                publisher.publish(body, "auv-1")
            publisher.flush()
        source = open_source(f"{url}&until=end", SETTINGS)
        source.check()
        lanes = source.build()
        part = lanes.build_part("telemetry", lanes.list_parts()[0], None)
        found: list[bytes] = []
        with closing(part):
            while len(found) < len(RECORDS):
                found += [item.body for item in part.next_batch() if isinstance(item, Message)]
        assert found == RECORDS
        open_sink(f"{listener}/{prefix}?create=1&sasl={mechanism}", SETTINGS).check()


def test_a_wrong_password_is_refused_and_not_shown(listener, login, monkeypatch):
    mechanism, user, _ = login
    monkeypatch.setenv("FARWATCH_KAFKA_USER", user)
    monkeypatch.setenv("FARWATCH_KAFKA_PASSWORD", "sesame-4711")
    with pytest.raises((ConnectorError, SettingsError)) as refused:
        open_source(f"{listener}/telemetry?sasl={mechanism}", SETTINGS).check()
    said = str(refused.value)
    assert "\n" not in said
    assert "uthenticat" in said
    assert "sesame" not in said


def test_who_brings_no_login_is_not_let_in(listener):
    with pytest.raises((ConnectorError, SettingsError)) as refused:
        open_source(f"{listener}/telemetry", SETTINGS).check()
    assert "\n" not in str(refused.value)
