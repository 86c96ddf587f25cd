"""Stopping and going on must equal never having stopped."""

import csv
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from eir_ros.contract.errors import EirError
from training import checkpoint
from training.checkpoint import Run
from training.methods import METHODS
from training.progress import run_with_progress
from training.recipe import Recipe, read_recipe
from training.train import train

MPE = Path(__file__).parents[2] / "config" / "recipes" / "mpe.yaml"


def weights(run: Run) -> dict[str, torch.Tensor]:
    return {
        f"{name}.{key}": value.clone()
        for name, network in run.learner.networks.items()
        for key, value in network.state_dict().items()
    }


OFF_POLICY = {"replay.capacity": 99, "replay.warmup": 60, "replay.updates": 2, "replay.batch": 9}

PERTURBATION = (
    "{radius: 0.1, policy: {learning_rate: {first: 1.0e-3, last: 1.0e-4}, clip: 0.2, epochs: 1, "
    "minibatches: 2, entropy: {first: 0.01, last: 0.01}}}"
)


def one_of_each(tiny_recipe) -> Iterator[Recipe]:
    """A small recipe for each method, and one that averages and explores in numbers.

    The adversary begins anew before iterations 2 and 3, between which the run is interrupted.
    """
    more = {**OFF_POLICY, "batch": 4, "steps": 10, "options.episode_decisions": 10}
    more |= {"averaging": 0.9, "rmaac": PERTURBATION, "adversary.restarts": 2}
    for method in METHODS:
        yield tiny_recipe(method, **more)
    small = {
        **OFF_POLICY,
        "batch": 4,
        "shards": 1,
        "steps": 10,
        "iterations": 4,
        "evaluation.every": 0,
    }
    small |= {"method": "maddpg", "options": "{continuous: true}", "checkpoint_every": 2}
    yield read_recipe(MPE, [f"{key}={value}" for key, value in small.items()])


def test_a_resumed_run_has_the_weights_of_one_that_never_stopped(tiny_recipe, tmp_path: Path):
    def interrupt(run: Run, metrics: dict[str, float]) -> None:
        if run.iteration == 3:  # between two checkpoints
            os.kill(os.getpid(), signal.SIGTERM)

    for number, recipe in enumerate(one_of_each(tiny_recipe)):
        out = tmp_path / str(number)
        whole = train(recipe, out / "whole")
        stopped = train(recipe, out / "parts", interrupt)
        assert stopped.iteration == 3
        resumed = train(recipe, out / "parts")
        assert resumed.iteration == 4
        before, after = weights(whole), weights(resumed)
        assert all(torch.equal(before[key], after[key]) for key in before), recipe.method
        assert len(resumed.learner.optimisers) > 1
        rows = list(csv.DictReader((out / "parts" / "metrics.csv").open()))
        assert [row["iteration"] for row in rows] == ["1", "2", "3", "4"]


def test_a_run_of_another_recipe_is_not_overwritten(tiny_recipe, tmp_path: Path):
    train(tiny_recipe("mappo", iterations=1), tmp_path)
    other = tiny_recipe("mappo", iterations=1, seed=1, **{"policy.clip": 0.3})
    with pytest.raises(EirError, match=r"another recipe: policy\.clip .*; seed is 0 there, 1 here"):
        train(other, tmp_path)


def test_a_run_that_lost_its_checkpoint_is_begun_again_on_top(tiny_recipe, tmp_path: Path):
    train(tiny_recipe("mappo", iterations=1, checkpoint_every=1), tmp_path)
    (tmp_path / checkpoint.FILE).unlink()
    before = (tmp_path / "metrics.csv").read_bytes()
    with pytest.raises(EirError, match=r"holds a run without its checkpoint\.pt\. Copy one of"):
        train(tiny_recipe("mappo", iterations=1, checkpoint_every=1), tmp_path)
    assert (tmp_path / "metrics.csv").read_bytes() == before


def test_a_run_that_is_refused_announces_nothing(
    tiny_recipe, tmp_path: Path, capsys: pytest.CaptureFixture
):
    run_with_progress(tiny_recipe("mappo", iterations=1), tmp_path)
    assert "MAPPO, seed 0, 1 iterations" in capsys.readouterr().out
    with pytest.raises(EirError):
        run_with_progress(tiny_recipe("mappo", iterations=1, seed=1), tmp_path)
    assert capsys.readouterr().out == ""


def test_a_run_that_goes_on_reads_like_a_new_one(tiny_recipe, tmp_path: Path, capsys):
    def stop(run: Run, metrics: dict[str, float]) -> None:
        raise KeyboardInterrupt

    recipe = tiny_recipe("mappo", iterations=2, checkpoint_every=1)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, tmp_path, stop)
    run_with_progress(recipe, tmp_path)
    said = capsys.readouterr().out
    assert "MAPPO, seed 0, going on after iteration 1 of 2, in" in said
    assert "best under attack" not in said
    run_with_progress(recipe, tmp_path)
    assert "MAPPO, seed 0, all 2 iterations done before, in" in capsys.readouterr().out


def test_an_unknown_world_is_told_after_the_recipe_of_the_folder(tiny_recipe, tmp_path: Path):
    train(tiny_recipe("mappo", iterations=1), tmp_path)
    with pytest.raises(EirError, match="did you mean 'swarm-coverage'"):
        train(tiny_recipe("mappo", iterations=1, environment="swarm-coverge"), tmp_path)


def test_a_loss_that_is_not_a_number_keeps_the_last_good_checkpoint(tiny_recipe, tmp_path: Path):
    def poison(run: Run, metrics: dict[str, float]) -> None:
        if run.iteration == 2:
            with torch.no_grad():
                run.critic.net[-1].bias.fill_(float("nan"))

    with pytest.raises(EirError, match="not a number at iteration 2"):
        train(tiny_recipe("mappo"), tmp_path, poison)
    kept = checkpoint.load(tmp_path / checkpoint.FILE)
    assert kept.iteration == 2
    assert all(torch.isfinite(value).all() for value in weights(kept).values())


def test_a_folder_that_cannot_be_written_is_found_before_the_first_step(tiny_recipe, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EirError, match="choose another folder"):
        train(tiny_recipe("mappo"), tmp_path / "file")


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", None])
def test_what_is_no_checkpoint_is_refused_with_its_name(content, tmp_path: Path):
    path = tmp_path / "checkpoint.pt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(EirError, match=r"checkpoint\.pt"):
        checkpoint.load(path)


def test_a_flipped_bit_is_trained_on(tiny_recipe, tmp_path: Path):
    train(tiny_recipe("mappo"), tmp_path)
    path = tmp_path / checkpoint.FILE
    data = bytearray(path.read_bytes())
    weight = max(checkpoint.load(path).team.state_dict().values(), key=torch.numel)
    place = data.index(weight.numpy().tobytes()[:16])
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(EirError, match="damaged"):
        checkpoint.load(path)
