"""RMAAC (He et al. 2023): an actor-critic that is robust to adversaries of the state.

Every agent has an adversary of its own, which bends what that agent observes, inside a ball; nobody
is corrupted. Agents and their adversaries play a zero-sum game, and both follow the policy gradient
of the same central critic: agents log π(a^i | õ^i), adversaries log rho(b^i | o^i), sign reversed.
"""

import torch
from torch import Tensor, nn

from training.actions import Continuous
from training.game import Game
from training.learner import Metrics, adam
from training.methods.mappo import Mappo
from training.networks import Normaliser, mlp
from training.ppo import Targets, normalised, policy_loss, summary
from training.recipe import Perturbation, Recipe
from training.rollout import Bend, Rollout


class Perturber(nn.Module):
    """rho(b | o): what is added to each observed number, at most `radius` of its running spread.

    One network for the adversaries of all agents.
    """

    def __init__(self, observation_size: int, settings: Perturbation, recipe: Recipe) -> None:
        super().__init__()
        self.radius = settings.radius
        self.actions = Continuous(observation_size)
        self.normaliser = Normaliser(observation_size)
        sizes = [observation_size, *[recipe.width] * recipe.layers, self.actions.num_scores]
        self.actor = mlp(sizes, 0.01)

    def scores(self, observation: Tensor) -> Tensor:
        """Means and log-deviations of the draw b, (..., 2 D), from what there is to see."""
        return self.actor(self.normaliser(observation))

    def bounds(self) -> Tensor:
        """Half the edges of the ball, (D,): nothing until the first spread is known."""
        spread: Tensor = self.normaliser.variance.sqrt() * (self.normaliser.count > 0)
        return self.radius * spread

    def bend(self, observation: Tensor, noise: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """What the agents see instead of `observation` (B, N, D); see `training.rollout.Bend`."""
        scores = self.scores(observation)
        draw = self.actions.sample(scores, noise)
        seen = observation + self.bounds() * torch.tanh(draw)
        record = {"unbent": observation, "draw": draw}
        return seen, record | {"draw_log_prob": self.actions.log_prob(scores, draw)}


class Rmaac(Mappo):
    """MAPPO whose agents never see things quite as they are."""

    title = "RMAAC"

    def __init__(self, recipe: Recipe, game: Game) -> None:
        super().__init__(recipe, game)
        assert recipe.rmaac is not None, "the recipe has checked it"
        self._settings = recipe.rmaac.policy
        self.perturber = Perturber(game.shape.observation, recipe.rmaac, recipe)
        self.optimisers["perturber"] = adam(self.perturber.actor)

    @property
    def networks(self) -> dict[str, nn.Module]:
        """Those of MAPPO, and the adversaries of what is observed."""
        return {**super().networks, "perturber": self.perturber}

    @property
    def bend(self) -> Bend:
        """The adversaries at work, in training only."""
        return self.perturber.bend

    def learn(self, rollout: Rollout, targets: Targets, progress: float) -> Metrics:
        """MAPPO on what the agents saw, and their adversaries on what there was to see."""
        metrics = super().learn(rollout, targets, progress)
        return metrics | self.update_perturber(rollout, targets, progress)

    def update_perturber(self, rollout: Rollout, targets: Targets, progress: float) -> Metrics:
        """Adversaries: E[-∇ log rho(b^i | o^i) A], clipped, where the agent had a choice."""
        settings, perturber, mask = self._settings, self.perturber, rollout.chosen
        advantage = normalised(-targets.advantage.unsqueeze(-1).expand_as(mask), mask)
        observation, draw = rollout.extra["unbent"], rollout.extra["draw"]
        losses = []
        for envs in self.minibatches(settings):
            found = policy_loss(
                perturber.actions, perturber.scores(observation[:, envs]), draw[:, envs],
                rollout.extra["draw_log_prob"][:, envs], advantage[:, envs], mask[:, envs],
                settings.clip, settings.entropy.at(progress),
            )  # fmt: skip
            self.descend("perturber", found.loss, settings, progress)
            losses.append(found)
        perturber.normaliser.update(observation)
        return summary("perturber", losses)
