"""MAPPO (Yu et al. 2022): shared actor, central critic, clipped policy optimisation.

Nobody is ever corrupted in training, and everybody trusts everybody. The base of all methods of
this family.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from training.game import Game
from training.learner import Learner, Metrics, adam
from training.ppo import Targets, normalised, policy_loss, summary
from training.recipe import Recipe
from training.rollout import Rollout


class Mappo(Learner):
    """Cooperative only."""

    title = "MAPPO"
    attacked = False

    def __init__(self, recipe: Recipe, game: Game) -> None:
        super().__init__(recipe, game)
        self.optimisers["policy"] = adam(self.team.actor)

    def learn(self, rollout: Rollout, targets: Targets, progress: float) -> Metrics:
        """Policy, then critic; the normalisers last, so that the PPO ratio starts at 1."""
        metrics = self.update_policy(rollout, targets, progress)
        metrics |= self.update_critic(rollout, targets, progress)
        self.update_normalisers(rollout)
        return metrics

    def update_policy(self, rollout: Rollout, targets: Targets, progress: float) -> Metrics:
        """Defender: E[(1 - θ^i) ∇ log π(a^i | H^i, b^i) A], clipped."""
        settings, actions = self.recipe.policy, self.team.actions
        mask = (rollout.types == 0).float() * rollout.chosen
        advantage = normalised(targets.advantage.unsqueeze(-1).expand_as(mask), mask)
        columns = (rollout.available, rollout.action, rollout.log_prob, advantage, mask)
        inputs, losses = self.policy_inputs(rollout), []
        for envs in self.minibatches(settings):
            available, action, log_prob, gain, trained = (
                column.index_select(1, envs) for column in columns
            )
            found = policy_loss(
                actions, actions.restrict(self.team.actor(inputs(envs)), available), action,
                log_prob, gain, trained, settings.clip, settings.entropy.at(progress),
            )  # fmt: skip
            self.descend("policy", found.loss, settings, progress)
            losses.append(found)
        return summary("policy", losses)

    def policy_inputs(self, rollout: Rollout) -> Callable[[Tensor], Tensor]:
        """What the actor's layers read in some environments (b,), as (T, b, N, F).

        No weight that is learned here is in it, so it is computed once.
        """
        team = self.team
        inputs = team.normaliser(team.actor_input(rollout.observation, rollout.belief))
        return lambda envs: inputs.index_select(1, envs)

    @torch.no_grad()
    def update_normalisers(self, rollout: Rollout) -> None:
        """Take in this rollout's inputs, after learning."""
        team = self.team
        team.normaliser.update(team.actor_input(rollout.observation, rollout.belief))
        if team.uses_network():
            team.belief.normaliser.update(team.evidence(rollout.observation)[0])
