"""RMAAC's adversaries bend what agents observe, inside their ball and in training only."""

import pytest
import torch

from eir_ros.contract.faults import FaultKind
from training import checkpoint
from training.evaluate import Evaluator
from training.players import make_collector
from training.train import iterate


@pytest.mark.parametrize("radius", [0.0, 0.1, 0.5])
def test_a_perturbation_stays_in_its_ball_and_constants_stay_what_they_are(radius, tiny_recipe):
    run = checkpoint.fresh(tiny_recipe("rmaac", **{"rmaac.radius": radius}))
    perturber = run.learner.perturber
    collector = make_collector(run)
    first = collector.collect([0, 0], 5)
    # before any spread is known, nothing is bent
    assert torch.equal(first.observation, first.extra["unbent"])
    iterate(run, collector)
    with torch.no_grad():
        perturber.actor[-1].bias += 50.0  # as far as it can
    rollout = collector.collect([0, 1], 20)
    moved = (rollout.observation - rollout.extra["unbent"]).abs()
    edge = radius * perturber.normaliser.variance.sqrt()
    assert (moved <= edge + 1e-5).all()
    if not radius:
        assert not moved.any()
        return
    varied = perturber.normaliser.variance > 1e-6
    assert (moved > 0.99 * edge - 1e-4)[..., varied].all()
    assert moved[..., ~varied].max() < 1e-3


def test_its_ratio_starts_at_one_and_it_learns_against_the_team(toy_recipe):
    recipe = toy_recipe("rmaac", **{"rmaac.policy.learning_rate.first": 0.05, "batch": 64})
    run = checkpoint.fresh(recipe)
    collector = make_collector(run)
    before = [p.clone() for p in run.learner.perturber.parameters()]
    metrics = iterate(run, collector)
    assert metrics["perturber/first_ratio_error"] < 1e-5
    assert any(
        not torch.equal(a, b)
        for a, b in zip(before, run.learner.perturber.parameters(), strict=True)
    )


def test_what_bends_an_advantageous_way_becomes_rarer(toy_recipe):
    """The adversary's gradient has the sign opposite to the team's."""
    run = checkpoint.fresh(toy_recipe("rmaac", batch=64))
    learner = run.learner
    rollout = make_collector(run).collect([0, 0], 10)
    targets = learner._targets(rollout)
    draw = rollout.extra["draw"]
    # the team gains where the first number is bent upwards
    gain = (draw[..., 0].sum(-1) > 0).float()
    targets.advantage = gain - gain.mean()
    before = learner.perturber.scores(rollout.extra["unbent"])[..., 0].mean()
    learner._seed([0])
    learner.update_perturber(rollout, targets, 0.0)
    learner.perturber.normaliser.count.zero_()
    learner.perturber.normaliser.mean.zero_()
    learner.perturber.normaliser.variance.fill_(1.0)
    assert learner.perturber.scores(rollout.extra["unbent"])[..., 0].mean() < before


def test_nobody_bends_anything_in_evaluation(toy_recipe):
    run = checkpoint.fresh(toy_recipe("rmaac", **{"rmaac.radius": 5.0}))
    collector = make_collector(run)
    iterate(run, collector)
    evaluator = Evaluator(run, batch=8)
    trained = evaluator.play(FaultKind.NONE, 8, [0]).returns
    with torch.no_grad():
        run.learner.perturber.actor[-1].bias += 50.0
    assert evaluator.play(FaultKind.NONE, 8, [0]).returns.tolist() == trained.tolist()
    # the first column of the toy game is its state, 0 or 1
    assert set(collector.collect([0, 0], 10).observation[..., 0].flatten().tolist()) - {0.0, 1.0}
