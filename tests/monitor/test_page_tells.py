"""What the operator page tells of robots, faults and stops is so, and is told once.

The real page in a real browser and the real server; the state behind it is made up.
"""

import json
from collections.abc import Iterator
from concurrent.futures import Future

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
playwright = pytest.importorskip("playwright.sync_api")
pytest.importorskip("fastapi")

from playwright.sync_api import Page, expect  # noqa: E402

from eir_ros.contract.report import FaultSpan  # noqa: E402
from eir_ros.monitor.counters import Counters  # noqa: E402
from eir_ros.monitor.detections import Judge  # noqa: E402
from eir_ros.monitor.orders import Inject, Order  # noqa: E402
from eir_ros.monitor.server import Server  # noqa: E402
from eir_ros.monitor.state import State  # noqa: E402

TEAM = ("r0", "r1")
HELLO = {
    "run": "one",
    "team": list(TEAM),
    "kinds": ["stop", "hang"],
    "parameters": {},
    "bundle": "tiny v1",
    "threshold": 0.5,
    "serve_radius": 0.3,
    "arena": [-2.0, -2.0, 2.0, 2.0],
}


class Shown:
    """A state, and the page that it is shown on."""

    def __init__(self, page: Page) -> None:
        self.orders: list[Order] = []
        self.state = State(TEAM, Judge(TEAM, 0.5), Counters(TEAM))
        self._server = Server("127.0.0.1", 0, "", HELLO, self._carry_out)
        self._server.start()
        page.goto(self._server.url)
        expect(page.locator("#bundle")).to_have_text("tiny v1")
        for place, robot in enumerate(self.state.robots.values()):
            robot.pose, robot.heard_s, robot.action = (float(place), 0.0, 0.0), 0.0, "stop"

    def _carry_out(self, order: Order) -> "Future[str]":
        future: Future[str] = Future()
        self.orders.append(order)
        future.set_result("Carried out.")
        return future

    def at(self, t_s: float) -> None:
        """Show the state as it is at this mission time [s]."""
        self.state.set_score({"time_s": str(t_s)})
        self._server.show(json.dumps(self.state.picture(0.0)))

    def blame(self, t_s: float) -> None:
        """Let r0 detect r1 at this mission time [s]."""
        for p, late_s in ((0.1, 0.6), (0.9, 0.4), (0.9, 0.2), (0.9, 0.0)):
            self.state.believe(t_s - late_s, "r0", {"r1": (p, "tracked")})

    def stop(self) -> None:
        """End the server."""
        self._server.stop()


@pytest.fixture
def shown(page: Page) -> Iterator[Shown]:
    found = Shown(page)
    yield found
    found.stop()


def test_a_robot_that_is_absent_has_a_fault_to_clear_and_decides(page: Page, shown: Shown):
    row = page.locator('[data-robot="r1"]')
    shown.at(5.0)
    expect(row.locator(".doing dd")).to_have_text("standing")
    shown.state.judge.set_absent("r1", 4.0, absent=True)
    shown.at(9.0)
    expect(row.locator(".state")).to_have_text("absent")
    expect(row.locator(".doing dd")).not_to_have_text("standing")
    events = page.locator("#events")
    expect(events).to_contain_text("r1 absent: nothing is heard of its agent")
    expect(events).not_to_contain_text("broken")
    shown.blame(10.0)
    shown.at(10.0)
    expect(events).to_contain_text("r0 has noticed that r1 is absent")
    # its menu is as it was, and what is chosen there can be injected
    kind = page.get_by_label("Fault for r1")
    expect(kind).to_have_value("stop")
    page.get_by_label("Inject a fault into r1").click()
    expect(page.locator("#answer")).to_contain_text("Carried out")
    shown.state.judge.set_absent("r1", 11.0, absent=False)
    shown.at(12.0)
    expect(row.locator(".state")).to_have_text("on its way")
    expect(events).to_contain_text("r1 is there again")
    expect(kind).to_have_value("stop")
    assert shown.orders == [Inject(robot="r1", kind="stop")]


def test_a_fault_that_cannot_be_chosen_empties_the_menu(page: Page, shown: Shown):
    kind, clear = page.get_by_label("Fault for r1"), page.get_by_label("Clear the fault of r1")
    for word, menu in (("hang", "hang"), ("adversary", "hang")):
        fault = FaultSpan(robot="r1", kind=word, start_s=2.0)
        shown.state.judge.set_faults("r1", [fault])
        shown.at(3.0)
        expect(page.locator('[data-robot="r1"] .state')).to_have_text(f"✕ {word}")
        expect(kind).to_have_value(menu)
        expect(clear).to_be_visible()
    shown.state.judge.set_faults("r1", [])
    shown.at(4.0)
    expect(page.get_by_label("Inject a fault into r1")).to_be_visible()
    expect(kind).to_have_value("hang")


def test_one_fault_fills_the_list_of_events(page: Page, shown: Shown):
    shown.state.judge.set_faults("r1", [FaultSpan(robot="r1", kind="stop", start_s=2.0)])
    for t_s in (4.0, 6.0, 8.0, 10.0, 40.0):
        shown.blame(t_s)
    shown.at(41.0)
    events = page.locator("#events li span")
    expect(events).to_have_text(
        ["r0 blames r1 again", "r0 detected r1 after 2.0 s", "r1 broken: stop"]
    )


@pytest.mark.parametrize("width", [1100, 1280, 1400, 1920])
def test_what_a_robot_is_up_to_is_cut_off(page: Page, shown: Shown, width: int):
    page.set_viewport_size({"width": width, "height": 800})
    shown.state.robots["r0"].gate = {"state": "stale_command"}
    shown.state.robots["r1"].action = "go_to_nearest_site_3"
    shown.at(2.0)
    expect(page.locator('[data-robot="r0"] .state')).to_have_text("gate: stale command")
    expect(page.locator('[data-robot="r1"] .doing dd')).to_have_text("3rd nearest site")
    cut = """() => [...document.querySelectorAll(".robot :is(.state, dd, dt)")]
      .filter((e) => e.scrollWidth > e.clientWidth).map((e) => e.textContent)"""
    assert page.evaluate(cut) == []


def test_one_time_is_written_in_two_ways(page: Page, shown: Shown):
    shown.at(369.96)
    shown.state.order_estop(True)
    shown.at(369.96)
    expect(page.locator("#time")).to_have_text("06:10.0")
    expect(page.locator("#events time")).to_have_text(["06:10.0"])


def test_an_e_stop_is_no_event(page: Page, shown: Shown):
    shown.at(2.0)
    shown.state.order_estop(True)
    shown.at(3.0)
    events = page.locator("#events li span")
    expect(events).to_have_text(["E-stop: every robot is told to stand"])
    shown.state.order_estop(False)
    shown.at(3.5)
    expect(events).to_have_text(["E-stop released", "E-stop: every robot is told to stand"])
