"""Setting up says what it does, and does not ignore what it was asked for."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the Makefile in a folder with a set-up that only says so and a venv of Python 3.1."""
    files = {
        "Makefile": (ROOT / "Makefile").read_text(encoding="utf-8"),
        "setup.py": "",
        "constraints.txt": "",
        "eir_ros/__init__.py": "",
        "scripts/setup_venv.py": "print('set up')",
        ".venv/bin/python": "#!/bin/sh\necho 3.1\n",
        ".venv/bin/eir": "#!/bin/sh\n",
    }
    for name, text in files.items():
        path = folder / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o755)
    return subprocess.run(
        ["make", "swarm", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


def test_a_python_that_does_not_run_is_named_though_there_is_a_venv(tmp_path: Path) -> None:
    assert make(tmp_path).returncode == 0
    done = make(tmp_path, "PYTHON=python9")
    assert done.returncode != 0
    assert "PYTHON=python9 does not run here; give the name" in done.stderr


def test_another_python_than_that_of_the_venv_sets_up_again(tmp_path: Path) -> None:
    assert "set up" in make(tmp_path).stdout
    assert "set up" not in make(tmp_path).stdout
    assert "set up" in make(tmp_path, f"PYTHON={sys.executable}").stdout
    (tmp_path / ".venv/bin/python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    assert "set up" not in make(tmp_path, f"PYTHON={sys.executable}").stdout


def test_the_last_words_of_setting_up_name_the_command(tmp_path: Path) -> None:
    """With a pip that only tells what it was asked for."""
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    (venv / "bin" / "python").write_text(f"#!/bin/sh\necho {version}\n")
    (venv / "bin" / "python").chmod(0o755)
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "setup_venv.py", "--venv", venv, "--extras", "ros"],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert re.search(r"about 200 MB to download .* some minutes", lines[1])
    assert (
        lines[-1]
        == f"setup: ready; `source {venv}/bin/activate` gives this shell the command `eir`"
    )
