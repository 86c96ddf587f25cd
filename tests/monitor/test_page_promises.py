"""An e-stop that was pressed is sent, whatever becomes of the connection in between.

The real page in a real browser and the real server; only the monitor behind it is missing.
"""

import json
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
playwright = pytest.importorskip("playwright.sync_api")
pytest.importorskip("fastapi")

from playwright.sync_api import Page, expect  # noqa: E402

from eir_ros.contract.errors import EirError  # noqa: E402
from eir_ros.monitor.counters import Counters  # noqa: E402
from eir_ros.monitor.detections import Judge  # noqa: E402
from eir_ros.monitor.orders import EStop, Order  # noqa: E402
from eir_ros.monitor.server import Server  # noqa: E402
from eir_ros.monitor.state import State  # noqa: E402

HELLO = {
    "run": "one",
    "team": ["r0", "r1"],
    "kinds": ["stop"],
    "bundle": "tiny v1",
    "threshold": 0.5,
    "serve_radius": 0.3,
    "arena": [-2.0, -2.0, 2.0, 2.0],
}


class Monitor:
    """Writes orders down; refuses the first `failures` of them."""

    def __init__(self, failures: int = 0) -> None:
        self.orders: list[Order] = []
        self.failures = failures

    def __call__(self, order: Order) -> "Future[str]":
        """Answer at once."""
        future: Future[str] = Future()
        self.orders.append(order)
        if len(self.orders) > self.failures:
            future.set_result("Carried out.")
        else:
            future.set_exception(EirError("Not now."))
        return future


@contextmanager
def serving(monitor: Monitor, token: str = "", port: int = 0) -> Iterator[int]:
    server = Server("127.0.0.1", port, token, HELLO, monitor)
    server.start()
    try:
        yield server.port
    finally:
        server.stop()


def unlock(page: Page, token: str) -> None:
    page.locator("#unlock").click()
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Unlock", exact=True).click()


def test_a_promised_stop_is_dropped_when_the_page_is_locked_again(page: Page):
    before, after = Monitor(), Monitor()
    with serving(before, "s3cret") as port:
        page.goto(f"http://127.0.0.1:{port}/")
        unlock(page, "s3cret")
        expect(page.locator("#answer")).to_contain_text("Controls are unlocked")
    expect(page.locator("body")).to_have_attribute("data-link", "waiting")
    page.keyboard.press("Escape")
    expect(page.locator("#answer")).to_contain_text("E-stop not sent: no connection")
    expect(page.locator("#banner")).to_contain_text("E-stop pressed but not sent yet")
    with serving(after, "s3cret", port):
        expect(page.locator("#answer")).to_contain_text("Carried out")
        expect(page.locator("#banner")).to_be_hidden()
        expect(page.locator("#unlock")).to_be_hidden()
    assert (before.orders, after.orders) == ([], [EStop(on=True)])


def test_a_stop_refused_for_want_of_the_token_is_forgotten(page: Page):
    monitor = Monitor()
    with serving(monitor, "s3cret") as port:
        page.goto(f"http://127.0.0.1:{port}/")
        expect(page.locator("#unlock")).to_be_visible()
        page.locator("#estop").click()
        expect(page.locator("#banner")).to_contain_text("refused: unlock the controls")
        unlock(page, "wrong")
        expect(page.locator("#answer")).to_contain_text("Orders need the monitor's token")
        assert monitor.orders == []
        unlock(page, "s3cret")
        expect(page.locator("#answer")).to_contain_text("Carried out")
        expect(page.locator("#banner")).to_be_hidden()
    # the two unlockings may overlap, and each sends what is owed: twice is as good as once
    assert monitor.orders in ([EStop(on=True)], [EStop(on=True)] * 2)


def test_a_stop_that_failed_is_not_tried_again(page: Page):
    monitor = Monitor(failures=2)
    with serving(monitor) as port:
        page.goto(f"http://127.0.0.1:{port}/")
        expect(page.locator("#bundle")).to_have_text("tiny v1")
        page.keyboard.press("Escape")
        expect(page.locator("#banner")).to_contain_text("not carried out yet, trying again")
        expect(page.locator("#answer")).to_contain_text("Carried out")
    assert monitor.orders == [EStop(on=True)] * 3


def test_a_recording_that_ended_is_not_noticed(page: Page):
    state = State(("r0", "r1"), Judge(("r0", "r1"), 0.5), Counters(("r0", "r1")))
    server = Server("127.0.0.1", 0, "", HELLO, Monitor())
    server.start()
    try:
        page.goto(server.url)
        expect(page.locator("#bundle")).to_have_text("tiny v1")
        expect(page.locator("#recording-fact")).to_be_hidden()
        for level, said, banner, fact in (
            (0, "recording", "Waiting for the robots", "7 MB"),
            (1, "150 MB are free", "Recorder: 150 MB are free.", "7 MB"),
            (2, "records no more", "Recorder: records no more.", "ended · 7 MB"),
        ):
            state.set_recorder(level, said, {"size_mb": "7.2"})
            server.show(json.dumps(state.picture(0.0)))
            expect(page.locator("#banner")).to_contain_text(banner)
            expect(page.locator("#recording")).to_have_text(fact)
    finally:
        server.stop()
