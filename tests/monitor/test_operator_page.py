"""The operator page in a real browser, first on a lone monitor, then on the real swarm."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

# a browser on a machine that does much else takes minutes for what takes seconds alone
pytestmark = [pytest.mark.ros, pytest.mark.browser, pytest.mark.timeout(600)]
pytest.importorskip("rclpy")
playwright = pytest.importorskip("playwright.sync_api")

from playwright.sync_api import Page, expect  # noqa: E402
from rclpy.parameter_client import AsyncParameterClient  # noqa: E402
from ros_graph import Probe, node_process, probe  # noqa: E402
from std_msgs.msg import Bool  # noqa: E402
from tiny_bundle import make_keys, write_tiny_bundle  # noqa: E402

from eir_ros.contract.paths import share  # noqa: E402
from eir_ros.nodes import qos  # noqa: E402

ROOT = Path(__file__).parents[2]
TEAM = ("r0", "r1", "r2", "r3")
PHONE = {"width": 375, "height": 667}
#: As long as the browser waits for anything, see `conftest` [s].
PATIENCE_S = 90.0


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    folder = tmp_path_factory.mktemp("bundle")
    write_tiny_bundle(folder / "tiny", make_keys(folder / "keys"))
    keys = str(folder / "keys")
    return {"bundle": str(folder / "tiny"), "trusted_keys": keys, "team": list(TEAM)}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


def test_a_stop_pressed_while_the_link_is_down_is_lost(page, bundle, tmp_path):
    port = free_port()
    settings = {"monitor": bundle | {"port": port}}
    with probe() as swarm:
        ordered = swarm.listen(Bool, "/swarm/estop", qos.ESTOP)
        with node_process("monitor", "/", settings, tmp_path) as monitor:
            swarm.until(lambda: "operator page" in monitor.output(), PATIENCE_S)
            page.goto(f"http://127.0.0.1:{port}/")
            expect(page.locator("#banner")).to_contain_text("Waiting for the robots")
            monitor.kill()
        expect(page.locator("#banner")).to_contain_text("Connection lost, showing the last known")
        page.keyboard.press("Escape")
        expect(page.locator("#answer")).to_contain_text("E-stop not sent: no connection")
        with node_process("monitor", "/", settings, tmp_path):
            expect(page.locator("#answer")).to_contain_text("E-stop sent, but no gate of r0")
            swarm.until(lambda: ordered, PATIENCE_S)
            assert {message.data for _, message in ordered} == {True}
            expect(page.locator("#estop")).to_contain_text("Release")


def test_orders_without_the_token_are_obeyed(page, bundle, tmp_path, monkeypatch):
    port = free_port()
    settings = {"monitor": bundle | {"port": port}}
    monkeypatch.setenv("EIR_TOKEN", "s3cret")
    with node_process("monitor", "/", settings, tmp_path) as monitor, probe() as swarm:
        swarm.until(lambda: "operator page" in monitor.output(), PATIENCE_S)
        page.set_viewport_size(PHONE)
        page.goto(f"http://127.0.0.1:{port}/")
        page.locator("#estop").click()
        expect(page.locator("#answer")).to_contain_text("Orders need the monitor's token")
        page.locator("#unlock").click()
        page.get_by_label("Token").fill("s3cret")
        page.get_by_role("button", name="Unlock", exact=True).click()
        # the press of before is made good
        expect(page.locator("#answer")).to_contain_text("E-stop sent, but no gate of r0")
        expect(page.locator("#estop")).to_contain_text("Release")
        assert "s3cret" not in read_parameters(swarm, "/monitor")


def read_parameters(swarm: Probe, node: str) -> str:
    """Names and values of all parameters of a node, as anybody in the graph can read them."""
    client = AsyncParameterClient(swarm.node, node)
    swarm.until(client.services_are_ready)
    names = client.list_parameters()
    swarm.until(names.done)
    found = names.result().result.names
    assert "port" in found
    values = client.get_parameters(found)
    swarm.until(values.done)
    return f"{found} {values.result().values}"


@contextmanager
def swarm_running(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """`eir swarm` with everything real, ended by Ctrl-C."""
    bundle = os.environ.get("EIR_TEST_BUNDLE", str(share() / "policies" / "coverage"))
    command = [sys.executable, "-m", "eir_ros.cli.main", "swarm", "--bundle", bundle]
    command += ["--port", str(port), "--run-dir", str(folder), "--seed", "1"]
    with (folder / "swarm.log").open("wb") as log:
        swarm = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
        try:
            yield swarm
        finally:
            swarm.send_signal(2)
            swarm.wait(PATIENCE_S)


def positions(page: Page) -> dict[str, tuple[float, float]]:
    """Where the page says that the robots are [m; map], as it tells who cannot see its map."""
    said = page.locator("#arena").get_attribute("aria-label") or ""
    found = re.findall(r"(r\d) at (-?[\d.]+), (-?[\d.]+) m", said)
    return {name: (float(x), float(y)) for name, x, y in found}


def moved(page: Page, before: dict[str, tuple[float, float]]) -> set[str]:
    return {name for name, place in positions(page).items() if place != before.get(name)}


def until(page: Page, condition, timeout_s: float = PATIENCE_S):
    """Poll the page, whose own events go on meanwhile."""
    for _ in range(int(timeout_s / 0.1)):
        if found := condition():
            return found
        page.wait_for_timeout(100)
    raise AssertionError(f"not within {timeout_s} s: {condition}")


def servers(page: Page) -> set[str]:
    """Robots that serve a site, as their rows say."""
    rows = page.locator("#robots .robot h3").all_inner_texts()
    return {row[:2] for row in rows if "serves" in row}


def foreign_connections() -> list[str]:
    """Connections of the browser's processes to anywhere but this machine."""
    return [
        f"{process.name()} to {connection.raddr}"
        for process in psutil.Process().children(recursive=True)
        if "chrom" in process.name()
        for connection in process.net_connections("inet")
        if connection.raddr and connection.raddr.ip not in ("127.0.0.1", "::1")
    ]


def test_an_operator_cannot_break_watch_and_stop_the_swarm(page: Page, tmp_path: Path):
    """Robots move; a click breaks one; the others find out and take over; e-stop: all stand."""
    port = free_port()
    with swarm_running(tmp_path, port) as swarm:
        until(page, lambda: "operator page" in (tmp_path / "swarm.log").read_text())
        page.goto(f"http://127.0.0.1:{port}/")
        until(page, lambda: set(positions(page)) == set(TEAM))
        start = positions(page)
        until(page, lambda: moved(page, start) == set(TEAM))

        victim = until(page, lambda: min(servers(page), default=None))
        page.get_by_label(f"Fault for {victim}").select_option("stop")
        page.get_by_label(f"Inject a fault into {victim}").click()
        expect(page.locator("#answer")).to_contain_text(f"{victim} is broken: stop")
        others = [name for name in TEAM if name != victim]
        for other in others:
            cell = page.get_by_label(re.compile(rf"{other} believes .* that {victim} .*, detected"))
            expect(cell).to_be_visible()
        for other in others:
            line = page.locator("#events li").get_by_text(f"{other} detected {victim} after")
            expect(line.first).to_be_visible()
        until(page, lambda: servers(page) == set(others))
        expect(page.locator(f'[data-robot="{victim}"] .state')).to_have_text("✕ stop")

        page.get_by_label(f"Clear the fault of {victim}").click()
        expect(page.locator("#events")).to_contain_text(f"{victim} mended")

        page.keyboard.press("Escape")
        expect(page.locator("#banner")).to_have_text("E-stop: every robot stands.")

        def standing_at() -> dict[str, tuple[float, float]] | None:
            # the spoken positions are renewed once a second, on a busy machine less often
            before = positions(page)
            page.wait_for_timeout(2500)
            return before if positions(page) == before else None

        standing = until(page, standing_at)

        page.locator("#estop").click()
        page.get_by_role("button", name="Keep them stopped").click()
        expect(page.locator("#banner")).to_contain_text("E-stop")
        page.locator("#estop").click()
        page.get_by_role("button", name="Release", exact=True).click()
        until(page, lambda: moved(page, standing))

        page.set_viewport_size(PHONE)
        for control in ("#estop", "#pause"):
            box = page.locator(control).bounding_box()
            assert box is not None
            assert box["height"] >= 44
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= PHONE["width"]
            assert box["y"] >= 0
            assert box["y"] + box["height"] <= PHONE["height"]
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
        assert foreign_connections() == []
    assert swarm.returncode == 0, (tmp_path / "swarm.log").read_text()
