"""The learner against what can be worked out by hand."""

from dataclasses import fields

import numpy as np
import pytest
import torch

from training import checkpoint
from training.actions import Discrete
from training.checkpoint import Run
from training.methods import METHODS
from training.ppo import generalised_advantages, normalised, policy_loss
from training.rollout import Rollout
from training.train import iterate, make_collector


def play(run: Run, **options) -> Rollout:
    collector = make_collector(run)
    return collector.collect([run.recipe.seed, 0], run.recipe.steps, **options)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_the_ratio_is_one_before_the_first_step_of_every_learner(method, tiny_recipe):
    """In the real loop: with its teacher, after normalisers have moved, and run in sequence."""
    run = checkpoint.fresh(tiny_recipe(method, batch=16))
    collector = make_collector(run)
    for _ in range(3):
        metrics = iterate(run, collector)
        assert metrics["policy/first_ratio_error"] < 1e-5
        if METHODS[method].attacked:
            assert metrics["adversary/first_ratio_error"] < 1e-5


def test_advantages_and_returns_match_a_hand_computed_rollout():
    rollout = _rollout(reward=[[1.0], [2.0]], value=[[0.5], [1.0]], next_value=[[1.0], [4.0]])
    targets = generalised_advantages(rollout, gamma=0.5, gae_lambda=0.5)
    # delta_1 = 2 + 0.5 * 4 - 1 = 3: the last value bootstraps, for the episode was cut off
    # delta_0 = 1 + 0.5 * 1 - 0.5 = 1; A_0 = 1 + 0.25 * 3
    assert targets.advantage[:, 0].tolist() == pytest.approx([1.75, 3.0])
    assert targets.returns[:, 0].tolist() == pytest.approx([2.25, 4.0])


def test_an_episode_learns_nothing_from_the_one_that_follows_it():
    # the first step ends an episode: what follows is worth next_value, not the second step's gain
    rollout = _rollout(
        reward=[[1.0], [2.0]], value=[[0.5], [1.0]], next_value=[[0.0], [4.0]], ended=[[1], [0]]
    )
    targets = generalised_advantages(rollout, gamma=0.5, gae_lambda=0.5)
    assert targets.advantage[:, 0].tolist() == pytest.approx([0.5, 3.0])


def test_the_value_after_the_last_decision_is_that_of_the_final_state(tiny_recipe):
    """Not of the first state of the next episode, and with the types of the episode that ended."""
    # onsets scale with the episode, so there are none
    options = {"batch": 32, "faults.from_start": 1.0}
    short = checkpoint.fresh(
        tiny_recipe("eir-mappo", steps=5, **{"options.episode_decisions": 5}, **options)
    )
    long = checkpoint.fresh(
        tiny_recipe("eir-mappo", steps=6, **{"options.episode_decisions": 6}, **options)
    )
    rollout, longer = play(short), play(long)
    assert rollout.truncated[4].all()
    assert not rollout.truncated[:4].any()
    assert torch.equal(rollout.kinds[0], longer.kinds[0])
    assert (rollout.kinds != 0).any()
    assert torch.allclose(rollout.next_value[4], longer.value[5], atol=1e-5)


def test_labels_and_masks_are_those_of_the_decision_itself(tiny_recipe):
    run = checkpoint.fresh(tiny_recipe("eir-mappo", batch=64))
    rollout = play(run)
    onset_inside = ((rollout.kinds[0] == 0) & (rollout.kinds[-1] != 0)).nonzero()
    assert len(onset_inside)
    env, robot = onset_inside[0].tolist()
    types = rollout.types[:, env, robot]
    observer = 0 if robot != 0 else 1
    place = [j for j in range(4) if j != observer].index(robot)
    assert torch.equal(rollout.teammate_types[:, env, observer, place], types)


def test_the_defender_learns_from_healthy_and_the_adversary_from_corrupted_decisions_only():
    logits = torch.zeros(2, 3, requires_grad=True)
    mask = torch.tensor([1.0, 0.0])
    found = policy_loss(
        Discrete(3), logits, torch.tensor([0, 0]), torch.log(torch.tensor([1 / 3, 1 / 3])),
        torch.ones(2), mask, clip=0.2, entropy_weight=0.0,
    )  # fmt: skip
    found.loss.backward()
    assert logits.grad[0].abs().sum() > 0
    assert logits.grad[1].abs().sum() == 0


@pytest.mark.parametrize(("advantage", "sign"), [(1.0, -1), (-1.0, 1)])
def test_the_gradient_raises_the_better_of_two_actions(advantage, sign):
    """Policy-gradient theorem: descending the loss follows A * grad log pi."""
    logits = torch.zeros(1, 2, requires_grad=True)
    old = torch.log(torch.tensor([0.5]))
    policy_loss(
        Discrete(2),
        logits,
        torch.tensor([0]),
        old,
        torch.tensor([advantage]),
        torch.ones(1),
        0.2,
        0.0,
    ).loss.backward()  # fmt: skip
    assert np.sign(logits.grad[0, 0].item()) == sign
    assert logits.grad[0].sum().item() == pytest.approx(0.0, abs=1e-6)
    assert abs(logits.grad[0, 0].item()) == pytest.approx(0.5)


def test_a_ratio_beyond_the_clip_earns_no_more_gradient():
    logits = torch.tensor([[2.0, 0.0]], requires_grad=True)
    old = torch.log(torch.tensor([0.5]))
    policy_loss(
        Discrete(2), logits, torch.tensor([0]), old, torch.ones(1), torch.ones(1), 0.2, 0.0
    ).loss.backward()
    assert logits.grad.abs().sum() == 0


def test_advantages_are_normalised_over_the_entries_that_are_trained_on():
    mask = torch.tensor([1.0, 1.0, 1.0, 0.0])
    out = normalised(torch.tensor([1.0, 2.0, 3.0, 1e6]), mask)
    assert out[:3].mean().item() == pytest.approx(0.0, abs=1e-6)
    assert out[:3].square().mean().item() == pytest.approx(1.0, abs=1e-4)
    assert out[3] == 0


def test_true_types_reach_the_team_only_where_the_method_says_so(tiny_recipe):
    for method, told in (("true-type", True), ("eir-mappo", False), ("ear-mappo", False)):
        rollout = play(checkpoint.fresh(tiny_recipe(method, batch=32)))
        matches = rollout.belief.argmax(-1) == rollout.teammate_types
        assert bool(matches.all()) is told


def test_types_that_never_differ_teach_the_belief_its_prior(tiny_recipe):
    """A belief network that has learned nothing says the same about everybody."""
    run = checkpoint.fresh(tiny_recipe("eir-mappo", batch=8))
    belief = play(run).belief
    assert belief.sum(-1).allclose(torch.ones(()))
    assert belief.std() < 0.05


def _rollout(
    reward: list[list[float]],
    value: list[list[float]],
    next_value: list[list[float]],
    ended: list[list[int]] | None = None,
) -> Rollout:
    shape = (len(reward), len(reward[0]))
    blank = {f.name: torch.zeros(*shape, 1) for f in fields(Rollout) if f.name != "extra"}
    over = torch.tensor(ended).bool() if ended else torch.zeros(shape, dtype=torch.bool)
    known = {"reward": reward, "value": value, "next_value": next_value}
    return Rollout(**blank | {k: torch.tensor(v) for k, v in known.items()} | {"ended": over})
