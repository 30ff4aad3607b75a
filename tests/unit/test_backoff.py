"""Waiting for a far side, and what the metrics show meanwhile."""

from collections.abc import Callable
from uuid import uuid4

import psycopg
import pytest
import redis
from confluent_kafka import KafkaError
from pika.exceptions import ChannelClosedByBroker
from prometheus_client import REGISTRY

from connectors.backoff import STATES, until_available
from connectors.contract import FullError, RefusedError, UnavailableError
from connectors.influxdb import is_transient
from connectors.kafka import errors as kafka
from connectors.postgres import server as postgres
from connectors.rabbitmq import errors as rabbitmq
from connectors.redis import server as redis_server


@pytest.fixture
def target() -> str:
    return f"test://{uuid4().hex}"


def state(target: str) -> list[str]:
    """Which states the metrics show: one, if any."""
    shown = {
        name: REGISTRY.get_sample_value(
            "farwatch_far_side_state", {"target": target, "state": name}
        )
        for name in STATES
    }
    return [name for name, value in shown.items() if value]


def waited_s(target: str) -> float:
    value = REGISTRY.get_sample_value("farwatch_connector_waiting_seconds", {"target": target})
    return value or 0.0


def tries_failed(target: str) -> float | None:
    return REGISTRY.get_sample_value("farwatch_connector_retries_total", {"target": target})


def failing(target: str, errors: list[Exception]) -> tuple[Callable[[], str], list[list[str]]]:
    """An attempt that raises the errors in turn and then succeeds; the states each one found."""
    found: list[list[str]] = []

    def attempt() -> str:
        found.append(state(target))
        if errors:
            raise errors.pop(0)
        return "done"

    return attempt, found


@pytest.mark.parametrize(
    ("error", "shown"), [(UnavailableError("no answer"), "away"), (FullError("no room"), "full")]
)
def test_what_is_waited_for_is_shown_until_it_answers(target, error, shown):
    attempt, found = failing(target, [error, error])
    assert until_available(target, attempt, patience_s=60) == "done"
    assert found == [[], [shown], [shown]]
    assert state(target) == ["up"]
    assert waited_s(target) == 0
    assert tries_failed(target) == 2


def test_a_far_side_that_fills_up_after_it_was_away_changes_its_state(target):
    attempt, found = failing(target, [UnavailableError("no answer"), FullError("no room")])
    until_available(target, attempt, patience_s=60)
    assert found == [[], ["away"], ["full"]]


def test_a_refusal_is_raised_at_once_and_shown(target):
    attempt, _ = failing(target, [UnavailableError("no answer"), RefusedError("no")])
    with pytest.raises(RefusedError):
        until_available(target, attempt, patience_s=60)
    assert state(target) == ["refusing"]
    assert tries_failed(target) == 1  # A refusal is not tried again.


def test_patience_ends_with_the_last_error_and_the_state_stays(target):
    attempt, _ = failing(target, [UnavailableError("no answer")] * 99)
    with pytest.raises(UnavailableError):
        until_available(target, attempt, patience_s=0.05)
    assert state(target) == ["away"]
    assert waited_s(target) >= 0.05


def test_a_far_side_without_room_is_known_as_such():
    full = [
        postgres._error(psycopg.errors.lookup("53100")("could not extend file"), "db"),
        redis_server._error("redis", redis.exceptions.OutOfMemoryError("OOM command not allowed")),
        redis_server._error("redis", redis.exceptions.ResponseError("MISCONF unable to persist")),
        rabbitmq.translated(ChannelClosedByBroker(506, "RESOURCE_ERROR - disk"), "amqp"),
        kafka.translated(KafkaError(KafkaError.KAFKA_STORAGE_ERROR), "kafka"),
    ]
    away = [
        postgres._error(psycopg.errors.lookup("57P01")("terminating connection"), "db"),
        redis_server._error("redis", redis.exceptions.ConnectionError("refused")),
        rabbitmq.translated(ConnectionRefusedError(), "amqp"),
        kafka.translated(KafkaError(KafkaError._ALL_BROKERS_DOWN), "kafka"),
    ]
    assert {type(error) for error in full} == {FullError}
    assert {type(error) for error in away} == {UnavailableError}
    assert is_transient(429)
    assert is_transient(507)
