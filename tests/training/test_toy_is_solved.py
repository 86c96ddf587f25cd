"""The toy game, made short: EIR-MAPPO must learn what no policy without a belief or memory can."""

import pytest
import torch

from benchmarks import toy
from eir_ros.contract.faults import FaultKind
from sim.toy import solver
from training import checkpoint
from training.evaluate import Evaluator
from training.recipe import read_recipe
from training.train import iterate, make_collector

#: A fifth of the game's steps, and of the training.
STEPS = 20
SHORT = (
    f"steps={STEPS}", f"options.episode_steps={STEPS}", "iterations=60", "averaging=0.9",
    "policy.epochs=3", "seed=10",
)  # fmt: skip


def test_a_short_training_neither_trusts_a_traitor_nor_mistrusts_a_friend(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr(toy, "EPISODES", 1024)
    run = checkpoint.fresh(read_recipe(toy.RECIPE, SHORT))
    collector = make_collector(run)
    while run.iteration < run.recipe.iterations:
        iterate(run, collector)
    collector.game.close()

    evaluator = Evaluator(run, batch=1024, greedy=False)
    together = evaluator.play(FaultKind.NONE, 1024, [1]).returns.mean()
    evaluator.close()
    attacked = min(
        toy.told_attack(run, agent, how).mean()
        for agent in (0, 1)
        for how in (toy.Sighted, toy.Deceiver)
    )
    assert together >= 0.95 * STEPS
    # the best team of all, trust until somebody deviates, is left with (STEPS - 1) / 2
    assert attacked >= 0.4 * STEPS
    ex_ante = solver.ex_ante([0.5, 0.25, 0.25, 0.0], STEPS).value
    assert (together + attacked) / 2 > ex_ante + 0.5
    assert toy.belief_quality(run)["calibration_error"] < 0.05


def test_a_curve_that_still_falls_is_not_taken_for_the_worst_case() -> None:
    falling = [{"0": 50.0 - k + k % 2, "1": 20.0 + k % 2} for k in range(40)]
    settled = [{"0": 49.0 + k % 2, "1": 20.0 + k % 2} for k in range(40)]
    assert not toy.is_flat(falling)
    assert toy.is_flat(settled)
