"""An e-stop that was pressed is sent, whatever becomes of the link; orders say what was meant.

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
from eir_ros.monitor.orders import EStop, Inject, Order, Trust  # noqa: E402
from eir_ros.monitor.server import Server  # noqa: E402
from eir_ros.monitor.state import State  # noqa: E402

HELLO = {
    "run": "one",
    "team": ["r0", "r1"],
    "kinds": ["stop", "slow"],
    "parameters": {"slow": "gain=0.3"},
    "bundle": "tiny v1",
    "threshold": 0.5,
    "serve_radius": 0.3,
    "arena": [-2.0, -2.0, 2.0, 2.0],
}


class Monitor:
    """Writes orders down; refuses them while it is `busy`."""

    def __init__(self) -> None:
        self.orders: list[Order] = []
        self.busy = False

    def __call__(self, order: Order) -> "Future[str]":
        """Answer at once."""
        future: Future[str] = Future()
        self.orders.append(order)
        if self.busy:
            future.set_exception(EirError("Not now."))
        else:
            future.set_result("Carried out.")
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
    monitor = Monitor()
    monitor.busy = True
    with serving(monitor) as port:
        page.goto(f"http://127.0.0.1:{port}/")
        expect(page.locator("#bundle")).to_have_text("tiny v1")
        page.keyboard.press("Escape")
        # for as long as the page takes to say so
        expect(page.locator("#banner")).to_contain_text("not carried out yet, trying again")
        monitor.busy = False
        expect(page.locator("#answer")).to_contain_text("Carried out")
        expect(page.locator("#banner")).to_be_hidden()
    assert monitor.orders[1:]
    assert set(monitor.orders) == {EStop(on=True)}


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


def test_a_fault_is_injected_stronger_or_longer_than_was_asked_for(page: Page):
    monitor = Monitor()
    with serving(monitor) as port:
        page.goto(f"http://127.0.0.1:{port}/")
        strength = page.get_by_label("How strong, for r1")
        expect(strength).to_be_disabled()
        page.get_by_label("Fault for r1").select_option("slow")
        expect(strength).to_have_attribute("placeholder", "gain=0.3")
        strength.fill("gain=0.2")
        page.get_by_label("Seconds, for r1").fill("10")
        inject = page.locator('[data-robot="r1"]').get_by_role("button")
        inject.click()
        expect(page.locator("#answer")).to_contain_text("Carried out")
        strength.fill("gain=7")
        inject.click()
        expect(page.locator("#answer")).to_contain_text("a number from 0 to 1")
    assert monitor.orders == [Inject(robot="r1", kind="slow(gain=0.2) for 10")]


def test_trust_is_ordered_without_a_reason_or_for_somebody_else(page: Page):
    monitor = Monitor()
    with serving(monitor) as port:
        page.goto(f"http://127.0.0.1:{port}/")
        cell = page.locator("#matrix tbody tr").nth(1).locator("td").nth(0)
        cell.click()
        expect(page.locator("#trust-title")).to_have_text("How far shall r1 trust r0?")
        page.get_by_label("Level").select_option("quarantine")
        page.get_by_role("button", name="Order", exact=True).click()
        # the browser asks for the reason
        expect(page.locator("#trust")).to_be_visible()
        page.get_by_label("Reason, for the record").fill("smoke")
        page.get_by_role("button", name="Order", exact=True).click()
        expect(page.locator("#answer")).to_contain_text("Carried out")
        cell.press("Enter")
        page.get_by_role("button", name="Cancel").click()
        expect(page.locator("#trust")).to_be_hidden()
    wanted = Trust(robot="r1", teammate="r0", level="quarantine", reason="smoke")
    assert monitor.orders == [wanted]
