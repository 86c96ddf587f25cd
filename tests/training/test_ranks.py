"""Two real ranks, joined by gloo: equal to one, and none is left waiting for a dead one."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import torch

from eir_ros.contract.errors import EirError
from training import checkpoint
from training.checkpoint import Run
from training.recipe import Recipe, read_recipe
from training.records import METRICS, read_metrics
from training.train import train

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "config" / "recipes" / "lbf.yaml"
SMALL = {
    "batch": 8,
    "shards": 2,
    "steps": 12,
    "iterations": 3,
    "width": 16,
    "belief.hidden": 8,
    "evaluation.every": 0,
}


def settings(**changes: object) -> list[str]:
    found = []
    for key, value in {**SMALL, **changes}.items():
        found += ["--set", f"{key}={value}"]
    return found


def torchrun(out: Path, *more: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", "-m", "eir_ros.cli.main", "train", str(RECIPE)]
    return subprocess.Popen(
        [*command, "--out", str(out), *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )


@pytest.fixture
def started() -> Iterator[list["subprocess.Popen[str]"]]:
    """Processes that are ended with the test, together with all that they started."""
    found: list[subprocess.Popen[str]] = []
    yield found
    for process in found:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def recipe(**changes: object) -> Recipe:
    return read_recipe(RECIPE, [f"{key}={value}" for key, value in {**SMALL, **changes}.items()])


def test_two_ranks_learn_what_one_learns_from_the_whole_batch(started, tmp_path: Path):
    started.append(torchrun(tmp_path / "two", *settings()))
    alone = train(recipe(), tmp_path / "one")
    output, _ = started[0].communicate(timeout=300)
    assert started[0].returncode == 0, output
    assert output.count("done at iteration 3") == 1  # only the first rank talks
    together = checkpoint.load(tmp_path / "two" / checkpoint.FILE)
    for name, network in alone.learner.networks.items():
        other = together.learner.networks[name].state_dict()
        for key, value in network.state_dict().items():
            assert torch.allclose(value, other[key], rtol=1e-3, atol=1e-4), f"{name}.{key}"
    one, two = (read_metrics(tmp_path / k / METRICS) for k in ("one", "two"))
    # what is logged is of both ranks, not of one
    for key in set(one[0]) - {"steps_per_s"}:
        other = pytest.approx([row[key] for row in two], rel=1e-2, abs=1e-4)
        assert [row[key] for row in one] == other, key


def test_a_killed_rank_ends_the_others_in_seconds_and_costs_at_most_an_iteration(
    started, tmp_path: Path
):
    long = {"iterations": 100_000, "checkpoint_every": 1}
    began = time.monotonic()
    started.append(torchrun(tmp_path, *settings(**long)))
    _await(lambda: (tmp_path / checkpoint.FILE).exists(), started[0])
    start_s = time.monotonic() - began
    victim = _rank(started[0].pid, 1)
    before = time.monotonic()
    victim.kill()
    output, _ = started[0].communicate(timeout=300)
    assert started[0].returncode != 0
    # torchrun itself gives them 30 s, and a machine that is long to start them is long to end them
    assert time.monotonic() - before < 40 + start_s
    assert "rank 0 has lost the other ranks" in output
    assert output.count("Traceback") == 1  # that of the launcher
    reached = checkpoint.load(tmp_path / checkpoint.FILE).iteration

    def stop(run: Run, metrics: dict[str, float]) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    assert train(recipe(**long), tmp_path, stop).iteration == reached + 1


def _rank(launcher: int, rank: int) -> psutil.Process:
    children = psutil.Process(launcher).children()
    (found,) = [child for child in children if child.environ().get("RANK") == str(rank)]
    return found


def _await(what: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    limit = time.monotonic() + 300
    while not what():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < limit
        time.sleep(0.05)


def test_shards_that_ranks_cannot_share_are_refused_before_the_first_step(monkeypatch, tmp_path):
    monkeypatch.setattr("training.ranks.count", lambda: 3)
    with pytest.raises(EirError, match="2 shards cannot be shared out evenly among 3 ranks"):
        train(recipe(), tmp_path)


def test_a_replay_buffer_is_not_shared_out(monkeypatch, tmp_path):
    monkeypatch.setattr("training.ranks.count", lambda: 2)
    with pytest.raises(EirError, match="expected one rank, found 2"):
        train(recipe(method="maddpg"), tmp_path)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_missed_before_the_first_step(tmp_path):
    with pytest.raises(EirError, match=r"finds no GPU here.*device=cpu"):
        train(recipe(device="cuda"), tmp_path)
