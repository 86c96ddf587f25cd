"""`eir replay` in a real browser: play, speed, seek, and nothing that could move a robot."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
playwright = pytest.importorskip("playwright.sync_api")
pytest.importorskip("fastapi")
pytest.importorskip("rosbags")

from playwright.sync_api import Page, expect  # noqa: E402
from tiny_recording import write_tiny_recording  # noqa: E402

ROOT = Path(__file__).parents[2]

#: A Python in which ROS cannot be imported: whoever looks at a recording may have none.
WITHOUT_ROS = (
    "import sys; sys.modules['rclpy'] = None; sys.argv[0] = 'eir';"
    "from eir_ros.cli.main import main; main()"
)


@contextmanager
def replaying(bag: Path, *arguments: str) -> Iterator[str]:
    """The address of a replay that ends with Ctrl-C, without complaints."""
    command = [sys.executable, "-c", WITHOUT_ROS, "replay", str(bag), "--port", "0", *arguments]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
            assert found, line
            yield found[0]
        finally:
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=120)
        assert (process.returncode, errors) == (0, "")


def shown_s(page: Page) -> float:
    """The mission time that the page shows [s]."""
    minutes, seconds = page.locator("#time").inner_text().split(":")
    return 60 * int(minutes) + float(seconds)


def test_a_recording_cannot_be_moved_or_looks_live(page: Page, tmp_path: Path):
    bag = write_tiny_recording(tmp_path / "bag")
    with replaying(bag, "--start", "10", "--speed", "2") as url:
        page.goto(url)
        expect(page).to_have_title("Replay of bag")
        expect(page.locator("#banner")).to_contain_text("Replay of bag, recorded 2023-11-14")
        expect(page.locator("#banner")).to_contain_text("no orders can be sent")
        expect(page.locator("#link")).to_have_text("replay")
        expect(page.locator("#speed")).to_have_value("2")
        assert shown_s(page) >= 10.0
        # nothing here could be ordered
        for control in ("#estop", "#pause", "#unlock", ".break", "#trust-hint"):
            expect(page.locator(control).first).to_be_hidden()
        page.get_by_label(re.compile("r0 believes .* that r2")).click()
        expect(page.locator("#trust")).to_be_hidden()
        page.keyboard.press("Escape")
        expect(page.locator("#answer")).to_contain_text("there is nothing here to stop")
        expect(page.locator("body")).not_to_have_attribute("data-overdue", "")

        # hold, and go back to before anything was found out
        page.locator("#play").click()
        expect(page.locator("#play")).to_have_text("Play")
        page.locator("#reel").fill("6")
        expect(page.locator("#time")).to_have_text("00:06.0")
        expect(page.locator("#reel-time")).to_have_text("00:06.0 of 00:20.0")
        events = page.locator("#events li")
        expect(events).to_have_count(1)
        expect(events.first).to_contain_text("r2 broken: stop")
        expect(page.get_by_label(re.compile("r0 believes .* that r2"))).to_have_text(".10")
        expect(page.locator("#arena")).to_have_attribute(
            "aria-label", re.compile(r"r0 at -1\.20, 0\.00 m")
        )
        held = shown_s(page)
        page.wait_for_timeout(400)
        assert shown_s(page) == held

        # and forward, to after the false alarm, while the e-stop held
        page.locator("#reel").fill("18.5")
        expect(page.locator("#events")).to_contain_text("r1 detected r0: a false alarm")
        expect(page.locator("#events")).to_contain_text("r0 detected r2 after 2.4 s")
        expect(page.locator("#banner")).to_contain_text("E-stop")

        # sixteen times as fast as it was
        page.locator("#speed").select_option("16")

        def took_ms() -> float:
            page.locator("#reel").fill("0")
            expect(page.locator("#time")).to_have_text("00:00.0")
            started = page.evaluate("performance.now()")
            page.locator("#play").click()
            expect(page.locator("#reel-time")).to_have_text("00:20.0 of 00:20.0")
            ended = page.evaluate("performance.now()")
            expect(page.locator("#play")).to_have_text("Play")
            return ended - started

        # a busy machine may hold up some of them, not all
        assert any(took_ms() < 10_000 for _ in range(5))
        page.locator("#speed").select_option("1")  # slow enough for this to be seen
        page.locator("#play").click()  # from its end it begins again
        expect(page.locator("#play")).to_have_text("Pause")


def test_a_page_that_comes_late_knows_nothing_of_the_past(page: Page, tmp_path: Path):
    bag = write_tiny_recording(tmp_path / "bag")
    with replaying(bag, "--start", "15") as url:
        page.goto(url)
        expect(page.locator("#link")).to_have_text("replay")
        page.locator("#play").click()
        page.reload()
        expect(page.locator("#link")).to_have_text("replay")
        expect(page.locator("#play")).to_have_text("Play")
        assert shown_s(page) >= 15.0
        expect(page.locator("#events")).to_contain_text("r0 detected r2 after 2.4 s")
