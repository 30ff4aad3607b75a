"""The parts of the RabbitMQ connector that need no broker."""

import logging
import pickle
from itertools import chain

import pika
import pika.exceptions as amqp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.contract import ConnectorSettings, RefusedError, SettingsError, UnavailableError
from connectors.rabbitmq.address import read_url
from connectors.rabbitmq.errors import AbsentError, UnlikeError, is_transient, translated
from connectors.rabbitmq.frames import Delivered, FrameError, read_delivery
from connectors.rabbitmq.marks import Position
from connectors.rabbitmq.options import read_sink_url, read_source_url
from connectors.rabbitmq.source import RabbitSource, fitting_prefetch
from connectors.rabbitmq.window import Window
from flows.logs import set_up_logs

SECRET = "s3cret/%"


@pytest.fixture(autouse=True)
def _no_credentials(monkeypatch):
    for name in ("USER", "PASSWORD", "PASSWORD_FILE"):
        monkeypatch.delenv(f"FARWATCH_RABBITMQ_{name}", raising=False)


def test_a_url_says_where_and_who_and_shows_no_password():
    address, options = read_url("amqp://ann:s3cret%2F%25@host:5673/a%2Fb?queue=q", ["queue"])
    assert (address.host, address.port, address.virtual_host) == ("host", 5673, "a/b")
    assert (address.user, address.password) == ("ann", SECRET)
    assert address.name == "amqp://ann@host:5673/a%2Fb"
    assert options == {"queue": "q"}
    assert "s3cret" not in repr(address)
    assert "s3cret" not in repr(address.parameters(1.0, 60))


def test_a_url_without_parts_means_the_brokers_own_defaults():
    address, _ = read_url("amqp://host", [])
    assert (address.port, address.virtual_host) == (5672, "/")
    assert (address.user, address.password) == ("guest", "guest")
    assert read_url("amqps://host/%2f", [])[0].port == 5671


def test_the_password_may_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("FARWATCH_RABBITMQ_PASSWORD", SECRET)
    assert read_url("amqp://ann@host", [])[0].password == SECRET


def test_the_password_may_come_from_a_file(monkeypatch, tmp_path):
    (tmp_path / "password").write_text(SECRET + "\n")
    monkeypatch.setenv("FARWATCH_RABBITMQ_USER", "ann")
    monkeypatch.setenv("FARWATCH_RABBITMQ_PASSWORD_FILE", str(tmp_path / "password"))
    address, _ = read_url("amqp://host", [])
    assert (address.user, address.password) == ("ann", SECRET)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("", "says not what to read"),
        ("?exchange=a&queue=b", "says not what to read"),
        ("?exchange=a&queues=0", "`queues=0`: is no whole number of 1 to 256"),
        ("?exchange=a&queues=many", "`queues=many`: is no whole number"),
        (
            "?exchange=a&amqp://u:secret@h/v=4",
            "an option whose name is no word; known are exchange",
        ),
        ("?exchange=a&qeues=4", "unknown option `qeues`; did you mean `queues`?"),
        ("?exchange=a&exchange=b", "`exchange` is given twice"),
        ("?exchange=amq.topic", "`exchange=amq.topic`: is no name for us"),
        ("?queue=a%20b", "`queue=a b`: is no name for us"),
        ("?queue=", "`queue` has no value"),
        ("?queue=a&queues=4", "`queues` goes with `exchange=NAME` only"),
        ("?queue=a&since=2026-01-01T00:00:00Z", "`since` goes with `type=stream` only"),
        ("?exchange=a&type=stream&since=yesterday", "`since=yesterday`: is no time with a zone"),
        ("?exchange=a&type=stream&since=2026-01-01", "is no time with a zone"),
        ("?exchange=a&type=stream&max_age=long", "`max_age=long`: is no age"),
        ("?exchange=a&max_age=1D", "`max_age` goes with"),
        ("?exchange=a&type=classic", "`type=classic`: is not one of quorum, stream"),
        ("?exchange=a&until=now", "`until=now`: is not one of forever, end"),
        ("?exchange=a&prefetch=65536", "`prefetch=65536`: is no whole number of 1 to 65535"),
        ("?exchange=a&ca=x", "`ca` is for TLS; write `amqps:`"),
    ],
)
def test_a_source_url_that_cannot_work_is_refused_in_one_line(query, says):
    with pytest.raises(SettingsError) as refused:
        read_source_url(f"amqp://ann:s3cret@host/{query}")
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("amqp://ann@host", "no password for `ann`; set FARWATCH_RABBITMQ_PASSWORD"),
        ("amqp:", "names no host"),
        ("amqp://ann:s3cret@host:port/", "bad host or port"),
        ("amqp://ann:s3cret@host/?keep=perhaps", "`keep=perhaps`: is not one of yes, no"),
        ("amqps://ann:s3cret@host/?ca=/no/such.pem", "`ca=/no/such.pem`: cannot be used"),
        ("amqp://ann:s3/cret@host/", "bad host or port"),
    ],
)
def test_a_sink_url_that_cannot_work_is_refused_in_one_line(url, says):
    with pytest.raises(SettingsError) as refused:
        read_sink_url(url)
    assert says in str(refused.value)
    assert "s3cret" not in str(refused.value)


def test_queues_of_several_exchanges_and_streams_have_their_names():
    names = read_source_url("amqp://h/?exchange=auv,rover&queues=2")[1].queue_names()
    assert names == ["auv.0", "auv.1", "rover.0", "rover.1"]
    names = read_source_url("amqp://h/?exchange=auv&queues=2&type=stream")[1].queue_names()
    assert names == ["auv.stream.0", "auv.stream.1"]


def test_a_source_has_a_part_a_queue_before_it_connects():
    source = RabbitSource("amqp://nobody.invalid/?exchange=auv&queues=3", ConnectorSettings())
    assert source.build().list_parts() == ["auv.0", "auv.1", "auv.2"]


# --- errors ----------------------------------------------------------------------------------

INEQUIVALENT = (
    "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'auv.0' in vhost '/': "
    "received the value 'quorum' of type 'longstr' but current is none"
)


@pytest.mark.parametrize(
    ("raised", "kind", "says"),
    [
        (
            amqp.ChannelClosedByBroker(406, INEQUIVALENT),
            UnlikeError,
            "queue `auv.0` is there with `x-queue-type` none, not `quorum`; delete it",
        ),
        (amqp.ChannelClosedByBroker(404, "NOT_FOUND - no queue 'x'"), AbsentError, "no queue 'x'"),
        (
            amqp.ChannelClosedByBroker(404, "NOT_FOUND - queue 'x' is down or inaccessible"),
            UnavailableError,
            "down or inaccessible",
        ),
        (
            amqp.ConnectionClosedByBroker(320, "CONNECTION_FORCED - broker forced"),
            UnavailableError,
            "CONNECTION_FORCED",
        ),
        (
            amqp.ConnectionClosedByBroker(503, "COMMAND_INVALID - 'x-consistent-hash'"),
            UnlikeError,
            "rabbitmq-plugins enable rabbitmq_sharding",
        ),
        (amqp.ConnectionClosedByBroker(541, "INTERNAL_ERROR"), UnavailableError, "541"),
        (amqp.StreamLostError("gone"), UnavailableError, "the connection was lost"),
        (amqp.AMQPHeartbeatTimeout("60 s"), UnavailableError, "the connection was lost"),
        (
            amqp.AMQPConnectionError(ConnectionRefusedError(111, "Connection refused")),
            UnavailableError,
            "does not answer (Connection refused)",
        ),
        (
            amqp.ProbableAuthenticationError("ConnectionClosedByBroker: (403) 'ACCESS_REFUSED'"),
            RefusedError,
            "FARWATCH_RABBITMQ_PASSWORD",
        ),
        (
            amqp.ProbableAccessDeniedError("ConnectionClosedByBroker: (530) 'NOT_ALLOWED'"),
            RefusedError,
            "virtual host",
        ),
        # Cut off while shaking hands, which tells nothing of user and password.
        (amqp.ProbableAuthenticationError("StreamLostError: EOF"), UnavailableError, "refuses"),
        (amqp.IncompatibleProtocolError("StreamLostError: EOF"), UnavailableError, "port"),
    ],
)
def test_what_pika_raises_becomes_one_line_of_ours(raised, kind, says):
    error = translated(raised, "amqp://host")
    assert type(error) is kind
    assert is_transient(raised) == (kind is UnavailableError)
    assert str(error).startswith("`amqp://host`: ")
    assert says in str(error)
    assert "\n" not in str(error)


# --- frames ----------------------------------------------------------------------------------

TEXTS = st.none() | st.text(max_size=20)
PROPERTIES = st.builds(
    pika.BasicProperties,
    content_type=TEXTS,
    content_encoding=TEXTS,
    headers=st.none() | st.dictionaries(st.text(min_size=1, max_size=5), st.integers(0, 9)),
    delivery_mode=st.none() | st.just(2),
    priority=st.none() | st.integers(0, 9),
    correlation_id=TEXTS,
    reply_to=TEXTS,
    expiration=TEXTS,
    message_id=TEXTS,
    timestamp=st.none() | st.just(1),
    app_id=TEXTS,
)


def frames_of(tag, properties, body, frame_max, heartbeats):
    """A delivery as pika's own encoder writes it."""
    pieces = [body[at : at + frame_max] for at in range(0, len(body), frame_max)]
    return b"".join(
        frame.marshal()
        for frame in [
            pika.frame.Method(
                1, pika.spec.Basic.Deliver("consumer", tag, False, "exchange", "key")
            ),
            pika.frame.Header(1, len(body), properties),
            *chain(
                *(
                    [pika.frame.Body(1, one)] + [pika.frame.Heartbeat()] * heartbeats
                    for one in pieces
                )
            ),
        ]
    )


@given(
    properties=PROPERTIES,
    body=st.binary(max_size=50),
    frame_max=st.integers(1, 60),
    heartbeats=st.integers(0, 1),
)
def test_a_delivery_is_read_as_pika_wrote_it_and_not_before_it_is_whole(
    properties, body, frame_max, heartbeats
):
    heartbeats = heartbeats if len(body) > frame_max else 0
    wire = frames_of(7, properties, body, frame_max, heartbeats)
    before, behind = b"before", b"\x08\x00\x00"
    whole = len(before) + len(wire) - 8 * heartbeats
    buffer = before + wire + behind
    expected = Delivered(7, properties.message_id or None, body)
    found, end = read_delivery(buffer, len(before))
    assert found._replace(key=found.key or None) == expected
    assert end == whole
    for size in range(len(before) + 12, whole):
        wanted = read_delivery(buffer[:size], len(before))
        assert isinstance(wanted, int)
        assert size < wanted <= whole


def test_how_often_it_was_delivered_is_read_from_a_redelivery_alone():
    properties = pika.BasicProperties(headers={"x-delivery-count": 3}, message_id="m1")
    header = pika.frame.Header(1, 0, properties).marshal()
    for redelivered, deliveries in ((True, 3), (False, 0)):
        method = pika.spec.Basic.Deliver("consumer", 7, redelivered, "exchange", "key")
        found, _ = read_delivery(pika.frame.Method(1, method).marshal() + header, 0)
        assert found == Delivered(7, "m1", b"", deliveries)


def test_bytes_out_of_step_are_refused():
    wire = frames_of(1, pika.BasicProperties(), b"body", 10, 0)
    with pytest.raises(FrameError):
        read_delivery(wire[:-1] + b"x" * 20, 0)


# --- redeliveries ----------------------------------------------------------------------------


def test_a_redelivery_is_told_by_its_message_id_else_by_its_body():
    window = Window()
    window.unacked_at_most(10)
    window.reconnected()
    assert window.first_time("m1", b"a")
    assert window.first_time(None, b"a")
    kept = window.kept()
    resumed = Window(kept)
    resumed.unacked_at_most(10)
    resumed.reconnected()
    assert not resumed.first_time("m1", b"other")
    assert not resumed.first_time(None, b"a")
    assert resumed.first_time("m2", b"b")


def test_equal_bodies_without_an_id_are_two_messages_on_one_connection():
    window = Window()
    window.unacked_at_most(10)
    window.reconnected()
    assert window.first_time(None, b"{}")
    assert window.first_time(None, b"{}")
    assert window.first_time("m1", b"{}")
    assert not window.first_time("m1", b"{}")


@given(
    prefetch=st.integers(1, 8),
    lives=st.lists(st.lists(st.tuples(st.integers(1, 8), st.booleans()), max_size=4), max_size=8),
    data=st.data(),
)
def test_no_message_is_lost_or_counted_twice_however_often_the_flow_dies(prefetch, lives, data):
    """A model of a broker, and of a flow that lives for some epochs and then dies in the next.

    An epoch takes so many messages; its acks arrive or are lost, and the flow dies of that.
    """
    left, counted, state = list(range(40)), [], b""
    for life in [*lives, [(40, True)] * 42]:
        window = Window(state)
        window.unacked_at_most(prefetch)
        window.reconnected()
        # All that is un-acked comes again, in any order; then new ones as acks make room.
        coming = data.draw(st.permutations(left[:prefetch]))
        for most, arrives in life:
            taken, coming = coming[:most], coming[most:]
            counted += [n for n in taken if window.first_time(f"m{n}", b"")]
            state = window.kept()
            if not arrives:
                break
            left = [n for n in left if n not in taken]
            coming += [n for n in left[:prefetch] if n not in coming]
        for n in coming:  # Taken in the epoch in which it dies: forgotten with the window.
            window.first_time(f"m{n}", b"")
    assert sorted(counted) == list(range(40))


def test_a_window_keeps_twice_the_prefetch_and_never_less_than_it_came_with():
    window = Window()
    window.unacked_at_most(5)
    window.reconnected()
    for n in range(100):
        window.first_time(f"m{n}", b"")
    kept = window.kept()
    assert len(kept) == 10 * 8
    resumed = Window(kept)
    resumed.unacked_at_most(1)
    resumed.reconnected()
    resumed.first_time("new", b"")
    assert len(resumed.kept()) == 10 * 8
    assert not resumed.first_time("m99", b"")
    assert resumed.first_time("m1", b"")


@pytest.mark.parametrize(
    ("now", "messages", "size", "fits"),
    [
        (256, 0, 0, 256),
        (256, 256, 256 * 200, 30_000),
        (256, 100, 100 * 200, 256),  # It did not hold the epoch back.
        (256, 256, 256 * 100_000, 671),
        (256, 256, 256 * 400_000, 256),
        (30_000, 300, 300 * 100_000, 671),  # Far too many such messages.
        (30_000, 3, 3 * 100_000, 30_000),  # A few large ones do no harm.
        (30_000, 2, 2 * 10**9, 16),
    ],
)
def test_prefetch_follows_the_size_of_messages(now, messages, size, fits):
    assert fitting_prefetch(now, messages, size) == fits


def test_the_state_of_a_queue_is_found_where_it_was_pickled():
    kept = pickle.loads(pickle.dumps(Position(b"12345678", 5)))
    assert (kept.mark, kept.prefetch) == (b"12345678", 5)
    assert Position.__module__ == "connectors.rabbitmq.marks"


def test_what_pika_logs_is_told_once_as_our_own_error(capsys):
    set_up_logs("text")
    logging.getLogger("pika.adapters").error("connection refused")
    assert not capsys.readouterr().err
