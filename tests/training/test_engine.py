"""Units of work: what is lost is reported, and nothing outlives its parent."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from eir_ros.contract.errors import EirError
from training.engine import Outcome, Unit, run_units

#: Kills the process whose id stands in KILL the first `{times}` times that it is run.
SUICIDE = """
import os, pathlib, signal
tries = pathlib.Path({tries!r})
before = len(tries.read_text()) if tries.exists() else 0
tries.write_text("x" * (before + 1))
if before < {times}:
    os.kill(os.{whom}(), signal.SIGKILL)
    signal.pause()
"""


def python(name: str, code: str) -> Unit:
    return Unit(name, (sys.executable, "-S", "-c", code))


def suicide(folder: Path, name: str, times: int, whom: str = "getpid") -> Unit:
    return python(name, SUICIDE.format(tries=str(folder / name), times=times, whom=whom))


def tries(folder: Path, name: str) -> int:
    return len((folder / name).read_text())


def test_outcomes_keep_the_order_of_the_units_and_a_failure_ends_no_other(tmp_path: Path):
    counted = f"open({str(tmp_path / 'failing')!r}, 'a').write('x'); raise SystemExit('no luck')"
    seen: list[Outcome] = []
    units = [
        python("slow", "import time; time.sleep(0.3); print('slept')"),
        python("failing", counted),
        Unit("missing", ("/nowhere/program",)),
        python("threads", "import os; print(os.environ['OMP_NUM_THREADS'])"),
    ]
    slow, failing, missing, threads = run_units(units, jobs=2, on_done=seen.append)
    assert (slow.ok, slow.returncode, slow.tail) == (True, 0, "slept")
    assert slow.wall_s > 0.3
    assert (failing.ok, failing.returncode, failing.tail) == (False, 1, "no luck")
    assert tries(tmp_path, "failing") == 1  # it would fail again
    assert not missing.ok
    assert "cannot be started" in missing.tail
    assert threads.tail == "1"
    assert {outcome.name for outcome in seen} == {unit.name for unit in units}


def test_a_unit_whose_process_is_killed_is_tried_once_more_and_then_reported(tmp_path: Path):
    units = [suicide(tmp_path, "unlucky", 1), suicide(tmp_path, "doomed", 9)]
    unlucky, doomed = run_units(units, jobs=2)
    assert unlucky.ok
    assert (doomed.ok, doomed.returncode) == (False, -signal.SIGKILL)
    assert (tries(tmp_path, "unlucky"), tries(tmp_path, "doomed")) == (2, 2)


#: Says its process id, and "saved" if it is asked to end.
PATIENT = """
import os, signal, sys
def save(*_):
    print("saved", file=open({out!r}, "a"), flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, save)
print(os.getpid(), file=open({out!r}, "w"), flush=True)
while True:
    signal.pause()
"""
DRIVER = """
import sys
from training.engine import Unit, run_units
run_units([Unit("patient", (sys.executable, "-S", "-c", sys.argv[1]))])
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_no_unit_outlives_the_process_that_runs_it(end: signal.Signals, tmp_path: Path):
    out = tmp_path / "out"
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, PATIENT.format(out=str(out))],
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    try:
        unit = _await_pid(out)
        driver.send_signal(end)
        assert driver.wait(60) != 0
        assert select.select([unit], [], [], 60)[0], "the unit is still running"
        assert out.read_text().split()[1:] == ["saved"]
    finally:
        driver.kill()
        driver.wait()


def _await_pid(path: Path) -> int:
    """A descriptor that can be read once the process has ended whose id is written to `path`."""
    limit = time.monotonic() + 120
    while time.monotonic() < limit:
        with contextlib.suppress(FileNotFoundError, ValueError):
            return os.pidfd_open(int(path.read_text()))
        time.sleep(0.01)
    raise AssertionError("the unit did not start")


def test_what_names_no_engine_is_refused():
    with pytest.raises(EirError, match="no engine 'slurm'; expected local or ray"):
        run_units([], engine="slurm")
    with pytest.raises(EirError, match="add --engine ray"):
        run_units([], address="auto")


def test_missing_ray_is_a_sentence_that_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(EirError, match=r"pip install .*train,ray"):
        run_units([], engine="ray")


def test_a_lost_worker_of_ray_costs_its_unit_and_no_other(tmp_path: Path):
    """The unit kills the worker that runs it, once or always."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install -e '.[ray]'")
    units = [
        python("fine", "print('done')"),
        suicide(tmp_path, "unlucky", 1, "getppid"),
        suicide(tmp_path, "doomed", 9, "getppid"),
        python("failing", "raise SystemExit(3)"),
    ]
    seen: list[Outcome] = []
    fine, unlucky, doomed, failing = run_units(units, "ray", jobs=2, on_done=seen.append)
    assert fine.ok
    assert fine.tail == "done"
    assert unlucky.ok
    assert (doomed.ok, doomed.returncode) == (False, None)
    assert "worker lost" in doomed.tail
    assert failing.returncode == 3
    assert (tries(tmp_path, "unlucky"), tries(tmp_path, "doomed")) == (2, 2)
    assert len(seen) == 4


def test_a_cluster_that_does_not_answer_is_named():
    pytest.importorskip("ray", reason="Ray is not installed: pip install -e '.[ray]'")
    with pytest.raises(EirError, match=r"127\.0\.0\.1:1: .*ray start --head"):
        run_units([], "ray", address="127.0.0.1:1")
