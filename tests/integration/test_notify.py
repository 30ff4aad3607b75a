"""Notifications to a real SMTP and a real HTTP server, tried again, and given up at last."""

import json
import threading
from contextlib import closing, contextmanager
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

pytest.importorskip("apprise", reason="notifications need `farwatch[notify]`")
from aiosmtpd.controller import Controller

from connectors.contract import ConnectorSettings, SettingsError
from connectors.notify import NotifySink
from connectors.registry import open_sink
from rules.routing import Router, RoutingState
from schemas.delivery import Delivery
from schemas.route_file import load_routes
from tests.alarm_news import Stage, raised
from tests.watching import command, environment, run, telemetry, told, write_inputs

# apprise imports what Python 3.13 has no more, and closes no connection by itself.
pytestmark = [
    pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning"),
]


class Hook:
    """A web server that remembers what is posted to it; ``refuse`` answers so many with 503."""

    def __init__(self) -> None:
        self.bodies, self.refuse = [], 0
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if hook.refuse:
                    hook.refuse -= 1
                    self.send_response(503)
                else:
                    hook.bodies.append(json.loads(body))
                    self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"json://127.0.0.1:{self.server.server_port}/hook"


@pytest.fixture
def hook():
    hook = Hook()
    thread = threading.Thread(target=hook.server.serve_forever, args=(0.01,))
    thread.start()
    yield hook
    hook.server.shutdown()
    thread.join(20)
    hook.server.server_close()


class Inbox:
    def __init__(self) -> None:
        self.mails = []

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802 (aiosmtpd's name)
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"


@contextmanager
def mailbox(port):
    inbox = Inbox()
    controller = Controller(inbox, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield inbox
    finally:
        controller.stop()


@pytest.fixture
def smtp(unused_tcp_ports):
    with mailbox(unused_tcp_ports[0]) as inbox:
        inbox.url = (
            f"mailto://127.0.0.1:{unused_tcp_ports[0]}/?from=farwatch@example.org"
            "&to=ops@example.org&smtp=127.0.0.1&mode=insecure"
        )
        yield inbox


def routes_file(folder, rate="100/1s", **targets):
    lines = ["targets:"]
    lines += [f'  {name}: {{url: "{url}", rate: {rate}}}' for name, url in targets.items()]
    lines += ["routes:", f"  - to: [{', '.join(targets)}]", "    batch: 0s"]
    (folder / "routes.yaml").write_text("\n".join(lines) + "\n")
    return folder / "routes.yaml"


def notifications(path, *events):
    router = Router(load_routes(path.read_bytes(), "routes", {}))
    alerts = [d.event for d in Stage().tell(*events) if d.topic == "alert_notifications"]
    return router.advance(RoutingState(), alerts)[1]


def opened(path, state=None, **settings):
    settings = ConnectorSettings(**settings)
    sink = NotifySink(f"notify:{path}", settings)
    sink.check()
    built = sink.build("/farwatch/test")
    [name] = built.list_parts()
    return built.build_part("notify", name, state), settings.refused


def test_a_notification_reaches_a_mailbox_and_a_web_hook(tmp_path, smtp, hook):
    path = routes_file(tmp_path, mail=smtp.url, hook=hook.url)
    part, refused = opened(path)
    with closing(part):
        part.write_batch(notifications(path, raised(1), raised(2, "tilt", severity="warning")))
        assert part.snapshot() == ([], [])
    assert [mail["subject"] for mail in smtp.mails] == [
        "[critical] auv-1: deep",
        "[warning] auv-1: tilt",
    ]
    assert smtp.mails[0]["to"] == "ops@example.org"
    assert "2026-01-01T00:00:01.000000Z auv-1 deep: deep" in smtp.mails[0].get_body().get_content()
    assert [(b["title"], b["type"]) for b in hook.bodies] == [
        ("[critical] auv-1: deep", "failure"),
        ("[warning] auv-1: tilt", "warning"),
    ]
    assert refused.waiting() == []


def test_a_target_that_is_away_does_not_keep_others_waiting_and_is_tried_again(
    tmp_path, hook, smtp
):
    path = routes_file(tmp_path, hook=hook.url, mail=smtp.url)
    hook.refuse = 2
    part, _ = opened(path)
    part.write_batch(notifications(path, raised(1)))
    letters, _ = part.snapshot()
    assert [letter.target for letter in letters] == ["hook"]
    assert len(smtp.mails) == 1
    part.close()
    assert len(hook.bodies) == 1


def test_what_was_not_sent_is_sent_by_the_run_that_goes_on(tmp_path, hook):
    path = routes_file(tmp_path, hook=hook.url)
    hook.refuse = 1
    killed, _ = opened(path)
    killed.write_batch(notifications(path, raised(1)))
    state = killed.snapshot()
    assert hook.bodies == []
    part, _ = opened(path, state)
    with closing(part):
        assert part.snapshot() == ([], [])
    assert len(hook.bodies) == 1


def test_what_nobody_takes_is_a_dead_letter_at_last(tmp_path, hook):
    path = routes_file(tmp_path, hook=hook.url)
    hook.refuse = 10_000
    part, refused = opened(path, patience_s=0.01)
    part.write_batch(notifications(path, raised(1)))
    while not refused.waiting():
        part.snapshot()
        threading.Event().wait(0.02)
    [reject] = refused.take()
    assert "target `hook`: was not taken for 0.01 s" in reject.reason
    assert b"[critical] auv-1: deep" in reject.raw


def test_no_more_go_to_a_target_than_its_rate_allows(tmp_path, hook):
    path = routes_file(tmp_path, rate="2/1h", hook=hook.url)
    part, _ = opened(path)
    part.write_batch(notifications(path, *(raised(i, f"r{i}") for i in range(5))))
    letters, _ = part.snapshot()
    assert (len(hook.bodies), len(letters)) == (2, 3)


def test_other_topics_are_no_notifications(tmp_path, hook):
    path = routes_file(tmp_path, hook=hook.url)
    part, _ = opened(path)
    part.write_batch([Delivery("critical_alerts", raised(1))])
    assert part.snapshot() == ([], [])


@pytest.mark.parametrize(
    ("url", "told"),
    [("nonsense://x", "no URL of apprise"), ("json://", "no URL of apprise")],
)
def test_a_target_that_apprise_does_not_know_is_refused(tmp_path, url, told):
    sink = open_sink(f"notify:{routes_file(tmp_path, bad=url)}", ConnectorSettings())
    with pytest.raises(SettingsError, match=told):
        sink.check()


def test_a_watch_notifies_and_a_second_run_of_the_same_does_not_start_with_mistakes(tmp_path, hook):
    write_inputs(tmp_path, telemetry(400, vehicles=4))
    path = routes_file(tmp_path, hook=hook.url)
    env = environment(tmp_path, tmp_path / "out", routes=path)
    done = run(command("watch", "--quiet"), env)
    assert (done.returncode, done.stderr) == (0, "")
    events = [e["data"] for (t, _), e in told(tmp_path / "out").items() if t == "notifications"]
    assert events
    assert sorted(b["title"] for b in hook.bodies) == sorted(e["title"] for e in events)
    path.write_text(path.read_text().replace("to: [hook]", "to: [hok]"))
    done = run(command("watch", "--quiet"), env)
    assert done.returncode == 2
    assert "routes.yaml:4: there is no target `hok`: did you mean `hook`?" in done.stderr
