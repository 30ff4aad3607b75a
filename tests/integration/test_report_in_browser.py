"""The report in headless Chromium: quiet, offline, no sideways scrolling, whole on paper."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scripts.report import render
from tests.report_sample import sample

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(
    BROWSER is None, reason="no chromium, chromium-browser or google-chrome on PATH"
)

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
)

# The browser reads commands from file descriptor 3 and writes answers to 4.
WITH_PIPES = """
import fcntl, os, sys
numbers = [fcntl.fcntl(int(number), fcntl.F_DUPFD, 10) for number in sys.argv[1:3]]
for number, wanted in zip(numbers, (3, 4)):
    os.dup2(number, wanted)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Page:
    """A page of a browser driven over its DevTools pipe (fd 3 in, fd 4 out, NUL between)."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self.to_browser = to_browser
        self.from_browser = from_browser
        self.events: list[dict[str, Any]] = []
        self._unread = b""
        self._number = 0
        self._session: str | None = None
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The answer to one command; events that come before it are kept."""
        self._number += 1
        request = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            request["sessionId"] = self._session
        os.write(self.to_browser, json.dumps(request).encode() + b"\0")
        while True:
            message = self._next()
            if message.get("id") == self._number:
                assert "error" not in message, message
                return dict(message["result"])
            self.events.append(message)

    def open(self, path: Path, width: int, height: int = 900) -> None:
        """Show the file in a window of that size and wait until it is loaded."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 500,
        )
        self.events.clear()
        self.ask("Page.navigate", url=path.as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next())

    def value(self, expression: str, *, wait: bool = False) -> Any:
        """What a script expression gives, or its promise when it is kept."""
        answer = self.ask(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=wait
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def picture(self, *, media: str = "", dark: bool = False) -> bytes:
        """A PNG of the whole page."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", media=media, features=[scheme])
        shot = self.ask("Page.captureScreenshot", captureBeyondViewport=True)
        return b64decode(shot["data"])

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._unread:
            chunk = os.read(self.from_browser, 1 << 20)
            assert chunk, "the browser went away"
            self._unread += chunk
        message, self._unread = self._unread.split(b"\0", 1)
        return dict(json.loads(message))


@contextmanager
def browser() -> Iterator[Page]:
    """A running browser with a profile of its own."""
    assert BROWSER is not None
    their_in, our_out = os.pipe()
    our_in, their_out = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [
                *(sys.executable, "-c", WITH_PIPES, str(their_in), str(their_out)),
                *(BROWSER, *FLAGS, f"--user-data-dir={profile}"),
            ],
            pass_fds=(their_in, their_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(their_in)
        os.close(their_out)
        try:
            yield Page(our_out, our_in)
        finally:
            process.terminate()
            process.wait(timeout=20)
            os.close(our_out)
            os.close(our_in)


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with browser() as running:
        yield running


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    hostile = sample(vehicles=3, fixes=500)
    path.write_text(render(replace(hostile, title="<script>document.title='owned'</script>")))
    return path


def complaints(page: Page) -> list[dict[str, Any]]:
    told = ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")
    return [event for event in page.events if event["method"] in told]


@pytest.mark.parametrize("width", [1280, 768, 360])
def test_no_width_of_screen_makes_the_page_scroll_sideways(
    page: Page, report: Path, width: int
) -> None:
    page.open(report, width)
    assert page.value("document.documentElement.scrollWidth") <= width


def test_the_page_asks_nothing_of_any_network_and_says_nothing_on_the_console(
    page: Page, report: Path
) -> None:
    page.open(report, 1280)
    asked = [
        event["params"]["request"]["url"]
        for event in page.events
        if event["method"] == "Network.requestWillBeSent"
    ]
    assert [url for url in asked if not url.startswith("data:image/png")] == [report.as_uri()]
    assert complaints(page) == []


def test_the_policy_of_the_page_stops_scripts_styles_and_requests_put_in_later(
    page: Page, report: Path
) -> None:
    page.open(report, 1280)
    page.value(
        """
        const put = document.createElement("script");
        put.textContent = "document.title = 'owned'";
        document.body.append(put);
        fetch("http://127.0.0.1:9/").catch(() => 0);
        new Image().src = "http://127.0.0.1:9/x.png";
        0
        """
    )
    assert page.value("document.title") == "<script>document.title='owned'</script>"
    page.value("new Promise(done => setTimeout(done, 200))", wait=True)
    texts = [event["params"]["entry"]["text"] for event in complaints(page)]
    assert sum("Content Security Policy" in text for text in texts) >= 3, texts


def test_a_click_on_an_alert_marks_its_row_and_its_signs_on_the_maps(
    page: Page, report: Path
) -> None:
    page.open(report, 1280)
    page.value("document.querySelector('#alert-2').click()")
    chosen = page.value(
        "[...document.querySelectorAll('.chosen')].map(e => e.tagName + e.dataset.alert)"
    )
    assert "TR2" in chosen
    assert "a2" in chosen
    assert {name[-1] for name in chosen} == {"2"}


def test_the_text_of_maps_is_readable_on_a_phone_and_on_a_desk(page: Page, report: Path) -> None:
    measure = """
    [...document.querySelectorAll('.map text')]
      .filter(t => getComputedStyle(t).display !== 'none')
      .map(t => t.getBoundingClientRect().height)
    """
    for width in (360, 1280):
        page.open(report, width)
        heights = page.value(measure)
        assert len(heights) > 20
        assert min(heights) >= 9


def test_labels_of_a_map_do_not_lie_over_each_other(page: Page, report: Path) -> None:
    overlaps = """
    [...document.querySelectorAll('.map')].flatMap(map => {
      const boxes = [...map.querySelectorAll('text')]
        .filter(t => getComputedStyle(t).display !== 'none')
        .map(t => [t.textContent, t.getBoundingClientRect()]);
      return boxes.flatMap(([a, p], i) => boxes.slice(i + 1)
        .filter(([b, q]) => p.left < q.right - 2 && q.left < p.right - 2
                         && p.top < q.bottom - 2 && q.top < p.bottom - 2)
        .map(([b]) => a + ' / ' + b));
    })
    """
    for width in (360, 768, 1280):
        page.open(report, width)
        assert page.value(overlaps) == [], width


def test_on_paper_every_decision_record_is_unfolded_without_scripts(
    page: Page, report: Path
) -> None:
    page.ask("Emulation.setScriptExecutionDisabled", value=True)
    page.open(report, 1000)
    page.ask("Emulation.setScriptExecutionDisabled", value=False)
    page.ask("Emulation.setEmulatedMedia", media="print")
    hidden = page.value(
        "[...document.querySelectorAll('.decision dl')]"
        ".filter(e => e.getBoundingClientRect().height < 5 || !e.checkVisibility()).length"
    )
    page.ask("Emulation.setEmulatedMedia", media="")
    assert hidden == 0


def test_the_printed_report_has_a_few_pages(page: Page, report: Path) -> None:
    page.open(report, 1000)
    printed = b64decode(page.ask("Page.printToPDF", preferCSSPageSize=True)["data"])
    assert printed.startswith(b"%PDF")
    assert 3 <= printed.count(b"/Type /Page\n") <= 12


@pytest.mark.parametrize("dark", [False, True])
def test_text_has_the_contrast_that_wcag_asks_for(page: Page, report: Path, dark: bool) -> None:
    page.open(report, 1280)
    page.picture(dark=dark)
    ratios = page.value(CONTRAST)
    assert ratios
    assert {name: ratio for name, ratio in ratios.items() if ratio < 4.5} == {}


CONTRAST = """
(() => {
  const probe = document.createElement('canvas').getContext('2d');
  const style = getComputedStyle(document.documentElement);
  const light = name => {
    probe.fillStyle = style.getPropertyValue(name).trim();
    probe.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...probe.getImageData(0, 0, 1, 1).data].slice(0, 3)
      .map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const found = {};
  for (const [ink, ground] of [['--ink', '--paper'], ['--soft', '--paper'], ['--soft', '--panel'],
      ['--link', '--paper'], ['--ink', '--sea'], ['--soft', '--sea'], ['--ink', '--chosen'],
      ['--link', '--panel'], ['--link', '--chosen'], ['--ink', '--land']]) {
    const [a, b] = [light(ink), light(ground)].sort((x, y) => y - x);
    found[ink + ' on ' + ground] = (a + .05) / (b + .05);
  }
  return found;
})()
"""
