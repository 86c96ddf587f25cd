"""Make the README's picture of the operator page, from a real run in a real browser.

    python docs/make_screenshot.py [--bundle DIR] [--fault r2:adversary@8] [--at 20]

Needs the extras `ros`, `sim`, `monitor` and `dev`, and Chromium.
"""

import argparse
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
IMAGE = ROOT / "docs" / "images" / "operator-page.png"
SIZE = (1280, 800)
#: A README should open fast.
MAX_BYTES = 200_000
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


@contextmanager
def swarm(port: int, bundle: Path, fault: str, seed: int) -> Iterator[None]:
    """`eir swarm`, ended by Ctrl-C."""
    command = [sys.executable, "-m", "eir_ros.cli.main", "swarm", "--port", str(port)]
    command += ["--bundle", str(bundle), "--fault", fault, "--seed", str(seed)]
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen([*command, "--run-dir", folder], cwd=ROOT)
        try:
            yield
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def photograph(port: int, at_s: float, path: Path) -> None:
    """Wait until the mission is `at_s` old [s] and write what the page shows."""
    with sync_playwright() as starter:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = starter.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": SIZE[0], "height": SIZE[1]}, color_scheme="dark")
        url = f"http://127.0.0.1:{port}/"
        wait_for(port)
        page.goto(url)
        page.wait_for_function(
            """at => {
              const [minutes, seconds] = document.getElementById("time").textContent.split(":");
              return 60 * minutes + Number(seconds) >= at;
            }""",
            arg=at_s,
            timeout=1000 * (at_s + 60),
        )
        expect(page.locator("#link")).to_have_text("live")
        page.screenshot(path=path)
        browser.close()


def wait_for(port: int) -> None:
    """Wait until somebody listens on `port`."""
    end = time.monotonic() + 60.0
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    sys.exit(f"nobody listened on port {port} within a minute; see the output above.")


def main() -> None:
    """Run the swarm, take the picture, and refuse one that is too large."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, default=ROOT / "policies" / "coverage")
    parser.add_argument("--fault", default="r2:adversary@8")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--at", type=float, default=20.0, help="mission time [s]")
    parser.add_argument("--port", type=int, default=8099)
    chosen = parser.parse_args()
    IMAGE.parent.mkdir(parents=True, exist_ok=True)
    scratch = IMAGE.with_name(f".{IMAGE.name}")
    with swarm(chosen.port, chosen.bundle, chosen.fault, chosen.seed):
        photograph(chosen.port, chosen.at, scratch)
    size = scratch.stat().st_size
    if size > MAX_BYTES:
        scratch.unlink()
        sys.exit(f"the picture has {size} bytes, more than {MAX_BYTES}; it was not kept.")
    scratch.replace(IMAGE)
    print(f"{IMAGE}: {size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
