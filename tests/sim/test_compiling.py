"""First use of a compiled world: said once, on stderr, and never again."""

import os
import subprocess
import sys

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
