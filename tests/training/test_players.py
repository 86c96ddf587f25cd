"""A shard is the same whoever plays it, and a lost worker's is played again."""

import multiprocessing
import os
import signal
from pathlib import Path

import psutil
import pytest
import torch

from eir_ros.contract.errors import EirError
from training import checkpoint
from training.checkpoint import Run
from training.methods import METHODS
from training.players import Staff, Twin, arrays_of, make_collector
from training.recipe import Recipe, read_recipe
from training.rollout import Order, Rollout
from training.train import train

LBF = Path(__file__).parents[2] / "config" / "recipes" / "lbf.yaml"
SMALL = ("batch=8", "shards=2", "steps=12", "iterations=3", "width=16", "evaluation.every=0")


def lbf(*changes: str) -> Recipe:
    return read_recipe(LBF, [*SMALL, *changes])


def assert_same(one: Run, other: Run) -> None:
    for name, network in one.learner.networks.items():
        found = other.learner.networks[name].state_dict()
        for key, value in network.state_dict().items():
            assert torch.equal(value, found[key]), f"{name}.{key}"


@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_twin_plays_as_the_run_itself_does(method, tiny_recipe):
    recipe = tiny_recipe(method, steps=10)
    run, twin = checkpoint.fresh(recipe), Twin(tiny_recipe(method, steps=10, seed=5))
    orders = [Order([0, shard], 10, 0.5) for shard in (0, 1)]
    networks = run.learner.networks.items()
    theirs = twin.play({name: arrays_of(net.state_dict()) for name, net in networks}, orders)
    for ours, other in zip(make_collector(run).play(orders), theirs, strict=True):
        _assert_equal(ours, other)


def _assert_equal(ours: Rollout, theirs: dict) -> None:
    for name, value in arrays_of(ours.tensors()).items():
        if isinstance(value, dict):
            assert {k: v.tolist() for k, v in value.items()} == {
                k: v.tolist() for k, v in theirs[name].items()
            }
        else:
            assert (value == theirs[name]).all(), name


def test_weights_do_not_depend_on_workers_nor_on_the_death_of_one(
    tmp_path: Path, capfd: pytest.CaptureFixture
):
    def kill(run: Run, metrics: dict[str, float]) -> None:
        if run.iteration == 1:
            one = next(p for p in multiprocessing.active_children() if p.name == "player-1")
            os.kill(one.pid or 0, signal.SIGKILL)

    alone = train(lbf(), tmp_path / "alone")
    crewed = train(lbf(), tmp_path / "crewed", kill, staff=Staff(workers=2))
    assert_same(alone, crewed)
    told = capfd.readouterr().err
    assert told.count("worker 1 was killed by SIGKILL; another plays its shards again") == 1
    assert not [p for p in multiprocessing.active_children() if p.name.startswith("player")]


def test_more_workers_than_shards_are_refused(tmp_path: Path):
    with pytest.raises(EirError, match="3 workers cannot share out 2 shards"):
        train(lbf(), tmp_path, staff=Staff(workers=3))


def test_weights_do_not_depend_on_ray_nor_on_the_death_of_an_actor(
    tmp_path: Path, capfd: pytest.CaptureFixture
):
    pytest.importorskip("ray", reason="Ray is not installed: pip install -e '.[ray]'")

    def kill(run: Run, metrics: dict[str, float]) -> None:
        if run.iteration == 1:
            actors = [p for p in psutil.process_iter(["cmdline"]) if _is_ours(p)]
            actors[0].kill()

    alone = train(lbf(), tmp_path / "alone")
    spread = train(lbf(), tmp_path / "spread", kill, staff=Staff(engine="ray"))
    assert_same(alone, spread)
    assert "another plays its shards again" in capfd.readouterr().err


def _is_ours(process: psutil.Process) -> bool:
    called = (process.info["cmdline"] or [""])[0].startswith("ray::Twin")
    return called and psutil.Process() in process.parents()
