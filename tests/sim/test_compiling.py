"""First use of a compiled world: said once, on stderr, and never again."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import sim

CODE = "import sim; [sim.make('toy', batch=2).reset() for _ in range(2)]; print('{}')"


def use_toy(cache) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    command = [sys.executable, "-c", CODE]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True)


def test_compiling_is_announced_once_and_a_kept_result_is_not(tmp_path):
    cold, warm = use_toy(tmp_path), use_toy(tmp_path)
    assert cold.stderr == "compiling toy, once per machine: this takes some seconds\n"
    assert warm.stderr == ""
    assert cold.stdout == warm.stdout == "{}\n"


def test_no_old_result_runs_after_an_edit_of_a_file_that_is_compiled_into_it(tmp_path):
    """By itself numba looks at the file of the outermost function only."""
    package = tmp_path / "sim"
    shutil.copytree(Path(sim.__file__).parent, package)
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    environment |= {"PYTHONPATH": f"{tmp_path}{os.pathsep}{Path(sim.__file__).parents[1]}"}
    environment.pop("NUMBA_CACHE_DIR", None)

    def first_draw() -> str:
        code = "import sim; print(sim.make('toy', batch=8, seed=1).observation[:, 0, 0])"
        command = [sys.executable, "-c", code]
        ran = subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
        )
        return ran.stdout

    before = first_draw()
    helper = package / "randomness.py"
    helper.write_text(helper.read_text().replace("0x9E3779B97F4A7C15", "0x9E3779B97F4A7C17"))
    assert first_draw() != before
    assert len(list((tmp_path / "cache" / "eir_ros").iterdir())) == 2
