"""MADDPG and M3DDPG against updates that were computed by hand."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from eir_ros.contract.errors import EirError
from sim.batched import BatchedEnv
from sim.scene import Scene
from training import ranks
from training.actions import Discrete
from training.game import Game
from training.methods.m3ddpg import M3ddpg
from training.methods.maddpg import Maddpg
from training.networks import follow
from training.replay import Transitions

GAMMA, ALPHA = 0.9, 0.1
#: Of a critic that is linear in state (2 numbers), a^0, a^1 and whose critic it is.
WEIGHTS = [0.5, 2.0, 0.3, -0.7, 1.0, -1.0]


class Line(BatchedEnv):
    """Two agents with one continuous action each; where they are is of no interest here."""

    name = "line"
    complete_state = True

    def __init__(self, batch: int = 1) -> None:
        super().__init__(batch, 2, 1, 0, action_size=1)

    def _reset(self, seed) -> None: ...

    def _advance(self, actions) -> None: ...

    def scene(self, index: int = 0) -> Scene:
        raise NotImplementedError


class Product(nn.Module):
    """Q = a^0 a^1, whoever's critic it is."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return (inputs[..., -4] * inputs[..., -3]).unsqueeze(-1)


@pytest.fixture(params=[Maddpg, M3ddpg])
def learner(request, toy_recipe):
    """Linear critics, and actors whose scores are 0.3 and -0.4, whatever is observed."""
    changes = {"critic.gamma": GAMMA, "replay.perturbation": ALPHA, "replay.regularisation": 0.01}
    torch.manual_seed(0)
    recipe = toy_recipe("maddpg", **changes)
    learner = request.param(recipe, Game(Line()))
    with torch.no_grad():
        for critic in (learner.joint_critic, learner.target_critic):
            critic.net = nn.Linear(len(critic.net[0].weight[0]), 1, bias=False)
            state = len(critic.normaliser.mean)  # what follows the two: both actions and i
            zeros = [0.0] * (state - 2)
            critic.net.weight.copy_(torch.tensor([*WEIGHTS[:2], *zeros, *WEIGHTS[2:]]))
        for team in (learner.team, learner.target_team):
            team.actor = ByAgent()
    return learner


class ByAgent(nn.Module):
    """Scores of the two agents, who are told apart by their observation: 0 and 1."""

    def __init__(self) -> None:
        super().__init__()
        self.scores = nn.Parameter(torch.tensor([0.3, -0.4]))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.scores[inputs[..., 0].long()].unsqueeze(-1)


def transitions(learner, terminated: list[bool]) -> Transitions:
    count = len(terminated)
    seen = torch.tensor([[0.0], [1.0]]).expand(count, 2, 1)
    state = torch.zeros(count, len(learner.joint_critic.normaliser.mean))
    state[:, :2] = torch.tensor([1.0, 0.25])
    after = state.clone()
    after[:, :2] = torch.tensor([0.5, -1.0])
    legal = torch.ones(count, 2, 0, dtype=torch.bool)
    action = torch.tensor([[0.5], [-0.8]]).expand(count, 2, 1)
    reward = torch.full((count,), 1.5)
    return Transitions(
        seen, legal, state, action, reward, torch.tensor(terminated), seen, legal, after
    )


def doubt(learner, weight: float) -> float:
    """What M3DDPG takes off for the other agent: one step of length alpha down a linear slope."""
    return ALPHA * abs(weight) if isinstance(learner, M3ddpg) else 0.0


def test_the_target_of_the_critics_is_what_the_equation_says(learner):
    found = learner.target(transitions(learner, [False, True]), torch.Generator())
    w = WEIGHTS
    both = w[2] * math.tanh(0.3) + w[3] * math.tanh(-0.4) + w[0] * 0.5 + w[1] * -1.0
    first = 1.5 + GAMMA * (both + w[4] - doubt(learner, w[3]))
    second = 1.5 + GAMMA * (both + w[5] - doubt(learner, w[2]))
    assert found[0].tolist() == pytest.approx([first, second], abs=1e-6)
    # nothing follows a terminal step; an end by time limit is none, and is like the first
    assert found[1].tolist() == [1.5, 1.5]


def test_the_critics_loss_is_of_the_actions_that_were_carried_out(learner):
    batch = transitions(learner, [True])
    w = WEIGHTS
    value = w[0] * 1.0 + w[1] * 0.25 + w[2] * 0.5 + w[3] * -0.8
    errors = [value + w[4] - 1.5, value + w[5] - 1.5]
    loss = learner.joint_critic_loss(batch, torch.Generator())
    assert loss.item() == pytest.approx(np.mean(np.square(errors)) / 2, abs=1e-6)


def test_one_step_of_the_policy_climbs_each_agents_own_critic(learner):
    """d/ds of -(Q^0(a^0 = tanh s^0, a^1) + Q^1(a^0, a^1 = tanh s^1)) / 2 + 0.01 mean s^2."""
    for critic in (learner.joint_critic, learner.target_critic):
        critic.net = Product()
    learner.joint_policy_loss(transitions(learner, [False]), torch.Generator()).backward()
    # Q = a^0 a^1: the other's action is that of the buffer, and M3DDPG moves it against the sign
    # of the agent's own
    step = ALPHA if isinstance(learner, M3ddpg) else 0.0
    slopes = [-0.8 - step, 0.5 + step]  # own actions are tanh(0.3) > 0 and tanh(-0.4) < 0
    expected = [
        -0.5 * slope * (1 - math.tanh(s) ** 2) + 0.01 * s
        for slope, s in zip(slopes, (0.3, -0.4), strict=True)
    ]
    assert learner.team.actor.scores.grad.tolist() == pytest.approx(expected, abs=1e-6)


def test_a_worst_case_is_an_action_and_never_the_agents_own(learner):
    state = transitions(learner, [False]).state
    assumed = torch.tensor([0.95, -0.95]).reshape(1, 1, 2, 1).expand(1, 2, 2, 1)
    found = learner.suspected(learner.joint_critic, state, assumed)[0, :, :, 0]
    if not isinstance(learner, M3ddpg):
        assert torch.equal(found, assumed[0, :, :, 0])
        return
    # agent 0 fears a^1 + 0.1 (its weight is negative), agent 1 fears a^0 - 0.1
    assert found.flatten().tolist() == pytest.approx([0.95, -0.85, 0.85, -0.95])
    far = learner.suspected(learner.joint_critic, state, torch.sign(-assumed))
    assert far.abs().max() <= 1.0


def test_discrete_actions_pass_the_gradient_of_their_relaxation(toy_recipe):
    """Gumbel-softmax y = softmax((s + g) / t): dQ/ds = (diag(y) - y y') w / t."""
    scores = torch.tensor([0.2, -0.5, 1.0, 0.0], requires_grad=True)
    weight = torch.tensor([1.0, -2.0, 0.5, 9.0])
    actions, temperature = Discrete(4), 0.7
    allowed = actions.restrict(scores, torch.tensor([True, True, True, False]))
    drawn = actions.relaxed(allowed, temperature, torch.Generator().manual_seed(3))
    (drawn * weight).sum().backward()
    uniform = torch.rand(4, generator=torch.Generator().manual_seed(3)).double().numpy()
    noisy = np.array([0.2, -0.5, 1.0]) - np.log(-np.log(uniform[:3]))
    y = np.exp(noisy / temperature) / np.exp(noisy / temperature).sum()
    jacobian = np.diag(y) - np.outer(y, y)
    assert drawn.tolist() == pytest.approx([*y, 0.0], abs=1e-5)
    expected = jacobian @ weight.numpy()[:3] / temperature
    assert scores.grad.tolist() == pytest.approx([*expected, 0.0], abs=1e-5)


def test_a_target_network_moves_a_share_of_the_way(learner):
    network, target = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 1.0)
    nn.init.constant_(target.weight, 0.0)
    follow(target, network, 0.25)
    follow(target, network, 0.25)
    assert target.weight.item() == pytest.approx(0.4375)


def test_several_ranks_are_refused_with_a_sentence(monkeypatch, toy_recipe):
    monkeypatch.setattr(ranks, "count", lambda: 2)
    with pytest.raises(EirError, match="one replay buffer, in one process; expected one rank"):
        Maddpg(toy_recipe("maddpg"), Game(Line()))
