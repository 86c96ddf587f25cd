"""An installed package finds its own files, whichever way it was installed."""

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("eir_ros", "sim", "training", "launch", "config", "policies", "resource")
FILES = ("setup.py", "setup.cfg", "pyproject.toml", "package.xml", "README.md", "LICENSE")

#: Run in the fresh environment: where the files are, and whether all of them came along.
PROBE = """
import importlib.util
from eir_ros.contract.paths import share
for name in ("agent", "gate", "fault", "world", "monitor", "recorder"):
    assert importlib.util.find_spec(f"eir_ros.nodes.{name}"), name
for name in ("config/keys/demo.pub", "config/rosters/default.yaml", "launch/swarm.launch.py"):
    assert (share() / name).is_file(), name
package = importlib.util.find_spec("eir_ros.monitor").submodule_search_locations[0]
assert importlib.util.find_spec("sim.swarm") and importlib.util.find_spec("training")
import pathlib
assert list(pathlib.Path(package).glob("static/*.html")), "no page"
print(share())
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the sources, so that building leaves nothing in the repository."""
    copy = tmp_path / "checkout"
    for name in SOURCES:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(ROOT / name, copy / name)
    return copy


@pytest.mark.parametrize("editable", [True, False], ids=["editable", "wheel"])
def test_an_installed_package_finds_its_files(editable: bool, checkout: Path, tmp_path: Path):
    pytest.importorskip("wheel")
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    python = venv / "bin" / "python"
    # what the package depends on is borrowed from the environment of the tests, as the last place
    # to look, so that the package itself cannot be found there
    site = next((venv / "lib").glob("python*/site-packages"))
    (site / "borrowed.pth").write_text(sysconfig.get_paths()["purelib"])
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    flags = ["--no-deps", "--no-index", "--no-build-isolation", *(["--editable"] * editable)]
    environment = {"PATH": "/usr/bin:/bin"}
    subprocess.run([*install, *flags, str(checkout)], check=True, env=environment, cwd=tmp_path)

    def run(*command: str) -> str:
        done = subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    expected = checkout if editable else venv / "share" / "eir_ros"
    assert Path(run(str(python), "-c", PROBE)) == expected.resolve()
    assert run(str(venv / "bin" / "eir"), "--version").startswith("eir ")
