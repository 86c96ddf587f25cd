"""A teammate out of sight: training and an exported team remember the same of it."""

import numpy as np
import pytest
import torch

from eir_ros.contract.paths import share
from training.game import make_game
from training.recipe import read_recipe
from training.team import BeliefSource, Team
from training.views import view_of

SIGHT = "options.world={sensing: {range_m: 1.2, occlusion: true, dropout: 0.3}}"


@torch.no_grad()
@pytest.mark.parametrize("task", ["coverage", "rendezvous", "pursuit"])
def test_training_and_robots_remember_otherwise_of_whom_they_do_not_see(task: str) -> None:
    torch.manual_seed(0)
    recipe = read_recipe(share() / f"config/recipes/{task}.yaml", (SIGHT, "batch=8"))
    game = make_game(recipe, 2)
    game.reset([3])
    team = Team(view_of(game), BeliefSource.LEARNED, recipe)
    rng, rows = np.random.default_rng(0), []
    for _ in range(30):
        rows.append(game.observation.copy())
        game.step(rng.integers(0, game.env.num_actions, (2, 4)))
    game.close()
    observation = torch.from_numpy(np.stack(rows))
    seen = team.view.visible(observation)
    assert seen is not None
    assert 0.1 < seen.float().mean() < 0.9
    team.belief.normaliser.update(team.view.pairs(observation))
    team.belief.head.weight *= 100
    together, last = team.beliefs(observation, team.initial_state(2, 4))
    hidden = team.initial_state(8)
    for step, row in enumerate(observation):
        before = hidden
        _, belief, hidden = team(row.flatten(0, 1), hidden)
        assert torch.allclose(belief, together[step].exp().flatten(0, 1), atol=1e-5)
        unseen = ~seen[step].flatten(0, 1)
        assert torch.equal(hidden[unseen], before[unseen])
    assert torch.allclose(hidden, last.flatten(0, 1), atol=1e-5)
