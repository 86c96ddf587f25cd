"""Make the pictures of docs/recordings.md: record a real run, report on it, replay it.

    python docs/make_recording_pictures.py

Needs the extras `ros`, `sim`, `monitor` and `dev`, and Chromium.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
#: A page should open fast.
MAX_BYTES = 200_000
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
EIR = [sys.executable, "-m", "eir_ros.cli.main"]
RUN = ["--headless", "--duration", "40", "--seed", "0"]
FAULTS = ["--fault", "r2:adversary@8-22", "--fault", "r1:stop@26"]
#: Where the replay is held for its picture [s].
AT_S = 30.5


def keep(page: Page, name: str, **options: object) -> None:
    """Take a picture, and refuse one that is too large."""
    scratch = IMAGES / f".{name}"
    page.screenshot(path=scratch, **options)
    size = scratch.stat().st_size
    if size > MAX_BYTES:
        scratch.unlink()
        sys.exit(f"{name} has {size} bytes, more than {MAX_BYTES}; it was not kept.")
    scratch.replace(IMAGES / name)
    print(f"{name}: {size / 1000:.0f} kB")


def photograph_replay(page: Page, bag: Path) -> None:
    """Hold the replay where something is to be seen."""
    command = [*EIR, "replay", str(bag), "--port", "0", "--start", str(AT_S - 4)]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    ) as replay:
        assert replay.stdout is not None
        found = re.search(r"http://[\d.:]+", replay.stdout.readline())
        if found is None:
            sys.exit("the replay did not start; see the output above.")
        page.goto(found[0])
        page.wait_for_function(
            """at => {
              const [minutes, seconds] = document.getElementById("time").textContent.split(":");
              return 60 * minutes + Number(seconds) >= at;
            }""",
            arg=AT_S,
        )
        page.locator("#play").click()
        page.wait_for_timeout(500)
        keep(page, "recording-replay.png")
        replay.send_signal(signal.SIGINT)


def main() -> None:
    """Record, report, replay."""
    with tempfile.TemporaryDirectory() as name, sync_playwright() as starter:
        folder = Path(name)
        bag = folder / "field-test"
        swarm = [*EIR, "swarm", *RUN, *FAULTS, "--record", str(bag), "--run-dir", name + "/run"]
        subprocess.run(swarm, cwd=ROOT, check=True)
        # so that the picture does not tell of a temporary folder
        subprocess.run([*EIR, "report", bag.name], cwd=folder, check=True, env=_environment())
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = starter.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1060, "height": 1200})
        page.goto((folder / "field-test-report" / "report.html").as_uri())
        keep(page, "recording-report.png")
        page = browser.new_page(viewport={"width": 1280, "height": 860}, color_scheme="dark")
        photograph_replay(page, bag)
        browser.close()


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}


if __name__ == "__main__":
    main()
