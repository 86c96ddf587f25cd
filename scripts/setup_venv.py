"""Make the virtual environment: pinned, repeatable, with what the system must add announced.

Runs on the standard library alone, with the interpreter that the environment shall have:
`python3.11 scripts/setup_venv.py --venv .venv --extras ros,sim,monitor`. A second run changes
nothing and takes seconds.
"""

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CONSTRAINTS = ROOT / "constraints.txt"
OLDEST, NEWEST = (3, 11), (3, 13)
#: PyBullet has wheels on PyPI up to this version of Python.
PYBULLET_WHEELS = (3, 11)
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


def main() -> None:
    """Make or refresh the environment named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--venv", type=Path, required=True, help="folder of the environment")
    parser.add_argument("--extras", default="", help="extras of the package, by commas")
    parser.add_argument("--chromium", action="store_true", help="install Chromium where missing")
    args = parser.parse_args()
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        stop(f"Python {VERSION} is not supported: use 3.11 (best), 3.12 or 3.13, PYTHON=python3.11")
    python = make_venv(args.venv.absolute())
    extras = args.extras.split(",") if args.extras else []
    if "sim" in extras and sys.version_info[:2] > PYBULLET_WHEELS:
        provide_pybullet(python)
    wanted = f"{ROOT}[{','.join(extras)}]" if extras else str(ROOT)
    say(f"installing eir_ros with {args.extras or 'no extras'} into {args.venv}")
    say(f"{download(extras)} to download where pip has none of it yet; it takes some minutes")
    pip(python, "install", "--editable", wanted)
    if args.chromium:
        provide_chromium()
    say(f"ready; `source {args.venv}/bin/activate` gives this shell the command `eir`")


def say(text: str) -> None:
    """Announce a step."""
    print(f"setup: {text}", flush=True)


def stop(text: str) -> None:
    """End with a sentence for the user."""
    sys.exit(f"setup: {text}")


def download(extras: list[str]) -> str:
    """How much pip has to fetch."""
    if "train" in extras:
        return "about 200 MB, and torch (200 MB for CPU, several GB for CUDA),"
    return "about 200 MB"


def pip(python: Path, *args: str) -> None:
    """Run pip under the pins of constraints.txt, which also hold for packages it must build.

    On a terminal it shows its progress; elsewhere, in a log, only what goes wrong.
    """
    command, *rest = args
    args = (command, *rest) if sys.stdout.isatty() else (command, "--quiet", *rest)
    pins = {"PIP_CONSTRAINT": str(CONSTRAINTS), "PIP_BUILD_CONSTRAINT": str(CONSTRAINTS)}
    environment = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", **os.environ, **pins}
    done = subprocess.run([str(python), "-m", "pip", *args], env=environment, check=False)
    if done.returncode:
        stop(
            f"pip failed with status {done.returncode}; its own message is above. Is the package "
            "index reachable? The step can be repeated: it goes on where it stopped."
        )


def make_venv(folder: Path) -> Path:
    """Interpreter of the environment in `folder`, which is made anew for another Python."""
    python = folder / "bin" / "python"
    probe = "import sys; print('%d.%d' % sys.version_info[:2])"
    if python.exists():
        found = subprocess.run([python, "-c", probe], capture_output=True, text=True, check=False)
        if found.stdout.strip() == VERSION:
            return python
        say(f"{folder} is of another Python, making it anew")
        shutil.rmtree(folder)
    provide_ensurepip()
    say(f"making {folder} with Python {VERSION}")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    return python


def provide_ensurepip() -> None:
    """Debian and Ubuntu ship `venv` as a package of its own."""
    try:
        import ensurepip  # noqa: F401
    except ImportError:
        package = f"python{VERSION}-venv"
        if not apt_install(package):
            stop(f"Python's venv module is missing: install it with `apt-get install {package}`")


def provide_pybullet(python: Path) -> None:
    """Take Debian's PyBullet or build it once: there is no wheel for this Python."""
    if imports(python, "pybullet"):
        return
    if imports(Path(sys.executable), "pybullet") or (
        sys.executable.startswith("/usr/bin/") and apt_install("python3-pybullet")
    ):
        link_pybullet(python)
        if imports(python, "pybullet"):
            say("PyBullet: using the one of the system's Python")
            return
    headers = Path(sysconfig.get_paths()["include"]) / "Python.h"
    if not (shutil.which("g++") and headers.exists()):
        tools = ("build-essential", f"python{VERSION}-dev")
        if not apt_install(*tools):
            stop(f"building PyBullet needs a compiler: `apt-get install {' '.join(tools)}`")
    cores = os.cpu_count() or 1
    say(
        f"PyBullet has no wheel for Python {VERSION}: building it from source, once. "
        f"It takes some 3 minutes on two idle cores; there are {cores} here."
    )
    start = time.monotonic()
    pip(python, "install", "pybullet")
    say(f"PyBullet built in {time.monotonic() - start:.0f} s")


def link_pybullet(python: Path) -> None:
    """Let the environment see the system's PyBullet, and nothing else of the system's."""
    find = "import pybullet; print(pybullet.__file__)"
    module = subprocess.run(
        [sys.executable, "-c", find], capture_output=True, text=True, check=False
    ).stdout.strip()
    site = next((python.parents[1] / "lib").glob("python3*/site-packages"))
    if module and not (site / Path(module).name).exists():
        (site / Path(module).name).symlink_to(module)


def provide_chromium() -> None:
    """The browser tests drive Debian's Chromium; without it they are skipped."""
    if any(shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")):
        return
    say("Chromium is missing, installing Debian's")
    if not apt_install("chromium"):
        say(
            "Chromium cannot be installed from here: the tests of the operator page in a browser "
            "(marked `browser`) will be skipped. To have them: `apt-get install chromium`."
        )


def imports(python: Path, module: str) -> bool:
    """Whether that interpreter can import that module."""
    command = [str(python), "-c", f"import {module}"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def apt_install(*packages: str) -> bool:
    """Install Debian packages where that needs no password; False where it was not possible."""
    if not shutil.which("apt-get"):
        return False
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if sudo and (
        not shutil.which("sudo") or subprocess.run([*sudo, "true"], capture_output=True).returncode
    ):
        return False
    install = [*sudo, "apt-get", "install", "-y", "-q", "--no-install-recommends", *packages]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (install, [*sudo, "apt-get", "update", "-q"], install):
        done = subprocess.run(command, env=environment, check=False, stdout=subprocess.DEVNULL)
        if command is install and done.returncode == 0:
            return True
    return False


if __name__ == "__main__":
    main()
