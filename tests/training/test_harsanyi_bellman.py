"""The critic's target on the toy game, for fixed policies, against the exact solver.

Policies are tables: each agent plays by the state alone. Episodes are cut off after 12 steps; the
exact values are those of the game that goes on, so they hold only if truncation bootstraps.
"""

import numpy as np
import pytest
import torch
from torch import nn

from eir_ros.contract.faults import FaultKind
from sim.toy import solver, tables
from training import checkpoint
from training.players import make_collector

GAMMA = 0.9
#: Probability of action 0 by agent and state.
HONEST = np.array([[0.8, 0.3], [0.6, 0.9]])
ROGUE = np.array([[0.2, 0.6], [0.5, 0.1]])
#: Far enough for the sum of what is left to vanish.
FOREVER = 400


def table(first: np.ndarray) -> np.ndarray:
    """A policy table (2, T, 2, 2) of the solver."""
    rows = np.stack([first, 1 - first], -1)
    return np.repeat(rows[:, None], FOREVER, 1)


class Tabular(nn.Module):
    """An actor that reads the state and its own index, the first two numbers of what it sees."""

    def __init__(self, first: np.ndarray) -> None:
        super().__init__()
        self.scores = torch.tensor(np.log(np.stack([first, 1 - first], -1))).float()

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.scores[inputs[..., 1].long(), inputs[..., 0].long()]


class Exact(nn.Module):
    """V of a state (first number) and of who is corrupted (last two numbers)."""

    def __init__(self, values: np.ndarray) -> None:
        super().__init__()
        self.values = torch.tensor(values).float()

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        kind = (inputs[..., -2:].long() * torch.tensor([1, 2])).sum(-1)
        return self.values[kind, inputs[..., 0].long()].unsqueeze(-1)


@pytest.fixture
def exact() -> np.ndarray:
    """V_θ(s), (4, 2), in the order of `tables.TYPES`."""
    return tables.evaluate(table(HONEST), table(ROGUE), GAMMA)[:, 0]


@pytest.fixture
def run(toy_recipe) -> checkpoint.Run:
    changes = {"critic.gamma": GAMMA, "options.episode_steps": 12, "steps": 12, "batch": 512}
    run = checkpoint.fresh(toy_recipe("ear-mappo", **changes))
    run.team.actor, run.adversary.actor = Tabular(HONEST), Tabular(ROGUE)
    return run


def kind_of(types: torch.Tensor) -> torch.Tensor:
    return (types * torch.tensor([1, 2])).sum(-1)


def test_the_order_of_types_is_the_solvers():
    assert tables.TYPES.tolist() == [[0, 0], [1, 0], [0, 1], [1, 1]]


def test_the_exact_value_is_the_mean_of_its_own_targets_at_every_step(run, exact):
    """E[target | s, θ] = V_θ(s): the fixed point, for each θ, state and time, the last included."""
    run.critic.net = Exact(exact)
    collector = make_collector(run)
    sums = np.zeros((3, 12, 2, 4, 2))
    for k in range(6):
        rollout = collector.collect([1, k], 12)
        returns = run.learner._targets(rollout).returns
        kind, state = kind_of(rollout.types).numpy(), rollout.critic_input[..., 0].long().numpy()
        time = np.broadcast_to(np.arange(12)[:, None], state.shape)
        for power in range(3):
            np.add.at(sums[power], (time, state, kind, 0), returns.numpy().astype(float) ** power)
    count, total, squares = (part[..., 0] for part in sums)
    expected = np.broadcast_to(exact.T, count.shape)
    met = count >= 30
    mean = total[met] / count[met]
    spread = np.sqrt(np.maximum(squares[met] / count[met] - mean**2, 1e-6) / count[met])
    # 72 means: all within four and a half standard errors
    assert met[:, :, :3].all()
    assert not met[:, :, 3].any()
    assert (np.abs(mean - expected[met]) < 4.5 * spread).all()
    # were time a terminal state, the last target would be off by gamma V: many standard errors
    assert (GAMMA * exact > 20 * spread.max()).all()


def test_q_of_the_belief_is_that_of_the_harsanyi_bellman_equation(run, exact):
    """E[r + gamma V | s, ā] in the first step, over nature's draws: Q(s, ā, prior)."""
    run.critic.net = Exact(exact)
    collector = make_collector(run)
    sums, counts = np.zeros((2, 2, 2)), np.zeros((2, 2, 2))
    for k in range(30):
        rollout = collector.collect([2, k], 1)
        target = (rollout.reward + GAMMA * rollout.next_value)[0].double().numpy()
        cell = (rollout.critic_input[0, :, 0].long().numpy(), *rollout.executed[0].T.numpy())
        np.add.at(sums, cell, target)
        np.add.at(counts, cell, 1)
    prior = solver.one_adversary(run.recipe.faults.probability)
    expected = tables.harsanyi_bellman(prior, table(HONEST), table(ROGUE), 0, GAMMA)
    # V spreads by about 0.6 over types, and the rarest joint action comes 500 times
    assert counts.min() > 500
    assert np.abs(sums / counts - expected).max() < 4.5 * exact.std() / np.sqrt(counts.min())


def test_the_critic_learns_the_exact_value_of_each_type(run, exact):
    """From scratch, against policies that stay: what it says of every θ and state."""
    collector = make_collector(run)
    for k in range(40):
        rollout = collector.collect([3, k], 12)
        run.learner._seed([3, k])
        run.learner.update_critic(rollout, run.learner._targets(rollout), k / 40)
    found = np.zeros((3, 2))
    rollout = collector.collect([4], 12)
    kind, state = kind_of(rollout.types), rollout.critic_input[..., 0].long()
    for theta in range(3):
        for s in range(2):
            found[theta, s] = rollout.value[(kind == theta) & (state == s)].mean()
    assert np.abs(found - exact[:3]).max() < 0.15
    assert np.ptp(exact[:3]) > 1.0  # so types matter


def test_a_fresh_type_is_drawn_for_every_environment_and_episode(toy_recipe):
    options = {"steps": 40, "batch": 256, "options.episode_steps": 4}
    run = checkpoint.fresh(toy_recipe("ear-mappo", **options))
    kinds = make_collector(run).collect([0], 40).kinds
    episodes = kinds.reshape(10, 4, 256, 2)
    assert (episodes == episodes[:, :1]).all()  # they begin with the episode, and stay
    drawn = (episodes[:, 0] == FaultKind.ADVERSARY).numpy()
    assert (drawn.sum(-1) <= 1).all()
    # 2560 draws of probability 1/2, of which each agent gets half
    assert abs(drawn.any(-1).mean() - 0.5) < 0.05
    assert np.abs(drawn.mean((0, 1)) - 0.25).max() < 0.04
    # neither the same for all environments, nor the same from episode to episode
    for axis in (0, 1):
        changes = np.diff(kind_of(torch.from_numpy(drawn).long()).numpy(), axis=axis) != 0
        assert abs(changes.mean() - 0.625) < 0.05  # 1 - (1/2)^2 - 2 (1/4)^2
